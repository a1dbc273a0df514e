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
from speechbrain_fftp.pretrained import ast, load_ast
from speechbrain_fftp.pretrained.families import build_modules, find_family
from speechbrain_fftp.pretrained.tensors import read_checkpoint


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
    for name in {*names.values()} - {*ast.UNUSED}:
        others = {key: x for key, x in tensors.items() if key != name}
        with pytest.raises(InputError, match=str(path)):
            build(path, others)
    with pytest.raises(InputError, match="extra.bias"):
        build(path, {**tensors, "extra.bias": torch.ones(2)})


@pytest.mark.parametrize(
    "form, changes",
    [
        ("AST folder", {"hidden_act": "relu"}),
        ("AST folder", {"frequency_stride": 8}),
    ],
)
def test_other_settings_are_refused(form, changes, published):
    """They would give other results with the same tensors."""
    with pytest.raises(InputError, match=str(published(form))):
        build(published(form), **changes)


class Touch:
    """When it is unpickled, makes a folder."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize(
    "content, reason",
    [
        ({"conv.weight": torch.ones(2)}, "AST, Audio Mamba.*ONNX"),
        ([torch.ones(2)], "more than named tensors"),
        ({"weight": Touch("made")}, "cannot be read"),
        (b"", "cannot be read"),
    ],
)
@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_files_that_are_no_known_checkpoint(
    content, reason, suffix, tmp_path, monkeypatch
):
    """Code in a pickle is not run."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / f"model.{suffix}"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    if suffix == "safetensors":
        reason = "cannot be read"
    with pytest.raises(InputError, match=f"{path}.*{reason}"):
        load_ast(path)
    assert not (tmp_path / "made").exists()
