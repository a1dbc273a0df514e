"""Shared functions of the benchmarks: timing, memory and result files.

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
import tempfile
import time
import timeit
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from speechbrain_fftp.dataio.files import atomic_path, write_json

try:
    from triton.errors import TritonError

    TRITON_ERRORS = (TritonError,)
except ImportError:
    TRITON_ERRORS = ()

RESULTS = Path(__file__).resolve().parent / "results"
ROUND_SECONDS = 0.5
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


def read_options(description, rounds, **others):
    """Parses the command line and sets the number of threads.

    ``others`` are names and defaults of further options, which also set their
    types. With ``--smoke``, results go to a temporary folder.
    """
    global RESULTS, ROUND_SECONDS
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--smoke", action="store_true", help="test with tiny sizes"
    )
    for name, default in others.items():
        kind = str if default is None else type(default)
        parser.add_argument(f"--{name}", type=kind, default=default)
    args = parser.parse_args()
    if args.smoke:
        args.rounds, args.threads, ROUND_SECONDS = 1, 1, 0.0
        RESULTS = Path(tempfile.mkdtemp(prefix="smoke-"))
    torch.set_num_threads(args.threads)
    return args


def target(work, goal, value, unit="x", at_least=True, reason=""):
    """A row of the table of targets in docs/performance.md, as a dict.

    ``goal`` is a lower bound of the value (None: not yet measured), or an upper
    bound if not ``at_least``; ``reason`` says why it may be missed. A value
    within a tenth of its goal neither meets nor misses it.
    """
    bound = "at least" if at_least else "at most"
    row = {"work": work, "target": f"{bound} {goal:,g}{unit}"}
    if value is None:
        return {**row, "measured": "not yet measured", "met": "-"}
    row["measured"] = (
        f"{value:,.0f}{unit}" if value > 99 else f"{value:.3g}{unit}"
    )
    if abs(value - goal) <= 0.1 * goal:
        row["met"] = "within noise"
    elif (value > goal) == at_least:
        row["met"] = "yes"
    else:
        row["met"] = f"no: {reason}".rstrip(": ")
    return row


class Log:
    """Appends lines of results to a file, as long as there is time.

    ``about``, a dict, is added to each line.
    """

    def __init__(self, path, seconds, device, smoke, about=None):
        path.parent.mkdir(parents=True, exist_ok=True)
        self.file = open(path, "a", encoding="utf-8")
        self.start, self.seconds = time.monotonic(), seconds
        self.device, self.smoke, self.about = device, smoke, about or {}

    def seconds_left(self):
        """The seconds until the time is up."""
        return self.seconds - (time.monotonic() - self.start)

    def add(self, case, measure, **about):
        """Adds a line with the dict that ``measure`` returns, or its error."""
        if self.seconds_left() < 0:
            found = {"error": "not yet measured: no time was left"}
        else:
            try:
                found = measure()
            except FAILURES as error:  # the other cases still run
                found = {"error": f"{type(error).__name__}: {error}"[:500]}
        second = round(self.seconds - self.seconds_left())
        row = {"case": case, **self.about, **about, **found, "second": second}
        print(json.dumps(row), file=self.file, flush=True)
        print(json.dumps(row), flush=True)
        if self.device == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        return found


def clock():
    """The time, after the GPU has finished its work."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def seconds(function, calls=1):
    """Seconds per call of a function."""
    return timeit.Timer(function, timer=clock).timeit(calls) / calls


def compare(cases, rounds=10, case_seconds=60.0):
    """Times functions, by name, in turns: disturbances affect all of them.

    A measurement takes half a second, which sets its number of calls. A
    function that would take more than ``case_seconds`` gets fewer rounds; if
    the warm-up call takes longer, its time is the only measurement. Returns, by
    name, a dict with ``median``, ``low`` and ``high`` quartile of the seconds
    per call, and the numbers of ``rounds`` and of ``calls`` per round.
    """
    times, calls, limits = {name: [] for name in cases}, {}, {}
    for name, function in cases.items():
        one, calls[name], limits[name] = seconds(function), 1, 0
        if one > case_seconds:
            times[name].append(one)
            continue
        if one < ROUND_SECONDS:
            one = seconds(function)
        calls[name] = math.ceil(ROUND_SECONDS / one) or 1
        limits[name] = max(1, int(case_seconds / (one * calls[name])))
    for i in range(rounds):
        for name, function in cases.items():
            if i < limits[name]:
                times[name].append(seconds(function, calls[name]))
    result = {}
    for name, each in times.items():
        low, median, high = statistics.quantiles(
            each if len(each) > 1 else 2 * each, n=4, method="inclusive"
        )
        result[name] = {"median": median, "low": low, "high": high}
        result[name].update(rounds=len(each), calls=calls[name])
    return result


def milliseconds(time):
    """A time of ``compare`` for a table: median (quartiles, rounds)."""
    values = (1000 * time[key] for key in ("low", "median", "high"))
    low, median, high = (f"{x:.0f}" if x > 99 else f"{x:.3g}" for x in values)
    return f"{median} ({low}-{high}, n={time['rounds']})"


def time_rows(times):
    """Rows of what ``compare`` returned, for ``write_results``."""
    return [
        {"what": name, "ms": milliseconds(time), "seconds": time}
        for name, time in times.items()
    ]


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


def add_row(rows, row):
    """Appends a row, a dict, to a list of rows and prints it."""
    rows.append(row)
    shown = [str(cell) for cell in row.values() if not isinstance(cell, dict)]
    print(" | ".join(shown), flush=True)


def check_same(results, tolerance):
    """Exits unless all functions, by name, returned the same tensors.

    The tolerance is relative to the largest value of the first function.
    """
    first, *others = results
    for name in others:
        for i, (expected, found) in enumerate(
            zip(results[first], results[name])
        ):
            error = (found - expected).abs().max() / expected.abs().max()
            if not error <= tolerance:
                raise SystemExit(f"{name}: tensor {i} is off by {error:.1e}")


def peak_memory(function):
    """Peak of the bytes allocated on the CPU, except for the results."""
    activities = [ProfilerActivity.CPU]
    with profile(activities=activities, profile_memory=True) as profiler:
        outputs = function()
    events = profiler.profiler.kineto_results.events()
    held, peak = 0, 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        if event.name() == "[memory]":
            held += event.nbytes()
            peak = max(peak, held)
    return peak - sum(tensor.nbytes for tensor in outputs)


def commit():
    """The commit that is measured; "+" says that files have been changed.

    FFTP_COMMIT, where there is no git, or ``git describe``.
    """
    words = ["git", "describe", "--always", "--abbrev=8", "--exclude=*"]
    try:
        done = subprocess.run(
            [*words, "--dirty=+"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
        )
        found = done.stdout.strip()
    except FileNotFoundError:
        found = ""
    return os.environ.get("FFTP_COMMIT") or found or "unknown"


def matmul_rate(device, dtype):
    """Multiply-accumulates per second of a product of large matrices."""
    size, repeats = 256, 3  # larger ones in bfloat16 take a CPU many seconds
    if device == "cuda":
        size, repeats = 8192, 20
    x = torch.randn(size, size, device=device, dtype=dtype)
    for _ in range(repeats):
        x @ x
    return size**3 / seconds(lambda: x @ x, repeats)


def environment(device, packages=()):
    """The machine and versions of packages, as a dict."""
    found = {"processor": platform.processor() or platform.machine()}
    cpuinfo = Path("/proc/cpuinfo")
    for line in cpuinfo.read_text().splitlines() if cpuinfo.exists() else ():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            found["processor"] = value.strip()
        if name.strip() == "flags":
            found["instructions"] = instruction_sets(value.split())
    found["CPU threads"] = torch.get_num_threads()
    if torch.device(device).type == "cuda":
        found["GPU"] = torch.cuda.get_device_name(device)
    for package in ("torch", "triton", *packages):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def instruction_sets(flags):
    """The CPU flags that determine the speed of matrix multiplications."""
    names = {
        "avx2": "AVX2",
        "avx512f": "AVX-512",
        "avx_vnni": "AVX-VNNI",
        "avx512_vnni": "AVX-512 VNNI",
        "amx_int8": "AMX",
    }
    return " ".join(name for flag, name in names.items() if flag in flags)


def table(columns, rows):
    """A table in Markdown, given the texts of its cells."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def markdown(sections):
    """Formats the contents of a JSON file of results."""
    lines = []
    for title, section in sections.items():
        facts = section["environment"].items()
        facts = ", ".join(f"{name} {value}" for name, value in facts)
        texts = (f"### {title}", section["note"].strip(), facts)
        lines += [f"{text}\n" for text in texts if text]
        first = section["rows"][0]
        names = [n for n in first if not isinstance(first[n], dict)]
        rows = [[str(row[n]) for n in names] for row in section["rows"]]
        lines.append(table(names, rows))
    return "\n".join(lines)


def write_results(name, about, sections, folder=None):
    """Writes NAME.json, and the page of all results in its folder.

    ``sections`` maps titles to a note and rows: dicts with the same keys.
    Values that are dicts are in the JSON file only. The default folder is
    ``benchmarks/results``.
    """
    folder = folder or RESULTS
    sections = {
        title: {"note": note, "environment": about, "rows": rows}
        for title, (note, rows) in sections.items()
    }
    folder.mkdir(exist_ok=True)
    write_json(folder / f"{name}.json", sections)
    with atomic_path(folder / "README.md") as path:
        Path(path).write_text(page_of(folder), encoding="utf-8")
    print(markdown(sections))


def page_of(folder):
    """Formats the page of all results in a folder."""
    parts = ["# Results", ""]
    for path in sorted(folder.glob("*.json")):
        sections = json.loads(path.read_text("utf-8"))
        parts += [f"## {path.stem}", "", markdown(sections)]
    return "\n".join(parts).rstrip() + "\n"
