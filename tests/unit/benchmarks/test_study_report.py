"""Tests of what the study computes: its plan, its statistics, its peers.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import statistics
from pathlib import Path

import pytest
import torch

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"


@pytest.fixture(autouse=True)
def scripts(monkeypatch):
    for folder in (BENCHMARKS, BENCHMARKS / "peers"):
        monkeypatch.syspath_prepend(folder)


@pytest.fixture(scope="module")
def study():
    """The study on Speech Commands, without the data."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        from study_data import Data
        from study_grids import Study

        data = Data(
            name="words",
            form="speech_commands",
            recipe="recipes/SpeechCommands/train.py",
            yamls="hparams/speechcommands",
            metric="accuracy",
            seconds=1.0,
            n_classes=12,
            overrides={"task": 12},
        )
        study = Study(data)
        yield study, study.grids()


def make_row(config, seed, value, data, **more):
    """A row as a run would have added it."""
    figures = data.figures(config)
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
        **figures._asdict(),
        "training_macs": 3 * figures.macs * 100 * epochs,
        "cpu_minutes": 2.0,
        "resumed": False,
        "yaml_sha1": "0",
    }
    return {**row, **more}


def test_welch_is_that_of_scipy():
    stats = pytest.importorskip("scipy.stats")
    from study_statistics import welch

    first, second = [90.1, 91.5, 90.7], [88.0, 90.2, 89.9, 91.0]
    difference = welch(first, second)
    expected = stats.ttest_ind(first, second, equal_var=False)
    assert difference.value / difference.error == pytest.approx(
        expected.statistic
    )


def test_verdicts():
    from study_statistics import Difference, mean_and_deviation, welch

    assert str(welch([3.0, 5.0], [1.0, 1.0])) == "+3.00 ± 1.00"
    assert welch([3.0, 5.0], [1.0, 1.0]).verdict == "beyond the noise"
    assert Difference(-2.0, 1.0).verdict == "inside the noise"
    assert Difference(-2.1, 1.0).verdict == "beyond the noise"
    single = welch([3.0], [1.0, 2.0])
    assert (str(single), single.verdict) == ("+1.50", "too few seeds")
    assert mean_and_deviation([90.0, 92.0]) == "91.00 ± 1.41"
    assert mean_and_deviation([90.0]) == "90.00"


def test_key_tells_runs_apart_however_they_are_written():
    from study_runs import run_key

    def key(overrides, seed=1, device="cpu"):
        return run_key("train.py", "ast.yaml", overrides, seed, device)

    plain = key({"lr": 0.001, "depth": 4, "mask_budget": 0})
    assert plain == key({"mask_budget": 0.0, "depth": 4.0, "lr": 1e-3})
    assert plain != key({"lr": 0.001, "depth": 4, "mask_budget": 0}, seed=2)
    assert key({"mask_budget": 1}) != key({"mask_budget": 1.0})
    assert key({"mask_aligned": True}) != key({"mask_aligned": 1})
    assert key({}, device="cuda:0") == key({}, device="cuda") != key({})


def test_closest_value_and_epochs():
    from study_configs import closest, matching_epochs

    values = range(8, 100, 8)
    for target in (1, 64, 100, 3000, 3300, 3400, 10**6):
        expected = min(values, key=lambda v: abs(v * v - target))
        assert closest(values, lambda v: v * v, target) == expected
    assert closest([5], lambda v: v, 100) == 5
    assert matching_epochs(20, macs=43, other_macs=19) == 9
    assert matching_epochs(20, macs=19, other_macs=43) == 45
    assert matching_epochs(20, macs=1000, other_macs=1) == 1


def test_row_cut_short_by_a_kill_is_left_out(tmp_path, study):
    from study_runs import append_row, read_rows, row_key

    path = tmp_path / "rows.jsonl"
    first, second = (
        make_row(study[0].fftp, seed, 0.5, study[0].data) for seed in (1, 2)
    )
    append_row(path, first)
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(second)[:40])
    assert list(read_rows(path)) == [row_key(first)]
    append_row(path, second)
    assert list(read_rows(path)) == [row_key(first), row_key(second)]


def test_plan_has_each_configuration_once_and_the_first_seed_first(study):
    pytest.importorskip("timm")
    import study as script

    runs, skipped = script.plan(*study, [1, 2, 3], "cpu")
    assert not skipped
    keys = [run.key for run in runs]
    assert len(set(keys)) == len(keys)
    seeds = [run.seed for run in runs]
    assert seeds == sorted(seeds)
    assert runs[0].name == "training_macs: FFTP 10/5"
    entries = sum(len(grid.entries) for grid in study[1].values())
    assert len(runs) / 3 < entries
    for grid in study[1].values():
        labels = {entry.label for entry in grid.entries}
        assert len(labels) == len(grid.entries)
        assert {entry.baseline for entry in grid.entries} <= {None, *labels}
        assert {label for pair in grid.pairs for label in pair} <= labels


def test_macs_are_matched(study):
    study, grids = study
    target = study.macs(study.fftp)
    for entry in grids["inference_macs"].entries:
        assert study.macs(entry.config) == pytest.approx(target, rel=0.1)
        assert "num_heads" in entry.config.overrides
    for entry in grids["encoder"].entries:
        assert study.macs(entry.config) == pytest.approx(target, rel=0.1)
    training = {
        entry.label: study.macs(entry.config)
        * entry.config.overrides["number_of_epochs"]
        for entry in grids["training_macs"].entries
    }
    fftp, short_16, short_10 = training.values()
    for macs, config in (
        (short_16, study.square_16),
        (short_10, study.square_10),
    ):
        assert abs(macs - fftp) <= study.macs(config) / 2  # half an epoch
    *_, long = grids["embedding"].entries
    epochs = long.config.overrides["number_of_epochs"]
    full = study.macs(study.square_16) * study.epochs
    assert abs(target * epochs - full) <= target / 2
    fftp, *others = (entry.config for entry in grids["long"].entries)
    full = study.macs(fftp) * fftp.overrides["number_of_epochs"]
    for config in others:
        macs = study.macs(config)
        epochs = config.overrides["number_of_epochs"]
        assert abs(macs * epochs - full) <= macs / 2
    bins = {c.overrides.get("n_mels") for _, c, _ in grids["mel_bins"].entries}
    assert bins == {None, 64, 40, 24}


def test_peers_fill_what_they_lack_from_the_recipe(study):
    from study_models import read_yaml

    study = study[0]
    text = read_yaml("benchmarks/peers/xvector.yaml", study.data.base)
    lines = text.splitlines()
    for own in ("n_mels: 24", "batch_size: 32", "mask_budget: 0.0"):
        assert lines.count(own) == 1
    assert "n_mels: 128" not in lines
    assert "FFTPEmbedding" not in text
    assert any(line.startswith("mixup_prob: ") for line in lines)


def test_x_vector_has_the_figures_of_its_recipe(study):
    from speechbrain.lobes.models.Xvector import Classifier, Xvector

    figures = study[0].data.figures(study[0].peer("xvector"))
    modules = [
        Xvector(in_channels=24),
        Classifier([None, None, 512], lin_neurons=512, out_neurons=12),
    ]
    params = sum(p.numel() for m in modules for p in m.parameters())
    assert (figures.params, figures.tokens) == (params, None)
    # 101 frames through five layers; their statistics; three linear layers
    channels = [24, 512, 512, 512, 512, 1500]
    kernels = [5, 3, 3, 1, 1]
    macs = 101 * sum(
        k * a * b for k, a, b in zip(kernels, channels, channels[1:])
    )
    macs += 2 * 1500 * 512 + 512 * 512 + 512 * 12
    assert figures.macs == figures.macs_linear == macs


def test_padding_has_no_influence_on_peers_but_by_its_length():
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
    from study_report import write_report
    from study_runs import append_row

    study = study[0]
    path = tmp_path / "study_words.jsonl"
    without = study.without_masks(study.fftp)
    square = study.square_16
    scores = [
        (study.fftp, (0.90, 0.92)),
        (square, (0.80, 0.80)),
        (without, (0.90, 0.91)),
    ]
    for config, values in scores:
        for seed, value in enumerate(values, start=1):
            more = {"resumed": seed == 2, "cpu_minutes": float(seed)}
            append_row(path, make_row(config, seed, value, study.data, **more))
    facts = {"latency": {square.model_key: {"median": 0.0042}}}
    write_report(study, path, facts)
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
    assert "SpecMask less SpecAugment" not in text  # one has no rows

    pictures = {p: p.read_bytes() for p in tmp_path.glob("*_macs.*")}
    assert len(pictures) == 4
    write_report(study, path, facts)
    assert pictures == {p: p.read_bytes() for p in pictures}
