"""Writes the pages and the pictures of the study's stored runs: `make evidence`.

Statistics of all plans are written to studies/results/figures.json. From these
it writes docs/evidence.md, by the template evidence.jinja; a page for each plan
to studies/results, with the text notes/NAME.md; and README's table. What
docs/evidence.md and README show, and the pictures, is in evidence.yaml.

> python studies/report.py

Authors
 * The speechbrain_fftp authors 2026
"""

import ast
import json
import re
import sys
from pathlib import Path

import jinja2
import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
from performance_table import table

from fftp_tag.files import atomic_path, write_json
from studies.measure import NAMES, measure_all
from studies.plan import RESULTS, Plan
from studies.plots import plot_curve, plot_panels

EVIDENCE, README = ROOT / "docs" / "evidence.md", ROOT / "README.md"
BLOCK = r"(<!-- results -->\n).*?(<!-- end -->)"
SHOWN = yaml.safe_load(
    Path(__file__).with_name("evidence.yaml").read_text("utf-8")
)
NOTES = Path(__file__).with_name("notes")


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
    """The table of a plan's trials of learning rates, by model."""
    if not plan.trials:
        return ""
    found = json.loads(plan.chosen_path.read_text("utf-8"))["scores"]
    rates = {
        trial: str(ast.literal_eval(trial)["lr"])
        for scores in found.values()
        for trial in scores
    }
    tried = sorted(rates, key=lambda trial: float(rates[trial]))
    rows = [
        [
            model,
            *(f"{100 * scores[x]:.1f}" if x in scores else "-" for x in tried),
        ]
        for model, scores in found.items()
    ]
    return table(["model", *(rates[x] for x in tried)], rows)


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
    )


def panels_of(figures):
    """The metric and the labels and rows of each panel of the picture, by title."""
    found = {}
    for panel in SHOWN["panels"]:
        points = []
        for point in panel["points"]:
            plan, name, label = point["run"]
            row = figures[plan] and figures[plan]["rows"][name].get(label)
            if row:
                points.append((point["label"], row))
        if points:
            found[panel["title"]] = (panel["metric"], points)
    return found


def contrast_of(figures, plan, name, label):
    """A contrast that has runs, or None."""
    contrasts = figures[plan] and figures[plan]["contrasts"].get(name, {})
    return contrasts and contrasts.get(label)


def curve_of(figures):
    """The differences of the curve that have runs, by number of clips."""
    return {
        count: entry
        for count, of in SHOWN["curve"]["differences"].items()
        if (entry := contrast_of(figures, *of))
    }


def result_of(figures, entry, root):
    """The cells of a difference, by column; None without runs.

    ``root`` is the path to the root of the checkout.
    """
    plan, name, label = entry["of"]
    found = contrast_of(figures, plan, name, label)
    if not found:
        return None
    arms = found["arms"]
    means = " / ".join(f"{arm['mean']:.1f}" for arm in arms)
    epochs = both([arm["epochs"] for arm in arms], "{}")
    page = f"{root}studies/results/{plan}.md"
    return {
        "data": entry["data"].format(epochs=epochs),
        "compared": f"[{entry['compared']}]({page})",
        "in %": f"{means} {Plan(plan).metric}",
        "difference": interval_of(found) + failed_of(found),
        "ahead": ahead_of(found),
        "would be seen": f"{found['seen']:.1f}",
        "MMACs": both([arm["macs"] / 1e6 for arm in arms]),
        "CPU minutes": both([arm["cpu_minutes"] for arm in arms]),
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
    left_out = ("would be seen", "CPU minutes") if only_readme else ()
    columns = [x for x in rows[0] if x not in ("of", *left_out)]
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
        EVIDENCE: render("evidence.jinja", results=results, figures=figures),
        README: readme(figures),
        **{
            RESULTS / f"{name}.md": plan_page(Plan(name), figures)
            for name in NAMES
        },
    }


def main():
    """Writes figures, pages and pictures."""
    write_json(RESULTS / "figures.json", measure_all())
    figures = json.loads((RESULTS / "figures.json").read_text("utf-8"))
    for path, text in pages(figures).items():
        with atomic_path(path) as temporary:
            Path(temporary).write_text(text, "utf-8")
    plot_panels(panels_of(figures), RESULTS / "models.png")
    curve = {**SHOWN["curve"], "differences": curve_of(figures)}
    plot_curve(**curve, path=RESULTS / "curve.png")


if __name__ == "__main__":
    main()
