"""Tests of the demo set.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import hashlib
from collections import defaultdict

import numpy as np
import pytest
import soundfile as sf

from speechbrain_fftp.datasets.demo import prepare_demo

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


def test_the_set_stays_as_it_was(demo):
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
