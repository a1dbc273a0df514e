"""Tests of the demo set.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import hashlib
from collections import Counter, defaultdict

import numpy as np
import pytest
import soundfile as sf

from speechbrain_fftp.datasets import demo as demo_set
from speechbrain_fftp.datasets.audioset.lists import read_classes
from speechbrain_fftp.datasets.demo import prepare_demo
from speechbrain_fftp.datasets.manifests import read_classes_csv

SPLITS = ("train", "valid", "eval")
SIZES = {"num_train": 60, "num_valid": 12, "num_eval": 12}


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "set"
    prepare_demo(folder, **SIZES, seed=3)
    return folder


def read_rows(folder, split):
    """From id to labels."""
    with open(folder / f"{split}.csv", newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        return {
            row["ID"]: row["labels"].split(";") if row["labels"] else []
            for row in rows
        }


def read_events(folder):
    """Onset, offset and label of the events of each clip, by its file name."""
    events = defaultdict(list)
    with open(folder / "events.tsv", newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            events[row["filename"]]
            if row["event_label"]:
                span = float(row["onset"]), float(row["offset"])
                events[row["filename"]].append((*span, row["event_label"]))
    return events


def test_shape_of_the_set(demo):
    rows = [read_rows(demo, split) for split in SPLITS]
    assert [len(clips) for clips in rows] == [63, 13, 13]
    labels = {**rows[0], **rows[1], **rows[2]}
    assert len(labels) == 89
    assert all(len(clip_id) == 11 for clip_id in labels)
    assert sum(clip_id.startswith("-") for clip_id in labels) >= 3
    assert {p.stem for p in (demo / "flac").iterdir()} == set(labels)
    counts = Counter(len(names) for names in labels.values())
    assert set(counts) == {0, 1, 2, 3} and counts[0] == 5
    for clip_id in list(labels)[::10]:
        info = sf.info(demo / "flac" / f"{clip_id}.flac")
        assert (info.samplerate, info.channels) == (16000, 1)
        assert (info.frames, info.subtype) == (160000, "PCM_16")


def test_classes_come_equally_often(demo):
    classes = read_classes_csv(demo)
    assert len(classes) == 14
    counts = Counter(
        label
        for labels in read_rows(demo, "train").values()
        for label in labels
    )
    assert set(counts) == set(classes.values())
    assert max(counts.values()) - min(counts.values()) <= 2


def test_classes_are_audiosets_in_its_order():
    audioset = list(read_classes().items())
    indices = [audioset.index(entry[:2]) for entry in demo_set.CLASSES]
    assert indices == sorted(indices)


def test_same_settings_give_the_same_bytes(digest, demo, tmp_path):
    prepare_demo(tmp_path / "same", seed=3, **SIZES)
    prepare_demo(tmp_path / "other", seed=4, **SIZES)
    assert digest(tmp_path / "same") == digest(demo)
    assert digest(tmp_path / "other") != digest(demo)


def test_the_set_stays_as_it_was(digest, demo):
    """Recorded values; machines may round a sample differently."""
    events = (demo / "events.tsv").read_bytes()
    assert hashlib.sha256(events).hexdigest()[:16] == "b389e3da415e3bff"
    path = demo / "flac" / "-52lbRzASmU.flac"
    samples, _ = sf.read(path, dtype="int16")
    expected = [12, 5, -2, -58, -3562, -329, -4473, 428, -2869, -37]
    np.testing.assert_allclose(samples[::16000], expected, rtol=0, atol=2)


def test_events_agree_with_labels_and_audio(demo):
    events = read_events(demo)
    checked = 0
    rows = {k: v for split in SPLITS for k, v in read_rows(demo, split).items()}
    for clip_id, labels in rows.items():
        spans = events[f"{clip_id}.flac"]
        for onset, offset, _ in spans:
            assert 0 <= onset and offset <= 10
            assert 1.5 <= round(offset - onset, 3) <= 8
        assert sorted(label for *_, label in spans) == sorted(labels)
        samples, _ = sf.read(demo / "flac" / f"{clip_id}.flac")
        assert np.abs(samples).max() < 0.95
        loud = np.zeros(160000, dtype=bool)
        for onset, offset, _ in spans:
            start, end = round(onset * 16000), round(offset * 16000)
            # the noise floor has a standard deviation of 0.3 at -50 dB
            first = np.abs(samples[start : start + 480]).max()
            assert first > 0.005
            loud[start:end] = True
        quiet = samples[~loud]
        if not spans:
            assert np.abs(quiet).max() < 0.03
        elif len(quiet) > 8000:
            assert quiet.std() == pytest.approx(9.5e-4, rel=0.15)
            assert np.abs(quiet).max() < 0.006
            checked += 1
    assert checked > 40
