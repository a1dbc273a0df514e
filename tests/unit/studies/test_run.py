"""Runs small plans of the studies, and measures what they have stored.

Authors
 * The speechbrain_fftp authors 2026
"""

import itertools
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

ROOT = Path(__file__).resolve().parents[3]
PATCHES = {512: (16, 16), 1212: (16, 10), 991: (10, 1), 196: (25, 5), 96: (50, 10)}


def test_the_paper_table_has_the_papers_models():
    from speechbrain_fftp.augment.specmask import SpecMask
    from speechbrain_fftp.lobes.models.AST import AST
    from speechbrain_fftp.lobes.models.AuM import AuM
    from studies.models import load_hparams
    from studies.plan import Plan

    plan = Plan("paper_table")
    rows = [row for table in plan.tables().values() for row in table.values()]
    masks = ("SpecAugment", "SpecMask")
    expected = [
        *itertools.product(("AST", "AuM"), list(PATCHES)[1:], masks),
        ("AuM", 512, "SpecAugment"),
    ]
    for row, (model, tokens, mask) in itertools.zip_longest(
        sorted(rows, key=lambda row: row.label),
        sorted(expected, key=lambda x: f"{x[0]}, {x[1]} tokens, {x[2]}"),
    ):
        assert row.label == f"{model}, {tokens} tokens, {mask}"
        small = row._replace(options={**row.options, "depth": 1})
        hparams = load_hparams(small, plan)
        kind = {"AST": AST, "AuM": AuM}[model]
        assert type(hparams["embedding_model"]) is kind
        embedding = hparams["embedding"]
        assert embedding.embed_dim == 768
        size = embedding.patch_frames, embedding.stride_frames
        assert size == PATCHES[tokens]
        feats = hparams["compute_features"](torch.zeros(1, 160000))
        assert embedding.num_patches(feats.shape[1]) == tokens
        assert isinstance(hparams["masking"], SpecMask) == (mask == "SpecMask")
        assert hparams["spec_mask"].budget == 25600
        settings = ("lr", "batch_size", "number_of_epochs", "avg_checkpoints")
        assert [hparams[x] for x in settings] == [5e-5, 12, 25, 5]
        assert row.options["max_grad_norm"] == "inf"
        sampler = hparams["train_sampler"](range(9))
        assert sampler.prob == 0.5 and hparams["mixup"].prob == 0
    assert len(plan.runs(folds=[1])) == 17


@pytest.mark.slow
def test_a_plan_at_base_size_runs_on_a_cpu(shared, tmp_path):
    words = [shared / "data", "--plan=base", "--tables=patches"]
    options = ["--smoke", "--folds=1", f"--work={tmp_path}"]
    script = ROOT / "studies" / "run.py"
    subprocess.run(
        [sys.executable, *map(str, [script, *words, *options])], check=True
    )
    rows = map(json.loads, (tmp_path / "base.jsonl").open())
    for row in rows:
        assert row["clips"] == {"train": 24, "valid": 8, "test": 24}
        assert len(row["valid_by_epoch"]) == 1
        assert row["overrides"]["precision"] == "bf16"
    stored = np.load(tmp_path / "base.npz")
    drawn = np.load(tmp_path / "base_sources.npz")
    targets = [stored[x] for x in stored if x.endswith("/targets")]
    assert len(targets) > 1
    for found in targets:  # each arm is scored on the same clips
        assert np.array_equal(found, targets[0])
    assert drawn["1/clips"].max() == len(targets[0]) - 1
