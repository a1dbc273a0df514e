"""Writes the pages and the pictures of the study's stored runs: `make evidence`.

Statistics of all plans are written to studies/results/figures.json. From these
it writes docs/evidence.md, by the template evidence.jinja; a page for each plan
to studies/results, with the text notes/NAME.md; README's table; and the picture
of the plan `height`. What docs/evidence.md and README show is in evidence.yaml.

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
from studies.plots import plot_steps

EVIDENCE, README = ROOT / "docs" / "evidence.md", ROOT / "README.md"
BLOCK = r"(<!-- results -->\n).*?(<!-- end -->)"
SHOWN = yaml.safe_load(
    Path(__file__).with_name("evidence.yaml").read_text("utf-8")
)
NOTES = Path(__file__).with_name("notes")
KINDS = ("everyday sounds", "instruments", "words")


def signed(value):
    """Formats a value in points."""
    return f"{round(value, 1) + 0.0:+.1f}"  # +0.0, not -0.0


def interval_of(found):
    """A difference with its interval."""
    low, high = signed(found["low"]), signed(found["high"])
    return f"{signed(found['value'])} [{low}, {high}]"


def ahead_of(found):
    """In how many units the first is ahead."""
    return f"{found['ahead']} of {len(found['by_fold'])}"


def failed_of(arms):
    """A note on trainings that failed."""
    failed = sum(arm["failed"] for arm in arms)
    count = sum(arm["runs"] for arm in arms)
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
    tables = measured["rows"].values() if measured else []
    sizes = [row["size"] for rows in tables for row in rows.values()]
    settings = None
    if measured:
        first, *_ = plan.tables().values()
        settings = next(iter(first.values())).settings
    return render(
        "page.jinja",
        plan=plan,
        sizes=dict.fromkeys(sizes),
        settings=settings,
        measured=measured,
        note=(NOTES / f"{plan.name}.md").read_text("utf-8"),
        trials=trials(plan) if measured else "",
    )


def cell_of(entry, kind, only_readme):
    """The difference of a contrast on a kind of sound, for a table."""
    if kind not in entry["kinds"]:
        return "-"
    found = entry["kinds"][kind]
    if only_readme:
        return interval_of(found)
    means = [arm["kinds"][kind]["mean"] for arm in entry["arms"]]
    means = " / ".join(f"{mean:.1f}" for mean in means)
    return f"{means}, {interval_of(found)}, {ahead_of(found)}"


def result_of(figures, entry, root, only_readme):
    """The cells of a difference, by column; None without runs.

    ``root`` is the path to the root of the checkout.
    """
    plan, name, label = entry["of"]
    contrasts = figures[plan] and figures[plan]["contrasts"].get(name, {})
    if not contrasts or label not in contrasts:
        return None
    found = contrasts[label]
    arms = found["arms"]
    page = f"{root}studies/results/{plan}.md"
    return {
        "compared": f"[{entry['compared']}]({page})" + failed_of(arms),
        "data": entry["data"],
        **{kind: cell_of(found, kind, only_readme) for kind in KINDS},
        "tokens": both([arm["tokens"] for arm in arms], "{}"),
        "MMACs": both([arm["macs"] / 1e6 for arm in arms], "{:.0f}"),
        "steps": both([arm["steps"] for arm in arms], "{:,}"),
        "CPU minutes": both([arm["cpu_minutes"] for arm in arms]),
    }


def results_table(figures, root="", only_readme=False):
    """The table of differences by question and kind of sound."""
    rows = []
    for question, entries in SHOWN.items():
        title = question
        for entry in entries:
            cells = result_of(figures, entry, root, only_readme)
            if cells and (entry.get("readme") or not only_readme):
                rows.append({"question": title, **cells})
                title = ""
    left_out = ("data", "CPU minutes") if only_readme else ()
    columns = [x for x in rows[0] if x not in left_out]
    return table(columns, [[row[x] for x in columns] for row in rows])


def steps_of(figures):
    """The rows of each length of the plan `height`, by title; some have no runs."""
    rows = figures["height"]["rows"] if figures["height"] else {}
    names = {"3,000 steps": "factorial", "12,000 steps": "long_factorial"}
    return {
        title: [*rows[name].values()]
        for title, name in names.items()
        if rows.get(name)
    }


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
    tables = steps_of(figures)
    if tables:
        plot_steps(tables, KINDS, RESULTS / "height.png")


if __name__ == "__main__":
    main()
