"""What all published families have in common, and what is refused.

That they equal their references is in test_goldens.py.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
import os
import re

import pytest
import torch

from fftp_tag.errors import InputError
from speechbrain_fftp.pretrained import ast, atst, dasheng, load_ast
from speechbrain_fftp.pretrained.families import (
    build_modules,
    find_family,
    load_published,
)
from speechbrain_fftp.pretrained.tensors import read_checkpoint

UNUSED = (*ast.UNUSED, *atst.UNUSED, *dasheng.UNUSED)


def build(path, tensors=None, **config):
    """Encoder and classifier of a checkpoint with other content."""
    checkpoint = read_checkpoint(path)
    changed = dataclasses.replace(
        checkpoint,
        tensors=checkpoint.tensors if tensors is None else tensors,
        config={**checkpoint.config, **config},
    )
    return build_modules(find_family(changed), changed)


def test_missing_and_unknown_tensors_are_refused(form, published):
    path = published(form)
    tensors = read_checkpoint(path).tensors
    names = {re.sub(r"\d+", "", name): name for name in tensors}  # of a block
    for name in {*names.values()} - {*UNUSED}:
        if name.endswith("num_batches_tracked"):  # has no influence
            continue
        others = {key: x for key, x in tensors.items() if key != name}
        with pytest.raises(InputError, match=str(path)):
            build(path, others)
    with pytest.raises(InputError, match="extra.bias"):
        build(path, {**tensors, "extra.bias": torch.ones(2)})


@pytest.mark.parametrize(
    "form, changes",
    [
        ("AST folder", {"hidden_act": "relu"}),
        ("AST folder", {"num_hidden_layers": 1}),
        ("AST folder", {"max_length": 512}),
        ("AST folder", {"frequency_stride": 8}),
        ("CED", {"pooling": "token"}),
        ("CED", {"target_length": 2024}),
    ],
)
def test_other_settings_are_refused(form, changes, published):
    """They would give other results with the same tensors."""
    with pytest.raises(InputError, match=str(published(form))):
        build(published(form), **changes)


def resize(tensors, width):
    """Tensors of a model with 128 channels, of another width."""
    return {
        name: x.new_empty(
            [n * width // 128 if n >= 128 else n for n in x.shape],
            device="meta",
        )
        for name, x in tensors.items()
    }


def test_numbers_of_heads_that_no_setting_tells(published):
    """64 channels each, but for one; published names go before settings."""
    for name, heads in (("ced-tiny", 2), ("mine", 4)):
        encoder, _ = build(published("CED"), name=name, num_heads=4)
        assert encoder.num_heads == heads
    tensors = read_checkpoint(published("Dasheng folder")).tensors
    for width, heads in ((256, 4), (1280, 16)):
        encoder, _ = dasheng.build(resize(tensors, width), {})
        assert encoder.num_heads == heads
    with pytest.raises(InputError, match="96"):
        dasheng.build(resize(tensors, 96), {})


class Touch:
    """When it is unpickled, makes a folder."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_files_that_are_no_known_checkpoint(published, tmp_path):
    with pytest.raises(InputError, match="CED"):
        load_ast(published("CED"))
    path = tmp_path / "model.pth"
    contents = [
        ({"conv.weight": torch.ones(2)}, "AST, Audio Mamba, CED"),
        ({"weight": torch.ones(2), "epoch": 3}, "more than named tensors"),
        ([torch.ones(2)], "more than named tensors"),
    ]
    for content, reason in contents:
        torch.save(content, path)
        with pytest.raises(InputError, match=f"{path}.*{reason}"):
            load_published(path)


def test_code_in_a_pickle_is_not_run(tmp_path):
    path = tmp_path / "model.pth"
    torch.save({"weight": Touch(tmp_path / "made")}, path)
    with pytest.raises(InputError, match=f"{path} cannot be read"):
        load_published(path)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_damaged_files(suffix, tmp_path):
    path = tmp_path / f"broken.{suffix}"
    torch.save({"weight": torch.randn(100)}, path)
    whole = path.read_bytes()
    for content in (b"", b"<!DOCTYPE html>", b"{}", whole[:-200]):
        path.write_bytes(content)
        with pytest.raises(InputError, match=path.name):
            load_published(path)
