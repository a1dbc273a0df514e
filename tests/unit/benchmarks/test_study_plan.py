"""Tests of what the study declares: equal cost, equal trials, equal masks.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from speechbrain.augment.freq_domain import SpectrogramDrop
from speechbrain.lobes.models.Xvector import Classifier, Xvector
from speechbrain_fftp.augment.specmask import SpecMask

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"
PLAN = BENCHMARKS / "study" / "speech_commands.yaml"


@pytest.fixture(autouse=True)
def scripts(monkeypatch):
    for folder in (BENCHMARKS, BENCHMARKS / "peers"):
        monkeypatch.syspath_prepend(folder)


@pytest.fixture
def plan(tmp_path):
    """The plan for Speech Commands; the second trial won for all models."""
    from study.plan import Plan

    facts = yaml.safe_load(PLAN.read_text("utf-8"))
    options = dict.fromkeys(facts["models"], facts["trials"][1])
    (tmp_path / "speech_commands_chosen.json").write_text(
        json.dumps({"options": options, "scores": {}}), "utf-8"
    )
    shutil.copy(PLAN, tmp_path)
    return Plan(tmp_path / PLAN.name)


def cost(row):
    """Expected CPU seconds of the epochs of a row of the yaml."""
    return row["epochs"] * row["epoch_seconds"]


def test_macs_are_matched(plan):
    from study.models import figures

    rows = plan.tables()["macs"].rows
    macs = np.array([figures(row.config, plan).macs for row in rows])
    epochs = [row.config.overrides["number_of_epochs"] for row in rows]
    assert len(rows) == 6
    np.testing.assert_allclose(macs, macs[0], rtol=0.08)
    training = macs * epochs
    np.testing.assert_allclose(training, training[0], rtol=0.1)


def test_cpu_time_is_matched(plan):
    models = plan.facts["models"]
    rows = [
        {**models[row["model"]], **row}
        for row in plan.facts["tables"]["cpu_time"]["rows"]
    ]
    assert {row["model"] for row in rows} == set(models)
    for row in rows:
        assert cost(row) == pytest.approx(cost(rows[0]), rel=0.15)
    for model in models.values():  # trials
        assert cost(model) == pytest.approx(cost(models["fftp"]), rel=0.2)


def test_trials_are_as_many_for_all_models(plan):
    from study.folds import SEARCH

    runs = plan.search_runs()
    models, trials = plan.facts["models"], plan.trials
    assert len(runs) == len(models) * len(trials)
    assert len({plan.key(run) for run in runs.values()}) == len(runs)
    for (model, number), run in runs.items():
        assert run.fold == SEARCH
        assert str(run).endswith(", search")
        assert trials[number].items() <= run.config.overrides.items()
        assert run.config.yaml == models[model]["yaml"]
    tried = [set(trial) for trial in trials]
    for model in models.values():
        assert not tried[0] & set(model["options"])
    assert all(names == tried[0] for names in tried)


def test_contrasts_are_of_rows(plan):
    tables = plan.tables()
    compared = 0
    for table in tables.values():
        folds = {row.label: row.folds for row in table.rows}
        assert len(folds) == len(table.rows)
        for row in table.rows:
            assert row.folds == list(range(1, 1 + len(row.folds)))
            if row.against:
                compared += 1
                assert row.against != row.label
                # Both have been scored on the same folds.
                assert set(row.folds) & set(folds[row.against])
        for facts in table.interactions:
            other = {row.label for row in tables[facts["table"]].rows}
            for label in (facts["label"], facts["against"]):
                assert label in folds and label in other
    assert compared > 15


def test_each_run_is_listed_once_and_fold_by_fold(plan):
    runs = plan.runs()
    keys = [plan.key(run) for run in runs]
    assert len(set(keys)) == len(keys)
    wanted = {
        plan.key(run)
        for table in plan.tables()
        for run in plan.runs(names=[table])
    }
    assert set(keys) == wanted
    declared = sum(
        len(row.folds) for table in plan.tables().values() for row in table.rows
    )
    assert len(keys) < declared  # tables share rows
    folds = [run.fold for run in plan.runs(names=["cpu_time"])]
    assert folds == sorted(folds) and set(folds) == {1, 2, 3, 4, 5}
    assert {run.fold for run in plan.runs(folds=[2])} == {2}
    seeds = {run.fold: plan.seed(run) for run in runs}
    assert len(set(seeds.values())) == len(seeds)


def test_all_runs_take_six_hours_at_most(plan):
    runs = [*plan.runs(), *plan.search_runs().values()]
    assert sum(run.minutes for run in runs) / 60 <= 6
    assert min(run.minutes for run in runs) > 0


def make_masks(options):
    """Which cells ``[clips, 98, 40]`` the recipe's masks hide."""
    torch.manual_seed(0)
    feats = 1 + torch.rand(3000, 98, 40)
    masked = feats.clone()
    if options["mask_budget"]:
        ratio = options.get("full_freq_ratio", 0.7)
        mask = SpecMask(options["mask_budget"], ratio, options["mask_patch"])
        masked = mask.train()(masked)
    for name, dim in (("freq_mask", 2), ("time_mask", 1)):
        masked = SpectrogramDrop(
            drop_length_low=0,
            drop_length_high=options.get(name, 0) + 1,
            drop_count_high=1,
            dim=dim,
        )(masked)
    return masked != feats


def test_masks_hide_the_same_share(plan):
    tables = plan.tables()
    found, covered = {}, {}
    for name in ("masks", "masks_long"):
        for row in tables[name].rows:
            options = row.config.overrides
            assert (options["patch_frames"], options["stride_frames"]) == (
                10,
                10,
            )
            masks = make_masks(options)
            found[row.label] = masks.float().mean().item()
            tokens = masks[:, :90].reshape(-1, 9, 10 * 40).all(2)
            covered[row.label] = tokens.sum(1).float().mean().item()
    assert found.pop("no masks") == 0.0
    assert len(found) == 3
    for share in found.values():
        assert share == pytest.approx(0.22, abs=0.015)
    assert covered["SpecMask that covers tokens"] >= 1
    assert covered["SpecMask on a grid of 2 frames"] < 0.5


def test_masks_are_those_of_the_recipe(plan):
    """``make_masks`` has the parts of the yaml, with the same defaults."""
    from study.models import read_yaml

    text = read_yaml(plan.base, plan.base)
    for line in (
        "full_freq_ratio: 0.7",
        "freq_mask: 0",
        "time_mask: 0",
        "    drop_length_high: !ref <time_mask> + 1",
        "    min_augmentations: 3",
    ):
        assert f"\n{line}" in text


def test_later_options_replace_earlier_ones(plan):
    facts = plan.facts["models"]["fftp"]["options"]
    assert facts["stride_frames"] == 5 and "lr" not in facts
    options = {
        row.label: row.config.overrides for row in plan.tables()["masks"].rows
    }["no masks"]
    assert options["lr"] == plan.trials[1]["lr"]  # chosen
    assert plan.trials[1]["mask_budget"] == 0.22
    assert options["mask_budget"] == 0.0  # of the row
    assert options["stride_frames"] == 10
    assert options["snr_high"] == plan.facts["options"]["snr_high"]
    assert options["number_of_epochs"] == 24
    found = plan.config("fftp", 3, {"depth": 2, "lr": 1.0}, {"lr": 2.0})
    assert (found.overrides["depth"], found.overrides["lr"]) == (2, 2.0)
    reference = plan.tables()["cpu_time"].rows[0].config.overrides
    assert reference["mask_budget"] == 0.22


def test_chosen_options_are_needed(plan):
    plan.chosen_path.unlink()
    message = "no speech_commands_chosen.json: run --search and --choose"
    with pytest.raises(SystemExit, match=message):
        plan.runs()
    assert plan.search_runs()
    plan.trials = []
    assert plan.runs()


def test_plans_have_names_and_paths(plan, tmp_path):
    from study.plan import find_plan

    found = find_plan("speech_commands")
    assert found.chosen_path == PLAN.with_name("speech_commands_chosen.json")
    found = find_plan(str(tmp_path / PLAN.name))
    assert found.name == plan.name and found.chosen_path == plan.chosen_path
    for name in ("nix", str(tmp_path / "nix.yaml")):
        with pytest.raises(SystemExit, match="there is no plan .*nix.yaml"):
            find_plan(name)


def test_x_vector_has_the_figures_of_its_recipe(plan):
    from study.models import figures

    (row,) = (
        r for r in plan.tables()["cpu_time"].rows if r.label == "x-vector"
    )
    found = figures(row.config, plan)
    modules = [
        Xvector(in_channels=24),
        Classifier([None, None, 512], lin_neurons=512, out_neurons=12),
    ]
    params = sum(p.numel() for m in modules for p in m.parameters())
    assert (found.params, found.tokens) == (params, None)
    # 101 frames through five layers; their statistics; three linear layers
    channels = [24, 512, 512, 512, 512, 1500]
    kernels = [5, 3, 3, 1, 1]
    macs = 101 * sum(
        k * a * b for k, a, b in zip(kernels, channels, channels[1:])
    )
    macs += 2 * 1500 * 512 + 512 * 512 + 512 * 12
    assert found.macs == found.macs_linear == macs


def test_peers_take_missing_keys_from_the_recipe(plan):
    from study.models import read_yaml

    text = read_yaml("benchmarks/peers/xvector.yaml", plan.base)
    lines = text.splitlines()
    for own in ("n_mels: 24", "batch_size: 32", "mask_budget: 0.0"):
        assert lines.count(own) == 1
    assert "n_mels: 128" not in lines
    assert "FFTPEmbedding" not in text
    assert any(line.startswith("mixup_prob: ") for line in lines)


@pytest.fixture
def stored(plan, tmp_path):
    """An empty store, two runs, and a function that makes predictions."""
    from study.results import Results
    from study.uncertainty import Scores

    def make(clips=50, seed=0):
        rng = np.random.default_rng(seed)
        names = np.array([f"clip {i:03d}" for i in rng.permutation(clips)])
        targets = np.eye(12, dtype=bool)[rng.integers(12, size=clips)]
        probs = rng.dirichlet([0.3] * 12, clips).astype(np.float32)
        return Scores(names, names, targets, probs)

    return Results(tmp_path / "results", plan), plan.runs()[:2], make


def test_stored_predictions_are_read_back_in_the_order_of_ids(stored):
    results, (run, other), make = stored
    assert results.find(run) is None
    results.add(run, {"value": 0.5}, make())
    assert results.find(run) == {"run": results.digest(run), "value": 0.5}
    assert results.find(other) is None
    found, given = results.scores(run), make()
    order = np.argsort(given.ids)
    assert found.ids.tolist() == sorted(given.ids)
    assert np.array_equal(found.targets, given.targets[order])
    np.testing.assert_allclose(found.probs, given.probs[order], atol=3e-4)
    assert found.probs.dtype == np.float16
    best = given.probs[order].argmax(1)
    assert found.probs.argmax(1).tolist() == best.tolist()


def test_incomplete_line_is_skipped(stored):
    results, (first, second), make = stored
    results.add(first, {"value": 0.5}, make())
    line = results.path.read_text("utf-8")
    with open(results.path, "a", encoding="utf-8") as file:
        file.write(line[:30])
    assert list(results.rows()) == [results.digest(first)]
    results.add(second, {"value": 0.5}, make())
    expected = [results.digest(run) for run in (first, second)]
    assert list(results.rows()) == expected


def test_rounding_keeps_the_most_probable_class(stored):
    """Of two classes, too, that half precision cannot tell apart."""
    results, (run, _), make = stored
    scores = make()
    first = np.linspace(0.1, 0.5, 50, dtype=np.float32)
    scores.probs[:] = 0.0
    scores.probs[:, 3] = first
    scores.probs[:, 7] = np.nextafter(first, np.float32(1))
    results.add(run, {}, scores)
    found = results.scores(run).probs
    assert (found.argmax(1) == 7).all()
    assert ((found == found.max(1, keepdims=True)).sum(1) == 1).all()
    np.testing.assert_allclose(found[:, 3], found[:, 7], rtol=1e-3)


@pytest.mark.parametrize("path", sorted(PLAN.parent.glob("*.yaml")))
def test_each_plan_can_be_read(path, tmp_path):
    from study.models import find_yaml
    from study.plan import Plan

    shutil.copy(path, tmp_path)
    plan = Plan(tmp_path / path.name)
    models = plan.facts["models"]
    if plan.trials:
        options = dict.fromkeys(models, plan.trials[0])
        plan.chosen_path.write_text(json.dumps({"options": options}), "utf-8")
    for run in plan.runs():
        assert find_yaml(run.config.yaml).is_file()
    assert (BENCHMARKS.parent / plan.recipe).is_file()
    assert {
        row["model"]
        for table in plan.facts["tables"].values()
        for row in table["rows"]
    } == set(models)
