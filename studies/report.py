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
from harness import table
from performance_table import latest, read_lines

from speechbrain_fftp.dataio.files import atomic_path, write_json
from studies.comparison import t_test
from studies.measure import ACROSS, KINDS, PLANS, measure_all
from studies.plan import RESULTS, Plan
from studies.plots import plot_models

EVIDENCE, README = ROOT / "docs" / "evidence.md", ROOT / "README.md"
BLOCK = r"(<!-- uses -->\n).*?(<!-- end -->)"
SHOWN = yaml.safe_load(
    Path(__file__).with_name("evidence.yaml").read_text("utf-8")
)
FOLDS = ("1", "2", "3")  # that all models of the picture have
NOTES = Path(__file__).with_name("notes")
ROW_COLUMNS = (
    "configuration",
    "learning rate, masks",
    "MMACs",
    "training TMACs",
    "epochs",
    "CPU minutes",
    "{metric} in %",
    "by fold",
)
CONTRAST_COLUMNS = (
    "difference in points",
    "by fold",
    "mean, 95 % t interval",
    "corrected",
    "bootstrap",
    "p, t",
    "p, corrected",
    "p, bootstrap",
    "finding",
)
LEGEND = """\
MACs count encoder and classifier for a clip of {seconds:g} s, with attention
and scans; training MACs are three times as many for each clip and epoch. CPU
minutes are for a whole run of the recipe, on {processors}.
Intervals and p are by a t test over folds, by the same test *corrected* for what folds
share, and by a bootstrap over folds and
{groups}.
{shared}
All p have Holm's correction over the contrasts of {family}; a difference that was
*not declared* is judged among all differences of the page. A finding needs all p below
0.05; *equal* needs all intervals inside ±{margin:g} points. Intervals include the seed's
part, as each fold has its own: on clips of 10 s, the mAP of [six
seeds](masks_long_clips.md) has a standard deviation of {spread:.1f} points.

{runs} runs in {cpu_hours:.1f} CPU hours{of_gpu}, at commits {commits}, by
[the plan](../plans/{name}.yaml):

```
git checkout COMMIT
python benchmarks/study/run.py DATA_FOLDER --plan {name}
```
"""
DATA = """\

DATA_FOLDER is one of [two](../../docs/data.md#data-of-the-benchmarks), or what
`studies/soundscapes.py` writes, with `--partitions 2` for folds 4 to 6.
"""


SHARED = """\
Folds train on each other's test clips: the correction of Nadeau and Bengio (Machine
Learning 52, 2003) takes 1/n + {overlap:.3f} instead of 1/n for the variance of a mean of n
folds, where {overlap:.3f} is n_test/n_train, counted in {counted}."""
SEEDS = """\
The folds are seeds on one split, which share all clips: there is no correction for
that, and what is found holds for these clips. The sources of the soundscapes of this
earlier version are not stored, so that the bootstrap draws soundscapes."""
MIXED = """\
Test soundscapes share speakers and sessions, with each other and between partitions:
the bootstrap draws these, once for all folds (`studies/sources.py`). The plan
named soundscapes instead."""
NOT_DECLARED = "not declared"


def finding_of(entry):
    """The finding of a contrast, marked if it was not declared."""
    if entry["declared"]:
        return entry["finding"]
    return f"{entry['finding']}, {NOT_DECLARED}"


def bounds(low, high):
    """Formats an interval."""
    return f"[{low:+.1f}, {high:+.1f}]"


def p_value(p):
    """Formats a p-value."""
    return f"{p:.3f}" if p >= 0.001 else "< 0.001"


def row_cells(label, row):
    """The cells of a row of a table."""
    if row is None:
        return [label, "not yet run", *["-"] * (len(ROW_COLUMNS) - 2)]
    minutes = row["cpu_minutes"]
    by_fold = ", ".join(f"{value:.1f}" for value in row["by_fold"].values())
    if row["failed"]:
        by_fold += f" ({row['failed']} failed)"
    return [
        label,
        row["options"],
        f"{row['macs'] / 1e6:.1f}",
        f"{row['training_macs'] / 1e12:.2f}",
        str(row["epochs"]),
        f"{minutes:.1f}" if minutes else "-",
        f"{row['mean']:.1f}",
        by_fold,
    ]


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


def contrast_cells(label, entry):
    """The cells of a contrast."""
    if "value" not in entry:
        return [label, *["-"] * (len(CONTRAST_COLUMNS) - 2), finding_of(entry)]
    corrected = corrected_of(entry)
    return [
        label,
        ", ".join(f"{value:+.1f}" for value in entry["by_fold"]),
        interval_of(entry),
        corrected,
        bounds(entry["drawn_low"], entry["drawn_high"]),
        p_value(entry["p"]),
        "-" if corrected == "-" else p_value(entry["wide_p"]),
        p_value(entry["drawn_p"]),
        finding_of(entry),
    ]


def trials(plan):
    """The table of a plan's trials of options, by model."""
    if not plan.trials:
        return []
    found = json.loads(plan.chosen_path.read_text("utf-8"))["scores"]
    tried = []  # of any model, where the plan extends its trials
    for model in found:
        tried += [x for x in plan.trials_of(model) if x not in tried]
    if "extend" in plan.facts:
        tried.sort(key=lambda trial: trial["lr"])
    names = [", ".join(map(str, each.values())) for each in tried]
    rows = [
        [
            model,
            *(
                f"{100 * scores[str(trial)]:.1f}"
                if str(trial) in scores
                else "-"
                for trial in tried
            ),
        ]
        for model, scores in found.items()
    ]
    title = f"## Trials\n\n{plan.metric} in % by {', '.join(plan.trials[0])}.\n"
    return [title, table(["model", *names], rows)]


def contrasts_section(contrasts):
    """The contrasts of a table, and what they are for each kind of sound."""
    rows = [contrast_cells(*item) for item in contrasts.items()]
    lines = [table(CONTRAST_COLUMNS, rows)]
    kinds = [
        [
            label,
            *(
                f"{value:+.1f} {bounds(low, high)}"
                for value, low, high in entry["kinds"].values()
            ),
        ]
        for label, entry in contrasts.items()
        if "kinds" in entry
    ]
    if kinds:
        title = "by kind of sound: not declared, not corrected"
        lines.append(table([title, *KINDS], kinds))
    return lines


def seed_spread(figures):
    """The standard deviation over six seeds of one configuration, in points."""
    rows = figures["masks_long_clips"]["rows"]["seeds"]
    return statistics.stdev(row["mean"] for row in rows.values())


def shared_of(plan, overlap):
    """What the folds of a plan share, and what its bootstrap draws."""
    groups = plan.facts["groups"]
    if plan.is_given:
        return {"shared": SEEDS, "groups": groups}
    if plan.has_sources:
        counted = "sounds,\nas soundscapes are mixed from them in any number"
        text = SHARED.format(overlap=overlap, counted=counted)
        if not plan.is_mixed:
            text += f"\n{MIXED}"
        sources = "the sources of sounds (speakers, recording sessions)"
        return {"shared": text, "groups": sources}
    text = SHARED.format(overlap=overlap, counted=groups)
    return {"shared": text, "groups": groups}


def plan_page(plan, figures):
    """The page of a plan: what its note says, and all tables."""
    measured = figures[plan.name]
    lines = [(NOTES / f"{plan.name}.md").read_text("utf-8")]
    if measured is None:
        return lines[0] + "\nNot yet run.\n"
    contrasts = measured["contrasts"]
    for name, facts in plan.facts["tables"].items():
        columns = [text.format(metric=plan.metric) for text in ROW_COLUMNS]
        rows = [row_cells(*item) for item in measured["rows"][name].items()]
        lines += [f"## {facts['title']}\n", table(columns, rows)]
        if name in contrasts:
            lines += contrasts_section(contrasts[name])
    if "across" in contrasts:
        lines += ["## Further differences\n"]
        lines += contrasts_section(contrasts["across"])
    lines += trials(plan)
    processors = f"one thread of {', '.join(measured['processors'])}"
    of_gpu = ""
    if measured["gpu_runs"]:
        gpus = ", ".join(measured["gpus"])
        of_gpu = f", and {measured['gpu_runs']} on {gpus} in TF32"
    legend = LEGEND.format(
        **{**plan.facts, **shared_of(plan, measured["overlap"])},
        runs=measured["runs"],
        cpu_hours=measured["cpu_hours"],
        of_gpu=of_gpu,
        processors=processors,
        commits=", ".join(measured["commits"]),
        name=plan.name,
        family="a table" if plan.facts.get("holm") == "table" else "the plan",
        spread=seed_spread(figures),
    )
    if "seeds" not in plan.facts and not plan.is_mixed:
        legend += DATA
    return "\n".join([*lines, "## How it was measured\n", legend])


def row_of(figures, plan, table, label):
    """A row of a plan's table; None if it is not stored in three folds."""
    measured = figures[plan]
    row = measured and measured["rows"][table][label]
    return row if row and set(FOLDS) <= row["by_fold"].keys() else None


def model_of(figures, runs):
    """The first of some rows that is stored, as a dict; empty without any."""
    for place in runs:
        row = row_of(figures, *place)
        if row:
            value, low, high, _ = t_test([row["by_fold"][x] for x in FOLDS])
            return {
                "plan": place[0],
                "value": value,
                "low": low,
                "high": high,
                "epochs": row["epochs"],
                "macs": row["macs"] / 1e6,
                "minutes": row["cpu_minutes"],
            }
    return {}


def panels_of(figures):
    """The metric and the points of each panel of the picture, by title."""
    found = {}
    for panel in SHOWN["panels"]:
        models = (
            {**model, **model_of(figures, model["runs"])}
            for model in panel["models"]
        )
        points = [model for model in models if "value" in model]
        found[panel["title"]] = (panel["metric"], points)
    return found


def uses_table(figures, root):
    """The table by use; ``root`` is the path to the root of the checkout."""
    rows = []
    for use in SHOWN["uses"]:
        if "measured" in use:
            measured = use["measured"].format(root=root)
        else:
            model = model_of(figures, use["runs"])
            plan = model.get("plan", use["runs"][0][0])
            page = f"({root}studies/results/{plan}.md)"
            measured = f"accuracy [not yet run]{page}"
            if model:
                metric = Plan(plan).metric.replace("_", " ")
                measured = (
                    f"[{model['value']:.1f} % {metric}]{page}, "
                    f"{model['epochs']} epochs, {model['macs']:.1f} MMACs, "
                    f"{model['minutes']:.1f} CPU minutes"
                )
        names = ("for", "encoder", "patches", "masks")
        rows.append([*(use[name] for name in names), measured])
    return table([*names, "measured"], rows)


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
    rows = read_lines("gpu.jsonl")
    about = {"case": "inference", "mode": "graph", "model": "AST"}
    slow, fast = (
        latest(rows, "ms", {**about, "tokens": tokens, "batch": batch})
        for tokens in (1212, 96)
    )
    return f"{slow / fast:.3g}x"


def evidence(figures):
    """Renders docs/evidence.md from its template."""
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )
    environment.trim_blocks = environment.lstrip_blocks = True
    template = Path(__file__).with_name("evidence.jinja").read_text("utf-8")
    uses, questions = uses_table(figures, "../"), questions_table(figures)
    contrasts = [
        entry
        for measured in filter(None, figures.values())
        for entries in measured["contrasts"].values()
        for entry in entries.values()
    ]
    shown = template + uses + questions
    return environment.from_string(template).render(
        figures=figures,
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
