"""Tests of checkpoints.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch

from speechbrain.utils.checkpoints import Checkpointer
from speechbrain_fftp.training.checkpoints import AtomicCheckpointer


class Interrupted(Exception):
    """Stands for the end of the process."""


def interrupt(obj, path):
    path.write_text("half of a file", "utf-8")
    raise Interrupted


def linear(value):
    layer = torch.nn.Linear(1, 1)
    torch.nn.init.constant_(layer.weight, value)
    return layer


def test_an_interrupted_checkpoint_is_absent(tmp_path):
    """Also for stock SpeechBrain, which would load its own, in vain."""
    modules = {"model": linear(1.0), "head": linear(2.0)}
    saver = AtomicCheckpointer(tmp_path, modules)
    first = saver.save_checkpoint({"mAP": 0.5}, end_of_epoch=False)
    saver.custom_save_hooks["head"] = interrupt
    with pytest.raises(Interrupted):
        saver.save_checkpoint()
    for reader in (AtomicCheckpointer, Checkpointer):
        loaded = linear(0.0)
        again = reader(tmp_path, {"model": loaded, "head": linear(0.0)})
        found = again.recover_if_possible()
        assert found.path == first.path and found.meta["mAP"] == 0.5
        assert loaded.weight.item() == 1.0
    again = AtomicCheckpointer(tmp_path, {"model": linear(1.0)})
    second = again.save_checkpoint()
    assert len(again.list_checkpoints()) == 2
    assert again.recover_if_possible().path == second.path
