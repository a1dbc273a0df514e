"""Tests of checkpoints.

Authors
 * The speechbrain_fftp authors 2026
"""

import os

import pytest
import torch

from speechbrain.utils.checkpoints import Checkpointer
from speechbrain_fftp.training.checkpoints import (
    AtomicCheckpointer,
    average_best,
)


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
    assert len(list((tmp_path / left[0]).rglob("model.ckpt"))) == 1
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


def cut(path):
    path.write_bytes(path.read_bytes()[:-9])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["model.ckpt", "CKPT.yaml", "checksums.json"])
@pytest.mark.parametrize(
    "damage", [cut, flip, lambda path: path.write_bytes(b""), os.remove]
)
def test_damaged_checkpoint_is_set_aside(name, damage, tmp_path, caplog):
    model = linear(1.0)
    saver = AtomicCheckpointer(tmp_path, {"model": model})
    first = saver.save_checkpoint()
    torch.nn.init.constant_(model.weight, 2.0)
    second = saver.save_checkpoint()
    damage(second.path / name)
    with caplog.at_level("WARNING"):
        assert saver.recover_if_possible().path == first.path
    assert model.weight.item() == 1.0
    assert str(second.path) in caplog.text and "is renamed to" in caplog.text
    assert names(tmp_path) == [first.path.name, f"damaged+{second.path.name}"]


def test_checkpoints_of_stock_speechbrain_are_loaded(tmp_path, caplog):
    """They have no checksums, which does not mean that they are damaged."""
    model = linear(1.0)
    stock = Checkpointer(tmp_path, {"model": model})
    stock.save_checkpoint({"mAP": 0.5})
    torch.nn.init.constant_(model.weight, 2.0)
    newest = stock.save_checkpoint({"mAP": 0.4})
    before = names(tmp_path)
    ours = AtomicCheckpointer(tmp_path, {"model": linear(0.0)})
    for _ in range(2):  # at the start of training and of the evaluation
        assert ours.recover_if_possible().path == newest.path
    assert ours.recoverables["model"].weight.item() == 2.0
    assert ours.find_checkpoint(max_key="mAP").meta["mAP"] == 0.5
    assert names(tmp_path) == before
    assert caplog.text.count("cannot be verified") == 1
    # A save goes on from there, and can be verified.
    saved = ours.save_checkpoint()
    (saved.path / "checksums.json").unlink()
    assert ours.recover_if_possible().path == newest.path
    assert f"damaged+{saved.path.name}" in names(tmp_path)


def test_stock_checkpoint_that_was_half_deleted(tmp_path):
    model = linear(1.0)
    stock = Checkpointer(tmp_path, {"model": model})
    first, second = (stock.save_checkpoint() for _ in range(2))
    (second.path / "CKPT.yaml").unlink()
    ours = AtomicCheckpointer(tmp_path, {"model": model})
    assert ours.recover_if_possible().path == first.path
    assert names(tmp_path) == [first.path.name, f"damaged+{second.path.name}"]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_average_of_the_best(number, tmp_path):
    model = linear(0.0)
    saver = AtomicCheckpointer(tmp_path, {"model": model})
    with pytest.raises(FileNotFoundError, match="train first"):
        average_best(saver, ["model"], "mAP", number)
    weights = {0.1: 1.0, 0.5: 4.0, 0.3: 8.0}
    for mAP, weight in weights.items():
        torch.nn.init.constant_(model.weight, weight)
        saver.save_checkpoint({"mAP": mAP})
    average_best(saver, ["model"], "mAP", number)
    best = [weights[mAP] for mAP in sorted(weights, reverse=True)[:number]]
    assert model.weight.item() == pytest.approx(sum(best) / number)


def test_newest_is_the_last_saved_whatever_the_clock(tmp_path, monkeypatch):
    model = linear(0.0)
    saver = AtomicCheckpointer(tmp_path, {"model": model})
    for value, clock in enumerate((2000.0, 1000.0, 1000.0, 3000.0)):
        monkeypatch.setattr("time.time", lambda: clock)
        torch.nn.init.constant_(model.weight, value)
        newest = saver.save_checkpoint()
        assert saver.find_checkpoint().path == newest.path
    assert newest.meta["unixtime"] == 3000.0
    saver.recover_if_possible()
    assert model.weight.item() == 3.0


def test_checkpoint_of_another_size_is_an_error(tmp_path):
    saver = AtomicCheckpointer(tmp_path, {"model": linear(1.0)})
    path = saver.save_checkpoint().path
    loader = AtomicCheckpointer(tmp_path, {"model": torch.nn.Linear(3, 2)})
    with pytest.raises(ValueError, match="does not fit this model") as error:
        loader.recover_if_possible()
    assert str(path) in str(error.value)
