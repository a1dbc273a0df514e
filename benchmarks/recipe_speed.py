"""Measures the speed of whole recipes, and of the reading of clips.

The clips are noise: of AudioSet's 527 classes, 10 s, a sixteenth of them
shorter; and of 35 words, 1 s. On a GPU, first the recipes, in eager mode and
compiled, in processes of their own. A row has the clips per second of a
training's second epoch, how busy the GPU was then, and how much of the time the
training waited for clips. Compiled code is made before, for all recipes at the
same time; with --only_compile 1, nothing else is done, for a later call with
the same TORCHINDUCTOR_CACHE_DIR. Everywhere, what a clip and a
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
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple

import harness
import numpy as np
import torch
from hyperpyyaml import load_hyperpyyaml

from speechbrain.dataio.batch import PaddedBatch
from speechbrain.dataio.dataloader import make_dataloader
from speechbrain_fftp.dataio.clips import Clip
from speechbrain_fftp.dataio.prepared import write_prepared
from speechbrain_fftp.datasets.audioset import read_classes

ROOT = Path(__file__).resolve().parents[1]
RECIPES = ROOT / "recipes"
sys.path.insert(0, str(RECIPES / "AudioSet"))
import train as recipe  # noqa: E402

BATCH, WORKERS = 48, 4
RATE = 16000
# A run whose time is up is stopped by then, and the rest measured
SPARE_SECONDS = 5


class Case(NamedTuple):
    """A training: its recipe, yaml file, batch size and further options."""

    recipe: str
    yaml: str
    batch: int
    options: dict = {}

    @property
    def folder(self):
        """The name of its folder of clips."""
        return "words" if self.recipe == "SpeechCommands" else "clips"


# Most important first; each in eager mode and compiled
CASES = {
    "AST, 196 tokens, batch 48": Case("AudioSet", "ast_fftp", 48),
    "AuM, 196 tokens, batch 48": Case("AudioSet", "aum_fftp", 48),
    "AST, 196 tokens, batch 12": Case("AudioSet", "ast_fftp", 12),
    "ConvNeXt1d, 196 tokens, batch 48": Case(
        "AudioSet",
        "convnext_fftp",
        48,
        {"patch_frames": 25, "stride_frames": 5},
    ),
    "words, AST, 60 tokens, batch 128": Case(
        "SpeechCommands",
        "speechcommands/ast_fftp",
        128,
        {"pad_frames": 128, "noise_folder": "none"},
    ),
    "AuM, 196 tokens, batch 12": Case("AudioSet", "aum_fftp", 12),
}
# The encoder in CUDA graphs
COMPILED = ("--compile", "--compile_mode", "reduce-overhead")
# Clips that are not padded
MASKED = "AST, 196 tokens, batch 48, masked"


SMOKE = ("AST, 196 tokens, batch 48", "words, AST, 60 tokens, batch 128")


class Machine(NamedTuple):
    """The options, the device, and the folder of the clips."""

    args: object
    device: str
    folder: Path

    @property
    def cases(self):
        """The cases by name; with --smoke, one of each recipe."""
        names = SMOKE if self.args.smoke else CASES
        return {name: CASES[name] for name in names}


def make_clips(folder, names, seconds, train, others):
    """A prepared folder of noise."""
    sizes = {"train": train, "valid": others, "eval": others}
    noise = np.random.default_rng(0).normal(0, 1000, RATE * 20)
    noise = noise.astype(np.int16)

    def draw(clip):
        """A piece of the noise; every sixteenth clip is shorter."""
        number = int(clip.id.partition("-")[2])
        size = round(RATE * seconds * (0.7 if number % 16 == 1 else 1))
        return noise[number : number + size]

    clips = [
        Clip(f"{split}-{n}", None, (list(names)[n % len(names)],), split)
        for split, size in sizes.items()
        for n in range(size)
    ]
    clips = [clip._replace(end=seconds) for clip in clips]
    write_prepared(folder, clips, names, sample_rate=RATE, convert=draw)
    shutil.copy(Path(folder, "eval.csv"), Path(folder, "test.csv"))


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


def settings(folder, output):
    """Settings of a recipe that are not its defaults."""
    return {
        "data_folder": str(folder),
        "prepared_folder": str(folder),
        "output_folder": str(output),
        "skip_prep": True,
        "use_tensorboard": False,
    }


def command(machine, case, output, flags):
    """The words of a case's command, and its environment."""
    args = machine.args
    options = {
        **settings(machine.folder / case.folder, output),
        "batch_size": case.batch,
        "number_of_epochs": 2,
        "num_workers": min(8, os.cpu_count()),
        "device": machine.device,
        "precision": "bf16",
        "after": "[]",
        **case.options,
    }
    if args.smoke:
        options.update(
            embed_dim=64, depth=1, num_workers=0, batch_size=4, precision="fp32"
        )
    words = [RECIPES / case.recipe / "train.py"]
    words += [ROOT / "hparams" / f"{case.yaml}.yaml", "--noprogressbar"]
    words += [f"--{name}={value}" for name, value in options.items()]
    env = {**os.environ, "TORCHDYNAMO_DISABLE": str(int(args.smoke))}
    return [*words, *flags], env


def run(machine, case, flags, seconds):
    """The row of a case."""
    with tempfile.TemporaryDirectory(dir=machine.folder) as output:
        words, env = command(machine, case, output, flags)
        log = Path(output, "train_log.txt")
        with open(Path(output, "output.txt"), "w+") as printed:
            with BusyGPU(log) as gpu:
                status, *_ = harness.run_recipe(
                    words, stdout=printed, env=env, timeout=seconds
                )
            if status != 0:
                printed.seek(0)
                raise RuntimeError(printed.read()[-1500:])
        return {**read_speed(log.read_text("utf-8")), **gpu.row()}


def compile_all(machine, seconds):
    """Compiles all cases at the same time, for the cache; the row of that."""
    start, processes = time.monotonic(), {}
    with tempfile.TemporaryDirectory(dir=machine.folder) as folder:
        for name, case in machine.cases.items():
            output = Path(folder, str(len(processes)))
            words, env = command(machine, case, output, ["--debug", *COMPILED])
            with open(f"{output}.txt", "w") as printed:
                processes[name] = (
                    output,
                    subprocess.Popen(
                        [sys.executable, *map(str, words)],
                        env=env,
                        stdin=subprocess.DEVNULL,
                        stdout=printed,
                        stderr=subprocess.STDOUT,
                    ),
                )
        failures = []
        for name, (output, process) in processes.items():
            try:
                left = start + seconds - time.monotonic()
                process.wait(timeout=max(left, 0.1))
            except subprocess.TimeoutExpired:
                process.kill()
            if process.wait() != 0:
                printed = Path(f"{output}.txt").read_text("utf-8")
                status = process.returncode
                failures.append(f"{name}, status {status}: {printed[-300:]}")
    if failures:
        raise RuntimeError("\n".join(failures))
    return harness.summary([time.monotonic() - start], "s")


class BusyGPU:
    """Samples how busy the GPU is in the second epoch of a training's log."""

    def __init__(self, log):
        self.log, self.percent = log, []

    def __enter__(self):
        words = ["nvidia-smi", "--query-gpu=utilization.gpu", "-lms", "100"]
        words += ["--format=csv,noheader,nounits"]
        self.process = None
        if torch.cuda.is_available() and shutil.which(words[0]):
            self.process = subprocess.Popen(
                words, stdout=subprocess.PIPE, text=True
            )
            self.thread = threading.Thread(target=self.sample)
            self.thread.start()
        return self

    def sample(self):
        """Reads one line after the other."""
        for line in self.process.stdout:
            is_second = self.log.exists() and (
                len(self.log.read_text("utf-8").splitlines()) == 1
            )
            if is_second and line.strip().isdigit():
                self.percent.append(int(line))

    def __exit__(self, *error):
        if self.process is not None:
            self.process.kill()
            self.thread.join()
            self.process.wait()

    def row(self):
        """The mean, in percent; without a GPU, nothing."""
        if not self.percent:
            return {}
        return {"busy": round(statistics.mean(self.percent))}


def read_speed(text):
    """The speed and the waiting in the last epoch of a training's log."""

    def last(name):
        return float(re.findall(rf"train {name}: ([-+.\de]+)", text)[-1])

    row = harness.summary([last("clips_per_second")], "clips/s")
    return {**row, "waiting": round(100 * last("waiting"))}


def main():
    """Makes the clips, and measures."""
    args = harness.read_options(
        __doc__, rounds=3, threads=1, seconds=300.0, only_compile=0
    )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    against = {f"{name}, compiled": name for name in CASES}
    against[MASKED] = MASKED.removesuffix(", masked")
    results = harness.Results(args, "recipe_speed", against, device=device)
    has_recipes = device == "cuda" or args.smoke
    # Of training, and each of validation and evaluation
    sizes = {"clips": (4800, BATCH), "words": (12800, 128)}
    if args.only_compile:
        sizes = {"clips": (4 * BATCH, BATCH), "words": (512, 128)}
    if device == "cpu":
        sizes = {"clips": (BATCH, 8), "words": (35, 35)}
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        machine = Machine(args, device, folder)
        names = {"clips": read_classes(folder)}
        names["words"] = {f"word{n}": f"word{n}" for n in range(35)}
        for part, seconds in (("clips", 10.0), ("words", 1.0)):
            make_clips(folder / part, names[part], seconds, *sizes[part])

        def left():
            return max(results.seconds_left() - SPARE_SECONDS, 1)

        if has_recipes:
            work = functools.partial(compile_all, machine, left())
            results.measure("compiling all recipes at the same time", work)
        if args.only_compile:
            return
        if has_recipes:
            for name, case in machine.cases.items():
                for mode, flags in (("", ()), (", compiled", COMPILED)):
                    work = functools.partial(run, machine, case, flags, left())
                    results.measure(f"{name}{mode}", work)
            case = CASES[against[MASKED]]._replace(
                options={"pad_frames": "null"}
            )
            work = functools.partial(run, machine, case, (), left())
            results.measure(MASKED, work)
        results.add(time_reading(args, folder / "clips"))


if __name__ == "__main__":
    main()
