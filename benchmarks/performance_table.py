"""Writes the targets of all results into docs/performance.md.

The table stands between two comments; benchmarks/results/*.json hold its rows.

> python benchmarks/performance_table.py

Authors
 * The speechbrain_fftp authors 2026
"""

import json
from pathlib import Path

from speechbrain_fftp.dataio.files import atomic_path

PAGE = Path(__file__).resolve().parents[1] / "docs" / "performance.md"
RESULTS = Path(__file__).resolve().parent / "results"
# Results with targets, in the order of the table.
NAMES = (
    "front_end",
    "front_end_gpu",
    "encoder",
    "published",
    "end_to_end",
    "input_pipeline",
    "augmentation",
)
BEGIN, END = "<!-- performance: begin -->\n", "<!-- performance: end -->\n"


def render():
    """The table: targets, what was measured, and why targets are missed."""
    lines = ["| work | target | measured | met |", "|---|---|---|---|"]
    for name in NAMES:
        path = RESULTS / f"{name}.json"
        if not path.exists():
            lines.append(f"| {name} | - | not yet measured | - |")
            continue
        for row in json.loads(path.read_text("utf-8"))["Targets"]["rows"]:
            lines.append("| " + " | ".join(row.values()) + " |")
    return "\n".join(lines) + "\n"


def replace_table(text):
    """Replaces the table of a text."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return before + BEGIN + render() + END + after


def main():
    """Rewrites the page."""
    text = replace_table(PAGE.read_text("utf-8"))
    with atomic_path(PAGE) as path:
        Path(path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
