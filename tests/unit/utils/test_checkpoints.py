"""Tests of checkpoints.

Authors
 * The speechbrain_fftp authors 2026
"""

import random

import numpy as np
import pytest
import torch

from speechbrain.utils.checkpoints import Checkpointer
from speechbrain_fftp.utils.checkpoints import AtomicCheckpointer, RandomState


class Interrupted(Exception):
    """Stands for the end of the process."""


def linear(value):
    layer = torch.nn.Linear(1, 1)
    torch.nn.init.constant_(layer.weight, value)
    return layer


def interrupt(obj, path):
    path.write_text("half of a file", "utf-8")
    raise Interrupted


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_round_trip_and_what_stock_speechbrain_reads(tmp_path):
    model = linear(1.0)
    saver = AtomicCheckpointer(tmp_path, {"model": model})
    saved = saver.save_checkpoint({"mAP": 0.5}, end_of_epoch=False)
    assert saved.path.parent == tmp_path and saved.path.is_dir()
    assert saved.paramfiles == {"model": saved.path / "model.ckpt"}
    assert saved.meta["mAP"] == 0.5 and not saved.meta["end-of-epoch"]
    for kind in (AtomicCheckpointer, Checkpointer):
        loaded = linear(0.0)
        found = kind(tmp_path, {"model": loaded}).recover_if_possible()
        assert found.path == saved.path and found.meta["mAP"] == 0.5
        assert loaded.weight.item() == 1.0


def test_interrupted_save_leaves_the_checkpoint_before(tmp_path):
    model = linear(1.0)
    saver = AtomicCheckpointer(tmp_path, {"model": model})
    first = saver.save_checkpoint()
    # One that fails after the model, and the meta file, are written.
    broken = AtomicCheckpointer(tmp_path, {"model": model})
    broken.add_recoverable("state", object(), custom_save_hook=interrupt)
    torch.nn.init.constant_(model.weight, 2.0)
    for name in ("lost", "lost too"):
        with pytest.raises(Interrupted):
            broken.save_checkpoint(name=name)
    left = [name for name in names(tmp_path) if name != first.path.name]
    assert len(left) == 1 and not left[0].startswith("CKPT")
    assert (tmp_path / left[0] / "model.ckpt").exists()
    assert [c.path for c in saver.list_checkpoints()] == [first.path]
    saver.recover_if_possible()
    assert model.weight.item() == 1.0
    # The next one removes what was left.
    second = saver.save_checkpoint()
    assert names(tmp_path) == sorted([first.path.name, second.path.name])


def test_save_and_keep_only(tmp_path):
    saver = AtomicCheckpointer(tmp_path, {"model": linear(1.0)})
    for mAP in (0.1, 0.6, 0.3, 0.5, 0.2):
        saver.save_and_keep_only(
            meta={"mAP": mAP},
            max_keys=["mAP"],
            importance_keys=[],
            num_to_keep=2,
        )
    kept = saver.find_checkpoints(max_key="mAP")
    assert [c.meta["mAP"] for c in kept] == [0.6, 0.5, 0.2]  # 0.2 is newest
    assert saver.find_checkpoint().meta["mAP"] == 0.2
    assert len(names(tmp_path)) == 3


def test_checkpoints_of_one_second_have_different_names(tmp_path):
    saver = AtomicCheckpointer(tmp_path, {"model": linear(1.0)})
    paths = {saver.save_checkpoint().path for _ in range(4)}
    assert len(paths) == 4 and all(path.is_dir() for path in paths)


def test_named_checkpoint(tmp_path):
    saver = AtomicCheckpointer(tmp_path, {"model": linear(1.0)})
    assert saver.save_checkpoint(name="best").path.name == "CKPT+best"
    saver.recoverables["model"] = linear(2.0)
    saver.save_checkpoint(name="best")
    assert names(tmp_path) == ["CKPT+best"]
    saver.recoverables["model"] = linear(0.0)
    saver.recover_if_possible()
    assert saver.recoverables["model"].weight.item() == 2.0


def draws():
    """Numbers from all generators that training code may draw from."""
    return [
        torch.rand(3).tolist(),
        torch.randn(3).tolist(),
        torch.randperm(9).tolist(),
        np.random.rand(3).tolist(),
        np.random.randn(3).tolist(),
        [random.random(), random.gauss(0, 1)],
    ]


def test_random_state_restores_all_generators(tmp_path):
    draws()  # so that NumPy and Python each hold a second normal number
    state = {"random_state": RandomState()}
    AtomicCheckpointer(tmp_path, state).save_checkpoint(end_of_epoch=False)
    expected, later = draws(), draws()
    torch.manual_seed(7)
    np.random.seed(7)
    random.seed(7)
    assert draws() != expected
    AtomicCheckpointer(tmp_path, state).recover_if_possible()
    assert draws() == expected
    assert draws() == later != expected


def test_checkpoint_of_another_size_is_an_error(tmp_path):
    saver = AtomicCheckpointer(tmp_path, {"model": linear(1.0)})
    path = saver.save_checkpoint().path
    loader = AtomicCheckpointer(tmp_path, {"model": torch.nn.Linear(3, 2)})
    with pytest.raises(ValueError, match="does not fit this model") as error:
        loader.recover_if_possible()
    assert str(path) in str(error.value)
