"""Test of checkpoints whose saving is interrupted.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch


def test_checkpoint_interrupted_while_saving(tmpdir, device):
    from speechbrain.utils.checkpoints import Checkpointer

    def interrupt(obj, path):
        with open(path, "w", encoding="utf-8") as file:
            file.write("half of a file")
        raise KeyboardInterrupt

    model = torch.nn.Linear(1, 1, device=device)
    other = torch.nn.Linear(1, 1, device=device)
    recoverer = Checkpointer(tmpdir, {"model": model, "other": other})
    complete = recoverer.save_checkpoint()
    recoverer.custom_save_hooks["other"] = interrupt
    with pytest.raises(KeyboardInterrupt):
        recoverer.save_checkpoint()
    # Only the complete checkpoint counts
    recoverer = Checkpointer(tmpdir, {"model": model, "other": other})
    assert [c.path for c in recoverer.list_checkpoints()] == [complete.path]
    assert recoverer.recover_if_possible().path == complete.path
    # With the same name, it is written again
    recoverer.save_checkpoint(name="same")
    recoverer.custom_save_hooks["other"] = interrupt
    with pytest.raises(KeyboardInterrupt):
        recoverer.save_checkpoint(name="same")
    assert [c.path for c in recoverer.list_checkpoints()] == [complete.path]
