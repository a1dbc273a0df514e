"""Runs small plans of the studies, and measures what they have stored.

Authors
 * The speechbrain_fftp authors 2026
"""

import itertools
import json

import numpy as np
import pytest

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


@pytest.fixture
def start(monkeypatch, tmp_path):
    """Runs paper_table; gives the commands, which fail, and the messages."""
    from studies import run

    def start(data, printed=""):
        commands = []

        def run_recipe(words, stdout, **options):
            commands.append(" ".join(map(str, words)))
            stdout.write(printed)
            stdout.flush()
            return 3, 0.0, 0.0

        monkeypatch.setattr(run, "run_recipe", run_recipe)
        options = ["--plan=paper_table", "--smoke", "--folds=1"]
        with pytest.raises(SystemExit) as error:
            run.main([str(data), *options, f"--work={tmp_path / 'work'}"])
        return commands, str(error.value).splitlines()

    return start


def test_prepared_data_are_trained_on_as_they_are(start, tmp_path):
    """All runs fail, each with its reason; other splits are refused."""
    from fftp_tag.data.prepared import preparing

    data = tmp_path / "given"
    with preparing(data, {"valid_fraction": 0.0}):
        for split in ("train", "valid", "eval"):
            (data / f"{split}.csv").write_text("ID\n", "utf-8")
    commands, lines = start(data, "torch.OutOfMemoryError: full\nTry\n")
    assert len(commands) == len(lines) == 17
    for command in commands:
        assert "train.py" in command
        assert f"--prepared_folder={data}" in command
    assert "exit status 3: torch.OutOfMemoryError: full" in lines[-1]

    data = tmp_path / "others"
    with preparing(data, {"valid_fraction": 0.05}):
        (data / "train.csv").write_text("ID\n", "utf-8")
    commands, lines = start(data)
    assert not commands
    assert str(data) in lines[-1] and "valid_fraction" in lines[-1]


@pytest.mark.slow
def test_a_plan_at_base_size_runs_on_a_cpu(shared, tmp_path):
    """Each arm is scored on the same clips."""
    from studies import run

    words = [str(shared / "data"), "--plan=base", "--tables=patches"]
    run.main([*words, "--smoke", "--folds=1", f"--work={tmp_path}"])
    rows = [*map(json.loads, (tmp_path / "base.jsonl").open())]
    assert len(rows) > 1
    for row in rows:
        assert row["clips"] == {"train": 24, "valid": 8, "test": 24}
    stored = np.load(tmp_path / "base.npz")
    targets = [stored[x] for x in stored if x.endswith("/targets")]
    for found in targets:
        assert np.array_equal(found, targets[0])
