"""Tests of tagging recordings from their index.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
import json

import numpy as np
import pytest
import soundfile as sf
from tiny_onnx import PITCHES, RATE, cosines, sounds, write_model

from fftp_tag import AudioTagger, learn
from fftp_tag.cli.main import main
from fftp_tag.errors import InputError
from fftp_tag.model.edit import copy_model
from fftp_tag.model.session import Model
from fftp_tag.search.index import SoundIndex, update_index
from fftp_tag.search.tagging import IndexTagger


def tone(label, seed):
    """A second of a class in noise."""
    rng = np.random.default_rng(seed)
    levels = (np.array(list(PITCHES)) == label) * 0.2
    levels = levels + rng.uniform(0, 0.02, len(PITCHES))
    return levels @ cosines(RATE) + 0.01 * rng.standard_normal(RATE)


def write_tones(folder, labels):
    """Six clips of each class."""
    for label in labels:
        (folder / label).mkdir(parents=True)
        for seed in range(6):
            sf.write(folder / label / f"{seed}.wav", tone(label, seed), RATE)
    return folder


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("encoder") / "model.onnx")


@pytest.fixture
def learnt(tmp_path, encoder):
    """Two models that are learnt on one encoder, of other classes."""
    tagger = AudioTagger.from_pretrained(encoder)
    for name, labels in (("two", ["Low", "High"]), ("three", PITCHES)):
        folder = write_tones(tmp_path / name, labels)
        learn(tagger, folder, tmp_path / f"{name}.onnx")
    return [
        AudioTagger.from_pretrained(tmp_path / f"{name}.onnx")
        for name in ("two", "three")
    ]


@pytest.fixture
def archive(tmp_path):
    """Several pieces with silence, one that ends with it, and short ones."""
    gap = np.zeros(3 * RATE)
    folder = tmp_path / "archive"
    (folder / "day").mkdir(parents=True)
    wavs = {
        "long.wav": [sounds(3.013, 1), tone("Low", 7), gap, sounds(2, 2)],
        "day/end.wav": [sounds(1, 3), tone("High", 8), gap],
        "short.wav": [sounds(0.31, 4)],
        "silent.wav": [gap],
    }
    for name, parts in wavs.items():
        sf.write(folder / name, np.concatenate(parts), RATE)
    return folder


@pytest.fixture
def index(tmp_path, learnt, archive):
    path = tmp_path / "a.index"
    update_index(path, learnt[0], archive, for_tagging=True)
    return path


def test_answers_are_those_of_the_audio(learnt, archive, index, monkeypatch):
    """Of the model whose features are stored, and of one with other classes."""
    paths = sorted(archive.rglob("*.wav"))
    expected = {
        (n, path): tagger.analyze(path)
        for n, tagger in enumerate(learnt)
        for path in paths
    }
    assert any(x.events() for x in expected.values())
    monkeypatch.setattr(Model, "run", None)  # nothing is encoded again
    for n, tagger in enumerate(learnt):
        indexed = IndexTagger(SoundIndex.load(index), tagger)
        for path in paths:
            found, true = indexed.analyze(path), expected[n, path]
            np.testing.assert_allclose(found.times, true.times)
            np.testing.assert_allclose(found.probs, true.probs, atol=5e-3)
            np.testing.assert_allclose(
                found.clip_probs, true.clip_probs, atol=5e-3
            )
            np.testing.assert_array_equal(found.probs == 0, true.probs == 0)
            assert found.duration == pytest.approx(true.duration)
            assert found.labels == true.labels
            events, truth = found.events(), true.events()
            assert [(x.label, x.start, x.end) for x in events] == [
                (x.label, x.start, x.end) for x in truth
            ]


def test_a_class_stands_for_its_kinds_as_in_the_audio(learnt, archive, index):
    model = learnt[1].model
    labels = ["Bark", "Rain", "Dog"]
    info = dataclasses.replace(model.info, labels=labels)
    copy_model(model.path, model.path, info)
    tagger = AudioTagger.from_pretrained(model.path).select(["Dog"])
    path = archive / "long.wav"
    found = IndexTagger(SoundIndex.load(index), tagger).analyze(path)
    expected = tagger.analyze(path)
    every = AudioTagger.from_pretrained(model.path).analyze(path).probs
    np.testing.assert_array_equal(expected.probs[:, 0], every[:, [0, 2]].max(1))
    assert found.labels == ["Dog"]
    np.testing.assert_allclose(found.probs, expected.probs, atol=5e-3)


def test_commands_tag_an_index(tmp_path, learnt, archive, capsys):
    two, three = (tagger.model.path for tagger in learnt)
    index = str(tmp_path / "mine.index")
    options = ["--for-tagging", "--output", index, "--model", two]
    assert main(["index", str(archive), *options]) == 0
    capsys.readouterr()

    def events(source):
        options = ["--model", three, "--timeline", "--format", "json"]
        assert main([str(source), *options, "--labels", "Low,Middle"]) == 0
        return json.loads(capsys.readouterr().out)

    found, truth = events(index), events(archive)
    assert any(x["events"] for x in truth)
    for one, other in zip(found, truth, strict=True):
        assert one["file"] == other["file"]
        for event, true in zip(one["events"], other["events"], strict=True):
            assert event.pop("probability") == pytest.approx(
                true.pop("probability"), abs=5e-3
            )
            assert event == true
    output = tmp_path / "tables"
    assert main([index, "--model", two, "--output", str(output)]) == 0
    assert (output / "day" / "end.wav.txt").exists()
    # What is updated stays an index for tagging
    sf.write(archive / "new.wav", sounds(2, 9), RATE)
    assert main(["index", str(archive), *options[1:]]) == 0
    assert "1 file added, 4 unchanged" in capsys.readouterr().out
    assert len(events(index)) == 5
    example = archive / "long.wav"
    part = ["--start", "1", "--end", "2", "--index", index, "--format", "json"]
    assert main(["find", str(example), *part, *options[-2:]]) == 0
    best = json.loads(capsys.readouterr().out)[0]
    assert best["file"] == str(example) and abs(best["start"] - 1) < 0.5


def test_what_does_not_suit_is_an_error(
    tmp_path, encoder, learnt, archive, index
):
    def error(index, tagger, file="short.wav"):
        with pytest.raises(InputError) as error:
            loaded = SoundIndex.load(index)
            IndexTagger(loaded, tagger).analyze(archive / file)
        return str(error.value)

    plain = AudioTagger.from_pretrained(encoder)
    with pytest.raises(InputError, match="no model of fftp-tag learn"):
        update_index(tmp_path / "b.index", plain, archive, for_tagging=True)
    assert "no model of fftp-tag learn" in error(index, plain)
    other = tmp_path / "other.onnx"
    encoder = write_model(other, pitches={"A": 30.0, "B": 60.0, "C": 90.0})
    folder = write_tones(tmp_path / "again", ["Low", "High"])
    learn(AudioTagger.from_pretrained(encoder), folder, tmp_path / "c.onnx")
    another = AudioTagger.from_pretrained(tmp_path / "c.onnx")
    assert "not the model of the index" in error(index, another)
    update_index(tmp_path / "d.index", learnt[0], archive, window=1.0)
    assert "--for-tagging" in error(tmp_path / "d.index", learnt[0])
    made = SoundIndex.load(index)  # by a stranger, of fewer features
    fewer = {x: y._replace(rows=y.rows[:, :3]) for x, y in made.files.items()}
    SoundIndex(made.settings, fewer).save(tmp_path / "e.index")
    assert "other features" in error(tmp_path / "e.index", learnt[0])
    sf.write(archive / "short.wav", sounds(0.4, 5), RATE)
    assert "short.wav is new, has changed" in error(index, learnt[0])
