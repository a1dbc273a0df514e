"""Tests that the studies' plan of the paper's table is the paper's.

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
    assert count_row(small, plan) == expected + 768 * 527
