"""Shared functions of the benchmarks: options, timing and stored results.

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import importlib.metadata
import json
import math
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
import timeit
from pathlib import Path

import torch
from torchaudio.compliance import kaldi

from fftp_tag.files import write_json

try:
    from triton.errors import TritonError

    TRITON_ERRORS = (TritonError,)
except ImportError:
    TRITON_ERRORS = ()

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
# What a case may lack: memory, a GPU or its driver, a package, a kernel, a
# file. Errors of torch and its compiler are RuntimeErrors, those of Triton are
# not.
FAILURES = (
    RuntimeError,
    ImportError,
    OSError,
    ValueError,
    subprocess.SubprocessError,  # also of a program that took too long
    *TRITON_ERRORS,
)
# CPU flags that determine the speed of matrix multiplications
INSTRUCTIONS = {
    "avx2": "AVX2",
    "avx512f": "AVX-512",
    "avx_vnni": "AVX-VNNI",
    "avx512_vnni": "AVX-512 VNNI",
    "amx_int8": "AMX",
}


def read_options(description, **defaults):
    """Parses the command line and sets the number of threads.

    ``defaults`` are those of further options, whose types they set.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--smoke", action="store_true", help="test with tiny sizes"
    )
    parser.add_argument("--out", help="folder of results")
    options = {
        "rounds": 10,
        "round_seconds": 0.5,
        "threads": 2,
        "seconds": 3600.0,
        **defaults,
    }
    for name, default in options.items():
        parser.add_argument(f"--{name}", type=type(default), default=default)
    args = parser.parse_args()
    if args.smoke:
        args.rounds, args.round_seconds, args.threads = 1, 0.0, 1
    torch.set_num_threads(args.threads)
    return args


def clock():
    """The time, after the GPU has finished its work."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def milliseconds(function, calls=1):
    """Milliseconds per call of a function."""
    return 1000 * timeit.Timer(function, timer=clock).timeit(calls) / calls


def summary(values, unit):
    """Median and quartiles of measured values, as a dict."""
    low, median, high = statistics.quantiles(
        values if len(values) > 1 else 2 * values, n=4, method="inclusive"
    )
    return {
        "median": median,
        "low": low,
        "high": high,
        "rounds": len(values),
        "unit": unit,
    }


def compare(cases, args):
    """Times functions, by name, in turns: disturbances affect all of them.

    In each round, a function is called for ``args.round_seconds``. Returns the
    ``summary`` of the milliseconds per call, by name.
    """
    calls, times = {}, {name: [] for name in cases}
    for name, function in cases.items():
        function()  # the first call may compile
        once = milliseconds(function)
        calls[name] = math.ceil(1000 * args.round_seconds / once) or 1
    for _ in range(args.rounds):
        for name, function in cases.items():
            times[name].append(milliseconds(function, calls[name]))
    return {name: summary(each, "ms") for name, each in times.items()}


def by_torchaudio(wavs):
    """Filterbanks as the Audio Spectrogram Transformer's authors compute them."""
    feats = [
        kaldi.fbank(
            wav[None] - wav.mean(),
            htk_compat=True,
            sample_frequency=16000,
            use_energy=False,
            window_type="hanning",
            num_mel_bins=128,
            dither=0.0,
            frame_shift=10,
        )
        for wav in wavs
    ]
    return torch.stack(feats)


def reports(recipe):
    """The yaml of ``after`` that only reports, for a recipe's script or name."""
    name = "report_tagging" if "AudioSet" in recipe else "report_accuracy"
    return f"""
- !name:speechbrain_fftp.training.reports.{name}
  folder: !ref <output_folder>"""


def run_recipe(words, **options):
    """Runs a recipe, given its script, yaml and options as a list.

    ``options`` are passed to ``subprocess.run``. Returns the exit status, the
    minutes of CPU time and the minutes that passed.
    """
    before, start = cpu_seconds(), time.time()
    done = subprocess.run(
        [sys.executable, *map(str, words)],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
        **options,
    )
    minutes = (cpu_seconds() - before) / 60, (time.time() - start) / 60
    return done.returncode, *minutes


def cpu_seconds():
    """CPU time of all child processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def commit(*paths):
    """The commit that is measured; "+" says that files have been changed.

    Of some paths, if they are given. Where there is no git: FFTP_COMMIT.
    """
    if "FFTP_COMMIT" in os.environ:
        return os.environ["FFTP_COMMIT"]
    status = ("status", "--porcelain", "--untracked-files=no", "--", *paths)
    found, changed = (
        subprocess.run(
            ["git", *words], cwd=ROOT, capture_output=True, text=True
        ).stdout.strip()
        for words in (("rev-parse", "--short=10", "HEAD"), status)
    )
    return (found or "unknown") + "+" * bool(changed)


def environment(device, packages=()):
    """The machine and versions of packages, as a dict."""
    found = {"processor": platform.processor() or platform.machine()}
    cpuinfo = Path("/proc/cpuinfo")
    for line in cpuinfo.read_text().splitlines() if cpuinfo.exists() else ():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            found["processor"] = value.strip()
        if name.strip() == "flags":
            flags = value.split()
            names = [
                INSTRUCTIONS[flag] for flag in INSTRUCTIONS if flag in flags
            ]
            found["instructions"] = " ".join(names)
    found["CPU threads"] = torch.get_num_threads()
    if torch.device(device).type == "cuda":
        found["GPU"] = torch.cuda.get_device_name(device)
    for package in ("torch", "triton", *packages):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


class Results:
    """What a script measures on this machine, stored in OUT/NAME.json at once.

    ``rows`` maps names to what ``summary`` returns, or to a dict with an
    ``error``; ``against`` maps some names to the row that they are compared
    with. With --smoke, rows are only stored if --out is given.
    """

    def __init__(self, args, name, against=None, packages=(), device="cpu"):
        self.rows, self.against = {}, against or {}
        self.end = time.monotonic() + args.seconds
        self.path = Path(args.out or RESULTS, f"{name}.json")
        self.is_stored = bool(args.out) or not args.smoke
        self.about = {"commit": commit(), **environment(device, packages)}
        self.machine = self.about.get("GPU") or ", ".join(
            (self.about["processor"], self.about.get("instructions", ""))
        )

    def seconds_left(self):
        """The seconds until the time is up."""
        return self.end - time.monotonic()

    def add(self, rows):
        """Adds rows, prints and stores them."""
        for name, row in rows.items():
            if name in self.against:
                row = {**row, "against": self.against[name]}
            print(name, json.dumps(row), flush=True)
            self.rows[name] = row
        if not self.is_stored:
            return
        stored = {}
        if self.path.exists():
            stored = json.loads(self.path.read_text("utf-8"))
        # Rows that another call measured at this commit stay
        before = stored.get(self.machine, {})
        others = {}
        if before.get("commit") == self.about["commit"]:
            others = before["rows"]
        rows = {**others, **self.rows}
        stored[self.machine] = {**self.about, "rows": rows}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_json(self.path, stored)

    def measure(self, name, function):
        """Adds the row that a function returns, or its error, if time is left."""
        row = {"error": "no time was left"}
        if self.seconds_left() > 0:
            try:
                row = function()
            except FAILURES as error:  # the other cases still run
                row = {"error": f"{type(error).__name__}: {error}"[:500]}
        self.add({name: row})
