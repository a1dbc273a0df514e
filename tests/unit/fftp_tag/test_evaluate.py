"""Tests of scores on prepared folders and on data that are not prepared.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import shutil
from collections import Counter

import numpy as np
import pytest
import soundfile as sf
import tiny_onnx
from sklearn.metrics import average_precision_score, f1_score
from tiny_onnx import PITCHES, RATE, clip_path, write_clip, write_clips

from fftp_tag import AudioTagger, evaluate
from fftp_tag.cli.main import main
from fftp_tag.data.prepare import prepare_custom
from fftp_tag.errors import InputError
from fftp_tag.score.events import event_metrics, pair_events

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
    paths = sorted(sounds.rglob("*.wav"))
    folds = [
        f"{path.relative_to(sounds)},{path.parent.name},{number % 3}"
        for number, path in enumerate(paths)
    ]
    table = "\n".join(["path,labels,fold", *folds])
    (sounds / "clips.csv").write_text(table)
    whole = evaluate(tagger, sounds)
    assert whole.split == "all" and len(whole.ids) == len(paths)
    # Splits that are given stay as they are, and copies are one clip
    shutil.copy(paths[0], sounds / "copy.wav")
    given = ["path,labels,split", f"copy.wav,{paths[0].parent.name},train"]
    given += [row.rpartition(",")[0] + ",train" for row in folds]
    (sounds / "clips.csv").write_text("\n".join(given))
    whole = evaluate(tagger, sounds, "train")
    assert whole.split == "train" and len(whole.ids) == len(paths)
    with pytest.raises(InputError, match="no clips of the split eval"):
        evaluate(tagger, sounds)
    (sounds / "clips.csv").write_text(table)
    with pytest.raises(InputError, match="has folds.*leave out --split"):
        evaluate(tagger, sounds, "eval")
    # As a preparation that was killed leaves it
    (tmp_path / "prepared" / "prepared.json").write_text('{"settings": {}}')
    with pytest.raises(InputError, match="preparation has not ended"):
        evaluate(tagger, tmp_path / "prepared")


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
    # Accuracy is among the classes of the data, and Whistle is always wrong
    best = []
    for clip_id in found.ids:
        tags = tagger.tag_file(clip_path(sounds, clip_id), 3, threshold=0)
        best.append(next(x.label for x in tags if x.label in found.labels))
    right = np.mean([x == y for x, y in zip(best, own)])
    assert found.metrics["accuracy"] == pytest.approx(right)


def test_the_command_scores_events_and_writes(
    make_tagger, sounds, tmp_path, capsys
):
    """Events of the clips that a table lists, within their clip."""
    tagger = make_tagger(steps=True, thresholds=[0.4, 0.3, 0.2])
    rows = ["filename\tonset\toffset\tevent_label"]
    timelines, truth = {}, {}
    for name in (f"{x}/{n}.wav" for x in ("Low", "Middle") for n in range(7)):
        label, seconds = name[:-6], sf.info(sounds / name).duration
        rows.append(f"{name}\t0.05\t9\t{label}")
        rows.append(f"{name}\t0.1\t0.25\tLow")
        timelines[name] = tagger.analyze(sounds / name)
        truth[name] = [(0.05, seconds, label), (0.1, 0.25, "Low")]
    rows.append(f"{name}\t0\t1\tUnknown to the model")
    rows.append(f"{name}\t20\t21\tLow")  # after its end
    table = tmp_path / "events.tsv"
    table.write_text("\n".join(rows))
    prepared, output = tmp_path / "prepared", tmp_path / "scores"
    prepare_custom(sounds, prepared, sample_rate=RATE)
    options = ["--model", tagger.model.path, "--data-folder", prepared]
    options += ["--split", "all", "--output", output]
    options += ["--strong-labels", table]
    assert main(["evaluate", *map(str, options)]) == 0
    printed = capsys.readouterr().out
    near = {"abs": 5e-5, "rel": 0}
    written = json.loads((output / "metrics.json").read_text("utf-8"))
    expected = event_metrics(pair_events(timelines, truth, LABELS))
    assert written["events"] == pytest.approx(expected, **near)
    assert 0 < expected["overlap_F1"] < 1
    for name, value in (*expected.items(), ("mAP", written["mAP"])):
        assert f"{name} {value:.4f}" in " ".join(printed.split())
    counts = written["events_per_class"]
    true = Counter(label for own in truth.values() for *_, label in own)
    assert {x: own["true"] for x, own in counts.items() if own["true"]} == true
    right, n_true, n_found = (
        sum(own[name] for own in counts.values())
        for name in ("right", "true", "found")
    )
    assert expected["overlap_recall"] == right / n_true
    assert expected["overlap_precision"] == right / n_found
    for label, own in counts.items():
        row = f"{own['right']} {own['true']} {own['found']} {label}"
        assert row in " ".join(printed.split())
    # Of one recording, no tags of whole clips are scored
    name = next(iter(truth))
    track = tmp_path / "track.txt"
    track.write_text(f"0.05\t0.3\t{name[:-6]}\n")
    one = ["--model", tagger.model.path, "--data-folder", sounds / name]
    assert main(["evaluate", *map(str, [*one, "--strong-labels", track])]) == 0
    assert "whole clips" not in capsys.readouterr().out
    found = evaluate(tagger, prepared, "all")
    assert written["mAP"] == pytest.approx(found.metrics["mAP"], **near)
    rows = (output / "per_class.csv").read_text("utf-8").splitlines()
    assert [row.split(",")[0] for row in rows[1:]] == LABELS
    with np.load(output / "probabilities.npz") as arrays:
        assert arrays["ids"].tolist() == found.ids
        np.testing.assert_array_equal(arrays["probs"], found.probs)


def test_label_tracks_beside_recordings_are_found(make_tagger, tmp_path):
    """Without being told of them, if each recording has one, and no split is
    asked for.
    """
    tagger = make_tagger(steps=True)
    folder = write_clips(tmp_path / "sounds")
    paths = sorted(folder.rglob("*.wav"))
    for number, path in enumerate(paths):
        seconds, label = sf.info(path).duration, path.parent.name
        path.with_suffix(".txt").write_text(f"0.0\t{seconds}\t{label}\n")
        found = evaluate(tagger, folder)
        assert bool(found.events) == (number + 1 == len(paths))
    assert not evaluate(tagger, folder, "eval").events
    told = evaluate(tagger, folder, strong_labels=folder)
    assert found.ids == told.ids and found.events == told.events
    rows = [f"{path.relative_to(folder)},Low" for path in paths]
    (folder / "clips.csv").write_text("\n".join(["path,labels", *rows]))
    assert not evaluate(tagger, folder).events
