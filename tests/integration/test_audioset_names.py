"""Every yaml file, trained on clips with AudioSet's 527 names.

Names with commas, quotes and brackets reach each file of the result, which is
then opened as its users open it.

Authors
 * The speechbrain_fftp authors 2026
"""

import json

import numpy as np
import pytest
import soundfile
from data_folders import RATE, sound, write_words
from data_prepare import prepare_data
from prepared_clips import read_rows
from recipe_brains import OF_LABELS
from recipe_runs import ROOT, run_words, train

from fftp_tag import AudioTagger, evaluate
from fftp_tag.data.audioset import read_classes

CLASSES = read_classes()  # names by mids
QUICK = (
    "ast_fftp.yaml",
    "ast_fftp_frames.yaml",
    "speechcommands/ast_fftp.yaml",
)
PREPARED = "demo.yaml"  # reads what another script prepares
SCRIPTS = {
    row["Hparam_file"]: row["Script_file"].removeprefix("recipes/")
    for row in read_rows(ROOT / "tests/recipes.csv")
}
OPTIONS = {
    "number_of_epochs": 1,
    "patch_frames": 10,
    "stride_frames": 10,
    "int8": False,  # weights are compared
    "use_tensorboard": False,
    "export": True,
}
EVENTS = """filename\tonset\toffset\tevent_label
-bala000000\t0.0\t0.2\tSpeech
-bala000001\t0.1\t0.3\tMusic
"""
# In a process of its own, in another folder
OPEN = """
import sys
import numpy as np
import soundfile
import torch
from speechbrain.inference.classifiers import EncoderClassifier
from speechbrain_fftp.inference.tagging import Tagger
from fftp_tag import AudioTagger

folder, clip, found = *sys.argv[1:3], {}
wav = torch.from_numpy(soundfile.read(clip, dtype="float32")[0])[None]
for Class in (EncoderClassifier, Tagger):
    model = Class.from_hparams(source=folder)
    probs, embedding = model.classify_batch(wav)[0].exp(), model.encode_batch(wav)
    labels = model.hparams.label_encoder.ind2lab
    found[Class.__name__, "labels"] = [labels[n] for n in range(len(labels))]
    found[Class.__name__, "probs"] = probs[0]
    found[Class.__name__, "embedding"] = embedding[0, 0]
model = AudioTagger.from_pretrained(folder)
found["AudioTagger", "labels"] = model.labels
found["AudioTagger", "probs"] = model.clip_probabilities(clip)
found["AudioTagger", "embedding"] = model.embed_file(clip)
np.savez(sys.argv[3], **{" ".join(names): x for names, x in found.items()})
"""


@pytest.fixture(scope="session")
def prepared(once, audioset):
    """The same clips, prepared."""
    return once("prepared", lambda folder: prepare_data(audioset, folder))


@pytest.fixture(scope="session")
def words(once):
    """A folder for each class, of three speakers each."""
    return once("words", lambda path: write_words(path, CLASSES.values()))


def test_the_list_is_audiosets(shared):
    """That of the package, which the tests here use."""
    path = shared / "data/audioset_mini/class_labels_indices.csv"
    ours = ROOT / "fftp_tag/data/class_labels_indices.csv"
    assert read_classes(path.parent) == CLASSES and len(CLASSES) == 527
    assert path.read_text().split() == ours.read_text().split()


@pytest.mark.parametrize(
    "hparams",
    [
        name if name in QUICK else pytest.param(name, marks=pytest.mark.slow)
        for name in OF_LABELS
    ],
)
def test_what_was_trained_is_opened(hparams, request, tmp_path):
    """By SpeechBrain alone, by Tagger and by AudioTagger, which agree.

    In test clips, AudioTagger finds what the training has found.
    """
    recipe = SCRIPTS[f"hparams/{hparams}"]
    options = {**OPTIONS, "hparams": hparams, "recipe": recipe}
    metric = "accuracy" if "speechcommands" in hparams else "mAP"
    if hparams == "speechcommands/convnext_fftp.yaml":
        options["patch_frames"] = 11  # an odd number, for convolutions
    if metric == "accuracy":
        options["data_folder"] = request.getfixturevalue("words")
        options["task"] = "folders"
    elif hparams == PREPARED:
        folder = request.getfixturevalue("prepared")
        options |= {"prepared_folder": folder, "n_classes": len(CLASSES)}
    else:
        options["data_folder"] = request.getfixturevalue("audioset")
    if "train_strong" in recipe:
        options["strong_labels"] = tmp_path / "strong.tsv"
        options["strong_labels"].write_text(EVENTS, "utf-8")
    output, metrics = train(tmp_path / "run", **options)
    assert ("events in 2 of" in output) == ("strong_labels" in options)

    folder = tmp_path / "run/inference"
    data = options.get("prepared_folder", tmp_path / "run/prepared")
    scored = evaluate(AudioTagger.from_pretrained(folder), data, "eval")
    assert scored.metrics[metric] == pytest.approx(metrics[metric], abs=0.01)
    with np.load(tmp_path / "run/probabilities.npz") as measured:
        assert measured["labels"].tolist() == scored.labels
        ids, probs = measured["ids"].tolist(), measured["probs"]
        assert len(ids) == len(scored.ids) == metrics["num_clips"]
        for clip, found in zip(scored.ids, scored.probs):
            expected = probs[ids.index(clip)]
            np.testing.assert_allclose(found, expected, atol=1e-4)

    clip = tmp_path / "clip.wav"
    soundfile.write(clip, sound(7, 0.3), RATE)
    script = tmp_path / "elsewhere/open.py"
    script.parent.mkdir()
    script.write_text(OPEN, "utf-8")
    arguments = (str(x) for x in (script, folder, clip, tmp_path / "found.npz"))
    status, output = run_words([*arguments], script.parent)
    assert status == 0, output
    for line in output.splitlines():
        assert "warn" not in line.lower(), line

    with np.load(tmp_path / "found.npz") as found:
        expected = found["Tagger probs"]
        assert 0 < expected.min() and expected.std() > 1e-4
        for name in ("EncoderClassifier", "Tagger", "AudioTagger"):
            labels = found[f"{name} labels"].tolist()
            if metric == "accuracy":
                assert sorted(labels) == sorted(CLASSES.values())
            else:
                assert labels == list(CLASSES.values())
            probs = found[f"{name} probs"]
            np.testing.assert_allclose(probs, expected, atol=1e-4)
            # That of EncoderClassifier has scores in frame-level models
            is_frame_level = "frame" in hparams or hparams == PREPARED
            if not (is_frame_level and name == "EncoderClassifier"):
                np.testing.assert_allclose(
                    found[f"{name} embedding"],
                    found["Tagger embedding"],
                    atol=1e-3,
                )
    path = folder / "thresholds.json"
    if metric == "accuracy":
        assert not path.exists()
    else:  # all classes have enough validation clips
        thresholds = json.loads(path.read_text("utf-8"))
        assert list(thresholds) == list(CLASSES.values())
        # 1: of a class that is ranked by chance, after one epoch
        assert all(0 < x <= 1 for x in thresholds.values())
