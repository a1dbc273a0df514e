"""Tests of what the study computes: its plan, its statistics, its peers.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import statistics
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"


@pytest.fixture(autouse=True)
def scripts(monkeypatch):
    for folder in (BENCHMARKS, BENCHMARKS / "peers"):
        monkeypatch.syspath_prepend(folder)


@pytest.fixture(scope="module")
def study():
    """Speech Commands as ``Data``, without the clips, and the grids for it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        from study.data import Data
        from study.grids import read_grids

        data = Data(
            name="words",
            format="speech_commands",
            recipe="recipes/SpeechCommands/train.py",
            yamls="hparams/speechcommands",
            metric="accuracy",
            seconds=1.0,
            n_classes=12,
            overrides={"task": 12},
        )
        yield data, read_grids(data)


def config_of(grids, name, label):
    """The configuration of a row."""
    (config,) = (row.config for row in grids[name].rows if row.label == label)
    return config


def make_row(config, seed, value, data, **more):
    """A row as a run would have added it."""
    from study.models import figures

    cost = figures(config, data)
    epochs = config.overrides["number_of_epochs"]
    row = {
        "recipe": data.recipe,
        "yaml": config.yaml,
        "overrides": config.overrides,
        "seed": seed,
        "device": "cpu",
        "metric": data.metric,
        "value": value,
        "epochs": epochs,
        "clips": {"train": 100, "valid": 10, "test": 10},
        **cost._asdict(),
        "training_macs": 3 * cost.macs * 100 * epochs,
        "cpu_minutes": 2.0,
        "resumed": False,
        "yaml_sha1": "0",
    }
    return {**row, **more}


def test_welch_agrees_with_scipy():
    stats = pytest.importorskip("scipy.stats")
    from study.report import welch

    first, second = [90.1, 91.5, 90.7], [88.0, 90.2, 89.9, 91.0]
    difference = welch(first, second)
    expected = stats.ttest_ind(first, second, equal_var=False)
    assert difference.value / difference.error == pytest.approx(
        expected.statistic
    )


def test_verdicts():
    from study.report import Difference, mean_and_std, welch

    assert str(welch([3.0, 5.0], [1.0, 1.0])) == "+3.00 ± 1.00"
    assert welch([3.0, 5.0], [1.0, 1.0]).verdict == "beyond the noise"
    assert Difference(-2.0, 1.0).verdict == "inside the noise"
    assert Difference(-2.1, 1.0).verdict == "beyond the noise"
    single = welch([3.0], [1.0, 2.0])
    assert (str(single), single.verdict) == ("+1.50", "too few seeds")
    assert mean_and_std([90.0, 92.0]) == "91.00 ± 1.41"
    assert mean_and_std([90.0]) == "90.00"


def test_key_identifies_runs_however_they_are_written():
    from study.report import run_key

    def key(overrides, seed=1, device="cpu"):
        return run_key("train.py", "ast.yaml", overrides, seed, device)

    plain = key({"lr": 0.001, "depth": 4, "mask_budget": 0})
    assert plain == key({"mask_budget": 0.0, "depth": 4.0, "lr": 1e-3})
    assert plain != key({"lr": 0.001, "depth": 4, "mask_budget": 0}, seed=2)
    assert key({"mask_budget": 1}) != key({"mask_budget": 1.0})
    assert key({"mask_aligned": True}) != key({"mask_aligned": 1})
    assert key({}, device="cuda:0") == key({}, device="cuda") != key({})


def test_closest_configuration_and_matching_epochs(monkeypatch):
    from study import grids
    from study.models import Config

    def figures(config, data):
        return SimpleNamespace(macs=config.overrides["macs"])

    def config(macs, epochs=20):
        return Config("a.yaml", {"macs": macs, "number_of_epochs": epochs})

    monkeypatch.setattr(grids, "figures", figures)
    values = [n * n for n in range(8, 100, 8)]
    for target in (1, 64, 100, 3000, 3300, 3400, 10**6):
        expected = min(values, key=lambda v: abs(v - target))
        found = grids.closest(map(config, values), config(target), None)
        assert found.overrides["macs"] == expected
    for macs, other, epochs in ((43, 19, 9), (19, 43, 45), (1000, 1, 1)):
        found = grids.as_long(config(macs), config(other), None).overrides
        assert found["number_of_epochs"] == epochs
        assert found.get("avg_checkpoints", 5) == max(1, min(5, epochs // 4))


def test_averaged_checkpoints_are_those_of_the_recipes():
    from study.grids import AVERAGED

    for folder in ("hparams", "hparams/speechcommands"):
        text = (BENCHMARKS.parent / folder / "ast_fftp.yaml").read_text("utf-8")
        assert f"\navg_checkpoints: {AVERAGED} " in text


def test_incomplete_line_is_skipped(tmp_path, study):
    from study.report import read_rows, row_key
    from study.run import append_row

    data, grids = study
    path = tmp_path / "rows.jsonl"
    config = config_of(grids, "masks", "SpecMask")
    first, second = (make_row(config, seed, 0.5, data) for seed in (1, 2))
    append_row(path, first)
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(second)[:40])
    assert list(read_rows(path)) == [row_key(first)]
    append_row(path, second)
    assert list(read_rows(path)) == [row_key(first), row_key(second)]


def test_plan_has_each_configuration_once_and_the_first_seed_first(study):
    from study.run import plan

    data, grids = study
    runs, skipped = plan(grids, data, [1, 2, 3], "cpu")
    assert set(skipped) <= {"peers: MobileNetV3"}
    keys = [run.key for run in runs]
    assert len(set(keys)) == len(keys)
    seeds = [run.seed for run in runs]
    assert seeds == sorted(seeds)
    assert runs[0].name == "training_macs: FFTP 10/5"
    assert len(runs) / 3 < sum(len(grid.rows) for grid in grids.values())
    for grid in grids.values():
        labels = {row.label for row in grid.rows}
        assert len(labels) == len(grid.rows)
        assert {row.baseline for row in grid.rows} <= {None, *labels}
        assert {label for pair in grid.pairs for label in pair} <= labels


def test_committed_results_belong_to_the_grids():
    from study.data import Data
    from study.grids import read_grids
    from study.report import Results, read_rows

    path = BENCHMARKS / "results" / "study_speech_commands.jsonl"
    facts = json.loads(path.with_suffix(".json").read_text("utf-8"))
    data, rows = Data(**facts["data"]), read_rows(path)
    results = Results(data.recipe, rows)
    found = [
        result
        for grid in read_grids(data).values()
        for row in grid.rows
        if (result := results.find(row.config, "cpu"))
    ]
    assert {id(r) for each in found for r in each.rows} == {
        id(row) for row in rows.values()
    }


def test_macs_are_matched(study):
    from study.models import figures

    data, grids = study

    def macs(config):
        return figures(config, data).macs

    def epochs(config):
        return config.overrides["number_of_epochs"]

    fftp = grids["inference_macs"].rows[0].config
    for name in ("inference_macs", "encoder"):
        for row in grids[name].rows:
            assert macs(row.config) == pytest.approx(macs(fftp), rel=0.1)
    for name in ("training_macs", "long"):
        first, *others = (row.config for row in grids[name].rows)
        full = macs(first) * epochs(first)
        for config in others:
            off = abs(macs(config) * epochs(config) - full)
            assert off <= macs(config) / 2  # half an epoch
    _, square, _, long = (row.config for row in grids["embedding"].rows)
    full = macs(square) * epochs(square)
    assert abs(macs(long) * epochs(long) - full) <= macs(long) / 2


def test_options_may_depend_on_the_format(study, monkeypatch):
    from study import grids as tables

    same = SimpleNamespace(macs=1)  # saves building the models
    monkeypatch.setattr(tables, "figures", lambda config, data: same)
    data = study[0]._replace(
        format="audioset", yamls="hparams", seconds=10.0, overrides={}
    )
    grids = tables.read_grids(data)
    assert "long" not in grids
    found = config_of(grids, "masks", "SpecAugment").overrides
    assert (found["freq_mask"], found["time_mask"]) == (48, 192)
    assert config_of(grids, "budget", "50 %").overrides["mask_budget"] == 0.1


def test_peers_take_missing_keys_from_the_recipe(study):
    from study.models import read_yaml

    text = read_yaml("benchmarks/peers/xvector.yaml", study[0].base)
    lines = text.splitlines()
    for own in ("n_mels: 24", "batch_size: 32", "mask_budget: 0.0"):
        assert lines.count(own) == 1
    assert "n_mels: 128" not in lines
    assert "FFTPEmbedding" not in text
    assert any(line.startswith("mixup_prob: ") for line in lines)


def test_x_vector_has_the_figures_of_its_recipe(study):
    from study.models import figures

    from speechbrain.lobes.models.Xvector import Classifier, Xvector

    data, grids = study
    cost = figures(config_of(grids, "peers", "x-vector"), data)
    modules = [
        Xvector(in_channels=24),
        Classifier([None, None, 512], lin_neurons=512, out_neurons=12),
    ]
    params = sum(p.numel() for m in modules for p in m.parameters())
    assert (cost.params, cost.tokens) == (params, None)
    # 101 frames through five layers; their statistics; three linear layers
    channels = [24, 512, 512, 512, 512, 1500]
    kernels = [5, 3, 3, 1, 1]
    macs = 101 * sum(
        k * a * b for k, a, b in zip(kernels, channels, channels[1:])
    )
    macs += 2 * 1500 * 512 + 512 * 512 + 512 * 12
    assert cost.macs == cost.macs_linear == macs


def test_values_of_padding_do_not_reach_peers():
    pytest.importorskip("timm")
    import peers

    torch.manual_seed(0)
    lens = torch.tensor([1.0, 0.5])
    models = {24: peers.Xvector(in_channels=24), 128: peers.MobileNetV3()}
    for bins, model in models.items():
        model.eval()
        feats = torch.randn(2, 98, bins)
        other = feats.clone()
        other[1, 49:] = 100.0
        with torch.no_grad():
            torch.manual_seed(0)  # statistics pooling adds noise of 1e-5
            first = model(feats, lens)
            torch.manual_seed(0)
            second = model(other, lens)
        assert first.shape[:2] == (2, 1)
        torch.testing.assert_close(first, second)


def test_report_compares_with_the_baseline(study, tmp_path, capsys):
    from study.report import write_report
    from study.run import append_row

    data, grids = study
    path = tmp_path / "study_words.jsonl"
    square = config_of(grids, "embedding", "square 16/16")
    scores = [
        (config_of(grids, "masks", "SpecMask"), (0.90, 0.92)),
        (square, (0.80, 0.80)),
        (config_of(grids, "masks", "none"), (0.90, 0.91)),
    ]
    for config, values in scores:
        for seed, value in enumerate(values, start=1):
            more = {"resumed": seed == 2, "cpu_minutes": float(seed)}
            append_row(path, make_row(config, seed, value, data, **more))
    facts = {"latency": {square.model_key: {"median": 0.0042}}}
    write_report(grids, data, path, facts)
    text = path.with_suffix(".md").read_text("utf-8")
    rows = {
        line.split(" | ")[0].strip("| "): line.strip("| ").split(" | ")
        for line in text.split("\n## Patch embedding, equal epochs")[1]
        .split("\n## ")[0]
        .splitlines()
        if line.startswith("| ")
    }
    deviation = statistics.stdev([90.0, 92.0])
    assert rows["FFTP 10/5"][8:] == [
        f"91.00 ± {deviation:.2f}",
        "-",
        "-",
        "-",
        "1.0",
        "-",
    ]
    assert rows["square 16/16"][8:] == [
        "80.00 ± 0.00",
        "-11.00 ± 1.00",
        "FFTP 10/5",
        "beyond the noise",
        "1.0",
        "4.20",
    ]
    assert rows["square 16/10"][1:] == ["-"] * 13
    assert "+0.50 ± 1.12 | none | inside the noise" in text
    assert "SpecMask minus SpecAugment" not in text  # one has no rows

    pictures = {p: p.read_bytes() for p in tmp_path.glob("*_macs.*")}
    assert len(pictures) == 4
    write_report(grids, data, path, facts)
    assert pictures == {p: p.read_bytes() for p in pictures}
