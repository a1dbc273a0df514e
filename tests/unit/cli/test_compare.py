"""Tests of ``fftp-tag compare``.

Authors
 * The speechbrain_fftp authors 2026
"""

import re

import numpy as np
import pytest

from speechbrain_fftp.cli.main import main
from speechbrain_fftp.inference.results import write_predictions


def write_run(folder, hits, order=None, labels=("a", "b", "c")):
    """A run that is right where ``hits`` says so; the class is the id % 3."""
    ids = np.arange(len(hits)) if order is None else order
    targets = np.eye(3)[ids % 3]
    probs = 0.2 + 0.1 * targets
    wrong = ~hits[ids]
    probs[wrong] += 0.5 * np.roll(targets[wrong], 1, axis=1)
    folder.mkdir()
    names = [f"clip{number}" for number in ids]
    write_predictions(folder, names, targets, probs, list(labels))
    return str(folder)


def test_difference_is_paired_and_its_interval_the_binomial_one(
    tmp_path, capsys
):
    rng = np.random.default_rng(0)
    hits = rng.uniform(size=600) < 0.7
    better = hits | (rng.uniform(size=600) < 0.2)
    first = write_run(tmp_path / "a", hits)
    order = rng.permutation(600)  # clips are matched by their ids
    second = write_run(tmp_path / "b", better, order)
    assert main(["compare", first, f"{second}/probabilities.npz"]) == 0
    line = capsys.readouterr().out.splitlines()[-1]
    assert line.startswith("accuracy")
    a, b, value, low, high = map(float, re.findall(r"[-+]?\d+\.\d+", line))
    assert (a, b) == pytest.approx(
        (100 * hits.mean(), 100 * better.mean()), abs=0.01
    )
    gain = better.astype(float) - hits
    half = 1.96 * 100 * gain.std() / len(gain) ** 0.5
    assert value == pytest.approx(100 * gain.mean(), abs=0.06)
    assert value - low == pytest.approx(half, abs=0.3)
    assert high - value == pytest.approx(half, abs=0.3)


@pytest.mark.parametrize("change", ["clips", "classes", "damage", "missing"])
def test_runs_that_cannot_be_compared(change, tmp_path, capsys):
    hits = np.ones(30, bool)
    first = write_run(tmp_path / "a", hits)
    if change == "clips":
        second = write_run(tmp_path / "b", hits[:20])
    elif change == "classes":
        second = write_run(tmp_path / "b", hits, labels=("a", "b", "d"))
    else:
        second = write_run(tmp_path / "b", hits)
        path = tmp_path / "b" / "probabilities.npz"
        path.write_bytes(path.read_bytes()[:100])
        if change == "missing":
            path.unlink()
    assert main(["compare", first, second]) == 1
    assert second in capsys.readouterr().err
