"""Tests of tables of events (strong labels).

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest

from speechbrain_fftp.datasets.names import clip_ids
from speechbrain_fftp.datasets.strong_labels import (
    STRONG_COLUMNS,
    read_strong_labels,
)

AUDIOSET, DCASE = STRONG_COLUMNS
IDS = clip_ids(["a/0.wav", "b/it barks!.flac", "c/1.wav", "c_1.wav"])
CLIPS = {"-_4gqARaEJE", "abcdefghijk", "abcdefghijk_30", "rec1"}
CLIPS |= set(IDS.values())


@pytest.mark.parametrize(
    "columns, name, clip",
    [
        (AUDIOSET, "-_4gqARaEJE_30000", "-_4gqARaEJE"),
        (AUDIOSET, "abcdefghijk_30", "abcdefghijk_30"),  # an id as it is
        (AUDIOSET, "abcdefghijk_31_2", None),
        (DCASE, "-_4gqARaEJE_30000", None),
        (DCASE, "a/0.wav", "a_0"),
        (DCASE, "a\\0.wav", "a_0"),
        (DCASE, "b/it barks!.flac", "b_it_barks_"),
        (DCASE, "c/1.wav", IDS["c/1.wav"]),
        (DCASE, "c_1.wav", IDS["c_1.wav"]),
        (DCASE, "x.wav", None),
    ],
)
def test_which_clip_a_row_names(tmp_path, columns, name, clip):
    path = tmp_path / "strong.tsv"
    rows = ("rec1", 1, 2, "/m/1"), (name, 3, 4, "/m/1")
    lines = ["\t".join(map(str, row)) for row in (columns, *rows)]
    path.write_text("\n".join(lines), "utf-8")
    found = read_strong_labels(path, CLIPS, {"/m/1": "Dog"}, "train")
    assert found.pop("rec1") == [(1.0, 2.0, "Dog")]
    assert found == ({clip: [(3.0, 4.0, "Dog")]} if clip else {})
