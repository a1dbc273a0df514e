"""The page of stored tables beside the plans: studies/results/tables.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
from pathlib import Path

from performance_table import table

TABLES = Path(__file__).with_name("results") / "tables"


def read_rows(name, title):
    """The stored rows of a table; none if there is no file."""
    path = TABLES / f"{name}.json"
    if not path.exists():
        return []
    return json.loads(path.read_text("utf-8"))[title]["rows"]


def section_text(sections):
    """Formats the contents of a JSON file."""
    lines = []
    for title, section in sections.items():
        facts = section["environment"].items()
        facts = ", ".join(f"{name} {value}" for name, value in facts)
        texts = (f"### {title}", section["note"].strip(), facts)
        lines += [f"{text}\n" for text in texts if text]
        first = section["rows"][0]
        names = [x for x in first if not isinstance(first[x], dict)]
        rows = [
            [str(row.get(x, "-")) for x in names] for row in section["rows"]
        ]
        lines.append(table(names, rows))
    return "\n".join(lines)


def page_of_tables():
    """The page of all tables."""
    parts = ["# Results", ""]
    for path in sorted(TABLES.glob("*.json")):
        sections = json.loads(path.read_text("utf-8"))
        parts += [f"## {path.stem}", "", section_text(sections)]
    return "\n".join(parts).rstrip() + "\n"
