"""Writes the pages and the picture of the study's stored runs: `make evidence`.

Statistics of all plans are written to studies/results/figures.json. From these
it writes docs/evidence.md, by the template evidence.jinja; a page for each plan
to studies/results, with the text notes/NAME.md; and README's table. What
docs/evidence.md and README show, and the picture, is in evidence.yaml.

> python studies/report.py

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import re
import statistics
import sys
from pathlib import Path

import jinja2
import numpy as np
import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
from performance_table import table

from fftp_tag.files import atomic_path, write_json
from studies.comparison import t_interval
from studies.measure import NAMES, measure_all
from studies.plan import RESULTS, Plan
from studies.plots import plot_panels
from studies.tables import TABLES, page_of_tables, read_rows

EVIDENCE, README = ROOT / "docs" / "evidence.md", ROOT / "README.md"
BLOCK = r"(<!-- results -->\n).*?(<!-- end -->)"
SHOWN = yaml.safe_load(
    Path(__file__).with_name("evidence.yaml").read_text("utf-8")
)
NOTES = Path(__file__).with_name("notes")
MOST_POINTS = 8  # of a panel


def signed(value):
    """Formats a value in points."""
    return f"{round(value, 1) + 0.0:+.1f}"  # +0.0, not -0.0


def interval_of(entry):
    """The difference of a contrast with its interval."""
    low, high = signed(entry["low"]), signed(entry["high"])
    return f"{signed(entry['value'])} [{low}, {high}]"


def ahead_of(entry):
    """In how many units the first is ahead."""
    return f"{entry['ahead']} of {len(entry['by_fold'])}"


def failed_of(entry):
    """A note on trainings that failed."""
    failed = sum(arm["failed"] for arm in entry["arms"])
    count = sum(len(arm["by_fold"]) for arm in entry["arms"])
    return f" ({failed} of {count} trainings failed)" if failed else ""


def both(values, form="{:.1f}"):
    """Formats the values of both arms of a contrast, once if they are equal."""
    known = [value for value in values if value is not None]
    return " / ".join(dict.fromkeys(map(form.format, known))) or "-"


def trials(plan):
    """The table of a plan's trials of options, by model."""
    if not plan.trials:
        return ""
    found = json.loads(plan.chosen_path.read_text("utf-8"))["scores"]
    tried = []  # of any model, where the plan extends its trials
    for model in found:
        tried += [x for x in plan.trials_of(model) if x not in tried]
    if "extend" in plan.facts:
        tried.sort(key=lambda trial: trial["lr"])
    names = [", ".join(map(str, trial.values())) for trial in tried]
    rows = []
    for model, scores in found.items():
        values = [scores.get(str(trial)) for trial in tried]
        cells = [f"{100 * x:.1f}" if x is not None else "-" for x in values]
        rows.append([model, *cells])
    return table(["model", *names], rows)


def seed_spread(figures):
    """The standard deviation over six seeds of one configuration, in points."""
    rows = figures["masks_long_clips"]["rows"]["seeds"]
    return statistics.stdev(row["mean"] for row in rows.values())


def render(template, **values):
    """Renders a page from a template in this folder."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        signed=signed,
        interval=interval_of,
        ahead=ahead_of,
        failed=failed_of,
        turn=turn,
    )
    return environment.get_template(template).render(**values)


def plan_page(plan, figures):
    """The page of a plan: what its note says, and all tables."""
    measured = figures[plan.name]
    return render(
        "page.jinja",
        plan=plan,
        measured=measured,
        note=(NOTES / f"{plan.name}.md").read_text("utf-8"),
        trials=trials(plan) if measured else "",
        spread=seed_spread(figures),
    )


def panels_of(figures):
    """The metric and the points of each panel of the picture, by title.

    Values are means of the folds that all points of a panel have.
    """
    found = {}
    for panel in SHOWN["panels"]:
        points = []
        for point in panel["points"]:
            plan, name, label = point["run"]
            row = figures[plan] and figures[plan]["rows"][name].get(label)
            if row:
                points.append({**point, "row": row})
        points = points[:MOST_POINTS]
        if not points:
            continue
        folds = set.intersection(*(set(x["row"]["by_fold"]) for x in points))
        for point in points:
            values = [point["row"]["by_fold"][fold] for fold in folds]
            point["value"] = statistics.mean(values)
            point["macs"] = point["row"]["macs"] / 1e6
        found[panel["title"]] = (panel["metric"], points)
    return found


def contrast_of(figures, plan, name, label):
    """A contrast that has runs, or None."""
    contrasts = figures[plan] and figures[plan]["contrasts"].get(name, {})
    return contrasts and contrasts.get(label)


def turn(entry):
    """A contrast the other way round."""
    return {
        **entry,
        "value": -entry["value"],
        "low": -entry["high"],
        "high": -entry["low"],
        "ahead": sum(value < 0 for value in entry["by_fold"]),
        "arms": entry["arms"][::-1],
    }


def draws_of(name, find):
    """The values of a stored table's row by draw; none without the row."""
    for row in read_rows(*name):
        if find["row"].items() <= row.items():
            return [draw[find["value"]] for draw in row["draws"].values()]
    return []


def table_contrast(entry):
    """The contrast of two values of a stored table, or None."""
    values = [draws_of(entry["table"], entry[x]) for x in ("first", "second")]
    if not all(values):
        return None
    by_fold = np.subtract(*values)
    return {
        "value": by_fold.mean(),
        **t_interval(by_fold)._asdict(),
        "by_fold": by_fold,
        "ahead": (by_fold > 0).sum(),
        "declared": True,
        "arms": [
            {"mean": np.mean(x), "failed": 0, "by_fold": x} for x in values
        ],
    }


def result_of(figures, entry, root):
    """The cells of a difference, by column; None without runs.

    ``root`` is the path to the root of the checkout.
    """
    if "table" in entry:
        found, page = (
            table_contrast(entry),
            f"tables/README.md#{entry['table'][0]}",
        )
        unit = entry["unit"]
    else:
        found, page = contrast_of(figures, *entry["of"]), f"{entry['of'][0]}.md"
        unit = Plan(entry["of"][0]).metric.replace("_", " ")
    if not found:
        return None
    if entry.get("turned"):
        found = turn(found)
    arms, data, notes = found["arms"], entry["data"], []
    costs = {"MMACs": "-", "CPU minutes": "-"}
    if "macs" in arms[0]:
        epochs = both([arm["epochs"] for arm in arms], "{}")
        data = f"{data}, {epochs} epochs"
        costs = {
            "MMACs": both([arm["macs"] / 1e6 for arm in arms]),
            "CPU minutes": both([arm["cpu_minutes"] for arm in arms]),
        }
    if not found["declared"]:
        notes.append("not declared")
    if "note" in entry:
        notes.append(entry["note"])
    note = f" ({'; '.join(notes)})" if notes else ""
    return {
        "data": data,
        "compared": f"[{entry['compared']}]({root}studies/results/{page}){note}",
        "in %": f"{arms[0]['mean']:.1f} / {arms[1]['mean']:.1f} {unit}",
        "difference": interval_of(found) + failed_of(found),
        "ahead": ahead_of(found),
        "would be seen": f"{found['seen']:.1f}",
        **costs,
    }


def results_table(figures, root="", only_readme=False):
    """The table of differences by question."""
    rows = []
    for question, entries in SHOWN["questions"].items():
        for entry in entries:
            cells = result_of(figures, entry, root)
            if cells and (entry.get("readme") or not only_readme):
                is_first = question not in [row["of"] for row in rows]
                title = question if is_first else ""
                rows.append({"of": question, "question": title, **cells})
    columns = [x for x in rows[0] if x != "of"]
    if only_readme:
        columns = [x for x in columns if x not in ("ahead", "would be seen")]
    return table(columns, [[row[x] for x in columns] for row in rows])


def readme(figures):
    """Fills in README's table."""
    found = results_table(figures, only_readme=True)
    text = README.read_text("utf-8")
    return re.sub(BLOCK, rf"\1\n{found}\n\2", text, flags=re.DOTALL)


def pages(figures):
    """The text of each page that ``make evidence`` writes, by path."""
    results = results_table(figures, "../")
    return {
        EVIDENCE: render(
            "evidence.jinja",
            results=results,
            figures=figures,
            spread=seed_spread(figures),
        ),
        README: readme(figures),
        TABLES / "README.md": page_of_tables(),
        **{
            RESULTS / f"{name}.md": plan_page(Plan(name), figures)
            for name in NAMES
        },
    }


def main():
    """Writes figures, pages and the picture."""
    write_json(RESULTS / "figures.json", measure_all())
    figures = json.loads((RESULTS / "figures.json").read_text("utf-8"))
    for path, text in pages(figures).items():
        with atomic_path(path) as temporary:
            Path(temporary).write_text(text, "utf-8")
    plot_panels(panels_of(figures), RESULTS / "models.png")


if __name__ == "__main__":
    main()
