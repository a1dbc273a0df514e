"""Runs of a study: the recipe as a process, several of them side by side.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import ctypes
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import torch
from harness import environment
from study_data import Data
from study_models import PEERS, ROOT, Config, compose, read_yaml

SPLITS = ("train", "valid", "test")
PR_SET_PDEATHSIG = 1


class Run(NamedTuple):
    """A configuration and a seed.

    Arguments
    ---------
    name : str
        What it is called when it is printed.
    config : Config
        The configuration.
    seed : int
        The seed.
    data : Data
        The data.
    device : str
        ``cpu`` or ``cuda``.
    """

    name: str
    config: Config
    seed: int
    data: Data
    device: str

    @property
    def key(self):
        """Tells the run from all others."""
        config = self.config
        return run_key(
            self.data.recipe,
            config.yaml,
            config.overrides,
            self.seed,
            self.device,
        )

    def folder(self, work):
        """Its folder, the same whenever it is started."""
        digest = hashlib.sha1(self.key.encode()).hexdigest()[:10]
        name = re.sub(r"\W+", "_", self.name).strip("_")
        return work / "runs" / f"{name}_{self.seed}_{digest}"


def run_key(recipe, yaml, overrides, seed, device):
    """What tells a run from others, however its values are written.

    Arguments
    ---------
    recipe : str
        The script.
    yaml : str
        The yaml.
    overrides : dict
        Keys and values, in any order; 1.0 is 1.
    seed : int
        The seed.
    device : str
        The device; of ``cuda:0``, only ``cuda`` counts.

    Returns
    -------
    str
        The key.
    """
    values = {}
    for name, value in overrides.items():
        whole = isinstance(value, float) and value.is_integer()
        # 1 cell and all cells are not the same
        if whole and not (name == "mask_budget" and value):
            value = int(value)
        values[name] = value
    parts = [recipe, yaml, values, int(seed), device.split(":")[0]]
    return json.dumps(parts, sort_keys=True)


def row_key(row):
    """The key of a row of the results."""
    names = ("recipe", "yaml", "overrides", "seed", "device")
    return run_key(*(row[name] for name in names))


def read_rows(path):
    """The rows of a results file, by key. A line cut short is left out."""
    rows = {}
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                row = json.loads(line)
            except ValueError:
                continue
            rows[row_key(row)] = row
    return rows


def append_row(path, row):
    """Adds a row to a results file, in one piece."""
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = not path.exists() or path.read_bytes()[-1:] in (b"", b"\n")
    line = ("" if whole else "\n") + json.dumps(row) + "\n"
    with open(path, "a", encoding="utf-8") as file:
        file.write(line)
        file.flush()
        os.fsync(file.fileno())


def command(run, data_folder, work):
    """The command of a run: the recipe, as its users call it."""
    data, config = run.data, run.config
    yaml = compose(config, data.base, work / Path(config.yaml).name)
    options = {
        **config.overrides,
        "data_folder": data_folder,
        "prepared_folder": work / "prepared",
        "output_folder": run.folder(work),
        "seed": run.seed,
        "num_workers": 0 if run.device == "cpu" else 4,
        "num_threads": 1,
        "device": run.device,
    }
    words = [f"--{key}={value}" for key, value in options.items()]
    return [sys.executable, str(ROOT / data.recipe), str(yaml), *words]


def die_with_parent():
    """Has the process ended when the study's is killed (Linux alone)."""
    if LIBC is not None:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def start(run, data_folder, work):
    """Starts a run, which goes on where it was interrupted."""
    folder = run.folder(work)
    resumed = folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    paths = [str(PEERS), os.environ.get("PYTHONPATH")]
    variables = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "OMP_NUM_THREADS": "1",
    }
    with open(folder / "output.txt", "a", encoding="utf-8") as output:
        process = subprocess.Popen(
            command(run, data_folder, work),
            cwd=work,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=die_with_parent,
        )
    process.run, process.resumed, process.started = run, resumed, time.time()
    return process


def finish(process, usage, work):
    """The row of a run that has ended well."""
    run = process.run
    config, data, folder = run.config, run.data, run.folder(work)
    metrics = json.loads((folder / "metrics.json").read_text())
    figures = data.figures(config)
    clips = {split: count_clips(work, run, split) for split in SPLITS}
    epochs = config.overrides["number_of_epochs"]
    text = read_yaml(config.yaml, data.base)
    plain = re.sub(r"\s*#.*", "", text)
    return {
        "recipe": data.recipe,
        "yaml": config.yaml,
        "overrides": config.overrides,
        "seed": run.seed,
        "device": run.device.split(":")[0],
        "metric": data.metric,
        "value": metrics[data.metric],
        "epochs": epochs,
        "clips": clips,
        **figures._asdict(),
        "seconds_of_clip": data.seconds,
        "training_macs": 3 * figures.macs * clips["train"] * epochs,
        "cpu_minutes": (usage.ru_utime + usage.ru_stime) / 60,
        "minutes": (time.time() - process.started) / 60,
        "resumed": process.resumed,
        "processor": environment(run.device)["processor"],
        "torch": torch.__version__,
        "yaml_sha1": hashlib.sha1(plain.encode()).hexdigest()[:10],
        "metrics": {k: v for k, v in metrics.items() if is_number(v)},
    }


def is_number(value):
    """Whether a value is a number, and no truth value."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def manifest(work, run, split):
    """The manifest of a split."""
    text = read_yaml(run.config.yaml, run.data.base)
    found = re.search(rf"^{split}_annotation: .*/(\S+)", text, re.MULTILINE)
    return work / "prepared" / found[1]


def count_clips(work, run, split):
    """Number of prepared clips of a split."""
    path = manifest(work, run, split)
    with open(path, newline="", encoding="utf-8") as file:
        return sum(1 for _ in csv.DictReader(file))


def clean(folder):
    """Deletes what a finished run leaves that is large."""
    for name in ("save", "inference"):
        shutil.rmtree(folder / name, ignore_errors=True)


def tail(folder, lines=15):
    """The last lines that a run has printed."""
    text = (folder / "output.txt").read_text("utf-8", errors="replace")
    return "\n".join(text.splitlines()[-lines:])
