"""Tests of what plans of the studies train.

Authors
 * The speechbrain_fftp authors 2026
"""

import itertools
import json
import re

import pytest
import torch

TOKENS = (1212, 991, 196, 96)


def load_small(row, plan):
    """The plan's row with one block, and its loaded yaml file."""
    from studies.models import load_hparams

    small = row._replace(options={**row.options, "depth": 1})
    return small, load_hparams(small, plan.facts["n_classes"])


def budget_of(mask, frames):
    """Cells that SpecMask masks in clips, and how many in whole frames."""
    feats = torch.rand(20, frames, 128, dtype=torch.float64)
    masked = mask(feats) != feats
    return masked.sum((1, 2)).unique(), 128 * masked.all(2).sum(1).unique()


def test_the_paper_table_has_the_papers_models():
    from speechbrain_fftp.augment.specmask import SpecMask
    from speechbrain_fftp.lobes.models.AST import AST
    from speechbrain_fftp.lobes.models.AuM import AuM
    from speechbrain_fftp.utils.complexity import count_macs
    from studies.models import count_row
    from studies.plan import Plan

    plan = Plan("paper_table")
    tables = plan.tables()
    rows = [*tables["ast"].values(), *tables["aum"].values()]
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
        small, hparams = load_small(row, plan)
        kind = {"AST": AST, "AuM": AuM}[model]
        encoder = hparams["embedding_model"]
        assert type(encoder) is kind and encoder.mask_padding is False
        embedding = hparams["embedding"]
        assert embedding.embed_dim == 768
        frames = hparams["mean_var_norm"].pad_frames
        assert embedding.num_patches(frames) == tokens
        (augment,) = hparams["fea_augment"].augmentations
        assert isinstance(augment, SpecMask) == (mask == "SpecMask")
        if mask == "SpecMask":
            assert augment.patch_frames == embedding.stride_frames
            cells, of_frames = budget_of(augment, frames)
            assert (cells.tolist(), of_frames.tolist()) == ([25600], [17920])
        settings = ("lr", "batch_size", "number_of_epochs", "avg_checkpoints")
        assert [hparams[x] for x in settings] == [5e-5, 12, 25, 5]
        assert row.options["max_grad_norm"] == "inf"
        sampler = hparams["train_sampler"](range(9))
        assert sampler.prob == 0.5 and hparams["mixup"].prob == 0
    assert len(plan.runs(["ast", "aum"], folds=[1])) == 17
    for row in tables["no_masks"].values():
        _, hparams = load_small(row, plan)
        assert (hparams["fea_augment"] is None) == ("no masks" in row.label)
    # MACs are those of a clip as it is trained on: padded
    row = tables["ast"]["AST, 1212 tokens, SpecMask"]
    small, hparams = load_small(row, plan)
    feats = torch.zeros(1, 1024, 128)
    expected = count_macs(hparams["embedding_model"], feats).total
    assert count_row(small, 527, 10.0)["macs"] == expected + 768 * 527


def test_the_paper_table_of_words_has_its_budget():
    from studies.plan import Plan

    plan = Plan("paper_table_words")
    for row in sum((list(x.values()) for x in plan.tables().values()), []):
        _, hparams = load_small(row, plan)
        assert hparams["mean_var_norm"].pad_frames == 128
        patches = 144 if "square" in row.label else 60
        assert hparams["embedding"].num_patches(128) == patches
        assert hparams["embedding_model"].mask_padding is False
        assert hparams["wav_augment"] is None
        if "SpecMask" in row.label:
            (augment,) = hparams["fea_augment"].augmentations
            cells, of_frames = budget_of(augment, 128)
            assert (cells.tolist(), of_frames.tolist()) == ([1024], [768])


@pytest.mark.parametrize("name", ["paper_table", "paper_table_words"])
def test_a_rows_yaml_trains_what_the_plan_does(name, tmp_path, monkeypatch):
    """And the plan has the paper's headline for both encoders."""
    from speechbrain import parse_arguments as parse_plain
    from speechbrain_fftp.training.command import parse_arguments, to_options
    from studies.plan import ROOT, Plan

    monkeypatch.chdir(tmp_path)
    plan, named = Plan(name), set()
    for table, rows in plan.tables().items():
        entries = plan.facts["tables"][table]["rows"]
        for entry, row in zip(entries, rows.values(), strict=True):
            named.add(ROOT / entry["yaml"])
            words = [str(ROOT / entry["yaml"]), "--data_folder=data"]
            path, run_opts, text = parse_arguments(
                [*words, "--output_folder=x"]
            )
            options = {**row.options, "data_folder": "data"}
            words = [str(ROOT / row.yaml), *to_options(options)]
            plain_path, plain_opts, plain = parse_plain(words)
            text = text.replace("\noutput_folder: x", "")
            assert (path, text) == (plain_path, plain)
            for option in ("precision", "max_grad_norm"):
                assert run_opts[option] == plain_opts[option]
        for label, row in rows.items():
            is_fftp = not re.search("square|1212|512", label)
            if is_fftp and "SpecMask" in label and table != "no_masks":
                squares = [x for x in row.against if "Augment" in x]
                assert any(re.search("square|1212", x) for x in squares), label
    prefix = "words_" if "words" in name else "a[su]"
    files = ROOT.glob(f"hparams/paper/{prefix}*_*.yaml")
    assert named == set(files)


def test_predictions_of_mixtures_have_groups_and_kinds(tmp_path):
    import numpy as np

    from studies.plan import Plan
    from studies.run import Study

    ids = ["eval00000-fs1", "eval00001-session-2"]
    np.savez(
        tmp_path / "probabilities.npz",
        ids=ids,
        labels=["Flute", "rain", "yes"],
        targets=np.eye(2, 3),
        probs=np.ones((2, 3)),
    )
    study = Study(Plan("fresh", smoke=True), tmp_path, tmp_path)
    scores = study.read_scores(tmp_path)
    assert scores.groups.tolist() == ["fs1", "session-2"]
    # Of classes with positive clips
    assert scores.probs.shape == (2, 2)
    assert scores.classes.tolist() == ["Flute", "rain"]
    assert scores.kinds.tolist() == ["instruments", "everyday sounds"]
    assert [*scores.by_kind()] == ["everyday sounds", "instruments", "all"]


def write_plan(folder, **facts):
    """A plan of two models of one fold, on folders of mixtures."""
    from studies.plan import Plan

    model = {"yaml": "hparams/ast_fftp.yaml", "epochs": 1}
    rows = [
        {"label": name, "model": name, "epochs": 2, "against": against}
        for name, against in {"square": [], "full": ["square"]}.items()
    ]
    found = {
        "recipe": "recipes/AudioSet/train.py",
        "metric": "mAP",
        "splits": "folders",
        "groups": "first sounds",
        "folds": 4,
        "replicates": 50,
        "options": {"batch_size": 8, "n_mels": 64, "depth": 4},
        "trials": [{"lr": 0.1}, {"lr": 0.2}],
        "models": {
            "square": {**model, "options": {"patch": [16, 16]}},
            "full": {**model, "options": {"patch": [16, 64]}},
        },
        "tables": {"patches": {"title": "", "rows": rows}},
        **facts,
    }
    path = folder / "small.yaml"
    path.write_text(json.dumps(found))
    return Plan(path, results=folder)


def test_rates_are_chosen_by_the_declared_outcome(tmp_path, capsys):
    from studies.measure import measure
    from studies.plan import SEARCH
    from studies.run import choose

    plan = write_plan(tmp_path, outcome="everyday sounds")
    for rate, value, everyday in ((0.1, 0.9, 0.3), (0.2, 0.8, 0.4)):
        row = {"value": value, "by_kind": {"everyday sounds": everyday}}
        trial = plan.trial("square", {"lr": rate})
        assert trial.fold == SEARCH
        plan.add(trial, row, scores=None)
    choose(plan)
    assert "full" in capsys.readouterr().out  # its trials are not run yet
    assert plan.chosen == {"square": {"lr": 0.2}}
    # Until they are, it has no rows
    assert [*plan.tables()["patches"]] == ["square"]
    assert plan.runs(folds=[1])[0].row.options["lr"] == 0.2
    assert measure(plan) is None  # no fold is run


def test_differences_are_of_kinds_of_sound(tmp_path):
    """One arm is right on words, the other on the rest."""
    import numpy as np

    from studies.comparison import Scores
    from studies.measure import measure
    from studies.plan import Run

    plan = write_plan(tmp_path, trials=[])
    plan.facts["options"].update(lr=0.1, mask_budget=0.0, embed_dim=128)
    kinds = np.array(["words", "everyday sounds", "everyday sounds"])
    draws = np.random.default_rng(0)
    targets = np.eye(3, dtype=bool)[np.arange(60) % 3]
    counts = {"tokens": 9, "params": 8, "macs": 7, "training_macs": 6}
    for row in plan.tables()["patches"].values():
        is_right = (kinds == "words") == (row.label == "full")
        for fold in row.folds:
            noise = draws.uniform(size=targets.shape)
            probs = np.where(is_right, targets, noise)
            ids = np.array([f"{clip:02d}" for clip in range(60)])
            scores = Scores(ids, ids, targets, probs, kinds, kinds)
            facts = {"cpu_minutes": 1, "resumed": False, "valid": 1}
            about = {"processor": "CPU", "commit": "abc", "clips": 20}
            plan.add(Run(row, fold), {**counts, **facts, **about}, scores)
    found = measure(plan)
    entry = found["contrasts"]["patches"]["full minus square"]
    assert [*entry["kinds"]] == ["everyday sounds", "words", "all"]
    everyday, words, both = entry["kinds"].values()
    assert everyday["high"] < 0 < words["low"]
    assert (everyday["ahead"], words["ahead"]) == (0, 4)
    expected = (2 * everyday["value"] + words["value"]) / 3
    np.testing.assert_allclose(both["value"], expected)
    full = found["rows"]["patches"]["full"]
    assert full["kinds"]["words"]["mean"] == 100
    assert (full["patch"], full["steps"], full["tokens"]) == ([16, 64], 6, 9)


def test_the_picture_has_a_panel_of_each_kind_and_length(tmp_path):
    from studies.plots import plot_steps

    rows = [
        {
            "patch": [16, bins],
            "stride": [step, bins],
            "kinds": {"words": {"mean": 1.0, "by_fold": {"1": 0.0, "2": 2.0}}},
        }
        for bins in (16, 64)
        for step in (16, 5)
    ]
    path = tmp_path / "picture.png"
    plot_steps({"3,000 steps": rows}, ["words"], path)
    first = path.read_bytes()
    plot_steps({"3,000 steps": rows, "12,000": rows}, ["words"], path)
    assert len(path.read_bytes()) > len(first)


def test_a_sweep_prints_a_table_of_what_is_stored_and_what_is_missing(tmp_path):
    from studies.measure import arms_of
    from studies.plan import Plan, Run
    from studies.summary import summarize

    facts = {
        "recipe": "recipes/AudioSet/train.py",
        "metric": "mAP",
        "yaml": "hparams/paper/ast_96_specmask.yaml",
        "seeds": 2,
        "options": {"number_of_epochs": 3},
        "sweep": {"lr": [0.1, 0.2]},
    }
    path = tmp_path / "sweep.yaml"
    path.write_text(json.dumps(facts))
    plan = Plan(path, results=tmp_path)
    [low], [high] = arms_of(plan)["sweep"].values()
    assert (low.yaml, low.folds) == ("hparams/ast_fftp.yaml", [1, 2])
    for row, rate in ((low, 0.1), (high, 0.2)):
        assert row.options["lr"] == rate and row.options["stride_frames"] == 10
        assert row.options["number_of_epochs"] == 3
        assert row.settings["depth"] == 12
    with open(plan.path, "w", encoding="utf-8") as file:
        for row, values in ((low, (0.1, 0.3)), (high, (0.4,))):
            for fold, value in enumerate(values, 1):
                run = plan.digest(Run(row, fold))
                stored = {"value": value, "valid_by_epoch": [0.5, 0.25]}
                print(json.dumps({"run": run, **stored}), file=file)
    text = summarize(plan)
    # 20 +- 12.706 * 10
    assert "| lr 0.1 | - | 20.00 [-107.06, 147.06] | 25.00" in text
    assert "| lr 0.2 | - | 40.00 | 25.00 | 50.00 | 1 of 2 |" in text
    assert "| lr 0.2 minus lr 0.1 | - | +30.00 | 1 of 1 |" in text
    assert "Missing runs, 1:\nlr 0.2, fold 2" in text


def test_the_table_stands_beside_the_papers_figures(tmp_path):
    from studies.plan import Plan
    from studies.summary import summarize

    text = summarize(Plan("paper_table", results=tmp_path), ["ast"])
    pair = "AST, 991 tokens, SpecMask minus AST, 1212 tokens, SpecAugment"
    assert f"| {pair} | +7.07 | - | 0 of 0 |" in text
    assert "| AST, 991 tokens, SpecMask | 18.32 | - |" in text
    assert "Missing runs, 24" in text and "6.76" in text


def test_stored_predictions_are_small():
    """They are in each checkout; a run of 1,000 clips has about 50 kB."""
    from studies.plan import RESULTS

    assert sum(x.stat().st_size for x in RESULTS.glob("*.npz")) < 5e6
