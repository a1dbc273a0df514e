"""Tests of cross-validation on custom data.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import subprocess
from pathlib import Path

import pytest
from data_folders import write_csv
from recipe_runs import load_script


def read_rows(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_table_of_folds(tmp_path, monkeypatch):
    """Each fold is trained by train.py, which is replaced here."""
    script, trained = load_script("AudioSet/cross_validate.py"), []
    data, out = tmp_path / "data", tmp_path / "out"
    rows = [(f"{i}.wav", "ab"[i % 2], f"{i // 2 + 9}") for i in range(4)]
    write_csv(data / "clips.csv", [("path", "labels", "fold"), *rows])

    def run(words, check):
        given = dict(w[2:].split("=") for w in map(str, words) if "=" in w)
        trained.append(given["test_fold"].strip("'"))
        assert given["seed"] == "2" and given["data_folder"] == str(data)
        folder = Path(given["output_folder"])
        folder.mkdir(parents=True, exist_ok=True)
        found = "a" if trained[-1] == "9" else "b"
        text = f"ID,labels,tag_1\n1,a,{found}\n"
        (folder / "predictions.csv").write_text(text, "utf-8")
        (folder / "metrics.json").write_text('{"mAP": 0.5, "AUC": 0.6}')
        return subprocess.CompletedProcess(words, 0)

    monkeypatch.setattr(script.subprocess, "run", run)
    script.cross_validate("hparams.yaml", data, out, ["--seed=2"])
    assert trained == ["9", "10"]
    table = {row["fold"]: row for row in read_rows(out / "folds.csv")}
    assert table["mean"]["accuracy"] == "0.5000"
    assert table["95 % to"]["mAP"] == "0.5000"
    # Student's t for two values: 12.706 times the standard error
    assert float(table["95 % to"]["accuracy"]) == pytest.approx(
        0.5 + 12.706 / 2, abs=1e-3
    )
    (data / "clips.csv").write_text("path,labels\n0.wav,a\n1.wav,b\n")
    with pytest.raises(ValueError, match="has no folds"):
        script.cross_validate("hparams.yaml", data, out, [])
