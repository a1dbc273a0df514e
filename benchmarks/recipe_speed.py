"""Measures the speed of whole recipes, and of the reading of clips.

The clips are noise: of AudioSet's 527 classes, 10 s, a sixteenth of them
shorter; and of 35 words, 1 s. On a GPU, first the recipes, in eager mode, in
processes of their own. A row has the clips per second of a training's second
epoch, and how much of the time it waited for clips. Everywhere, what a clip and a
batch cost the processes that read, in CPU time: a worker's time for a clip includes
its part of a batch; a batch is received and copied, as by pinning. With
--compiled 1, only the compiled recipes: code is compiled for all of them at the same
time, in half of the time, and each is then measured. With --smoke, tiny models run
on a CPU.

> python benchmarks/recipe_speed.py --seconds 300 --out DIR

Authors
 * The speechbrain_fftp authors 2026
"""

import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import harness
import numpy as np
import torch
from hyperpyyaml import load_hyperpyyaml

from fftp_tag.data.audioset import read_classes
from fftp_tag.data.clips import Clip
from fftp_tag.data.prepared import write_prepared
from speechbrain.dataio.batch import PaddedBatch
from speechbrain.dataio.dataloader import make_dataloader

ROOT = Path(__file__).resolve().parents[1]
RECIPES = ROOT / "recipes"
sys.path.insert(0, str(RECIPES / "AudioSet"))
import train as recipe  # noqa: E402

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
BATCH, WORKERS = 48, 4
RATE = 16000
# A run whose time is up is stopped by then, and the rest measured
SPARE_SECONDS = 5
# The encoder in CUDA graphs
COMPILED = ("--compile", "--compile_mode", "reduce-overhead")


class Case(NamedTuple):
    """A training: its recipe, yaml file, batch size and further options."""

    recipe: str
    yaml: str
    batch: int
    options: dict = {}


# Most important first
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
SMOKE = ("AST, 196 tokens, batch 48", "words, AST, 60 tokens, batch 128")


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


def command(case, folder, output, is_smoke):
    """The words of a case's command, on the clips of a folder."""
    options = {
        **settings(folder / case.recipe, output),
        "batch_size": case.batch,
        "number_of_epochs": 2,
        "num_workers": min(8, os.cpu_count()),
        "device": DEVICE,
        "precision": "bf16",
        "after": harness.reports(case.recipe),
        **case.options,
    }
    if is_smoke:
        options.update(embed_dim=64, depth=1, num_workers=0, batch_size=4)
    words = [RECIPES / case.recipe / "train.py"]
    words += [ROOT / "hparams" / f"{case.yaml}.yaml", "--noprogressbar"]
    return words + [f"--{name}={value}" for name, value in options.items()]


def run(words, folder, seconds):
    """The row of a training, given its command and its output folder."""
    with tempfile.TemporaryFile("w+") as printed:
        status, *_ = harness.run_recipe(words, stdout=printed, timeout=seconds)
        if status != 0:
            printed.seek(0)
            raise RuntimeError(printed.read()[-1500:])
    metrics = json.loads(Path(folder, "metrics.json").read_text("utf-8"))
    row = harness.summary([metrics["clips_per_second"]], "clips/s")
    return {**row, "waiting": round(100 * metrics["waiting"])}


def compile_all(cases, folder, is_smoke, seconds):
    """Compiles all cases at the same time, for the cache."""
    end = time.monotonic() + seconds
    processes = []
    for number, case in enumerate(cases.values()):
        words = command(case, folder, folder / f"{number}", is_smoke)
        words = [sys.executable, *map(str, words), "--debug", *COMPILED]
        processes.append(subprocess.Popen(words, stdin=subprocess.DEVNULL))
    for process in processes:
        try:
            process.wait(max(end - time.monotonic(), 0))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def main():
    """Makes the clips, and measures."""
    args = harness.read_options(
        __doc__, rounds=3, threads=1, seconds=300.0, compiled=0
    )
    cases = {name: CASES[name] for name in (SMOKE if args.smoke else CASES)}
    against = {f"{name}, compiled": name for name in cases}
    results = harness.Results(args, "recipe_speed", against, device=DEVICE)
    if args.smoke:  # a compiler is not what is tested
        os.environ["TORCHDYNAMO_DISABLE"] = "1"
    # Of training, and each of validation and evaluation
    clips, words = (4800, BATCH), (12800, 128)
    if DEVICE == "cpu":
        clips, words = (BATCH, 8), (35, 35)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        make_clips(folder / "AudioSet", read_classes(folder), 10.0, *clips)
        names = {f"word{n}": f"word{n}" for n in range(35)}
        make_clips(folder / "SpeechCommands", names, 1.0, *words)
        if DEVICE == "cpu" and not args.smoke:
            cases = {}
        mode, flags = "", ()
        if args.compiled:
            mode, flags = ", compiled", COMPILED
            os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder / "compiled")
            compile_all(cases, folder, args.smoke, results.seconds_left() / 2)
        for name, case in cases.items():
            output = Path(tempfile.mkdtemp(dir=folder))
            words = [*command(case, folder, output, args.smoke), *flags]
            left = max(results.seconds_left() - SPARE_SECONDS, 1)
            work = functools.partial(run, words, output, left)
            results.measure(f"{name}{mode}", work)
        if not args.compiled:
            results.add(time_reading(args, folder / "AudioSet"))


if __name__ == "__main__":
    main()
