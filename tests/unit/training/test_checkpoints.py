"""Tests of checkpoints.

Authors
 * The speechbrain_fftp authors 2026
"""

import resource

import pytest
import torch

from fftp_tag.errors import InputError
from speechbrain.utils.checkpoints import Checkpointer
from speechbrain_fftp.training.checkpoints import AtomicCheckpointer


class Interrupted(Exception):
    """Stands for the end of the process."""


class Renaming(Checkpointer):
    """A ``Checkpointer`` that is repaired in another way."""

    def save_checkpoint(self, *args, **kwargs):
        checkpoint = super().save_checkpoint(*args, **kwargs)
        meta = checkpoint.path / "CKPT.yaml"
        meta.with_suffix(".unfinished").rename(meta)
        return checkpoint


class Repaired(AtomicCheckpointer, Renaming):
    """Ours, with a repaired one of SpeechBrain."""


def interrupt(obj, path):
    path.write_text("half of a file", "utf-8")
    raise Interrupted


def linear(value):
    layer = torch.nn.Linear(1, 1)
    torch.nn.init.constant_(layer.weight, value)
    return layer


@pytest.mark.parametrize("kind", [AtomicCheckpointer, Repaired])
def test_an_interrupted_checkpoint_is_absent(kind, tmp_path):
    """Also for stock SpeechBrain, which would load its own, in vain."""
    saver = kind(tmp_path, {"model": linear(1.0), "head": linear(2.0)})
    first = saver.save_checkpoint({"mAP": 0.5}, end_of_epoch=False)
    saver.custom_save_hooks["head"] = interrupt
    with pytest.raises(Interrupted):
        saver.save_checkpoint()
    for reader in (kind, Checkpointer):
        loaded = linear(0.0)
        again = reader(tmp_path, {"model": loaded, "head": linear(0.0)})
        found = again.recover_if_possible()
        assert found.path == first.path and found.meta["mAP"] == 0.5
        assert loaded.weight.item() == 1.0
    again = kind(tmp_path, {"model": linear(1.0)})
    second = again.save_checkpoint()
    assert len(again.list_checkpoints()) == 2
    assert again.recover_if_possible().path == second.path


@pytest.mark.parametrize("size", [0, 1000])
def test_a_full_disk_ends_in_a_line(size, tmp_path):
    """As files cannot be larger here; torch raises a RuntimeError for its own."""
    saver = AtomicCheckpointer(tmp_path, {"model": torch.nn.Linear(100, 100)})
    first = saver.save_checkpoint()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        with pytest.raises(InputError, match="GB are free") as error:
            saver.save_checkpoint()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert str(tmp_path) in str(error.value) and "\n" not in str(error.value)
    assert saver.recover_if_possible().path == first.path


@pytest.mark.parametrize("content", [b"", b"no weights"])
def test_a_damaged_checkpoint_is_named(content, tmp_path):
    saver = AtomicCheckpointer(tmp_path, {"model": linear(1.0)})
    path = saver.save_checkpoint().path
    (path / "model.ckpt").write_bytes(content)
    with pytest.raises(InputError) as error:
        saver.recover_if_possible()
    assert str(path) in str(error.value)
