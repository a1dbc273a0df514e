"""Runs small plans of the studies, and measures what they have stored.

Authors
 * The speechbrain_fftp authors 2026
"""

import itertools

import torch

TOKENS = (1212, 991, 196, 96)


def test_the_paper_table_has_the_papers_models():
    from speechbrain_fftp.augment.specmask import SpecMask
    from speechbrain_fftp.lobes.models.AST import AST
    from speechbrain_fftp.lobes.models.AuM import AuM
    from speechbrain_fftp.utils.complexity import count_macs
    from studies.models import count_row, load_hparams
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
    # MACs are those of a clip as it is trained on: padded
    feats = torch.zeros(1, hparams["pad_frames"], 128)
    expected = count_macs(hparams["embedding_model"], feats).total
    assert count_row(small, plan)["macs"] == expected + 768 * 527


def test_each_fold_of_a_plan_with_folders_has_its_data(tmp_path):
    from studies.plan import Plan, Run
    from studies.run import Study, count_clips

    plan = Plan("fresh", smoke=True)
    study = Study(plan, tmp_path, tmp_path)
    row = plan.tables()["twenty_epochs"]["FFTP 25/5"]
    for fold in ("search", 3):
        run = Run(row, fold)
        folder = tmp_path / str(fold)
        assert study.folders(run) == (folder, folder)
        assert f"--prepared_folder={folder}" in study.command(run)
    for name, count in {"train": 9, "train_1200": 4}.items():
        rows = "".join(f"{number}\n" for number in range(count))
        (tmp_path / f"{name}.csv").write_text(f"ID\n{rows}")
    assert count_clips(tmp_path, run) == 4


def test_mixtures_are_grouped_by_their_first_sound(tmp_path):
    import numpy as np

    from studies.plan import Plan
    from studies.run import Study

    ids = ["eval00000-fs1", "eval00001-session-2"]
    np.savez(
        tmp_path / "probabilities.npz",
        ids=ids,
        targets=np.eye(2, 3),
        probs=np.ones((2, 3)),
    )
    study = Study(Plan("fresh", smoke=True), tmp_path, tmp_path)
    scores = study.read_scores(tmp_path)
    assert scores.groups.tolist() == ["fs1", "session-2"]
    assert scores.probs.shape == (2, 2)  # of classes with positive clips


def test_trials_are_stored_without_predictions(tmp_path):
    import numpy as np

    from studies.comparison import Scores
    from studies.plan import Plan, Run

    plan = Plan("fresh", results=tmp_path, smoke=True)
    scores = Scores(np.array(["b", "a"]), *np.zeros((3, 2, 1)))
    trial = plan.trial("ast_25_5", plan.trials[0])
    run = Run(plan.tables()["patches"]["FFTP 25/5"], 1)
    for each in (trial, run):
        plan.add(each, {"value": 0.5}, scores)
        assert plan.find(each)["value"] == 0.5
    digest = plan.digest(run)
    with np.load(plan.predictions) as stored:
        assert {name.partition("/")[0] for name in stored} == {digest}
