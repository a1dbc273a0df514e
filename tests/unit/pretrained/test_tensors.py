"""Tests of reading and renaming tensors.

Authors
 * The speechbrain_fftp authors 2026
"""

import io
import json
import struct
import zipfile

import pytest
import torch

from speechbrain_fftp.pretrained.tensors import read_tensors


def saved(content, **options):
    """The bytes of a file that torch saved."""
    file = io.BytesIO()
    torch.save(content, file, **options)
    return file.getvalue()


def test_files_that_are_no_checkpoint(tmp_path):
    whole = saved({"weight": torch.randn(100)})
    legacy = saved({"a": torch.ones(9)}, _use_new_zipfile_serialization=False)
    contents = [b"", b"hello world", b"<!DOCTYPE html>", b"{}", b"\0" * 99]
    contents += [whole[:n] for n in range(0, len(whole), 200)]
    contents += [legacy[:n] for n in range(0, len(legacy), 20)]
    for suffix in ("pth", "safetensors"):
        path = tmp_path / f"broken.{suffix}"
        for content in contents:
            path.write_bytes(content)
            with pytest.raises(ValueError, match=f"broken.{suffix} cannot be"):
                read_tensors(path)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere.pth"):
        read_tensors(tmp_path / "nowhere.pth")
    with pytest.raises(ValueError, match="is a folder"):
        read_tensors(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        torch.ones(2),
        [torch.ones(2)],
        {},
        {"model": {}},
        {"weight": torch.ones(2), "epoch": 3},
        {"model": {"weight": [1.0]}},
        {"a": torch.ones(2), 5: torch.ones(2)},
    ],
)
def test_other_contents(tmp_path, content):
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(ValueError, match="other.pth"):
        read_tensors(tmp_path / "other.pth")


@pytest.mark.parametrize("key", ["model", "state_dict"])
def test_a_state_dict_may_be_nested(tmp_path, key):
    torch.save({key: {"a": torch.ones(1)}, "epoch": 3}, tmp_path / "some.pth")
    assert list(read_tensors(tmp_path / "some.pth")) == ["a"]


def test_prefix_is_removed_only_if_all_names_have_it(tmp_path):
    for names, expected in (
        (["module.a", "module.b.c"], ["a", "b.c"]),
        (["module.a", "b"], ["module.a", "b"]),
    ):
        torch.save({n: torch.ones(1) for n in names}, tmp_path / "some.pth")
        assert list(read_tensors(tmp_path / "some.pth")) == expected


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.zeros(1).expand(10**6, 10**6),
        lambda: torch.empty(10**6, 10**6, device="meta"),
        lambda: torch.sparse_coo_tensor(size=(10**6, 10**6)),
    ],
)
def test_small_files_of_enormous_tensors(tmp_path, make):
    path = tmp_path / "model.pth"
    torch.save({"weight": make()}, path)
    assert path.stat().st_size < 10000
    with pytest.raises(ValueError, match="model.pth does not contain all"):
        read_tensors(path)


def test_zip_bombs(tmp_path):
    path = tmp_path / "model.pth"
    whole = saved({"weight": torch.zeros(2**22)})
    with zipfile.ZipFile(io.BytesIO(whole)) as source, zipfile.ZipFile(
        path, "w", zipfile.ZIP_DEFLATED
    ) as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    assert path.stat().st_size < 2**16
    with pytest.raises(ValueError, match="model.pth is compressed"):
        read_tensors(path)


@pytest.mark.parametrize(
    "header",
    [
        {"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 4]}},
        {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 2**50]}},
        {"a": {"dtype": "F99", "shape": [1], "data_offsets": [0, 4]}},
    ],
)
def test_garbled_safetensors(tmp_path, header):
    text = json.dumps(header).encode()
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(8))
    with pytest.raises(ValueError, match="model.safetensors cannot be read"):
        read_tensors(path)
