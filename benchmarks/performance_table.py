"""Puts the targets of all results into README.md's performance table.

The table stands between two comments; benchmarks/results/*.json hold the rows.

> python benchmarks/performance_table.py

Authors
 * The speechbrain_fftp authors 2026
"""

import json
from pathlib import Path

from speechbrain_fftp.dataio.files import atomic_path

README = Path(__file__).resolve().parents[1] / "README.md"
RESULTS = Path(__file__).resolve().parent / "results"
# Names of the results with targets, in the table's order.
NAMES = (
    "front_end",
    "front_end_gpu",
    "encoder",
    "end_to_end",
    "input_pipeline",
    "augmentation",
)
BEGIN, END = "<!-- performance: begin -->\n", "<!-- performance: end -->\n"


def render():
    """The table: what is to be reached, what was, and why if it was not."""
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
    """A text with the table in the place of the one it has."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return before + BEGIN + render() + END + after


def main():
    """Rewrites README.md."""
    text = replace_table(README.read_text("utf-8"))
    with atomic_path(README) as path:
        Path(path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
