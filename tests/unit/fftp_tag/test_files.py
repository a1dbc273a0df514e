"""Tests of writing files whole, and of what identifies them.

Authors
 * The speechbrain_fftp authors 2026
"""

import errno
import json
import math
import os

import pytest

from fftp_tag.files import (
    atomic_path,
    file_identity,
    moved_together,
    write_json,
)


def test_json_is_written_whole_or_not_at_all(tmp_path):
    """Strictly, what JSON lacks is null."""
    path, content = tmp_path / "metrics.json", {"a": [1, math.nan], "b": "NaN"}
    write_json(path, {**content, 3: -math.inf}, strict=True)
    expected = {"a": [1, None], "b": "NaN", "3": None}
    assert json.loads(path.read_text("utf-8")) == expected
    with pytest.raises(TypeError):
        write_json(path, {"written": object()})
    assert json.loads(path.read_text("utf-8")) == expected
    write_json(path, content)  # what is to be read again as it was
    assert math.isnan(json.loads(path.read_text("utf-8"))["a"][1])
    assert os.listdir(tmp_path) == ["metrics.json"]


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
    assert (folder / "x").read_text() == "before"
    with pytest.raises(OSError, match=f"No space.*'{folder}'"):
        with moved_together(folder):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with moved_together(folder) as unfinished:
        (unfinished / "x").write_text("whole")
    assert sorted(os.listdir(folder)) == ["other", "x"]
    assert (folder / "x").read_text() == "whole"
    assert os.listdir(tmp_path) == ["a.b"]


def test_two_writers_of_a_file_do_not_collide(tmp_path):
    path = tmp_path / "a"
    with atomic_path(path) as first, atomic_path(path) as second:
        open(first, "w").write("first")
        open(second, "w").write("second")
    assert path.read_text() == "first"  # which was finished last
    assert os.listdir(tmp_path) == ["a"]


def test_a_file_that_changes_within_a_second_is_another(tmp_path):
    path = tmp_path / "a.wav"
    path.write_text("one")
    os.utime(path, ns=(0, 1_000_000_000))
    link = tmp_path / "link.wav"
    link.symlink_to(path)
    before = file_identity(path)
    assert file_identity(link) == before
    os.utime(path, ns=(0, 1_001_000_000))
    assert file_identity(path) != before
