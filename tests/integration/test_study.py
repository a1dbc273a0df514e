"""Runs a small plan of the study, one model trained from another.

Authors
 * The speechbrain_fftp authors 2026
"""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
WORDS = {"yes": 400, "no": 1600, "up": 900}  # Hz
ROWS = [
    {"label": "source", "model": "fftp", "data": "one"},
    {
        "label": "blocks",
        "model": "fftp",
        "data": "two",
        "uses": {"blocks": "source"},
        "options": {"strides": [8, 16]},
    },
    {
        "label": "stride 16",
        "model": "fftp",
        "data": "two",
        "uses": {"model": "blocks"},
        "options": {"strides": [8, 16], "stride_frames": 16},
    },
]
PLAN = {
    "recipe": "recipes/SpeechCommands/train.py",
    "prepare": "recipes/SpeechCommands/speechcommands_prepare.py",
    "base": "hparams/speechcommands/ast_fftp.yaml",
    "metric": "accuracy",
    "seconds": 1.0,
    "n_classes": 2,
    "margin": 1.0,
    "groups": "speakers",
    "start_seconds": 6,
    "data": {
        "one": {"words": ["yes", "up"]},
        "two": {"words": ["yes", "no"], "clips": 5},
    },
    "options": {
        "task": "folders",
        "batch_size": 8,
        "lr": 0.003,
        "mixup_prob": 0.0,
        "mask_budget": 0.0,
        "n_mels": 48,
        "embed_dim": 64,
        "depth": 1,
        "num_heads": 1,
        "patch_frames": 16,
    },
    "models": {
        "fftp": {
            "yaml": "hparams/speechcommands/ast_fftp.yaml",
            "epochs": 1,
            "epoch_seconds": 1,
            "options": {"stride_frames": 8},
        }
    },
    "tables": {
        "all": {
            "title": "Models",
            "folds": 1,
            "rows": [{"epochs": 1, **row} for row in ROWS],
        }
    },
}


def write_words(folder):
    """30 clips of each word, of 15 speakers."""
    rng = np.random.default_rng(0)
    for word, pitch in WORDS.items():
        (folder / word).mkdir(parents=True)
        for i in range(30):
            wave = np.sin(2 * np.pi * pitch / 16000 * np.arange(8000))
            wave = 0.3 * wave + 0.02 * rng.standard_normal(8000)
            name = f"{i // 2:08x}_nohash_{i % 2}.wav"
            soundfile.write(folder / word / name, wave, 16000)
    for name in ("validation_list.txt", "testing_list.txt"):
        (folder / name).write_text("", "utf-8")


@pytest.mark.slow
def test_a_plan_is_run_and_stored(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    from study.plan import find_plan
    from study.run import Study

    write_words(tmp_path / "data")
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(PLAN), "utf-8")
    plan = find_plan(str(tmp_path / "plan.yaml"))
    study = Study(
        plan, tmp_path / "data", tmp_path / "work", tmp_path / "results"
    )
    runs = {run.name.removeprefix("all: "): run for run in plan.runs()}
    assert study.execute(runs["stride 16"])  # and first what it needs
    assert all(study.is_done(run) for run in runs.values())

    rows = {name: study.results.find(run) for name, run in runs.items()}
    for name, run in runs.items():
        scores = study.results.scores(run)
        hits = scores.probs.argmax(1) == scores.targets.argmax(1)
        assert rows[name]["value"] == pytest.approx(hits.mean())
        groups = [clip.split("_")[1] for clip in scores.ids.tolist()]
        assert scores.groups.tolist() == groups
    assert rows["blocks"]["clips"]["train"] == 10
    assert rows["stride 16"]["macs"] < rows["blocks"]["macs"]
    assert rows["stride 16"]["trained"] == rows["blocks"]["run"]

    source = study.folder(runs["source"]) / "inference/embedding_model.ckpt"
    source = torch.load(source, weights_only=True)
    start = torch.load(study.folder(runs["blocks"]) / "blocks.ckpt")
    taken = [name for name in source if name.startswith("blocks")]
    assert taken and all(torch.equal(start[n], source[n]) for n in taken)
