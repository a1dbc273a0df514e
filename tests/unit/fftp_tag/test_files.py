"""Tests of writing files whole, and of what identifies them.

Authors
 * The speechbrain_fftp authors 2026
"""

import os

import pytest

from fftp_tag.files import file_identity, moved_together


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
    with moved_together(folder) as unfinished:
        (unfinished / "x").write_text("whole")
    assert sorted(os.listdir(folder)) == ["other", "x"]
    assert (folder / "x").read_text() == "whole"
    assert os.listdir(tmp_path) == ["a.b"]


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
