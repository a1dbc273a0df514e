"""Tables of accuracy beside the plans: studies/results/tables.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
from pathlib import Path

from harness import environment
from performance_table import table

from fftp_tag.files import write_json

TABLES = Path(__file__).with_name("results") / "tables"


def read_rows(name, title):
    """The stored rows of a table; none if there is no file."""
    path = TABLES / f"{name}.json"
    if not path.exists():
        return []
    return json.loads(path.read_text("utf-8"))[title]["rows"]


def write_tables(name, sections):
    """Writes tables into NAME.json, and the page of all tables.

    ``sections`` maps titles to a note and rows: dicts with the columns of the
    first row. Values that are dicts are in the JSON file only. Stored tables of
    other titles are kept.
    """
    about = environment("cpu")
    sections = {
        title: {"note": note, "environment": about, "rows": rows}
        for title, (note, rows) in sections.items()
    }
    path = TABLES / f"{name}.json"
    stored = json.loads(path.read_text("utf-8")) if path.exists() else {}
    write_json(path, {**stored, **sections})
    (TABLES / "README.md").write_text(page_of_tables(), "utf-8")
    print(section_text(sections))


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
