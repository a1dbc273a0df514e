"""Runs small plans of the study, and measures what they have stored.

Authors
 * The speechbrain_fftp authors 2026
"""

import itertools
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from data_folders import write_lists

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


GIVEN = {
    "recipe": "recipes/AudioSet/train.py",
    "prepare": "recipes/AudioSet/audioset_prepare.py",
    "base": "hparams/ast_fftp.yaml",
    "metric": "mAP",
    "splits": "given",
    "seeds": 2,
    "replicates": 100,
    "seconds": 0.3,
    "n_classes": 3,
    "margin": 1.0,
    "groups": "clips",
    "options": {
        "valid_fraction": 0,
        "average_by": "epoch",
        "avg_checkpoints": 1,
        "mask_budget": 640,
        "max_grad_norm": "inf",
        "batch_size": 4,
        "lr": 0.001,
        "embed_dim": 64,
        "depth": 1,
        "stride_frames": 1,
        "spec_augment_frames": 4,
    },
    "models": {"fftp": {"yaml": "hparams/ast_fftp.yaml", "options": {}}},
    "tables": {
        "all": {
            "title": "Masks",
            "rows": [
                {
                    "label": "SpecAugment",
                    "model": "fftp",
                    "epochs": 5,
                    "options": {"masking": "!ref <spec_augment>"},
                },
                {
                    "label": "SpecMask",
                    "model": "fftp",
                    "epochs": 5,
                    "against": "SpecAugment",
                },
            ],
        }
    },
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Mean of empty slice")  # of three clips
def test_seeds_are_the_units_of_given_splits(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    from study.measure import measure
    from study.plan import Plan
    from study.run import Machine, Study

    write_lists(tmp_path / "data")
    path = tmp_path / "plan.yaml"
    path.write_text(yaml.safe_dump(GIVEN), "utf-8")
    plan = Plan(str(path), tmp_path)
    (tmp_path / "work").mkdir()
    machine = Machine(num_workers=1)
    study = Study(plan, tmp_path / "data", tmp_path / "work", machine)
    runs = plan.runs()
    assert [run.seed for run in runs] == [1001, 1001, 1002, 1002]
    for run in runs:
        assert study.execute(run)

    prepared = list((tmp_path / "work" / "prepared").iterdir())
    assert [folder.name for folder in prepared] == ["given"]
    for run in runs:
        row = plan.find(run)
        assert row["num_workers"] == 1
        assert row["clips"] == {"train": 8, "valid": 0, "test": 3}
        assert row["averaged_epochs"] == [5]
        used = (study.folder(run) / "hyperparams.yaml").read_text("utf-8")
        anchor = re.search(r"^masking: \*(\w+)", used, re.M)[1]
        name = re.search(rf"^(\w+): &{anchor} ", used, re.M)[1]
        masks = {"SpecAugment": "spec_augment", "SpecMask": "spec_mask"}
        assert name == masks[run.row.label]
    found = measure(plan, {})
    masks = [row["options"] for row in found["rows"]["all"].values()]
    assert masks == ["0.001, SpecAugment", "0.001, 640 cells"]
    [contrast] = found["contrasts"]["all"].values()
    assert len(contrast["by_fold"]) == 2


def test_precision_is_a_part_of_a_run_and_fp32_the_default(
    tmp_path, monkeypatch
):
    monkeypatch.syspath_prepend(BENCHMARKS)
    from study.plan import Plan

    path = tmp_path / "plan.yaml"
    path.write_text(yaml.safe_dump(GIVEN), "utf-8")
    digests = {}
    for precision in (None, "fp32", "bf16"):
        plan = Plan(str(path), precision=precision)
        digests[precision] = [plan.digest(run) for run in plan.runs()]
    assert digests[None] == digests["fp32"]
    assert not set(digests["fp32"]) & set(digests["bf16"])


PATCHES = {1212: (16, 10), 991: (10, 1), 196: (25, 5), 96: (50, 10)}


def test_the_paper_table_has_the_papers_models(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    from study.models import load_hparams
    from study.plan import Plan

    from speechbrain_fftp.augment.specmask import SpecMask
    from speechbrain_fftp.lobes.models.AST import AST
    from speechbrain_fftp.lobes.models.AuM import AuM

    plan = Plan("paper_table")
    rows = [row for table in plan.tables().values() for row in table.values()]
    found = set()
    for row in rows:
        model, tokens, masks = row.label.split(", ")
        tokens = int(tokens.removesuffix(" tokens"))
        found.add((model, tokens, masks))
        small = row._replace(options={**row.options, "depth": 1})
        hparams = load_hparams(small, plan)
        kind = {"AST": AST, "AuM": AuM}[model]
        assert type(hparams["embedding_model"]) is kind
        embedding = hparams["embedding"]
        assert embedding.embed_dim == 768
        size = embedding.patch_frames, embedding.stride_frames
        assert size == PATCHES[tokens]
        frames = 1024 if tokens == 1212 else 1000
        assert embedding.num_patches(frames) == tokens
        is_spec_mask = isinstance(hparams["masking"], SpecMask)
        assert is_spec_mask == (masks == "SpecMask")
        assert hparams["spec_mask"].budget == 25600
        settings = ("lr", "batch_size", "number_of_epochs", "avg_checkpoints")
        assert [hparams[x] for x in settings] == [5e-5, 12, 25, 1]
        assert row.options["max_grad_norm"] == "inf"
    masks = ("SpecAugment", "SpecMask")
    assert found == set(itertools.product(("AST", "AuM"), PATCHES, masks))
    assert len(plan.runs(folds=[1])) == 16


def test_the_words_table_has_the_papers_settings(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    from study.models import load_hparams
    from study.plan import Plan

    from speechbrain_fftp.augment.specmask import SpecMask

    plan = Plan("paper_table_words")
    rows = [row for table in plan.tables().values() for row in table.values()]
    assert len({row.label for row in rows}) == len(rows) == 8
    for row in rows:
        model, patches, masks = row.label.split(", ")
        small = row._replace(options={**row.options, "depth": 1})
        hparams = load_hparams(small, plan)
        assert type(hparams["embedding_model"]).__name__ == model
        embedding = hparams["embedding"]
        assert embedding.embed_dim == 768
        tokens = {"square": 108, "FFTP": 45}
        assert embedding.num_patches(98) == tokens[patches]
        is_spec_mask = isinstance(hparams["masking"], SpecMask)
        assert is_spec_mask == (masks == "SpecMask")
        assert hparams["spec_mask"].budget == 1024
        assert hparams["wav_augment"] is None
        settings = ("lr", "batch_size", "number_of_epochs", "mixup_prob")
        assert [hparams[x] for x in settings] == [2.5e-4, 128, 30, 0.6]


@pytest.mark.slow
@pytest.mark.parametrize("name", ("base", "base_aum"))
def test_plans_at_base_size_run_on_a_cpu(name, shared, tmp_path):
    words = [shared / "data", f"--plan={name}", "--tables=patches"]
    options = ["--smoke", "--folds=1", f"--work={tmp_path}"]
    script = BENCHMARKS / "study" / "run.py"
    subprocess.run(
        [sys.executable, *map(str, [script, *words, *options])], check=True
    )
    rows = map(json.loads, (tmp_path / f"{name}.jsonl").open())
    for row in rows:
        assert row["clips"] == {"train": 24, "valid": 8, "test": 24}
        assert len(row["valid_by_epoch"]) == 1
        assert row["overrides"]["precision"] == "bf16"
    stored = np.load(tmp_path / f"{name}.npz")
    drawn = np.load(tmp_path / f"{name}_sources.npz")
    targets = [stored[x] for x in stored if x.endswith("/targets")]
    assert len(targets) > 1
    for found in targets:  # each arm is scored on the same clips
        assert np.array_equal(found, targets[0])
    assert drawn["1/clips"].max() == len(targets[0]) - 1
