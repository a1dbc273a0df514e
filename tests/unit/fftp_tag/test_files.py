"""Tests of writing files whole.

Authors
 * The speechbrain_fftp authors 2026
"""

import errno
import json
import math
import os

import pytest

from fftp_tag.files import atomic_path, moved_together, write_json


def test_failed_write_keeps_the_old_file(tmp_path):
    path = tmp_path / "report.json"
    write_json(path, {"written": 1})
    with pytest.raises(TypeError):
        write_json(path, {"written": object()})
    assert path.read_text("utf-8") == '{\n  "written": 1\n}\n'
    assert os.listdir(tmp_path) == ["report.json"]


def test_strict_json_has_null_for_what_json_lacks(tmp_path):
    path, content = tmp_path / "metrics.json", {"a": [1, math.nan], "b": "NaN"}
    write_json(path, {**content, 3: -math.inf}, strict=True)
    found = json.loads(path.read_text("utf-8"))
    assert found == {"a": [1, None], "b": "NaN", "3": None}
    write_json(path, content)  # what is to be read again as it was
    assert math.isnan(json.loads(path.read_text("utf-8"))["a"][1])


def test_files_that_belong_together_are_moved_together(tmp_path):
    """None if the block fails; others in their folder stay."""
    folder = tmp_path / "a.b"
    folder.mkdir()
    for name in ("x", "other"):
        (folder / name).write_text("before")
    with pytest.raises(KeyboardInterrupt):
        with moved_together(folder) as unfinished:
            (unfinished / "x").write_text("half")
            (unfinished / "z").write_text("half")
            raise KeyboardInterrupt
    assert sorted(os.listdir(folder)) == ["other", "x"]
    assert (folder / "x").read_text() == "before"
    with moved_together(folder) as unfinished:
        (unfinished / "x").write_text("whole")
    assert sorted(os.listdir(folder)) == ["other", "x"]
    assert (folder / "x").read_text() == "whole"
    assert os.listdir(tmp_path) == ["a.b"]


def test_a_full_disk_is_named(tmp_path):
    with pytest.raises(OSError, match=f"No space.*'{tmp_path}'"):
        with moved_together(tmp_path):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_two_writers_of_a_file_do_not_collide(tmp_path):
    path = tmp_path / "a"
    with atomic_path(path) as first, atomic_path(path) as second:
        open(first, "w").write("first")
        open(second, "w").write("second")
    assert path.read_text() == "first"  # which was finished last
    assert os.listdir(tmp_path) == ["a"]
