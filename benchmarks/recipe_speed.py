"""Measures the AudioSet recipe, and where the time of a training step goes.

It makes its own data: as many clips of 10 s as AudioSet-18k, prepared as the
recipe expects them. Each measurement adds a line to OUT/recipe_speed.jsonl at
once; one that fails writes its error, and the next ones run. On a GPU, most
important first: loader, compiled training steps, the recipe in a process of its
own, the parts of its step, and the recipe with other options. On a CPU, only
what a clip and a batch cost there, and what a step launches on a simulated GPU.
With --smoke, tiny models run on a CPU.

> python benchmarks/recipe_speed.py --seconds 300 --out DIR

Authors
 * The speechbrain_fftp authors 2026
"""

import functools
import itertools
import math
import os
import re
import shlex
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple
from unittest import mock

import harness
import torch
from gpu import measure_limits, time_inference, time_training
from hyperpyyaml import load_hyperpyyaml
from recipe_data import RATE, Data, Size
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.profiler import profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import speechbrain as sb
from speechbrain.dataio import audio_io
from speechbrain.dataio.batch import PaddedBatch, PaddedData
from speechbrain.dataio.dataloader import make_dataloader
from speechbrain.dataio.preprocess import AudioNormalizer

ROOT = Path(__file__).resolve().parents[1]
RECIPE = ROOT / "recipes" / "AudioSet" / "train.py"
sys.path.insert(0, str(RECIPE.parent))
import train as recipe  # noqa: E402

BATCH, WORKERS, ROUNDS = 48, 4, 3
TINY = {"embed_dim": 64, "depth": 1, "num_workers": 1}
FLAC, PACKS = FORMATS = "FLAC files, float32", "packs, 16 bits"
# CUDA's functions in a profile
CALLS = {
    "launches": re.compile(r"cu(da)?(LaunchKernel|GraphLaunch)"),
    "copies": re.compile(r"cudaMem(cpy|set)"),
    "waits": re.compile(r"cuda(Stream|Device|Event)Synchronize"),
}


class Run(NamedTuple):
    """How the recipe is run."""

    options: str
    yaml: str = "ast_fftp"
    precision: str = "bf16"
    batch: int = BATCH
    mixed: bool = False  # lengths


SIZES = {
    "cuda": Size(clips=18685, sample=1920, seconds=10, steps=200),
    "cpu": Size(clips=480, sample=480, seconds=10, steps=0),
    "smoke": Size(clips=48, sample=48, seconds=1, steps=4),
}
RUNS = (
    Run("--compile"),
    Run("--compile", batch=12),
    Run("--compile", yaml="aum_fftp"),
    Run(""),
    Run("", batch=12),
    Run("", precision="fp32", batch=12),
    Run("--compile --masking '!ref <spec_augment>'"),
    Run(
        "--compile --compile_mode reduce-overhead --grad_accumulation_factor 2",
        mixed=True,
    ),
)
# A CPU may be slow in bfloat16
SMOKE_RUNS = [run._replace(precision="fp32", batch=12) for run in RUNS[::7]]


def settings(data, folder, smoke, **others):
    """Settings of the recipe that are not its defaults."""
    return {
        "data_folder": "none",
        "prepared_folder": str(data.folder),
        "output_folder": folder,
        "skip_prep": True,
        "use_tensorboard": False,
        "inference_yaml": None,
        "after": [],
        **(TINY if smoke else {}),
        **others,
    }


def load_recipe(*args, **others):
    """Loads ast_fftp.yaml, with ``settings``."""
    with open(ROOT / "hparams" / "ast_fftp.yaml", encoding="utf-8") as file:
        return load_hyperpyyaml(file, settings(*args, **others))


def time_loader(log, data, format):
    """CPU time of a worker for a clip, and of the main process for a batch.

    A batch is received, and copied to memory at hand, as by pinning.
    """
    clips = data.list(data.size.sample)
    hparams = load_recipe(data, "none", True, train_annotation=clips)
    dataset = recipe.dataio_prep(hparams)["train"]
    normalize = AudioNormalizer(RATE)

    def read_flac(clip_id):
        """Reads a clip ``[S]`` as the recipe did before there were packs."""
        sig, rate = audio_io.load(data.flac(clip_id), channels_first=False)
        return normalize(sig[: int(hparams["max_seconds"] * rate)], rate)

    key = "sig"
    if format == FLAC:
        key = "flac"
        dataset.add_dynamic_item(read_flac, takes="id", provides=key)
    dataset.set_output_keys(["id", key, "targets"])
    loader = make_dataloader(
        dataset,
        batch_size=BATCH,
        num_workers=min(WORKERS, os.cpu_count()),
        persistent_workers=True,
        pin_memory=log.device == "cuda",
    )
    clip = dataset[0][key]
    buffer = clip.to(log.device).repeat(BATCH, 1)

    def read():
        with dataset.output_keys_as([key]):
            for index in range(len(dataset)):
                dataset[index]

    def work():
        for first in range(0, len(dataset), BATCH):
            PaddedBatch([dataset[i] for i in range(first, first + BATCH)])

    def receive():
        for batch in loader:
            buffer.copy_(getattr(batch, key).data, non_blocking=True)

    receive()  # starts the workers
    reading, working, (receiving, passed) = map(
        stopwatch, (read, work, receive)
    )
    return {
        "read_ms": 1000 * reading[0] / len(dataset),
        "worker_ms": 1000 * working[0] / len(dataset),
        "main_ms": 1000 * receiving / len(loader),
        "clips_per_second": len(dataset) / passed,
    }


def stopwatch(function):
    """Median CPU time of this process for a call, and time that passed."""
    times = []
    for _ in range(ROUNDS):
        start, cpu_start = time.perf_counter(), time.process_time()
        function()
        cpu_stop = time.process_time()
        times.append((cpu_stop - cpu_start, time.perf_counter() - start))
    return [statistics.median(x) for x in zip(*times)]


class CountLaunches(TorchDispatchMode):
    """Counts operations on a GPU, and those that take a result off it."""

    launches = waits = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        taken, given = (
            [x.is_cuda for x in tree_leaves(values) if torch.is_tensor(x)]
            for values in ((args, kwargs), result)
        )
        is_free = function.is_view or "empty" in function.__name__
        self.launches += any(given) and not is_free
        self.waits += any(taken) and not all(given)
        return result


def count_launches(log, data, mixed):
    """Launches and waits of a step before backward, but for the encoder's.

    Counts copies to the GPU, too. The GPU is simulated.
    """
    with FakeTensorMode():
        with torch.device("cuda"):
            hparams = load_recipe(data, "none", True)
            embeddings = torch.empty(BATCH, 1, hparams["embed_dim"])
        brain = SimpleNamespace(
            device="cuda",
            hparams=SimpleNamespace(**hparams),
            modules={
                **hparams["modules"],
                "embedding_model": lambda feats, lens: embeddings,
            },
        )
        clips = torch.zeros(BATCH, 10 * RATE, dtype=torch.int16)
        targets = torch.zeros(BATCH, len(data.classes))
        batch = SimpleNamespace(
            sig=PaddedData(clips, torch.ones(BATCH)),
            targets=PaddedData(targets, None),
        )
        with mock.patch(
            "speechbrain_fftp.lobes.tagger.unequal_lengths",
            lambda lengths: lengths if mixed else None,
        ), CountLaunches() as counts:
            Brain, stage = recipe.TaggingBrain, sb.Stage.TRAIN
            outputs = Brain.compute_forward(brain, batch, stage)
            Brain.compute_objectives(brain, outputs, batch, stage)
    return {"launches": counts.launches, "waits": counts.waits}


class Phases:
    """Splits time into phases: that of the GPU, or without one, of Python."""

    def __init__(self):
        self.marks = []

    def end(self, name):
        """Ends a phase."""
        if torch.cuda.is_available():
            now = torch.cuda.Event(enable_timing=True)
            now.record()
        else:
            now = time.perf_counter()
        self.marks.append((name, now))

    def split(self):
        """Milliseconds by phase."""
        harness.clock()  # waits for the GPU
        sums = Counter()
        for (_, before), (name, now) in itertools.pairwise(self.marks):
            if torch.cuda.is_available():
                sums[name] += before.elapsed_time(now)
            else:
                sums[name] += 1000 * (now - before)
        return sums


class TimedBrain(recipe.TaggingBrain):
    """The recipe's Brain; splits the second epoch, and profiles the third."""

    def on_fit_start(self):
        super().on_fit_start()
        for module, before, name in (
            (self.hparams.mixup, "copy to the device", "mixup"),
            (self.hparams.masking, "features", "masking"),
        ):
            module.register_forward_pre_hook(self.end_of(before))
            module.register_forward_hook(self.end_of(name))
        encoder = self.modules["embedding_model"]  # compiled by now
        encoder.register_forward_hook(self.end_of("encoder"))

    def end_of(self, name):
        """A hook that ends a phase."""
        return lambda *_: self.phases.end(name)

    def on_stage_start(self, stage, epoch=None):
        super().on_stage_start(stage, epoch)
        self.phases = Phases()
        if stage == sb.Stage.TRAIN and epoch == 3:
            self.profile = profile()
            self.profile.start()

    def on_stage_end(self, stage, stage_loss, epoch=None):
        if stage == sb.Stage.TRAIN and epoch == 2:
            parts = self.phases.split()
            parts = {name: parts[name] / self.step for name in parts}
            self.found = {"ms": parts}
        if stage == sb.Stage.TRAIN and epoch == 3:
            self.profile.stop()
            events = self.profile.profiler.kineto_results.events()
            names = [event.name() for event in events]
            for kind, pattern in CALLS.items():
                calls = sum(bool(pattern.match(name)) for name in names)
                self.found[kind] = calls / self.step
        super().on_stage_end(stage, stage_loss, epoch)

    def on_fit_batch_start(self, batch, should_step):
        self.phases.end("waiting for data")
        super().on_fit_batch_start(batch, should_step)
        self.phases.end("seed and learning rate")

    def compute_objectives(self, predictions, batch, stage):
        loss = super().compute_objectives(predictions, batch, stage)
        self.phases.end("classifier and loss")
        return loss

    def optimizers_step(self):
        self.phases.end("backward")
        super().optimizers_step()
        self.phases.end("optimiser")

    def update_average(self, loss, avg_loss):
        self.phases.end("reading the loss")
        return super().update_average(loss, avg_loss)


def time_parts(log, data, batch, precision):
    """Time of the parts of a compiled step, and launches, copies and waits."""
    with tempfile.TemporaryDirectory(dir=data.folder) as folder:
        hparams = load_recipe(
            data,
            folder,
            log.smoke,
            train_annotation=data.list(min(data.size.steps, 40) * batch),
            batch_size=batch,
            number_of_epochs=3,
        )
        brain = TimedBrain(
            modules=hparams["modules"],
            opt_class=hparams["opt_class"],
            hparams=hparams,
            run_opts={
                "device": log.device,
                "precision": precision,
                "compile": not log.smoke,
                "noprogressbar": True,
            },
            checkpointer=hparams["checkpointer"],
        )
        recipe.train(brain, recipe.dataio_prep(hparams), hparams)
    return brain.found


def run_recipe(log, data, options, yaml, precision, batch, mixed):
    """Speed of the recipe, in a process of its own, in its second epoch."""
    with tempfile.TemporaryDirectory(dir=data.folder) as folder:
        others = settings(
            data,
            folder,
            log.smoke,
            train_annotation=data.list(data.size.steps * batch, mixed),
            batch_size=batch,
            number_of_epochs=2,
            device=log.device,
            precision=precision,
        )
        others["inference_yaml"] = "null"
        words = [RECIPE, ROOT / "hparams" / f"{yaml}.yaml", "--noprogressbar"]
        words += [f"--{name}={value}" for name, value in others.items()]
        env = {**os.environ, "TORCHDYNAMO_DISABLE": str(int(log.smoke))}
        with open(Path(folder, "output.txt"), "w+") as output:
            status, _, _ = harness.run_recipe(
                [*words, *shlex.split(options)],
                stdout=output,
                env=env,
                timeout=log.seconds_left(),
            )
            if status != 0:
                output.seek(0)
                raise RuntimeError(output.read()[-400:])
        return read_speed(Path(folder, "train_log.txt").read_text("utf-8"))


def read_speed(text):
    """The speed in the last epoch of a training's log, as a dict."""
    found = dict(re.findall(r"train (\w+): ([-+.\de]+)", text))
    names = ("clips_per_second", "matmul_share")
    return {name: float(found[name]) for name in names}


def measure(log, data):
    """Adds all lines, most important first."""

    def add(case, function, *first, **choices):
        """A line for one choice of a function's last arguments."""
        call = functools.partial(function, log, *first, **choices)
        log.add(case, call, **choices)

    for format in FORMATS:
        add("loader", time_loader, data, format=format)
    for mixed in (False, True):
        add("launches", count_launches, data, mixed=mixed)
    if log.device == "cpu" and not log.smoke:
        return
    limits = log.add("limits", lambda: measure_limits(log))
    step = functools.partial(time_training, flops=limits.get("flops", math.nan))
    of_step = {"tokens": 196, "batch": 2 if log.smoke else BATCH}
    of_step["compiled"] = True
    add("step", step, model="AST", lengths=False, **of_step)
    add("step", step, model="AST", lengths=True, **of_step)
    one = {"model": "AST", "tokens": 96, "batch": 1}
    add("one clip", time_inference, mode="compiled graph", **one)
    add("step", step, model="AuM", lengths=False, **of_step)
    first, *others = SMOKE_RUNS if log.smoke else RUNS
    add("recipe", run_recipe, data, **first._asdict())
    add("parts", time_parts, data, batch=first.batch, precision=first.precision)
    for run in others:
        add("recipe", run_recipe, data, **run._asdict())


def main():
    """Makes the data, and measures."""
    args = harness.read_options(
        __doc__, rounds=ROUNDS, seconds=300.0, out="recipe_speed"
    )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    found = harness.environment(device)
    machine = found.get("GPU", found["processor"])
    about = {"device": device, "machine": machine, "torch": found["torch"]}
    if not args.smoke:
        harness.ROUND_SECONDS = 0.1
    path = Path(args.out, "recipe_speed.jsonl")
    log = harness.Log(path, args.seconds, device, args.smoke, about)
    torch.set_num_threads(1)  # CPU times are those of all threads
    size = SIZES["smoke" if args.smoke else device]
    with tempfile.TemporaryDirectory() as folder:
        measure(log, Data(Path(folder), size))


if __name__ == "__main__":
    main()
