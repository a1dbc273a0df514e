"""Writes tables of targets, GPU speed and int8 into docs/performance.md.

Each table is between two comments; its rows are in benchmarks/results.

> python benchmarks/performance_table.py

Authors
 * The speechbrain_fftp authors 2026
"""

import json
from pathlib import Path

from harness import target

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
# Targets of gpu.py: the work, its case, choices and figure, the goal, and why it
# may be missed
TARGETS = (
    ("filterbanks of 32 clips, float32, speed relative to torchaudio clip by clip",
     {"case": "filterbank"}, "ratio", 20, "x", True, ""),
    ("scan forward, 1213 steps, bfloat16, share of what copies allow",
     {"case": "scan", "length": 1213, "backward": False, "backend": "triton"},
     "share", 0.6, "", True, "its exponentials alone take longer than the copies"),
    ("AST-base, 96 FFTP patches, one clip, bfloat16, CUDA graph",
     {"case": "inference", "model": "AST", "tokens": 96, "batch": 1,
      "mode": "graph"}, "ms", 0.5, " ms", False, "many short kernels"),
    ("AuM-base, 196 FFTP patches, one clip, bfloat16, CUDA graph",
     {"case": "inference", "model": "AuM", "tokens": 196, "batch": 1,
      "mode": "graph"}, "ms", 1.5, " ms", False, "many short kernels"),
    ("training AST-base, 196 FFTP patches, bfloat16, share of matmul speed",
     {"case": "training", "model": "AST", "tokens": 196, "compiled": False},
     "utilisation", 0.45, "", True, "the GPU waits for Python"),
)  # fmt: skip
BEGIN, END = "<!-- {}: begin -->\n", "<!-- {}: end -->\n"  # of a table


def render():
    """Formats the table of targets, measurements, and reasons for misses."""
    lines = [
        "| work | target | measured | met | with AVX2 alone |",
        "|---|---|---|---|---|",
    ]
    for name in NAMES:
        rows = read_targets(RESULTS / f"{name}.json")
        avx2 = {
            row["work"]: row["measured"]
            for row in read_targets(RESULTS / "avx2" / f"{name}.json")
        }
        for row in rows:
            cells = [*row.values(), avx2[row["work"]]]
            lines.append(f"| {' | '.join(cells)} |")
    for row in gpu_rows():
        lines.append(f"| {' | '.join(row.values())} | - |")
    return "\n".join(lines) + "\n"


def read_targets(path):
    """The rows of a file's table of targets, as dicts."""
    return json.loads(path.read_text("utf-8"))["Targets"]["rows"]


def read_gpu_rows():
    """The lines of gpu.jsonl, as dicts."""
    path = RESULTS / "gpu.jsonl"
    if not path.exists():
        return []
    return list(map(json.loads, path.read_text("utf-8").splitlines()))


def gpu_rows():
    """The targets of gpu.py, from the last line of each case."""
    rows = read_gpu_rows()
    for work, about, figure, goal, unit, at_least, reason in TARGETS:
        found = [
            row.get(figure) for row in rows if about.items() <= row.items()
        ]
        value = found[-1] if found else None
        yield target(f"on a GPU: {work}", goal, value, unit, at_least, reason)


def gpu_table():
    """Formats inference and training of base models on a GPU."""
    found = {}
    for row in read_gpu_rows():
        key = row.get("model"), row.get("tokens")
        if row["case"] == "inference" and row["mode"] == "graph":
            found[(*key, row["batch"])] = f"{row['ms']:.3g}"
        if row["case"] == "training" and not row["compiled"]:
            found[(*key, "training")] = f"{row['clips_per_second']:,.0f}"
    lines = [
        "| base model | tokens | one clip, ms | 32 clips, ms | training, clips "
        "per second |",
        "|---|---|---|---|---|",
    ]
    for model in ("AST", "AuM"):
        for tokens in (96, 196, 991, 1212):
            patches = "square" if tokens == 1212 else "FFTP"
            cells = [f"{model}, {patches}", str(tokens)]
            cells += [found[model, tokens, x] for x in (1, 32, "training")]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def int8_table():
    """Formats the table of int8.json."""
    found = json.loads((RESULTS / "int8.json").read_text("utf-8"))
    rows = found["Int8"]["rows"]
    lines = [list(rows[0]), ["---"] * len(rows[0]), *(r.values() for r in rows)]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


def replace_tables(text):
    """Replaces the tables of a text."""
    tables = {"performance": render(), "gpu": gpu_table(), "int8": int8_table()}
    for name, table in tables.items():
        begin, end = BEGIN.format(name), END.format(name)
        before, rest = text.split(begin)
        _, after = rest.split(end)
        text = before + begin + table + end + after
    return text


def main():
    """Rewrites the page."""
    text = replace_tables(PAGE.read_text("utf-8"))
    with atomic_path(PAGE) as path:
        Path(path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
