"""Tests of custom data: copies of clips, and folds.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import json
import shutil

from data_folders import write_sound


def read_rows(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_copies_do_not_leak(prepare, tmp_path):
    """Identical clips share a split."""
    data, save = tmp_path / "data", tmp_path / "save"
    for number in range(24):
        path = data / ("dog", "cat")[number // 12] / f"{number}.wav"
        if number % 2:  # a copy of the clip before
            shutil.copy(path.with_name(f"{number - 1}.wav"), path)
        else:
            write_sound(path, number)
    prepare(data, save)
    splits = {
        row["ID"]: split
        for split in ("train", "valid", "eval")
        for row in read_rows(save / f"{split}.csv")
    }
    assert len(splits) == 24
    for number in range(0, 24, 2):
        name = ("dog", "cat")[number // 12]
        assert splits[f"{name}_{number}"] == splits[f"{name}_{number + 1}"]
    report = json.loads((save / "prepare_report.json").read_text("utf-8"))
    assert len(report["identical_clips"]) == 12
