"""Compares one process with two on the same CPU cores: metrics and throughput.

Trains the AudioSet recipe on generated clips in one process with two threads
and in two processes with one thread each, in turns, with the same batches.
Augmentation is off, since each process draws its own. The throughput, by the
times of TensorBoard's scalars, leaves out the first step of each epoch. Writes
benchmarks/results/ddp.json and .md.

> python benchmarks/ddp.py

Authors
 * The speechbrain_fftp authors 2026
"""

import os
import statistics
import sys
import tempfile
from pathlib import Path

import harness
from tensorboard.backend.event_processing import event_accumulator

from speechbrain_fftp.datasets.demo import prepare_demo

TESTS = Path(__file__).resolve().parents[1] / "tests" / "integration"
sys.path.insert(0, str(TESTS))
from recipe_runs import command, torchrun, train  # noqa: E402

CLIPS, EPOCHS, BATCH, ROUNDS = 160, 3, 8, 3
OPTIONS = {
    "embed_dim": 192,
    "depth": 4,
    "patch_frames": 10,
    "stride_frames": 10,
    "number_of_epochs": EPOCHS,
    "gain_decibels": 0.0,
    "mixup_prob": 0.0,
    "mask_budget": 0.0,
}
WAYS = {
    "1 process, 2 threads": (command, 1, 2),
    "2 processes, 1 thread each": (torchrun, 2, 1),
}


def clips_per_second(folder):
    """Clips per second of each epoch without its first step."""
    events = event_accumulator.EventAccumulator(str(folder / "tensorboard"))
    times = [e.wall_time for e in events.Reload().Scalars("loss/step")]
    steps = CLIPS // BATCH
    epochs = [times[i : i + steps] for i in range(0, len(times), steps)]
    return [BATCH * (steps - 1) / (t[-1] - t[0]) for t in epochs]


def main():
    """Runs both ways in turns and writes the results."""
    rates = {way: [] for way in WAYS}
    metrics, rows = {}, []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare_demo(folder / "prepared", num_train=CLIPS, num_valid=16)
        for i in range(ROUNDS):
            for way, (launch, processes, threads) in WAYS.items():
                os.environ["OMP_NUM_THREADS"] = str(threads)
                run = folder / f"{processes}_{i}"
                _, metrics[way] = train(
                    run,
                    command=launch,
                    batch_size=BATCH // processes,
                    prepared_folder=folder / "prepared",
                    **OPTIONS,
                )
                rates[way] += clips_per_second(run)
    one = statistics.median(rates["1 process, 2 threads"])
    for way, values in rates.items():
        row = {
            "run": way,
            "clips/s, median": f"{statistics.median(values):.1f}",
            "lowest and highest epoch": f"{min(values):.1f}-{max(values):.1f}",
            "relative to 1 process": f"{statistics.median(values) / one:.2f}",
            "eval mAP": f"{metrics[way]['mAP']:.6f}",
            "eval loss": f"{metrics[way]['loss']:.6f}",
        }
        harness.add_row(rows, row)
    note = (
        f"AST of 4 layers and width 192, 99 tokens, {CLIPS} clips of 10 s, "
        f"{BATCH} per step, {ROUNDS} runs of {EPOCHS} epochs each."
    )
    about = harness.environment("cpu", ("speechbrain",))
    about["CPU threads"] = "as in the rows"
    sections = {"Training on two cores": (note, rows)}
    harness.write_results("ddp", about, sections)


if __name__ == "__main__":
    main()
