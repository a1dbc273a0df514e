"""Writes the pages and the picture of the study's stored runs: `make evidence`.

Statistics of all plans are written to studies/results/figures.json. From these
it writes docs/evidence.md, by the template evidence.jinja; a page for each plan
to studies/results, with the text notes/NAME.md; and README's table by use. What
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
import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
from performance_table import load, speed_of, table

from speechbrain_fftp.dataio.files import atomic_path, write_json
from studies.comparison import t_test
from studies.measure import ACROSS, PLANS, measure_all
from studies.plan import RESULTS, Plan
from studies.plots import plot_models

EVIDENCE, README = ROOT / "docs" / "evidence.md", ROOT / "README.md"
BLOCK = r"(<!-- uses -->\n).*?(<!-- end -->)"
SHOWN = yaml.safe_load(
    Path(__file__).with_name("evidence.yaml").read_text("utf-8")
)
FOLDS = ("1", "2", "3")  # that all models of the picture have
NOTES = Path(__file__).with_name("notes")


def finding_of(entry):
    """The finding of a contrast, marked if it was not declared."""
    if entry["declared"]:
        return entry["finding"]
    return f"{entry['finding']}, not declared"


def signed(value):
    """Formats a value in points."""
    return f"{value:+.1f}"


def bounds(low, high):
    """Formats an interval."""
    return f"[{signed(low)}, {signed(high)}]"


def millions(value):
    """Formats a number of MACs."""
    return f"{value / 1e6:.1f}"


def p_value(p):
    """Formats a p-value."""
    return f"{p:.3f}" if p >= 0.001 else "< 0.001"


def interval_of(entry):
    """The difference of a contrast with its interval."""
    if "value" not in entry:
        return "-"
    return f"{entry['value']:+.1f} {bounds(entry['low'], entry['high'])}"


def corrected_of(entry):
    """The corrected interval of a contrast."""
    # Seeds have none, see SEEDS
    if "value" not in entry or entry["wide_low"] == entry["low"]:
        return "-"
    return bounds(entry["wide_low"], entry["wide_high"])


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
        millions=millions,
        p_value=p_value,
        interval=interval_of,
        corrected=corrected_of,
        finding=finding_of,
    )
    return environment.get_template(template).render(**values, bounds=bounds)


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


def model_of(figures, run):
    """A row that is stored in three folds; empty without."""
    plan, name, label = run
    row = figures[plan] and figures[plan]["rows"][name][label]
    if not row or not row["by_fold"].keys() >= set(FOLDS):
        return {}
    value, low, high, _ = t_test([row["by_fold"][x] for x in FOLDS])
    return {
        "plan": plan,
        "value": value,
        "low": low,
        "high": high,
        "epochs": row["epochs"],
        "macs": row["macs"] / 1e6,
        "minutes": row["cpu_minutes"],
    }


def panels_of(figures):
    """The metric and the points of each panel of the picture, by title."""
    found = {}
    for panel in SHOWN["panels"]:
        models = (
            {**model, **model_of(figures, model["run"])}
            for model in panel["models"]
        )
        points = [model for model in models if "value" in model]
        found[panel["title"]] = (panel["metric"], points)
    return found


def uses_table(figures, root):
    """The table by use; ``root`` is the path to the root of the checkout."""
    uses = []
    for use in SHOWN["uses"]:
        model = model_of(figures, use["run"]) if "run" in use else {}
        if model:
            model["metric"] = Plan(model["plan"]).metric.replace("_", " ")
        uses.append({"measured": "", **use, "model": model})
    return render("uses.jinja", uses=uses, root=root)


def arms_of(plan, table, label):
    """The plan, table and label of both rows of a contrast."""
    if table == "across":
        return ACROSS[plan][label]
    labels = label.removesuffix(", here minus there").split(" minus ")
    return [(plan, table, each) for each in labels]


def epochs_of(plan, table, label):
    """The epochs of a row by its plan, whether it has run or not."""
    rows = Plan(plan).facts["tables"][table]["rows"]
    return next(row["epochs"] for row in rows if row["label"] == label)


def contrast_of(figures, plan, table, label):
    """A contrast, or what a plan without runs has of it."""
    if figures[plan] is None:
        return {"finding": "not yet run", "declared": True}
    return figures[plan]["contrasts"][table][label]


def turn(entry):
    """A contrast the other way round."""
    words = {"higher": "lower", "lower": "higher"}
    turned = {"finding": words.get(entry["finding"], entry["finding"])}
    if "value" in entry:
        turned["value"] = -entry["value"]
        for low, high in (("low", "high"), ("wide_low", "wide_high")):
            turned[low], turned[high] = -entry[high], -entry[low]
    return {**entry, **turned}


def both(values, form):
    """Formats a value of both arms of a contrast, once if they are equal."""
    return " / ".join(dict.fromkeys(form.format(value) for value in values))


def ends(values, form):
    """Formats the lowest and the highest value."""
    return f"{form.format(min(values))} to {form.format(max(values))}"


def question_cells(figures, entry):
    """The cells of contrasts in the table of questions, but the first one."""
    is_range = "range" in entry
    places = entry["range"] if is_range else [entry["of"]]
    found = [contrast_of(figures, *place) for place in places]
    arms = [arm for place in places for arm in arms_of(*place)]
    if entry.get("turned"):
        found, arms = [turn(each) for each in found], arms[::-1]
    say = ends if is_range else both
    epochs = say([epochs_of(*arm) for arm in arms], "{}")
    rows = [figures[p] and figures[p]["rows"][t][x] for p, t, x in arms]
    costs = ["-", "-"]
    if all(rows):
        costs = [
            say([row["macs"] / 1e6 for row in rows], "{:.1f}"),
            say([row["cpu_minutes"] for row in rows], "{:.1f}"),
        ]
    data, _, compared = entry["arms"].partition(": ")
    compared = f"{data}, {epochs} epochs: {compared}"
    links = f"[{compared}](../studies/results/{places[0][0]}.md)"
    points = [interval_of(found[0]), corrected_of(found[0])]
    words = dict.fromkeys(finding_of(each) for each in found)
    if is_range:
        points = [ends([each["value"] for each in found], "{:+.1f}"), "-"]
        plans = dict.fromkeys(plan for plan, *_ in places)
        pages = (f"[{x}](../studies/results/{x}.md)" for x in plans)
        links = f"{compared} ({', '.join(pages)})"
        words = [f"all {len(found)}: {', '.join(words)}"]
    if "note" in entry:
        words = [*words, entry["note"]]
    return [links, *costs, *points, "; ".join(words)]


def questions_table(figures):
    """The table of contrasts by question."""
    rows = [
        [question if i == 0 else "", *question_cells(figures, entry)]
        for question, entries in SHOWN["questions"].items()
        for i, entry in enumerate(entries)
    ]
    columns = ["question", "compared", "MMACs", "CPU minutes", "points"]
    return table([*columns, "corrected", "finding"], rows)


def faster(batch):
    """How much faster 96 FFTP patches are than 1,212 square ones on a GPU."""
    rows = load("gpu")["NVIDIA H100 80GB HBM3"]["rows"]
    return f"{speed_of(rows, f'{batch}, AST, 96 FFTP patches'):.3g}x"


def evidence(figures):
    """Renders docs/evidence.md from its template."""
    template = Path(__file__).with_name("evidence.jinja").read_text("utf-8")
    uses, questions = uses_table(figures, "../"), questions_table(figures)
    contrasts = [
        entry
        for measured in filter(None, figures.values())
        for entries in measured["contrasts"].values()
        for entry in entries.values()
    ]
    shown = template + uses + questions
    return render(
        "evidence.jinja",
        spread=seed_spread(figures),
        faster=faster,
        contrasts=sum("value" in entry for entry in contrasts),
        others=[x for x in PLANS if f"/{x}.md" not in shown],
        uses=uses,
        questions=questions,
    )


def readme(figures):
    """Fills in README's table by use."""
    text = README.read_text("utf-8")
    uses = uses_table(figures, "")
    return re.sub(BLOCK, rf"\1\n{uses}\n\2", text, flags=re.DOTALL)


def pages(figures):
    """The text of each page that ``make evidence`` writes, by path."""
    return {
        EVIDENCE: evidence(figures),
        README: readme(figures),
        **{
            RESULTS / f"{name}.md": plan_page(Plan(name), figures)
            for name in PLANS
        },
    }


def main():
    """Writes figures, pages and the picture."""
    write_json(RESULTS / "figures.json", measure_all())
    figures = json.loads((RESULTS / "figures.json").read_text("utf-8"))
    for path, text in pages(figures).items():
        with atomic_path(path) as temporary:
            Path(temporary).write_text(text, "utf-8")
    plot_models(panels_of(figures), RESULTS / "models.png")


if __name__ == "__main__":
    main()
