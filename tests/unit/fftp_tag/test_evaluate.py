"""Tests of scores on prepared folders and on data that are not prepared.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import json
import os
import re
import shutil
import sys

import numpy as np
import pytest
import soundfile as sf
import tiny_onnx
from sklearn.metrics import average_precision_score
from tiny_onnx import PITCHES, RATE

import fftp_tag
from fftp_tag import evaluate
from fftp_tag.cli.main import main
from fftp_tag.score.events import event_metrics
from fftp_tag.tag.tagger import AudioTagger
from speechbrain_fftp.dataio.errors import InputError
from speechbrain_fftp.datasets.prepare import prepare_data

LABELS = list(PITCHES)


def write_sound(path, label, seed):
    """A tone of its class, and fainter ones of others, of up to 5 s."""
    rng = np.random.default_rng(seed)
    n_samples = rng.integers(300, 5000)
    wav = rng.uniform(0.05, 0.35, len(LABELS)) @ tiny_onnx.cosines(n_samples)
    if label in LABELS:
        pitch = tiny_onnx.cosines(n_samples)[LABELS.index(label)]
        wav += rng.uniform(0, 0.4) * pitch
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, wav, RATE)


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """One folder for each class of the model, with seven clips each."""
    folder = tmp_path_factory.mktemp("data") / "sounds"
    for c, label in enumerate(LABELS):
        for number in range(10 * c, 10 * c + 7):
            write_sound(folder / label / f"clip{number}.wav", label, number)
    return folder


@pytest.fixture(scope="module")
def prepared(sounds, tmp_path_factory):
    """What the recipe makes of this folder."""
    folder = tmp_path_factory.mktemp("save") / "prepared"
    prepare_data(sounds, folder, sample_rate=RATE)
    return folder


@pytest.fixture
def make_tagger(tmp_path):
    """Writes a model with some metadata and loads it."""

    def make(steps=False, **metadata):
        path = tmp_path / "model.onnx"
        tiny_onnx.write_model(path, has_steps=steps, **metadata)
        return AudioTagger.from_pretrained(path)

    return make


@pytest.fixture
def without_psds(monkeypatch):
    """Without the package that computes PSDS, which takes seconds."""
    monkeypatch.setitem(sys.modules, "psds_eval", None)


def path_of(folder, clip_id):
    """The file of a clip; its class is the folder's name."""
    [path] = folder.rglob(f"{clip_id.rpartition('_')[2]}.wav")
    return path


@pytest.mark.parametrize("steps", [False, True])
def test_scores_are_those_of_tags(make_tagger, sounds, steps):
    tagger = make_tagger(steps)
    found = evaluate(tagger, sounds, "train")
    paths = [path_of(sounds, clip_id) for clip_id in found.ids]
    assert len(set(paths)) == len(paths) == 15
    assert found.labels == LABELS and not found.skipped
    probs = np.stack([tagger.analyze(path).clip_probs for path in paths])
    np.testing.assert_allclose(found.probs, probs, atol=1e-3)
    targets = np.array(
        [[x == path.parent.name for x in LABELS] for path in paths]
    )
    np.testing.assert_array_equal(found.targets, targets)
    expected = average_precision_score(targets, probs)
    assert found.metrics["mAP"] == pytest.approx(expected)
    assert 0.3 < expected < 0.95
    right = probs.argmax(1) == targets.argmax(1)
    assert found.metrics["accuracy"] == pytest.approx(right.mean())
    assert not found.events


def test_splits(make_tagger, sounds, prepared):
    tagger = make_tagger()
    parts = [evaluate(tagger, sounds, x) for x in ("train", "valid", "eval")]
    assert [part.split for part in parts] == ["train", "valid", "eval"]
    ids = sorted(clip_id for part in parts for clip_id in part.ids)
    for folder, split in ((sounds, None), (sounds, "all"), (prepared, "all")):
        whole = evaluate(tagger, folder, split)
        assert whole.split == "all" and sorted(whole.ids) == ids
    same = evaluate(tagger, str(prepared), num_workers=1)
    assert same.ids == parts[2].ids
    np.testing.assert_array_equal(same.probs, parts[2].probs)
    np.testing.assert_array_equal(same.targets, parts[2].targets)
    for folder, options, name in (
        (sounds, {"split": "test"}, "test"),
        (prepared, {"test_fold": "1"}, "--test-fold"),
    ):
        with pytest.raises(InputError, match=name):
            evaluate(tagger, folder, **options)


def test_f1_is_that_of_learnt_thresholds(make_tagger, sounds):
    thresholds = [0.3, 0.9, 0.45]
    for given in (None, thresholds):
        found = evaluate(make_tagger(thresholds=given), sounds)
        tags = found.probs >= np.float32(given or [0.5] * 3)
        right = (tags * found.targets).sum()
        f1 = 2 * right / (tags.sum() + found.targets.sum())
        assert found.metrics["micro_F1"] == pytest.approx(f1) and f1 > 0
        assert found.metrics["thresholds"] == ("learnt" if given else 0.5)


def test_classes_that_the_model_lacks(make_tagger, sounds, tmp_path, caplog):
    data = shutil.copytree(sounds, tmp_path / "data")
    shutil.rmtree(data / "High")
    for number in range(90, 94):
        write_sound(data / "Whistle" / f"clip{number}.wav", "Whistle", number)
    wav = np.array([0.3, 0.1, 0.5]) @ tiny_onnx.cosines(500)
    sf.write(data / "Low" / "clip0.wav", wav, RATE)
    tagger = make_tagger()
    found = evaluate(tagger, data)
    assert "Whistle" in caplog.text
    assert found.labels == ["Low", "Middle"]
    own = [path_of(data, clip_id).parent.name for clip_id in found.ids]
    targets = np.array([[x == label for x in found.labels] for label in own])
    np.testing.assert_array_equal(found.targets, targets)
    # Accuracy is that of all the model's classes
    best = [tagger.tag_file(path_of(data, x), 1)[0].label for x in found.ids]
    right = np.mean([x == y for x, y in zip(best, own)])
    assert found.metrics["accuracy"] == pytest.approx(right)
    for label in ("Low", "Middle"):
        (data / label).rename(data / f"{label} tone")
    with pytest.raises(InputError, match="Whistle"):
        evaluate(tagger, data)
    with pytest.raises(InputError, match="no classes"):
        evaluate(make_tagger(labels=[]), data)


def test_clips_of_several_classes_have_no_accuracy(make_tagger, sounds):
    """As in any clip list; a clip may also have no class."""
    paths = sorted(path.relative_to(sounds) for path in sounds.rglob("*.wav"))
    labels = ["Low;High", "Middle", ""] * len(paths)
    rows = [f"{path},{own}\n" for path, own in zip(paths, labels)]
    table = sounds / "clips.csv"
    table.write_text("path,labels\n" + "".join(rows))
    try:
        found = evaluate(make_tagger(), sounds)
    finally:
        table.unlink()
    assert "accuracy" not in found.metrics
    assert found.targets.sum(0).tolist() == [7, 7, 7]


def test_clips_that_cannot_be_used(make_tagger, sounds, tmp_path, caplog):
    """They are skipped and counted."""
    data = shutil.copytree(sounds, tmp_path / "data")
    (data / "Low" / "clip0.wav").write_bytes(b"no audio")
    tagger = make_tagger()
    found = evaluate(tagger, data)
    [skipped] = found.skipped
    assert skipped not in found.ids and len(found.ids) == 20
    texts = [record.getMessage() for record in caplog.records]
    assert sum(skipped in text for text in texts) == 1
    for path in data.rglob("*.wav"):
        path.write_bytes(b"no audio")
    with pytest.raises(InputError, match="can be read"):
        evaluate(tagger, data)


def test_packages_are_missed_before_the_work(
    make_tagger, sounds, strong_labels, without_psds, monkeypatch, caplog
):
    tagger = make_tagger()

    def analyze(self, *_):
        """Fails where the work begins."""
        raise InputError("begun")

    monkeypatch.setattr(AudioTagger, "analyze", analyze)
    monkeypatch.setattr(AudioTagger, "clip_probabilities", analyze)
    with pytest.raises(InputError, match="begun"):
        evaluate(tagger, sounds, strong_labels=strong_labels)
    [text] = [text for text in caplog.messages if "PSDS" in text]
    assert "needs psds_eval:" in text
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(InputError, match="scikit-learn"):
        evaluate(tagger, sounds)


@pytest.fixture
def strong_labels(sounds, tmp_path):
    """A table of events in all clips but those of one class."""
    rows = ["filename\tonset\toffset\tevent_label"]
    for path in sounds.rglob("*.wav"):
        seconds = sf.info(path).duration
        name = path.relative_to(sounds)
        if path.parent.name != "High":
            rows.append(f"{name}\t0.05\t9\t{path.parent.name}")
            rows.append(f"{name}\t{seconds / 2:.3f}\t{seconds:.3f}\tLow")
    rows.append(f"{name}\t0\t1\tUnknown to the model")
    rows.append(f"{name}\t20\t21\tLow")  # after its end
    table = tmp_path / "strong.tsv"
    table.write_text("\n".join(rows) + "\n", "utf-8")
    return table


def test_events_are_those_of_the_timeline(
    make_tagger, sounds, strong_labels, without_psds
):
    """Of clips that the table lists, within their clip."""
    tagger = make_tagger(steps=True, thresholds=[0.4, 0.3, 0.2])
    found = evaluate(tagger, sounds, strong_labels=strong_labels)
    assert len(found.ids) == 21
    timelines, truth = {}, {}
    for clip in found.ids:
        path = path_of(sounds, clip)
        seconds = sf.info(path).duration
        if path.parent.name != "High":
            timelines[clip] = tagger.analyze(path)
            truth[clip] = [
                (0.05, seconds, path.parent.name),
                (round(seconds / 2, 3), round(seconds, 3), "Low"),
            ]
    expected = event_metrics(timelines, truth, LABELS)
    assert found.events == pytest.approx(expected, nan_ok=True)
    assert 0 < found.events["overlap_F1"] < 1


def run(*arguments):
    return main(["evaluate", *map(str, arguments)])


def test_the_command_prints_and_writes(
    make_tagger, sounds, strong_labels, without_psds, tmp_path, capsys
):
    tagger = make_tagger(steps=True, thresholds=[0.4, 0.3, 0.2])
    output = tmp_path / "scores"
    options = ["--model", tagger.model.path, "--data-folder", sounds]
    options += ["--strong-labels", strong_labels, "--output", output]
    assert run(*options) == 0
    printed = capsys.readouterr().out
    found = evaluate(tagger, sounds, strong_labels=strong_labels)
    for name in ("mAP", "accuracy"):
        assert f"{name:8} {found.metrics[name]:.4f}\n" in printed
    for name, value in found.events.items():
        assert f"{name:17} {value:.4f}\n" in printed
    text = (output / "metrics.json").read_text("utf-8")
    tables = [
        (output / f"{x}.csv").read_text() for x in ("per_class", "predictions")
    ]
    assert not re.search(r"\d\.\d{5}", "".join([text, *tables]))
    written = json.loads(text)
    near = {"abs": 5e-5, "rel": 0}
    assert written["mAP"] == pytest.approx(found.metrics["mAP"], **near)
    assert written["events"] == pytest.approx(found.events, **near)
    assert written["split"] == "all" and written["skipped"] == {}
    assert written["options"] == {"strong_labels": str(strong_labels)}
    with open(output / "predictions.csv", encoding="utf-8") as file:
        assert {row["ID"] for row in csv.DictReader(file)} == set(found.ids)
    with open(output / "per_class.csv", encoding="utf-8") as file:
        aps = {row["label"]: float(row["AP"]) for row in csv.DictReader(file)}
    assert list(aps) == LABELS
    assert np.mean(list(aps.values())) == pytest.approx(written["mAP"], **near)
    with np.load(output / "probabilities.npz") as arrays:  # of a teacher
        assert arrays["ids"].tolist() == found.ids
        assert arrays["labels"].tolist() == LABELS
        np.testing.assert_array_equal(arrays["probs"], found.probs)
    assert run(*options) == 1
    assert str(output) in capsys.readouterr().err


def test_the_command_names_what_it_cannot_use(
    make_tagger, sounds, tmp_path, monkeypatch, capsys
):
    """Scores that could not be written are not computed."""
    model = ["--model", make_tagger().model.path, "--data-folder"]
    missing, output = tmp_path / "missing", tmp_path / "scores"
    assert run(*model, missing) == 1
    assert str(missing) in capsys.readouterr().err
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr(fftp_tag, "evaluate", lambda *_, **__: 1 / 0)
    assert run(*model, sounds, "--output", output) == 1
    assert str(output) in capsys.readouterr().err
