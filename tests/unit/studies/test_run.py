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

ROOT = Path(__file__).resolve().parents[3]
TOKENS = (1212, 991, 196, 96)


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
        *itertools.product(("AST", "AuM"), TOKENS, masks),
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
        assert embedding.num_patches(hparams["pad_frames"]) == tokens
        (augment,) = hparams["fea_augment"].augmentations
        assert isinstance(augment, SpecMask) == (mask == "SpecMask")
        assert hparams["spec_mask"].budget == 25600
        settings = ("lr", "batch_size", "number_of_epochs", "avg_checkpoints")
        assert [hparams[x] for x in settings] == [5e-5, 12, 25, 5]
        assert row.options["max_grad_norm"] == "inf"
        sampler = hparams["train_sampler"](range(9))
        assert sampler.prob == 0.5 and hparams["mixup"].prob == 0
    assert len(plan.runs(folds=[1])) == 17


class Recipes:
    """Stands for ``run_recipe``: each script prints a text and fails."""

    def __init__(self, text):
        self.text, self.scripts, self.words = text, [], []

    def __call__(self, words, stdout, **options):
        self.words = list(map(str, words))
        self.scripts.append(Path(words[0]).name)
        stdout.write(self.text)
        stdout.flush()
        return 3, 0.0, 0.0


def start(monkeypatch, text, data, work):
    """Runs paper_table with scripts that fail; gives them and the message."""
    from studies import run

    recipes = Recipes(text)
    monkeypatch.setattr(run, "run_recipe", recipes)
    options = ["--plan=paper_table", "--smoke", "--folds=1", f"--work={work}"]
    with pytest.raises(SystemExit) as error:
        run.main([str(data), *options])
    return recipes, str(error.value).splitlines()


def test_an_interrupted_preparation_goes_on(monkeypatch, tmp_path):
    """And says why it failed, in the last line."""
    folder = tmp_path / "work" / "prepared" / "given"
    folder.mkdir(parents=True)
    (folder / "prepared.json").write_text('{"settings": {}}', "utf-8")
    text = "10 clips\nThere is no audio: add it.\n\n"
    recipes, lines = start(monkeypatch, text, tmp_path, tmp_path / "work")
    assert recipes.scripts == ["packs_prepare.py"]
    assert "There is no audio: add it." in lines[-1]
    assert "output.txt" in lines[-1]


def test_packs_are_trained_on_as_they_are(monkeypatch, tmp_path):
    """All runs fail, each with its reason, the last one in the last line."""
    from fftp_tag.data.prepared import preparing

    data, text = tmp_path / "packs", "torch.OutOfMemoryError: full\nTry\n"
    with preparing(data, {"valid_fraction": 0.0}):
        for split in ("train", "valid", "eval"):
            (data / f"{split}.csv").write_text("ID\n", "utf-8")
    recipes, lines = start(monkeypatch, text, data, tmp_path / "work")
    assert set(recipes.scripts) == {"train.py"} and len(recipes.scripts) == 17
    assert {f"--prepared_folder={data}", "--skip_prep=True"} <= {*recipes.words}
    assert len(lines) == 17 and "SpecMask" in lines[-1]
    assert "exit status 3: torch.OutOfMemoryError: full" in lines[-1]


def test_packs_with_other_splits_are_refused(monkeypatch, tmp_path):
    from fftp_tag.data.prepared import preparing

    data = tmp_path / "packs"
    with preparing(data, {"valid_fraction": 0.05}):
        (data / "train.csv").write_text("ID\n", "utf-8")
    recipes, lines = start(monkeypatch, "", data, tmp_path / "work")
    assert not recipes.scripts
    assert str(data) in lines[-1] and "valid_fraction" in lines[-1]


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
