"""Measures the speed of the recipe for AudioSet, and of its reading of clips.

The data are generated: clips of 10 s, as for the demo. On a GPU, first the
whole recipe, compiled, in processes of its own. Everywhere, what a clip and a
batch cost the processes that read, in CPU time: a worker's time for a clip
includes its part of a batch; a batch is received and copied, as by pinning.
With --smoke, tiny models run on a CPU.

> python benchmarks/recipe_speed.py --seconds 300 --out DIR

Authors
 * The speechbrain_fftp authors 2026
"""

import functools
import os
import re
import sys
import tempfile
import time
from pathlib import Path

import harness
import torch
from hyperpyyaml import load_hyperpyyaml

from speechbrain.dataio.batch import PaddedBatch
from speechbrain.dataio.dataloader import make_dataloader

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "recipes" / "AudioSet" / "train.py"
sys.path[:0] = [str(SCRIPT.parent), str(ROOT / "recipes" / "Demo")]
import train as recipe  # noqa: E402
from demo_prepare import prepare_demo  # noqa: E402

BATCH, WORKERS = 48, 4
# Recipe and batch size, most important first
RUNS = (("ast_fftp", 48), ("ast_fftp", 12), ("aum_fftp", 48))
STEPS = 200  # of an epoch
# A run whose time is up is stopped by then, and the rest measured
SPARE_SECONDS = 5


def settings(folder, output):
    """Settings of the recipe that are not its defaults."""
    return {
        "data_folder": str(folder),
        "prepared_folder": str(folder),
        "output_folder": str(output),
        "skip_prep": True,
        "use_tensorboard": False,
    }


def time_reading(args, folder):
    """CPU time of a worker for a clip, and of the main process for a batch."""
    options = {**settings(folder, "none"), "embed_dim": 64, "depth": 1}
    with open(ROOT / "hparams" / "ast_fftp.yaml", encoding="utf-8") as file:
        hparams = load_hyperpyyaml(file, options)
    clips = recipe.dataio_prep(hparams)["train"]
    clips.set_output_keys(["id", "sig", "targets"])
    count = len(clips) // BATCH * BATCH
    loader = make_dataloader(
        clips,
        batch_size=BATCH,
        drop_last=True,
        num_workers=min(WORKERS, os.cpu_count()),
        persistent_workers=True,
    )

    def read():
        with clips.output_keys_as(["sig"]):
            for index in range(count):
                clips[index]

    def work():
        for first in range(0, count, BATCH):
            PaddedBatch([clips[i] for i in range(first, first + BATCH)])

    def receive():
        for batch in loader:
            batch.sig.data.clone()

    receive()  # starts the workers
    rows = {}
    for name, function, number in (
        ("a worker reads a clip", read, count),
        ("a worker makes a clip of a batch", work, count),
        ("the training receives 48 clips", receive, len(loader)),
    ):
        times = []
        for _ in range(args.rounds):
            start = time.process_time()
            function()
            times.append(1000 * (time.process_time() - start) / number)
        rows[name] = harness.summary(times, "ms")
    return rows


def run_recipe(args, folder, device, seconds, yaml, batch):
    """Speed of the compiled recipe, in its second epoch."""
    with tempfile.TemporaryDirectory(dir=folder) as output:
        options = {
            **settings(folder, output),
            "batch_size": batch,
            "number_of_epochs": 2,
            "device": device,
            "precision": "bf16",
            "after": "[]",
        }
        if args.smoke:
            options.update(embed_dim=64, depth=1, num_workers=1)
            options["precision"] = "fp32"
        words = [SCRIPT, ROOT / "hparams" / f"{yaml}.yaml", "--noprogressbar"]
        words += [f"--{name}={value}" for name, value in options.items()]
        env = {**os.environ, "TORCHDYNAMO_DISABLE": str(int(args.smoke))}
        with open(Path(output, "output.txt"), "w+") as printed:
            status, *_ = harness.run_recipe(
                [*words, "--compile"], stdout=printed, env=env, timeout=seconds
            )
            if status != 0:
                printed.seek(0)
                raise RuntimeError(printed.read()[-400:])
        return read_speed(Path(output, "train_log.txt").read_text("utf-8"))


def read_speed(text):
    """The speed in the last epoch of a training's log."""
    found = re.findall(r"train clips_per_second: ([-+.\de]+)", text)
    return harness.summary([float(found[-1])], "clips/s")


def main():
    """Makes the data, and measures."""
    args = harness.read_options(__doc__, rounds=3, threads=1, seconds=300.0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    results = harness.Results(args, "recipe_speed", device=device)
    clips = STEPS * BATCH if device == "cuda" else 10 * BATCH
    if args.smoke:
        clips = BATCH
    with tempfile.TemporaryDirectory() as folder:
        prepare_demo(folder, num_train=clips, num_valid=BATCH, num_eval=BATCH)
        if device == "cuda" or args.smoke:
            for yaml, batch in RUNS:
                seconds = max(results.seconds_left() - SPARE_SECONDS, 1)
                run = functools.partial(
                    run_recipe, args, folder, device, seconds, yaml, batch
                )
                results.measure(f"{yaml}.yaml, batch {batch}", run)
        results.add(time_reading(args, folder))


if __name__ == "__main__":
    main()
