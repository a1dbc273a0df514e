"""Measures the recipes, and what a clip and a batch cost.

It makes its own data: as many clips of 10 s as AudioSet-18k, prepared as the
recipes expect them. Each measurement adds a line to OUT/recipe_speed.jsonl at
once, with commit, card and versions; one that fails, or has no time, writes
its error, and the next ones run. On a GPU first the compiled recipes, each in a
process of its own. Everywhere: what a clip and a batch cost, and what a step
launches on a simulated GPU. With --smoke, tiny models run on a CPU.

> python benchmarks/recipe_speed.py --seconds 300 --out DIR

Authors
 * The speechbrain_fftp authors 2026
"""

import functools
import os
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple
from unittest import mock

import harness
import torch
from hyperpyyaml import load_hyperpyyaml
from recipe_data import RATE, Data, Size
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import speechbrain as sb
from speechbrain.dataio import audio_io
from speechbrain.dataio.batch import PaddedBatch, PaddedData
from speechbrain.dataio.dataloader import make_dataloader
from speechbrain.dataio.preprocess import AudioNormalizer
from speechbrain_fftp.utils.complexity import count_macs

ROOT = Path(__file__).resolve().parents[1]
RECIPES = ROOT / "recipes"
sys.path.insert(0, str(RECIPES / "AudioSet"))
import train as recipe  # noqa: E402

BATCH, WORKERS, ROUNDS = 48, 4, 3
TINY = {"embed_dim": 64, "depth": 1, "num_workers": 1}
FLAC, PACKS = FORMATS = "FLAC files, float32", "packs, 16 bits"


class Run(NamedTuple):
    """How a recipe is run."""

    yaml: str = "ast_fftp"
    batch: int = BATCH
    shortest: float = 1.0  # length of the shortest clips, relative to 10 s


SIZES = {
    "cuda": Size(clips=18685, sample=1920, seconds=10, steps=200),
    "cpu": Size(clips=480, sample=480, seconds=10, steps=0),
    "smoke": Size(clips=48, sample=48, seconds=1, steps=4),
}
RUNS = (  # most important first
    Run(),
    Run(batch=12),
    Run("aum_fftp"),
    Run(shortest=0.2),
    Run("speechcommands/ast_fftp", batch=128),
)
# A run whose time is up is stopped by then, and the rest measured
SPARE_SECONDS = 5


def settings(data, folder, smoke, **others):
    """Settings of the recipe that are not its defaults."""
    return {
        "data_folder": "none",
        "prepared_folder": str(data.folder),
        "output_folder": folder,
        "skip_prep": True,
        "use_tensorboard": False,
        "after": [],
        **(TINY if smoke else {}),
        **others,
    }


def load_recipe(data, folder, smoke, yaml="ast_fftp", **others):
    """Loads a yaml file, with ``settings``."""
    with open(ROOT / "hparams" / f"{yaml}.yaml", encoding="utf-8") as file:
        return load_hyperpyyaml(file, settings(data, folder, smoke, **others))


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
        return normalize(sig, rate)

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


class Encoder(torch.nn.Module):
    """Stands for an encoder: the same embeddings for any batch."""

    def __init__(self, embeddings):
        super().__init__()
        self.embeddings = embeddings

    def forward(self, feats, lengths):
        return self.embeddings


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
            modules=torch.nn.ModuleDict(
                {**hparams["modules"], "embedding_model": Encoder(embeddings)}
            ),
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


def run_recipe(log, data, yaml, batch, shortest):
    """Speed of a compiled recipe, in a process of its own, in its second epoch."""
    count = min(data.size.steps * batch, len(data.train))
    with tempfile.TemporaryDirectory(dir=data.folder) as folder:
        others = settings(
            data,
            folder,
            log.smoke,
            batch_size=batch,
            number_of_epochs=2,
            device=log.device,
            # A CPU may be slow in bfloat16
            precision="fp32" if log.smoke else "bf16",
        )
        script = RECIPES / "AudioSet" / "train.py"
        if yaml.startswith("speechcommands"):
            script = RECIPES / "SpeechCommands" / "train.py"
            others["prepared_folder"] = str(data.words(count))
        else:
            others["train_annotation"] = data.list(count, shortest)
        words = [script, ROOT / "hparams" / f"{yaml}.yaml", "--noprogressbar"]
        words += [f"--{name}={value}" for name, value in others.items()]
        env = {**os.environ, "TORCHDYNAMO_DISABLE": str(int(log.smoke))}
        with open(Path(folder, "output.txt"), "w+") as output:
            status, _, _ = harness.run_recipe(
                [*words, "--compile"],
                stdout=output,
                env=env,
                timeout=max(log.seconds_left() - SPARE_SECONDS, 1),
            )
            if status != 0:
                output.seek(0)
                raise RuntimeError(output.read()[-400:])
        log_text = Path(folder, "train_log.txt").read_text("utf-8")
    return read_speed(log_text)


def read_speed(text):
    """The speed in the last epoch of a training's log, as a dict."""
    found = re.findall(r"train clips_per_second: ([-+.\de]+)", text)
    return {"clips_per_second": float(found[-1])}


def share_of_matmuls(log, data, found, yaml, shortest, **choices):
    """Adds the share of the time that the encoder's matmuls take at full speed.

    A backward pass takes twice as many as a forward pass.
    """
    hparams = load_recipe(data, "none", log.smoke, yaml, n_classes=1)
    seconds = data.size.seconds * (1 + shortest) / 2  # on average
    if yaml.startswith("speechcommands"):
        seconds = 1
    feats = torch.zeros(1, round(100 * seconds), hparams["n_mels"])
    encoder = hparams["embedding_model"].eval()
    with torch.no_grad():
        macs = count_macs(encoder, feats).total
    dtype = torch.float32 if log.smoke else torch.bfloat16
    limit = harness.matmul_rate(log.device, dtype) / (3 * macs)
    return {**found, "matmul_share": found["clips_per_second"] / limit}


def measure(log, data):
    """Adds all lines, most important first."""

    def add(case, function, **choices):
        """A line for one choice of a function's last arguments."""
        call = functools.partial(function, log, data, **choices)
        log.add(case, call, **choices)

    if log.device == "cuda" or log.smoke:
        runs = [run._replace(batch=4) for run in RUNS[2:]]
        for run in runs if log.smoke else RUNS:
            add("recipe", measure_recipe, **run._asdict())
    for mixed in (False, True):
        add("launches", count_launches, mixed=mixed)
    for format in FORMATS:
        add("loader", time_loader, format=format)


def measure_recipe(log, data, **choices):
    """Speed of a recipe, and its share of the speed of matmuls."""
    found = run_recipe(log, data, **choices)
    return share_of_matmuls(log, data, found, **choices)


def main():
    """Makes the data, and measures."""
    args = harness.read_options(
        __doc__, rounds=ROUNDS, seconds=300.0, out="recipe_speed"
    )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    found = harness.environment(device)
    machine = found.get("GPU", found["processor"])
    about = {"device": device, "machine": machine, "commit": harness.commit()}
    about.update({name: found[name] for name in ("torch", "triton")})
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
