"""Tests of the data that the recipes read, from prepared folders.

Authors
 * The speechbrain_fftp authors 2026
"""

import data_folders
import numpy as np
import pytest
import soundfile as sf
from packs_prepare import prepare_data
from prepared_clips import read_clips
from recipe_brains import load_script
from speechcommands_prepare import prepare_speech_commands

from speechbrain.dataio.dataloader import make_dataloader
from speechbrain.dataio.encoder import CategoricalEncoder


@pytest.fixture(params=["AudioSet", "SpeechCommands"])
def recipe(request, tmp_path):
    """A recipe's ``dataio_prep``, its options, and its prepared folder."""
    data, prepared = tmp_path / "data", tmp_path / "prepared"
    test_table = prepared / "eval.csv"
    if request.param == "AudioSet":
        data_folders.write_lists(data)
        prepare_data(data, prepared)
    else:
        data_folders.write_words(data, num_speakers=9)
        prepare_speech_commands(data, prepared, task="folders")
        test_table = prepared / "test.csv"
    classes = (prepared / "classes.csv").read_text("utf-8").splitlines()
    hparams = {
        "label_encoder": CategoricalEncoder(),
        "class_list": prepared / "classes.csv",
        "n_classes": len(classes) - 1,
        "sample_rate": 16000,
        "train_annotation": prepared / "train.csv",
        "valid_annotation": prepared / "valid.csv",
        "test_annotation": test_table,
        "data_root": prepared,
    }
    script = load_script(f"{request.param}/train.py")
    return script.dataio_prep, hparams, prepared


def test_an_epoch_has_each_clip_once(recipe):
    dataio_prep, hparams, prepared = recipe
    expected = read_clips(prepared)
    seen = []
    for data in dataio_prep(hparams).values():
        loader = make_dataloader(
            data, batch_size=2, shuffle=True, num_workers=1
        )
        for _ in range(2):
            clips = {}
            for batch in loader:
                for clip_id, sig in zip(batch.id, batch.sig.data):
                    assert clip_id not in clips
                    clips[clip_id] = sig.numpy()
            assert len(clips) == len(data)
            for clip_id, sig in clips.items():
                np.testing.assert_array_equal(sig, expected[clip_id])
        seen += clips
    assert sorted(seen) == sorted(expected)


def test_other_audio_is_an_error_that_names_the_file(recipe):
    dataio_prep, hparams, prepared = recipe
    data = dataio_prep({**hparams, "sample_rate": 8000})["train"]
    pack = prepared / "wav" / "train-0000.wav"
    with pytest.raises(ValueError, match=str(pack)):
        data[0]
    samples = sf.read(pack)[0]
    sf.write(pack, np.stack([samples, samples], 1), 16000)
    with pytest.raises(ValueError, match=str(pack)):
        dataio_prep(hparams)["train"][0]
