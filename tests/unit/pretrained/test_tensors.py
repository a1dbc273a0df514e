"""Tests of reading files of tensors.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import io
import os
import pickle
import zipfile

import pytest
import torch

from speechbrain_fftp.pretrained.renaming import rename_tensors
from speechbrain_fftp.pretrained.tensors import read_tensors


class Touch:
    """When it is unpickled, makes a folder."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def other_zip():
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("some/file.txt", "text")
    return data.getvalue()


def test_files_that_are_no_checkpoint(tmp_path):
    torch.save({"weight": torch.randn(100)}, tmp_path / "whole.pth")
    whole = (tmp_path / "whole.pth").read_bytes()
    legacy = io.BytesIO()
    torch.save({"a": torch.ones(9)}, legacy, _use_new_zipfile_serialization=0)
    legacy = legacy.getvalue()
    contents = [b"", b"hello world", b"<!DOCTYPE html>", b"version https://git"]
    contents += [b"{}", b"\x80\x02", b"\0" * 99, bytes(range(256)), other_zip()]
    contents += [whole[:n] for n in range(0, len(whole), 50)]
    contents += [legacy[:n] for n in range(0, len(legacy), 3)]
    for suffix in ("pth", "safetensors"):
        path = tmp_path / f"broken.{suffix}"
        for content in contents:
            path.write_bytes(content)
            with pytest.raises(ValueError, match=f"broken.{suffix} cannot be"):
                read_tensors(path)


@pytest.mark.parametrize("save", [torch.save, "pickle", "legacy"])
def test_pickled_code_is_refused_and_not_run(tmp_path, save):
    path, made = tmp_path / "evil.pth", tmp_path / "made"
    obj = {"weight": torch.ones(1), "evil": Touch(made)}
    if save == "pickle":
        path.write_bytes(pickle.dumps(obj, protocol=2))
    elif save == "legacy":
        torch.save(obj, path, _use_new_zipfile_serialization=False)
    else:
        torch.save(obj, path)
    with pytest.raises(ValueError, match="evil.pth.*Python objects") as error:
        read_tensors(path)
    assert isinstance(error.value.__cause__, pickle.UnpicklingError)
    assert not made.exists()
    # The file does run code without that protection.
    with contextlib.suppress(RuntimeError):
        torch.load(path, weights_only=False)
    assert made.exists()


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere.pth"):
        read_tensors(tmp_path / "nowhere.pth")
    with pytest.raises(ValueError, match="is a folder"):
        read_tensors(tmp_path)


@pytest.mark.parametrize(
    "obj, message",
    [
        (torch.ones(2), "not contain a dict of tensors"),
        ([torch.ones(2)], "not contain a dict of tensors"),
        ({}, "not contain a dict of tensors"),
        ({"model": {}}, "not contain a dict of tensors"),
        ({"weight": torch.ones(2), "epoch": 3}, "'epoch' is int"),
        ({"model": {"weight": [1.0]}}, "'weight' is list"),
        ({"a": torch.ones(2), 5: torch.ones(2)}, "named tensors only: 5 is"),
        ({"model": 5, "a": torch.ones(2)}, "'model' is int"),
    ],
)
def test_other_contents(tmp_path, obj, message):
    torch.save(obj, tmp_path / "other.pth")
    with pytest.raises(ValueError, match=f"other.pth .*{message}"):
        read_tensors(tmp_path / "other.pth")


def test_prefix_is_removed_only_if_all_names_have_it(tmp_path):
    for names, expected in (
        (["module.a", "module.b.c"], ["a", "b.c"]),
        (["module.a", "b"], ["module.a", "b"]),
        (["module.module.a"], ["module.a"]),
    ):
        torch.save({n: torch.ones(1) for n in names}, tmp_path / "some.pth")
        assert list(read_tensors(tmp_path / "some.pth")) == expected


def test_tensors_are_renamed_and_joined_in_order():
    state = {f"b.{n}.{k}": torch.tensor([n]) for n in (0, 1) for k in "xyz"}
    for n in (0, 1):
        state[f"b.{n}.y"] = torch.tensor([10.0 + n])
    table = {"#.yx": ["b.#.y", "b.#.x"], "#.z": ["b.#.z"]}
    renamed = rename_tensors(state, table, 2, "a toy")
    assert {k: v.tolist() for k, v in renamed.items()} == {
        "0.yx": [10.0, 0.0],
        "1.yx": [11.0, 1.0],
        "0.z": [0.0],
        "1.z": [1.0],
    }
    with pytest.raises(ValueError, match=r"a toy\. Unknown: b.1.x, b.1.y, b.1"):
        rename_tensors(state, table, 1, "a toy")
