"""Tests of writing files whole.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import math
import os

import pytest

from speechbrain_fftp.dataio.files import atomic_folder, atomic_path, write_json


def mode(path):
    return path.stat().st_mode & 0o777


@pytest.fixture(params=[0o022, 0o077, 0o002])
def umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


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


def test_file_has_the_mode_of_a_new_file(tmp_path, umask):
    """Whatever its writer sets, as safetensors does."""
    plain, private, replaced = (tmp_path / name for name in "abc")
    plain.touch()
    with atomic_path(private) as temporary_path:
        os.remove(temporary_path)
        os.close(os.open(temporary_path, os.O_CREAT | os.O_WRONLY, 0o600))
    with atomic_path(replaced) as temporary_path:
        open(temporary_path, "w").close()
    assert mode(private) == mode(replaced) == mode(plain) == 0o666 & ~umask


def test_two_writers_of_a_file_do_not_collide(tmp_path):
    path = tmp_path / "a"
    with atomic_path(path) as first, atomic_path(path) as second:
        open(first, "w").write("first")
        open(second, "w").write("second")
    assert path.read_text() == "first"  # which was finished last
    assert os.listdir(tmp_path) == ["a"]


def test_folder_appears_whole_and_replaces_the_old_one(tmp_path, umask):
    path = tmp_path / "model"
    for name in ("old", "new"):
        with atomic_folder(path) as temporary_path:
            open(os.path.join(temporary_path, name), "w").close()
            assert not (path / name).exists()
        assert os.listdir(path) == [name]
        assert os.listdir(tmp_path) == ["model"]
    (tmp_path / "plain").mkdir()
    assert mode(path) == mode(tmp_path / "plain")


def test_failed_folder_keeps_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "model"
    with atomic_folder(path) as temporary_path:
        open(os.path.join(temporary_path, "old"), "w").close()
    with pytest.raises(KeyError), atomic_folder(path):
        raise KeyError
    assert os.listdir(path) == ["old"]
    rename = os.rename

    def fail_once(source, target):
        if os.path.basename(target) == "model":
            monkeypatch.setattr(os, "rename", rename)
            raise OSError("no")
        rename(source, target)

    monkeypatch.setattr(os, "rename", fail_once)
    with pytest.raises(OSError, match="no"), atomic_folder(path):
        pass
    assert os.listdir(path) == ["old"]
    assert os.listdir(tmp_path) == ["model"]
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError), atomic_folder(tmp_path / "file"):
        raise AssertionError


def test_folder_behind_a_link(tmp_path):
    (tmp_path / "disk" / "model").mkdir(parents=True)
    (tmp_path / "model").symlink_to(tmp_path / "disk" / "model")
    with atomic_folder(tmp_path / "model") as temporary_path:
        open(os.path.join(temporary_path, "new"), "w").close()
    assert (tmp_path / "model").is_symlink()
    assert os.listdir(tmp_path / "disk" / "model") == ["new"]
