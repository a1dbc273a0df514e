"""Tests of scores on prepared folders and on data that are not prepared.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import os
import shutil

import numpy as np
import pytest
import soundfile as sf
import tiny_onnx
from sklearn.metrics import average_precision_score, f1_score
from tiny_onnx import PITCHES, RATE, clip_path, write_clip, write_clips

import fftp_tag
from fftp_tag import AudioTagger, evaluate
from fftp_tag.cli.main import main
from fftp_tag.data.prepare import prepare_custom
from fftp_tag.errors import InputError
from fftp_tag.score.events import event_metrics

LABELS = list(PITCHES)


@pytest.fixture
def sounds(tmp_path):
    """One folder for each class of the model, with seven clips each."""
    return write_clips(tmp_path / "sounds")


@pytest.fixture
def make_tagger(tmp_path):
    """Writes a model with some metadata and loads it."""

    def make(steps=False, **metadata):
        path = tmp_path / "model.onnx"
        tiny_onnx.write_model(path, is_frame_level=steps, **metadata)
        return AudioTagger.from_pretrained(path)

    return make


@pytest.mark.parametrize(
    "steps, thresholds", [(False, None), (True, [0.4, 0.3, 0.6])]
)
def test_scores_are_those_of_tags(make_tagger, sounds, steps, thresholds):
    tagger = make_tagger(steps, thresholds=thresholds)
    found = evaluate(tagger, sounds, "train")
    paths = [clip_path(sounds, clip_id) for clip_id in found.ids]
    assert 10 < len(set(paths)) == len(paths) < 20
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
    tags = probs >= np.array(thresholds or 0.5)
    expected = f1_score(targets, tags, average="micro")
    assert found.metrics["micro_F1"] == pytest.approx(expected)


def test_splits_of_folders_that_are_prepared_or_not(
    make_tagger, sounds, tmp_path
):
    tagger = make_tagger()
    prepare_custom(sounds, tmp_path / "prepared", sample_rate=RATE)
    parts = [evaluate(tagger, sounds, x) for x in ("train", "valid", "eval")]
    ids = sorted(clip_id for part in parts for clip_id in part.ids)
    for folder, split in (("sounds", None), ("prepared", "all")):
        whole = evaluate(tagger, tmp_path / folder, split)
        assert whole.split == "all" and sorted(whole.ids) == ids
    same = evaluate(tagger, tmp_path / "prepared")
    assert same.split == "eval" and same.ids == parts[2].ids
    np.testing.assert_array_equal(same.probs, parts[2].probs)
    np.testing.assert_array_equal(same.targets, parts[2].targets)
    # As a preparation that was killed leaves it
    (tmp_path / "prepared" / "prepared.json").write_text('{"settings": {}}')
    with pytest.raises(InputError, match="preparation has not ended"):
        evaluate(tagger, tmp_path / "prepared")


def test_splits_of_lists_and_tables(make_tagger, sounds):
    """A table of test clips needs no other split, nor classes of all clips."""
    tagger = make_tagger()
    paths = sorted(path.relative_to(sounds) for path in sounds.rglob("*.wav"))
    for name, of_list in (("validation", paths[:3]), ("testing", paths[3:8])):
        (sounds / f"{name}_list.txt").write_text("\n".join(map(str, of_list)))
    found = evaluate(tagger, sounds)
    expected = [sounds / path for path in paths[3:8]]
    assert [clip_path(sounds, x) for x in found.ids] == expected
    labels = ["Low;High", "Middle", ""] * len(paths)
    rows = [f"{path},{own},eval" for path, own in zip(paths, labels)]
    (sounds / "clips.csv").write_text("\n".join(["path,labels,split", *rows]))
    found = evaluate(tagger, sounds)
    assert found.split == "eval" and len(found.ids) == 21
    assert "accuracy" not in found.metrics
    assert found.targets.sum(0).tolist() == [7, 7, 7]
    with pytest.raises(InputError, match="split train.*--split"):
        evaluate(tagger, sounds, "train")


def test_classes_that_the_model_lacks(make_tagger, sounds, caplog):
    """And a clip that cannot be read, which is skipped and counted."""
    shutil.rmtree(sounds / "High")
    for number in range(90, 94):
        write_clip(sounds / "Whistle" / f"{number}.wav", "Whistle", number)
    wav = np.array([0.3, 0.1, 0.5]) @ tiny_onnx.cosines(500)
    sf.write(sounds / "Low" / "0.wav", wav, RATE)
    (sounds / "Low" / "1.wav").write_bytes(b"no audio")
    tagger = make_tagger()
    found = evaluate(tagger, sounds)
    assert "Whistle" in caplog.text
    assert list(found.skipped) == ["Low_1"] and len(found.ids) == 17
    assert "1 of 18" in caplog.text and "Low_1" in caplog.text
    assert found.labels == ["Low", "Middle"]
    own = [clip_path(sounds, clip_id).parent.name for clip_id in found.ids]
    targets = np.array([[x == label for x in found.labels] for label in own])
    np.testing.assert_array_equal(found.targets, targets)
    # Accuracy is that of all the model's classes
    best = [
        tagger.tag_file(clip_path(sounds, x), 1)[0].label for x in found.ids
    ]
    right = np.mean([x == y for x, y in zip(best, own)])
    assert found.metrics["accuracy"] == pytest.approx(right)
    for labels, message in ((["A", "B", "C"], "Whistle"), ([], "no classes")):
        with pytest.raises(InputError, match=message):
            evaluate(make_tagger(labels=labels), sounds)
    for path in sounds.rglob("*.wav"):
        path.write_bytes(b"no audio")
    with pytest.raises(InputError, match="can be read"):
        evaluate(tagger, sounds)


def test_annotated_recordings(make_tagger, tmp_path):
    """One with a label track of Audacity; or a folder, with a table."""
    tagger = make_tagger(steps=True, thresholds=[0.2, 0.2, 0.2])
    folder = tmp_path / "recordings"
    (folder / "monday").mkdir(parents=True)  # is no class
    for name in ("one.wav", "monday/two.wav", "other.wav"):
        sf.write(folder / name, tiny_onnx.sounds(60, seed=len(name)), RATE)
    events = tagger.tag_long(folder / "one.wav")
    rows = [f"{x.start:.6f}\t{x.end:.6f}\t{x.label}" for x in events]
    track = tmp_path / "one.txt"
    lines = "\n\\\t100.0\t900.0\n".join(rows)  # with frequencies
    track.write_text(f"{lines}\n1\t2\tUnknown to the model\n")
    found = evaluate(tagger, folder / "one.wav", strong_labels=track)
    assert found.metrics["mAP"] is None and found.ids == ["one"]
    assert found.events["overlap_F1"] == found.events["event_F1"] == 1
    for split, message in ((None, "one.txt.* 3 clips"), ("train", "--split")):
        with pytest.raises(InputError, match=message):
            evaluate(tagger, folder, split, strong_labels=track)
    rows = [f"one.wav\t{row}" for row in rows] + ["monday/two.wav\t\t\t"]
    table = write_table(tmp_path, rows)
    both = evaluate(tagger, folder, strong_labels=table)
    assert sorted(both.ids) == ["monday_two", "one"]
    assert both.targets.sum() == len({x.label for x in events})
    false = len(tagger.tag_long(folder / "monday" / "two.wav"))
    expected = len(events) / (len(events) + false)
    assert both.events["overlap_precision"] == pytest.approx(expected)


def write_table(folder, rows):
    """Writes a table of events; returns its path."""
    header = "filename\tonset\toffset\tevent_label"
    path = folder / "events.tsv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def run(*arguments):
    return main(["evaluate", *map(str, arguments)])


def test_the_command_scores_events_and_writes(
    make_tagger, sounds, tmp_path, capsys
):
    """Events of the clips that a table lists, within their clip."""
    tagger = make_tagger(steps=True, thresholds=[0.4, 0.3, 0.2])
    rows, timelines, truth = [], {}, {}
    for name in (f"{x}/{n}.wav" for x in ("Low", "Middle") for n in range(7)):
        label, seconds = name[:-6], sf.info(sounds / name).duration
        rows.append(f"{name}\t0.05\t9\t{label}")
        rows.append(f"{name}\t0.1\t0.25\tLow")
        timelines[name] = tagger.analyze(sounds / name)
        truth[name] = [(0.05, seconds, label), (0.1, 0.25, "Low")]
    rows.append(f"{name}\t0\t1\tUnknown to the model")
    rows.append(f"{name}\t20\t21\tLow")  # after its end
    prepared, output = tmp_path / "prepared", tmp_path / "scores"
    prepare_custom(sounds, prepared, sample_rate=RATE)
    options = ["--model", tagger.model.path, "--data-folder", prepared]
    options += ["--split", "all", "--output", output]
    options += ["--strong-labels", write_table(tmp_path, rows)]
    assert run(*options) == 0
    printed = capsys.readouterr().out
    near = {"abs": 5e-5, "rel": 0}
    written = json.loads((output / "metrics.json").read_text("utf-8"))
    expected = event_metrics(timelines, truth, LABELS)
    assert written["events"] == pytest.approx(expected, **near)
    assert 0 < expected["overlap_F1"] < 1
    for name, value in (*expected.items(), ("mAP", written["mAP"])):
        assert f"{name} {value:.4f}" in " ".join(printed.split())
    found = evaluate(tagger, prepared, "all")
    assert written["mAP"] == pytest.approx(found.metrics["mAP"], **near)
    rows = (output / "per_class.csv").read_text("utf-8").splitlines()
    assert [row.split(",")[0] for row in rows[1:]] == LABELS
    with np.load(output / "probabilities.npz") as arrays:
        assert arrays["ids"].tolist() == found.ids
        np.testing.assert_array_equal(arrays["probs"], found.probs)


def test_clips_of_the_same_class_have_no_map(
    make_tagger, sounds, capsys, monkeypatch
):
    """Scores that could not be written are not computed."""
    for label in ("Middle", "High"):
        shutil.rmtree(sounds / label)
    model = make_tagger().model.path
    folder, output = sounds.with_name("scores"), sounds.with_name("other")
    command = ["--model", model, "--data-folder"]
    assert run(*command, sounds, "--output", folder) == 0
    printed = capsys.readouterr().out
    assert "accuracy 0." in printed and "mAP" not in printed
    written = json.loads((folder / "metrics.json").read_text("utf-8"))
    assert written["mAP"] is written["macro_F1"] is None
    assert written["micro_F1"] is None
    monkeypatch.setattr(fftp_tag, "evaluate", lambda *_, **__: 1 / 0)
    assert run(*command, sounds, "--output", folder) == 1  # is not overwritten
    assert str(folder) in capsys.readouterr().err
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert run(*command, sounds, "--output", output) == 1
    assert str(output) in capsys.readouterr().err
