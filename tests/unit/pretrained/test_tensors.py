"""Tests of reading files of tensors.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch

from speechbrain_fftp.pretrained.tensors import read_tensors


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_files_that_are_no_checkpoint(tmp_path, suffix):
    path = tmp_path / f"broken.{suffix}"
    torch.save({"weight": torch.randn(100)}, path)
    whole = path.read_bytes()
    for content in (b"", b"<!DOCTYPE html>", b"{}", whole[:200], whole[:-200]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=path.name):
            read_tensors(path)


@pytest.mark.parametrize(
    "content", [[torch.ones(2)], {"weight": torch.ones(2), "epoch": 3}]
)
def test_other_contents(tmp_path, content):
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(ValueError, match="other.pth"):
        read_tensors(tmp_path / "other.pth")


@pytest.mark.parametrize("key", ["model", "state_dict"])
def test_a_state_dict_may_be_nested_and_of_data_parallel(tmp_path, key):
    content = {key: {"module.a.b": torch.ones(1)}, "epoch": 3}
    torch.save(content, tmp_path / "some.pth")
    assert list(read_tensors(tmp_path / "some.pth")) == ["a.b"]
