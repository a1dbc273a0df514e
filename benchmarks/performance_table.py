"""Writes the tables of docs/performance.md from benchmarks/results.

Each is between two comments that name its file.

> python benchmarks/performance_table.py

Authors
 * The speechbrain_fftp authors 2026
"""

import itertools
import json
import re
from pathlib import Path

from harness import RESULTS

from fftp_tag.files import atomic_path

PAGE = Path(__file__).resolve().parents[1] / "docs" / "performance.md"
BLOCK = "(<!-- {0}: begin -->\n).*?(<!-- {0}: end -->)"


def table(columns, rows):
    """A table in Markdown, given the texts of its cells."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def load(name):
    """The results of a script, by machine."""
    return json.loads((RESULTS / f"{name}.json").read_text("utf-8"))


def speed_of(rows, name):
    """The speed of a row relative to the one that it is compared with."""
    row = rows[name]
    ratio = rows[row["against"]]["median"] / row["median"]
    return 1 / ratio if row["unit"] == "clips/s" else ratio


def cell(rows, name):
    """Formats a row of a machine."""
    row = rows.get(name, {"error": ""})
    if "error" in row:
        return "-"
    median = row["median"]
    text = f"{median:,.0f}" if median > 99 else f"{median:.3g}"
    text += f" {row['unit']}"
    if "median" in rows.get(row.get("against"), {}):
        text += f", {speed_of(rows, name):.3g}x"
    if "waiting" in row:
        text += f", waiting {row['waiting']} %"
    return text


def results_table(name):
    """The table of a script: a row for each measurement, a column a machine.

    Only what has been measured; an empty text if nothing has.
    """
    machines = {}
    for machine, found in load(name).items():
        rows = {x: y for x, y in found["rows"].items() if "error" not in y}
        commit = f", {found['commit']}" if "commit" in found else ""
        if rows:
            machines[f"{machine}{commit}"] = rows
    names = dict.fromkeys(itertools.chain(*machines.values()))
    if not names:
        return ""
    lines = [
        [each, *(cell(rows, each) for rows in machines.values())]
        for each in names
    ]
    return table(["", *machines], lines)


def replace_tables(text):
    """Replaces the tables of a text."""
    for path in RESULTS.glob("*.json"):
        block = re.compile(BLOCK.format(path.stem), re.DOTALL)
        rows = results_table(path.stem)
        text = block.sub(rf"\g<1>{rows}\g<2>", text)
    return text


def main():
    """Rewrites the page."""
    text = replace_tables(PAGE.read_text("utf-8"))
    with atomic_path(PAGE) as path:
        Path(path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
