"""Tests of the data that the recipes read, from prepared folders.

Authors
 * The speechbrain_fftp authors 2026
"""

import data_folders
import numpy as np
import pytest
import soundfile as sf
from data_prepare import prepare_data
from prepared_clips import read_clips, read_rows
from recipe_brains import load_script
from speechcommands_prepare import prepare_speech_commands

from speechbrain.dataio.encoder import CategoricalEncoder


@pytest.fixture(params=["AudioSet", "SpeechCommands"])
def load(request, tmp_path):
    """Loads the data of a recipe at a rate, from the folder ``prepared``."""
    data, prepared = tmp_path / "data", tmp_path / "prepared"
    if request.param == "AudioSet":
        data_folders.write_lists(data)
        prepare_data(data, prepared)
    else:
        data_folders.write_words(data, num_speakers=9)
        prepare_speech_commands(data, prepared, task="folders")
    (test_table,) = (*prepared.glob("eval.csv"), *prepared.glob("test.csv"))
    script = load_script(f"{request.param}/train.py")

    def load(sample_rate=16000):
        hparams = {
            "label_encoder": CategoricalEncoder(),
            "class_list": prepared / "classes.csv",
            "n_classes": len(read_rows(prepared / "classes.csv")),
            "sample_rate": sample_rate,
            "train_annotation": prepared / "train.csv",
            "valid_annotation": prepared / "valid.csv",
            "test_annotation": test_table,
            "data_root": prepared,
        }
        return script.dataio_prep(hparams)

    return load


def test_clips_are_those_of_the_prepared_folder(load, tmp_path):
    expected = read_clips(tmp_path / "prepared")
    found = [item for data in load().values() for item in data]
    assert sorted(item["id"] for item in found) == sorted(expected)
    for item in found:
        np.testing.assert_array_equal(item["sig"], expected[item["id"]])


def test_other_audio_is_an_error_that_names_the_file(load, tmp_path):
    row = read_rows(tmp_path / "prepared" / "train.csv")[0]
    path = row["wav"].replace("$data_root", str(tmp_path / "prepared"))
    with pytest.raises(ValueError, match=path):
        load(sample_rate=8000)["train"][0]
    samples = sf.read(path)[0]
    sf.write(path, np.stack([samples, samples], 1), 16000)
    with pytest.raises(ValueError, match=path):
        load()["train"][0]
