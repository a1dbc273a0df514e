"""Tests of some classes of a model, with thresholds of their own.

Authors
 * The speechbrain_fftp authors 2026
"""

import copy
import csv
import dataclasses
import io
import json
import pickle

import numpy as np
import pytest
import soundfile as sf
from tiny_onnx import PITCHES, RATE, sounds

from fftp_tag import AudioTagger
from fftp_tag.cli.options import split_labels
from fftp_tag.errors import InputError

LABELS = list(PITCHES)  # Low, Middle, High
WAV = sounds(9)


@pytest.fixture(scope="module", params=["clips", "learnt"])
def tagger(request, models):
    return AudioTagger.from_pretrained(models / f"{request.param}.onnx")


@pytest.mark.parametrize("threshold", [None, 0.1])
def test_tags_and_events_of_some_are_those_among_all(tagger, threshold):
    some = tagger.select(["High", "Low"])
    assert some.labels == ["Low", "High"]
    options = {} if threshold is None else {"threshold": threshold}
    for found, among in (
        (some.tag_file(WAV, RATE, **options), tagger.tag_file),
        (some.tag_long(WAV, RATE, **options), tagger.tag_long),
        (some.analyze(WAV, RATE).events(**options), tagger.tag_long),
    ):
        expected = among(WAV, RATE, **options)
        assert found == [x for x in expected if x.label != "Middle"]
        assert found != expected or threshold is None
    _, probs = some.frame_probabilities(WAV, RATE)
    every = tagger.frame_probabilities(WAV, RATE)[1]
    np.testing.assert_array_equal(probs, every[:, [0, 2]])
    np.testing.assert_array_equal(
        some.embed_file(WAV, RATE), tagger.embed_file(WAV, RATE)
    )
    last = some.select(not_labels=["Low"])
    assert last.labels == ["High"]
    found = pickle.loads(pickle.dumps(last)).clip_probabilities(WAV, RATE)
    np.testing.assert_array_equal(
        found, tagger.clip_probabilities(WAV, RATE)[2:]
    )
    assert tagger.labels == LABELS and tagger.model.labels == LABELS


def test_a_class_of_audioset_stands_for_its_kinds():
    """And theirs; but not for those that are left out."""
    starter = AudioTagger.from_pretrained("starter")
    wav = 0.1 * np.random.default_rng(0).standard_normal(48000)
    probs = dict(
        zip(starter.labels, starter.clip_probabilities(wav, 16000), strict=True)
    )

    def highest(*labels):
        return max(probs[label] for label in labels)

    cats = ["Cat", "Purr", "Meow", "Hiss", "Caterwaul"]
    pets = ["Domestic animals, pets", "Dog", "Yip", "Howl", "Bow-wow"]
    pets += ["Growling", "Whimper (dog)", *cats]
    assert probs["Cat"] < highest(*cats)
    some = starter.select(["Domestic animals, pets", "Cat"], ["Bark"])
    assert some.labels == ["Domestic animals, pets", "Cat"]
    for tagger in (some, some.select(some.labels)):
        np.testing.assert_array_equal(
            tagger.clip_probabilities(wav, 16000),
            [highest(*pets), highest(*cats)],
        )


def test_thresholds_of_some_leave_the_others(tagger):
    high = np.float32([0.05, 0.15, 0.3])
    model = copy.copy(tagger.model)
    model.rules = dataclasses.replace(model.rules, high=high)
    own = AudioTagger(model).select(thresholds={"Middle": 0.1, "High": 0.95})
    rules = own.model.rules
    wanted = np.float32([model.rules.threshold[0], 0.1, 0.95])
    np.testing.assert_array_equal(rules.threshold, wanted)
    np.testing.assert_array_equal(rules.high, np.float32([0.05, 0.1, 0.95]))
    assert (
        rules.low[1] <= np.float32(0.1) and rules.low[0] == model.rules.low[0]
    )
    for tag in own.tag_file(WAV, RATE):
        assert tag.probability >= wanted[LABELS.index(tag.label)]
    found = own.tag_long(WAV, RATE)
    assert found == own.analyze(WAV, RATE).events()
    assert any(x.label == "Middle" for x in found)


@pytest.mark.parametrize(
    "options, named",
    [
        ({"labels": ["Hihg"]}, "'Hihg'.*are 'High'"),
        ({"not_labels": ["middle"]}, "'middle'.*are 'Middle'"),
        ({"thresholds": {"Lo": 0.5}}, "'Lo'.*are 'Low'"),
        ({"thresholds": {"Low": 1.5}}, "threshold"),
        ({"labels": ["Low"], "not_labels": ["Low"]}, "No class"),
    ],
)
def test_what_cannot_be_selected(tagger, options, named):
    with pytest.raises(InputError, match=named):
        tagger.select(**options)


def test_labels_may_have_commas():
    labels = ["Speech", "Male speech, man speaking", "Dog"]
    text = "Male speech, man speaking, Dog,man,Speech"
    expected = ["Male speech, man speaking", "Dog", "man", "Speech"]
    assert split_labels(text, labels) == expected


def test_options_of_the_command(run, tmp_path):
    """Also in --output, which tells by which classes and thresholds."""
    path, table = tmp_path / "a.wav", tmp_path / "t.csv"
    sf.write(path, WAV, RATE)
    table.write_text("label,threshold\nHigh, 0.02\nLow,0.05\n")
    options = ["--labels", "Low,High", "--thresholds", table]
    for more in ([], ["--timeline"]):
        out = run(path, *options, *more, "--format", "csv").out
        rows = list(csv.DictReader(io.StringIO(out)))
        assert {row["label"] for row in rows} == {"Low", "High"}
        for row in rows:
            least = {"Low": 0.05, "High": 0.02}[row["label"]]
            assert float(row["probability"]) >= least
    assert "(threshold 0.020)" in run(path, *options).out
    out = run(path, "--not-labels", "High", "--format", "json").out
    [row] = json.loads(out)
    assert {tag["label"] for tag in row["tags"]} == {"Low", "Middle"}
    folder = ["--output", tmp_path / "found", "--continue"]
    run(path, *options, *folder)
    run(path, *options, *folder)
    table.write_text("label,threshold\nHigh,0.02\nLow,0.4\n")
    assert "--thresholds" in run(path, *options, *folder, code=1).err
    assert "--labels" in run(path, "--labels=Low", *folder, code=1).err


@pytest.mark.parametrize(
    "content, options, named",
    [
        ("label,threshold\nLow,1.5\n", [], "t.csv, line 2"),
        ("label,threshold\nLo,0.5\n", [], "'Low'"),
        ("name,threshold\nLow,0.5\n", [], "t.csv has no column 'label'"),
        ("label,threshold\nLow,0.5\n", ["--threshold=0.1"], "not both"),
        ("label,threshold\n", ["--labels=Low,Hi"], "'High'"),
    ],
)
def test_wrong_options_are_one_line(run, tmp_path, content, options, named):
    path, table = tmp_path / "a.wav", tmp_path / "t.csv"
    sf.write(path, WAV, RATE)
    table.write_text(content)
    error = run(path, "--thresholds", table, *options, code=1).err
    assert error.count("\n") == 1 and named in error
