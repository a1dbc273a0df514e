"""Runs a small plan of the study, and measures what it has stored.

Authors
 * The speechbrain_fftp authors 2026
"""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
WORDS = {"yes": 400, "no": 1600, "up": 900}  # Hz
PLAN = {
    "recipe": "recipes/SpeechCommands/train.py",
    "prepare": "recipes/SpeechCommands/speechcommands_prepare.py",
    "base": "hparams/speechcommands/ast_fftp.yaml",
    "metric": "accuracy",
    "seconds": 1.0,
    "n_classes": 3,
    "margin": 1.0,
    "groups": "speakers",
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
            "options": {"stride_frames": 8},
        }
    },
    "tables": {
        "all": {
            "title": "Models",
            "folds": 2,
            "rows": [
                {"label": "stride 8", "model": "fftp", "epochs": 2},
                {
                    "label": "stride 16",
                    "model": "fftp",
                    "epochs": 2,
                    "options": {"stride_frames": 16},
                    "against": "stride 8",
                },
            ],
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
def test_a_plan_is_run_stored_and_measured(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    from study.measure import measure
    from study.plan import Plan
    from study.run import Study

    write_words(tmp_path / "data")
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(PLAN), "utf-8")
    plan = Plan(str(tmp_path / "plan.yaml"), tmp_path)
    (tmp_path / "work").mkdir()
    study = Study(plan, tmp_path / "data", tmp_path / "work")
    first, *others = runs = plan.runs()
    assert study.execute(first)
    [partial] = measure(plan, {})["contrasts"]["all"].values()
    assert partial == {"finding": "2 of 2 folds not yet run"}
    for run in [*others, *others]:  # trained once
        assert study.execute(run)

    assert list(plan.rows()) == [plan.digest(run) for run in runs]
    for run in runs:
        scores, row = plan.scores(run), plan.find(run)
        hits = scores.probs.argmax(1) == scores.targets.argmax(1)
        assert row["value"] == pytest.approx(hits.mean())
        groups = [clip.split("_")[1] for clip in scores.ids.tolist()]
        assert scores.groups.tolist() == [
            f"fold {run.fold}/{x}" for x in groups
        ]
        macs = 3 * row["macs"] * row["clips"]["train"] * row["epochs"]
        assert row["training_macs"] == macs
    [contrast] = measure(plan, {})["contrasts"]["all"].values()
    values = {(str(r.row.label), r.fold): plan.find(r)["value"] for r in runs}
    for fold, found in enumerate(contrast["by_fold"], 1):
        expected = values["stride 16", fold] - values["stride 8", fold]
        assert found == pytest.approx(100 * expected)
