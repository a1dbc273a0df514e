"""Trainings in all modes see the same clips and rates, and learn the same.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import itertools
import math
import subprocess
from collections import Counter

import pytest
import soundfile as sf
from data_folders import RATE, sound
from recipe_runs import (
    environment,
    run,
    torchrun,
    train,
    train_in_two_processes,
)
from step_record import read_steps

EPOCHS = 3
LR = 0.001
RECORD = """
- !name:step_record.record_steps
  folder: !ref <output_folder>
- !name:speechbrain_fftp.training.checks.measure_matmuls"""
LENGTHS = {"equal": 0.0, "mixed": 0.02}  # seconds from clip to clip
MODES = [
    pytest.param(
        processes,
        compiled,
        precision,
        lengths,
        resumed,
        id=f"{processes}-{compiled}-{precision}-{lengths}-{resumed}",
        marks=[] if is_fast else pytest.mark.slow,
    )
    for processes, compiled, precision, lengths, resumed in itertools.product(
        (1, 2),
        ("eager", "compiled"),
        ("fp32", "bf16"),
        LENGTHS,
        ("unbroken", "within an epoch", "at its end"),
    )
    for is_fast in [
        (processes, compiled, precision, lengths, resumed)
        in (
            (1, "eager", "bf16", "mixed", "unbroken"),
            (2, "eager", "fp32", "mixed", "within an epoch"),
        )
    ]
]


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """Starts a training in a mode; gives its folder, status and metrics.

    Unbroken trainings are run once.
    """
    root = tmp_path_factory.mktemp("steps")
    done = {}

    def start(processes, compiled, precision, lengths, resumed):
        mode = (processes, compiled, precision, lengths, resumed)
        if mode in done:
            return done[mode]
        folder = root / "-".join(map(str, mode)).replace(" ", "_")
        folder.mkdir()
        clips = root / lengths
        if not clips.exists():
            write_clips(clips, LENGTHS[lengths])
        options = {
            "data_folder": clips,
            "prepared_folder": root / f"{lengths}_prepared",
            "before": RECORD,
            "precision": precision,
            "number_of_epochs": EPOCHS,
            "lr": LR,
            "patch_frames": 5,
            "stride_frames": 5,
            "ckpt_interval_steps": 2 if resumed == "within an epoch" else None,
        }
        flags = ["--compile"] if compiled == "compiled" else []
        go_on = train if processes == 1 else train_in_two_processes
        if resumed != "unbroken":
            place = "[2, 4]" if processes == 1 else "[2, 3]"
            if resumed == "at its end":
                place = "[2, 1]"
            (folder / "kill_at.json").write_text(place)
            if processes == 1:
                status, _ = run(folder, *flags, **options)
            else:
                status = subprocess.run(
                    torchrun(folder, *flags, **options),
                    cwd=root,
                    env=environment(),
                    capture_output=True,
                ).returncode
            assert status != 0 and not (folder / "metrics.json").exists()
            (folder / "kill_at.json").unlink()
        _, metrics = go_on(folder, *flags, **options)
        with open(options["prepared_folder"] / "train.csv") as file:
            ids = [row["ID"] for row in csv.DictReader(file)]
        done[mode] = read_steps(folder), metrics, ids
        return done[mode]

    return start


def write_clips(folder, step):
    """Custom data, two classes; each clip is longer than the last."""
    for number in range(30):
        name = ("dog", "cat")[number % 2]
        (folder / name).mkdir(parents=True, exist_ok=True)
        samples = sound(number, seconds=0.3 + step * number)
        sf.write(folder / name / f"{number}.wav", samples, RATE)


def expected_rates(steps):
    """Linear warm-up over a tenth of the steps, then half a cosine to 0."""
    warmup = steps // 10
    rates = []
    for step in range(1, steps + 1):
        done = (step - warmup) / (steps - warmup)
        cosine = LR / 2 * (1 + math.cos(math.pi * done))
        rates.append(LR * step / warmup if step < warmup else cosine)
    return rates


@pytest.mark.parametrize(
    "processes, compiled, precision, lengths, resumed", MODES
)
def test_all_modes(processes, compiled, precision, lengths, resumed, start):
    mode = (processes, compiled, precision, lengths, resumed)
    steps, metrics, ids = start(*mode)
    for epoch in range(1, EPOCHS + 1):
        seen = Counter()
        for (in_epoch, _, _), row in steps.items():
            if in_epoch == epoch:
                seen.update(row["ids"])
        # Two processes get as many clips each, so one clip may come twice
        assert set(seen) == set(ids)
        assert seen.total() == len(ids) + len(ids) % processes
    places = sorted(place[:2] for place in steps if place[2] == 0)
    rates = [steps[(*place, 0)]["lr"] for place in places]
    assert rates == pytest.approx(expected_rates(len(places)), abs=1e-9)

    plain = (processes, "eager", precision, lengths, "unbroken")
    expected, expected_metrics, _ = start(*plain)
    assert set(steps) == set(expected)
    tolerance = 1e-5 if precision == "fp32" else 2e-3
    for place, row in steps.items():
        assert row["ids"] == expected[place]["ids"]
        assert row["loss"] == pytest.approx(
            expected[place]["loss"], abs=tolerance
        )
        if compiled == "eager":  # resumed bit by bit
            assert row == expected[place]
    for key in ("mAP", "AUC"):
        assert metrics[key] == pytest.approx(expected_metrics[key], abs=0.02)
