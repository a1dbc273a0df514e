"""Tests of finding files by their names, and of labels in shards.

Authors
 * The speechbrain_fftp authors 2026
"""

import json

import pytest

from speechbrain_fftp.datasets.audioset.search import find_audio, read_name
from speechbrain_fftp.datasets.audioset.shard_files import (
    label_words,
    parse_labels,
)

CLASSES = {"/m/a": "Male speech, man", "/m/b": "Bark", "/m/c": "Car"}
WORDS = label_words(CLASSES)


@pytest.mark.parametrize(
    "stem, clip_id, form",
    [
        ("abcdefghijk", "abcdefghijk", "ID"),
        ("Yabcdefghijk", "abcdefghijk", "YID"),
        ("Yabcdefghij", "Yabcdefghij", "ID"),
        ("YYabcdefghij", "Yabcdefghij", "YID"),
        ("Yabcdefghij_30", "Yabcdefghij", "ID_START"),
        ("abcdefgh_30", "abcdefgh_30", "ID"),
        ("abcdefgh_30_40", "abcdefgh_30", "ID_START"),
        ("abcdefgh_30_40_50", "abcdefgh_30", "ID_START_END"),
        ("abcdefghijk_30.5-40", "abcdefghijk", "ID_START_END"),
        ("[yt] Song [abcdefghijk]", "abcdefghijk", "[ID]"),
        ("[abcdefghijk]-[3-13]", "abcdefghijk", "[ID]_START_END"),
        ("short", "short", "ID"),  # any id of a list, as it is
        ("Yshort", None, None),
        ("abcdefghijk_30_40_50", None, None),
        ("abcdefghijkl", None, None),
        ("abcdefghij", None, None),
        ("abcdefghijK", None, None),
    ],
)
def test_names(stem, clip_id, form):
    ids = {"abcdefghijk", "Yabcdefghij", "abcdefgh_30", "short"}
    assert read_name(stem, ids)[:2] == (clip_id, form)


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


@pytest.mark.parametrize(
    "content, mids",
    [
        (b"2", ["/m/c"]),
        (b"1,0", ["/m/b", "/m/a"]),
        (b"Male speech, man", ["/m/a"]),
        (b"Bark;Car", ["/m/b", "/m/c"]),
        ({"labels": ["/m/a", "Car"], "cls": 1}, ["/m/a", "/m/c"]),
        ({"label": [0, 1, 1]}, ["/m/b", "/m/c"]),  # one for each class
        ({"cls": [0, 2]}, ["/m/a", "/m/c"]),
        ({"labels": [7, "/m/x"]}, ["7", "/m/x"]),  # unknown
        ({"text": "a dog"}, []),
        (b'{"labels": ["Bark"', []),
        (b"\xff", ["\ufffd"]),
    ],
)
def test_labels_in_shards(content, mids):
    if not isinstance(content, bytes):
        content = json.dumps(content).encode()
    assert list(parse_labels(content, WORDS, len(CLASSES))) == mids
