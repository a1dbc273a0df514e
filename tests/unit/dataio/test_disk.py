"""Tests of errors of a full disk.

Authors
 * The speechbrain_fftp authors 2026
"""

import errno
import os
import shutil
from collections import namedtuple

import pytest

from speechbrain_fftp.dataio.files import write_json
from speechbrain_fftp.datasets.prepared import prepare_folder

Usage = namedtuple("Usage", "total used free")


@pytest.fixture(autouse=True)
def little_space(monkeypatch):
    usage = Usage(2**30, 2**30 - 2**19, 2**19)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)


def fail(code):
    def write(*args, **kwargs):
        raise OSError(code, os.strerror(code))

    return write


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_file_on_a_full_disk(code, tmp_path, monkeypatch):
    path = tmp_path / "report.json"
    write_json(path, {"before": 1})
    monkeypatch.setattr("json.dump", fail(code))
    with pytest.raises(OSError) as error:
        write_json(path, {"now": 2})
    assert f"{path} cannot be written: 0.5 MiB are free" in str(error.value)
    assert os.listdir(tmp_path) == ["report.json"]
    assert "before" in path.read_text()


def test_preparation_on_a_full_disk_can_be_resumed(tmp_path):
    # The second is soundfile's error
    for error in (OSError(errno.ENOSPC, "full"), RuntimeError("System error.")):
        with pytest.raises(OSError, match=r"new/ cannot be written: 0.5 MiB"):
            with prepare_folder(tmp_path / "new", {}):
                raise error
        assert not (tmp_path / "new" / "prepared.json").exists()
    with prepare_folder(tmp_path / "new", {}) as todo:
        assert todo
