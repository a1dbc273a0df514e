"""Tests of the AudioSet recipe in two processes, which share one training.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import pytest
from recipe_runs import train, train_in_two_processes
from step_record import RECORD, read_evaluated, read_steps


def test_two_processes_train_as_one(data_folder, tmp_path):
    """Same losses and metrics, from the same batches in two halves.

    Nothing is random but the order of the clips, which does not matter as a
    batch has them all. Of 7 clips to evaluate one is given out twice, and scored
    once.
    """
    folder = tmp_path / "data"
    folder.mkdir()
    for path in data_folder.iterdir():
        (folder / path.name).symlink_to(path)
    segments = (data_folder / "eval_segments.csv").read_text().splitlines()
    (folder / "eval_segments.csv").unlink()
    (folder / "eval_segments.csv").write_text("\n".join(segments[:-1]) + "\n")
    options = {
        "mixup_prob": 0.0,
        "mask_budget": 0.0,
        "data_folder": folder,
        "prepared_folder": tmp_path / "prepared",
        "before": RECORD,
        "number_of_epochs": 2,
    }
    _, one = train(tmp_path / "one", batch_size=24, **options)
    _, two = train_in_two_processes(tmp_path / "two", batch_size=12, **options)

    whole, halves = (read_steps(tmp_path / name) for name in ("one", "two"))
    for (epoch, step, _), row in whole.items():
        parts = [halves[epoch, step, rank] for rank in (0, 1)]
        assert sorted(parts[0]["ids"] + parts[1]["ids"]) == sorted(row["ids"])
        loss = np.mean([part["loss"] for part in parts])
        assert loss == pytest.approx(row["loss"], abs=1e-3)
    evaluated = read_evaluated(tmp_path / "two").values()
    assert [len(clips) for clips in evaluated] == [4, 4]
    assert len(set().union(*evaluated)) == 7
    assert two["num_clips"] == one["num_clips"] == 7
    for key in ("mAP", "AUC"):
        assert two[key] == pytest.approx(one[key], abs=1e-3)
