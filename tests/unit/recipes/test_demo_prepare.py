"""Tests of the demo set.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import hashlib

import numpy as np
from demo_prepare import prepare_demo
from prepared_clips import read_clips, read_rows

SIZES = {"num_train": 60, "num_valid": 12, "num_eval": 12}


def test_the_set_stays_as_it_was(tmp_path):
    """Recorded values; machines may round a sample differently."""
    prepare_demo(tmp_path, **SIZES, seed=3)
    events = (tmp_path / "events.tsv").read_bytes()
    assert hashlib.sha256(events).hexdigest()[:16] == "63918ae73c152a93"
    samples = read_clips(tmp_path)["-52lbRzASmU"]
    expected = [12, 5, -2, -58, -3562, -329, -4473, 428, -2869, -37]
    np.testing.assert_allclose(samples[::16000], expected, rtol=0, atol=2)

    # The labels of each clip are those of its events
    labels = {}
    for row in csv.DictReader(events.decode().splitlines(), delimiter="\t"):
        labels.setdefault(row["filename"], set()).add(row["event_label"])
    for split, size in (("train", 63), ("valid", 13), ("eval", 13)):
        rows = read_rows(tmp_path / f"{split}.csv")
        assert len(rows) == size
        for row in rows:
            assert set(row["labels"].split(";")) == labels[row["ID"]]
