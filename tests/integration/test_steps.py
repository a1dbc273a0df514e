"""Trainings in all modes see the same clips and rates, and learn the same.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import itertools
import math
import subprocess

import pytest
import soundfile as sf
import torch
from data_folders import RATE, sound
from recipe_runs import (
    environment,
    run,
    torchrun,
    train,
    train_in_two_processes,
)
from step_record import RECORD, read_evaluated, read_steps

from speechbrain.dataio.sampler import ReproducibleRandomSampler

EPOCHS = 2
LR = 0.001
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
        == (1, "eager", "bf16", "mixed", "within an epoch")
    ]
]


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """Runs a training in a mode; gives its folder and metrics.

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
            "num_workers": 1,
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
        done[mode] = folder, metrics
        return done[mode]

    return start


def write_clips(folder, step):
    """Custom data, two classes; each clip is longer than the last."""
    for number in range(24):
        name = ("dog", "cat")[number % 2]
        (folder / name).mkdir(parents=True, exist_ok=True)
        samples = sound(number, seconds=0.3 + step * number)
        sf.write(folder / name / f"{number}.wav", samples, RATE)


def read_durations(folder, split):
    """The durations of a split's clips by id, in the order of the manifest."""
    path = folder.parent / f"{lengths_of(folder)}_prepared" / f"{split}.csv"
    with open(path) as file:
        return {row["ID"]: row["duration"] for row in csv.DictReader(file)}


def lengths_of(folder):
    return "mixed" if "mixed" in folder.name else "equal"


def expected_rates(steps):
    """Linear warm-up over a tenth of the steps, then half a cosine to 0."""
    warmup = steps // 10
    rates = []
    for step in range(1, steps + 1):
        done = (step - warmup) / (steps - warmup)
        cosine = LR / 2 * (1 + math.cos(math.pi * done))
        rates.append(LR * step / warmup if step < warmup else cosine)
    return rates


def expected_order(ids, epoch, processes):
    """The clips of each process: those of a seeded permutation in turn."""
    sampler = ReproducibleRandomSampler(ids, seed=1234, epoch=epoch)
    order = [ids[n] for n in sampler]
    order += order[: -len(order) % processes]  # as many in each process
    return [order[rank::processes] for rank in range(processes)]


@pytest.mark.parametrize(
    "processes, compiled, precision, lengths, resumed", MODES
)
def test_all_modes(processes, compiled, precision, lengths, resumed, start):
    folder, metrics = start(processes, compiled, precision, lengths, resumed)
    steps = read_steps(folder)
    ids = list(read_durations(folder, "train"))
    for epoch in range(1, EPOCHS + 1):
        order = expected_order(ids, epoch, processes)
        for rank in range(processes):
            rows = [steps[p] for p in sorted(steps) if p[::2] == (epoch, rank)]
            assert [x for row in rows for x in row["ids"]] == order[rank]
    places = sorted(place for place in steps if place[2] == 0)
    rates = [steps[place]["lr"] for place in places]
    assert rates == pytest.approx(expected_rates(len(places)), abs=1e-9)

    plain = (processes, "eager", precision, lengths, "unbroken")
    expected_folder, expected_metrics = start(*plain)
    expected = read_steps(expected_folder)
    assert set(steps) == set(expected)
    tolerance = 1e-5 if precision == "fp32" else 2e-3
    for place, row in steps.items():
        loss = expected[place]["loss"]
        assert row["loss"] == pytest.approx(loss, abs=tolerance)
        if compiled == "eager":  # resumed bit by bit
            assert row == expected[place]
    for key in ("mAP", "AUC"):
        assert metrics[key] == pytest.approx(expected_metrics[key], abs=0.02)
    if processes == 1 and compiled == "eager":
        assert metrics == expected_metrics
        for part in ("embedding_model", "classifier"):
            found, weights = (
                torch.load(x / "inference" / f"{part}.ckpt")
                for x in (folder, expected_folder)
            )
            assert all(torch.equal(found[key], weights[key]) for key in weights)

    durations = read_durations(folder, "eval")
    for evaluated in read_evaluated(folder).values():
        order = [float(durations[clip]) for clip in evaluated]
        assert order == sorted(order)
