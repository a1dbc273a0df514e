"""Writes tables of speed and of int8 into docs/performance.md.

Each table is between two comments; its rows are in benchmarks/results.

> python benchmarks/performance_table.py

Authors
 * The speechbrain_fftp authors 2026
"""

import json
from pathlib import Path

from harness import table, target

from speechbrain_fftp.dataio.files import atomic_path

PAGE = Path(__file__).resolve().parents[1] / "docs" / "performance.md"
RESULTS = Path(__file__).resolve().parent / "results"
# Results with targets, in the order of the table.
NAMES = (
    "published",
    "end_to_end",
    "startup",
    "mamba",
    "threads",
    "training_step",
    "front_end",
    "augmentation",
    "find",
    "learn",
)
# Targets on a GPU: the work, its case, choices and figure, the goal, and why it
# may be missed
TARGETS = (
    ("filterbanks of 32 clips, float32, speed relative to torchaudio clip by clip",
     {"case": "filterbank"}, "ratio", 20, "x", True, ""),
    ("scan forward, 1213 steps, bfloat16, share of what copies allow",
     {"case": "scan", "length": 1213, "backward": False, "backend": "triton"},
     "share", 0.6, "", True, "its exponentials alone take longer than the copies"),
    ("AST-base, 96 FFTP patches, one clip, bfloat16, compiled, CUDA graph",
     {"case": "inference", "model": "AST", "tokens": 96, "batch": 1,
      "mode": "compiled graph"}, "ms", 0.45, " ms", False, ""),
    ("AuM-base, 196 FFTP patches, one clip, bfloat16, CUDA graph",
     {"case": "inference", "model": "AuM", "tokens": 196, "batch": 1,
      "mode": "graph"}, "ms", 1.5, " ms", False, "many short kernels"),
    ("training step of AST-base, 196 FFTP patches, bfloat16, compiled, batch 48, "
     "share of matmul speed",
     {"case": "training", "model": "AST", "tokens": 196, "batch": 48,
      "compiled": True, "lengths": False}, "utilisation", 0.45, "", True, ""),
    ("whole recipe, AST-base, bfloat16, compiled, batch 48",
     {"case": "recipe", "yaml": "ast_fftp", "batch": 48, "shortest": 1.0}, "clips_per_second",
     2500, " clips/s", True, ""),
    ("whole recipe, AST-base, bfloat16, compiled, batch 12",
     {"case": "recipe", "yaml": "ast_fftp", "batch": 12, "shortest": 1.0}, "clips_per_second",
     1200, " clips/s", True, ""),
    ("whole recipe, AuM-base, bfloat16, compiled, batch 48",
     {"case": "recipe", "yaml": "aum_fftp", "batch": 48}, "clips_per_second",
     900, " clips/s", True, ""),
)  # fmt: skip
# What a training step launched, and how often it waited, before clips were in
# packs of 16 bits and random numbers drawn on the CPU
LAUNCHES_BEFORE, WAITS_BEFORE = 240, 12
BEGIN, END = "<!-- {}: begin -->\n", "<!-- {}: end -->\n"  # of a table


def render():
    """Formats the table of targets, measurements, and reasons for misses."""
    rows = []
    for name in NAMES:
        avx2 = {
            row["work"]: row["measured"]
            for row in read_targets(RESULTS / "avx2" / f"{name}.json")
        }
        for row in read_targets(RESULTS / f"{name}.json"):
            own = avx2.get(row["work"], "not yet measured")
            rows.append([*row.values(), own])
    rows += ([*row.values(), "-"] for row in gpu_rows())
    columns = ["work", "target", "measured", "met", "with AVX2 alone"]
    return table(columns, rows)


def read_targets(path):
    """The rows of a file's table of targets, as dicts."""
    return json.loads(path.read_text("utf-8"))["Targets"]["rows"]


def read_lines(name):
    """The lines of a file of results, as dicts; none if there is no file."""
    path = RESULTS / name
    if not path.exists():
        return []
    return list(map(json.loads, path.read_text("utf-8").splitlines()))


def newest(rows):
    """The rows of the last row's commit and machine: no others are mixed in."""

    def source(row):
        return [row.get(name) for name in ("commit", "GPU", "machine")]

    return [row for row in rows if source(row) == source(rows[-1])]


def latest(rows, figure, about):
    """The last figure that was measured in a case; None if it never was.

    A row of another scan than the default is found by its scan alone.
    """
    found = [
        row[figure]
        for row in rows
        if figure in row
        and about.items() <= row.items()
        and row.get("scan") == about.get("scan")
    ]
    return found[-1] if found else None


def gpu_rows():
    """The targets on a GPU."""
    recipes = read_lines("recipe_speed.jsonl")
    recipes = [row for row in recipes if row["device"] == "cuda"]
    rows = newest(read_lines("gpu.jsonl")) + newest(recipes)
    commits = {row["case"]: row["commit"] for row in rows}
    for work, about, figure, goal, unit, at_least, reason in TARGETS:
        value = latest(rows, figure, about)
        row = target(f"on a GPU: {work}", goal, value, unit, at_least, reason)
        if value is not None:
            row["measured"] += f" ({commits[about['case']]})"
        yield row


def training_table():
    """Formats what a clip and a batch of training cost on a CPU."""
    lines = read_lines("recipe_speed.jsonl")
    lines = newest([row for row in lines if row["device"] == "cpu"])
    rows = []
    for work, figure in (
        ("a worker reads a clip, ms", "read_ms"),
        ("a worker makes a clip of a batch, ms", "worker_ms"),
        ("the main process receives a batch of 48 clips, ms", "main_ms"),
    ):
        before, now = (
            latest(lines, figure, {"device": "cpu", "format": format})
            for format in ("FLAC files, float32", "packs, 16 bits")
        )
        rows.append([work, f"{before:.2g}", f"{now:.2g}"])
    launches, waits = (
        latest(lines, figure, {"case": "launches", "mixed": False})
        for figure in ("launches", "waits")
    )
    kernels = "kernels and copies before backward, besides the encoder's"
    rows += [
        [kernels, f"{LAUNCHES_BEFORE}", f"{launches}"],
        ["waits for the GPU before backward", f"{WAITS_BEFORE}", f"{waits}"],
    ]
    columns = ["work", "before: FLAC files, float32", "now: packs, 16 bits"]
    return table(columns, rows)


def gpu_table():
    """Formats inference and training of base models on a GPU."""
    lines, rows = newest(read_lines("gpu.jsonl")), []
    for model in ("AST", "AuM"):
        for tokens in (96, 196, 991, 1212):
            about = {"model": model, "tokens": tokens}
            one, many = (
                latest(lines, "ms", {**about, "mode": "graph", "batch": batch})
                for batch in (1, 32)
            )
            about["compiled"] = False
            rate = latest(lines, "clips_per_second", about)
            patches = "square" if tokens == 1212 else "FFTP"
            cells = [f"{model}, {patches}", f"{tokens}"]
            cells += [
                "-" if one is None else f"{one:.3g}",
                "-" if many is None else f"{many:.3g}",
                "-" if rate is None else f"{rate:,.0f}",
            ]
            rows.append(cells)
    columns = ["base model", "tokens", "one clip, ms", "32 clips, ms"]
    return table([*columns, "training, clips per second"], rows)


def int8_table():
    """Formats the table of int8.json."""
    path = RESULTS.parents[1] / "studies/results/tables/int8.json"
    rows = json.loads(path.read_text("utf-8"))["Int8"]["rows"]
    return table(list(rows[0]), [map(str, row.values()) for row in rows])


def replace_tables(text):
    """Replaces the tables of a text."""
    tables = {
        "performance": render(),
        "gpu": gpu_table(),
        "training": training_table(),
        "int8": int8_table(),
    }
    for name, rows in tables.items():
        begin, end = BEGIN.format(name), END.format(name)
        before, rest = text.split(begin)
        _, after = rest.split(end)
        text = before + begin + rows + end + after
    return text


def main():
    """Rewrites the page."""
    text = replace_tables(PAGE.read_text("utf-8"))
    with atomic_path(PAGE) as path:
        Path(path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
