"""Tests of writing files whole, and of what identifies them.

Authors
 * The speechbrain_fftp authors 2026
"""

import os

import pytest

from fftp_tag.errors import InputError
from fftp_tag.files import file_identity, moved_together, named_file


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
        (unfinished / "below").mkdir()
        (unfinished / "below" / "y").write_text("whole")
    assert sorted(os.listdir(folder)) == ["below", "other", "x"]
    assert (folder / "below" / "y").read_text() == "whole"
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


@pytest.mark.parametrize(
    "name",
    [
        *("../secret", "{secret}", "link", "sub/own", "sub\\own", "sub", "."),
        *("..", "", "C:own", "own\0", "missing", "x" * 300, None, 3, ["own"]),
    ],
)
def test_a_description_names_files_beside_it_alone(tmp_path, name):
    """No secrets of who reads it."""
    folder, secret = tmp_path / "model", tmp_path / "secret"
    (folder / "sub").mkdir(parents=True)
    for path in (secret, folder / "own", folder / "sub" / "own"):
        path.write_text("text")
    (folder / "link").symlink_to(secret)
    if isinstance(name, str):
        name = name.format(secret=secret)
    with pytest.raises(InputError, match="x.json names the file"):
        named_file(folder / "x.json", name)
    assert named_file(folder / "x.json", "own").read_text() == "text"


def test_files_in_the_cache_of_the_hub_are_links(tmp_path):
    folder, blobs = tmp_path / "snapshots" / "1f", tmp_path / "blobs"
    folder.mkdir(parents=True)
    blobs.mkdir()
    (blobs / "a1").write_text("text")
    (folder / "labels.txt").symlink_to("../../blobs/a1")
    found = named_file(folder / "x.json", "labels.txt")
    assert found.read_text() == "text"
