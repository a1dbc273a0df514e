"""Tests of finding files by their names.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest

from speechbrain_fftp.datasets.audioset.search import find_audio, read_name


@pytest.mark.parametrize(
    "stem, clip_id, start",
    [
        ("abcdefghijk", "abcdefghijk", None),
        ("Yabcdefghijk", "abcdefghijk", None),
        ("Yabcdefghij", "Yabcdefghij", None),
        ("YYabcdefghij", "Yabcdefghij", None),
        ("Yabcdefghij_30", "Yabcdefghij", "30"),
        ("abcdefgh_30", "abcdefgh_30", None),
        ("abcdefgh_30_40", "abcdefgh_30", "40"),
        ("abcdefgh_30_40_50", "abcdefgh_30", "40"),
        ("abcdefghijk_30.5-40", "abcdefghijk", "30.5"),
        ("short", "short", None),  # any id of a list, as it is
        ("Yshort", None, None),
        ("Title [abcdefghijk]", None, None),
        ("abcdefghijk_30_40_50", None, None),
        ("abcdefghijkl", None, None),
        ("abcdefghij", None, None),
        ("abcdefghijK", None, None),
    ],
)
def test_names(stem, clip_id, start):
    ids = {"abcdefghijk", "Yabcdefghij", "abcdefgh_30", "short"}
    assert read_name(stem, ids) == (clip_id, start)


@pytest.mark.parametrize(
    "start, names, found",
    [
        (30, ["30", "30.0", "30000", "30000_40000"], True),
        (30.5, ["30", "31", "30.5", "30500"], True),
        (0, ["0", "0.000_10.000"], True),
        (30, ["0", "40", "29", "3000", "31000"], False),
        (0, ["30", "500", "10000"], False),
    ],
)
def test_times_in_names(tmp_path, start, names, found):
    for name in names:
        path = tmp_path / f"abcdefghijk_{name}.wav"
        path.touch()
        files = find_audio(tmp_path, {"abcdefghijk": ("train", start)})
        assert files.paths == ({"abcdefghijk": str(path)} if found else {})
        assert files.counts["of_another_segment"] == (not found)
        path.unlink()
