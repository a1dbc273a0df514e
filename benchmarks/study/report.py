"""Writes the tables, plots and page of the study's stored runs: `make evidence`.

Statistics of all plans are written to benchmarks/results/study/figures.json.
From these and from other results, it writes tables.md and two plots to the same
folder, docs/evidence.md from the template evidence.jinja, and README's table.

> python benchmarks/study/report.py

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import re
import statistics
import sys
from pathlib import Path

import jinja2

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from study.comparison import (  # noqa: E402
    METRICS,
    Difference,
    bootstrap,
    compare,
    interval,
    mean,
    t_interval,
    verdicts,
)
from study.plan import RESULTS, ROOT, Plan, Run  # noqa: E402
from study.plots import plot_cost, plot_differences  # noqa: E402

from speechbrain_fftp.dataio.files import atomic_path, write_json  # noqa: E402

PLANS = (
    "speech_commands",
    "audioset_mini",
    "encoders",
    "x_vector",
    "specmask_words",
    "long_clips",
    "aum_long_clips",
    "reuse",
    "sound_events",
)
# Differences of rows of two plans: plan, table and label of each
ACROSS = {
    "x-vector of speech_commands minus that of encoders": (
        ("speech_commands", "macs", "x-vector, 128 wide"),
        ("encoders", "long", "x-vector, 128 wide"),
    ),
    "FFTP 11/2 ConvNeXt1d minus x-vector of speech_commands": (
        ("encoders", "long", "FFTP 11/2 ConvNeXt1d"),
        ("speech_commands", "macs", "x-vector, 128 wide"),
    ),
}
# Runs with the options, seed and clips of a stored run of speech_commands
REPEATS = RESULTS / "repeats.jsonl"
EVIDENCE, README = ROOT / "docs" / "evidence.md", ROOT / "README.md"
# A table in README: plan, table, first words of the columns, number of rows
BLOCK = r"(<!-- study (\w+) (\w+) (.*?) (\d+) -->\n).*?(<!-- end -->)"
COLUMNS = (
    "configuration",
    "options",
    "MMACs",
    "training TMACs",
    "epochs",
    "CPU minutes",
    "folds",
    "{metric} in %",
    "difference in points",
    "t interval",
    "p",
    "finding",
)
# Further metrics of event_F1 runs, and their factors
EVENT_FIGURES = {
    "segment F1 in %": ("segment_F1", 100),
    "onset error in ms": ("onset_error", 1000),
    "PSDS1 in %": ("PSDS1", 100),
    "PSDS2 in %": ("PSDS2", 100),
    "mAP of clips in %": ("mAP", 100),
}
NOTE = """\
Means over folds, with 95 % intervals of a bootstrap that draws folds and, in
each fold, {groups}. Differences are to the row named, on the folds that both
have; the t interval is over their values by fold. p is two-sided, by the
bootstrap, with Holm's correction over the {contrasts} contrasts that
the plan declares; *equal* needs an interval inside ±{margin:g} points. MACs
count encoder and classifier for a clip of {seconds:g} s, with attention and
scans; training MACs are three times as many for each clip and epoch. CPU
minutes are for a whole run of the recipe, on one thread of {processors}.
Options are the learning rate and the share of masked cells.
"""


def finished(plan, row):
    """The stored runs of a row by fold."""
    stored = plan.rows()
    found = {
        fold: stored.get(plan.digest(Run(row, fold))) for fold in row.folds
    }
    return {fold: run for fold, run in found.items() if run}


def scores_of(plan, row, folds):
    """The ``Scores`` of a row on some folds."""
    return [plan.scores(Run(row, fold)) for fold in folds]


def differ(metric, arms, signs):
    """The ``Difference`` of rows on the same folds, and its t interval.

    ``arms`` holds the ``Scores`` of each row by fold.
    """
    folds = [list(runs) for runs in zip(*arms)]
    found = compare(folds, metric, signs)
    values = [mean([runs], metric) @ signs for runs in folds]
    return found, t_interval(values)


def measure_row(plan, row):
    """The values of a row in a table; None without a run."""
    runs = finished(plan, row)
    if not runs:
        return None
    metric, stored = METRICS[plan.metric], plan.rows()
    scores = [[each] for each in scores_of(plan, row, runs)]
    low, high = interval(100 * bootstrap(scores, metric)[:, 0])
    values = {fold: 100 * run["value"] for fold, run in runs.items()}
    trained = [stored.get(run.get("trained"), run) for run in runs.values()]
    minutes = [r["cpu_minutes"] for r in trained if not r["resumed"]]
    masks = f"{100 * row.options['mask_budget']:g} %"
    if row.options.get("time_mask"):
        masks = "SpecAugment"
    first = next(iter(runs.values()))
    # Square patches of a recipe's own yaml are a list of frames and bins.
    size, step = row.options.get("patch"), row.options.get("stride")
    found = {
        "yaml": row.yaml,
        "is_square": bool(size) or "square" in Path(row.yaml).stem,
        "stride": step[0] if step else row.options.get("stride_frames"),
        "patch": size[0] if size else row.options.get("patch_frames"),
        "options": f"{row.options['lr']:g}, {masks}",
        "macs": first["macs"],
        "training_macs": first["training_macs"],
        "epochs": row.options["number_of_epochs"],
        "cpu_minutes": statistics.mean(minutes) if minutes else None,
        "folds": len(runs),
        "wanted": len(row.folds),
        "values": values,
        "mean": statistics.mean(values.values()),
        "low": low,
        "high": high,
        # Share of runs whose last epoch is among the best in validation
        "rising": statistics.mean(
            run["epochs"] in run["averaged_epochs"] for run in trained
        ),
    }
    if plan.metric == "event_F1":
        for name, (key, factor) in EVENT_FIGURES.items():
            found[name] = [factor * run[key] for run in runs.values()]
    return found


def contrasts_of(plan, tables):
    """Yields each contrast: table, label, name of the other, rows, signs."""
    for name, rows in tables.items():
        for row in rows.values():
            if row.against:
                arms = [row, rows[row.against]]
                yield name, row.label, row.against, arms, (1, -1)
        for entry in plan.facts["tables"][name].get("interactions", []):
            labels, other = (entry["label"], entry["against"]), entry["table"]
            arms = [tables[t][label] for t in (name, other) for label in labels]
            text = f"{labels[0]} minus {labels[1]}, here minus there"
            yield name, text, f"table {other}", arms, (1, -1, -1, 1)


def measure_contrasts(plan, tables):
    """Differences, corrected p-values and findings, by table and label.

    A contrast with missing runs has no finding, and counts in the correction as
    one without any difference.
    """
    found, differences = {name: {} for name in tables}, []
    for name, label, against, arms, signs in contrasts_of(plan, tables):
        wanted = set.intersection(*(set(row.folds) for row in arms))
        done = wanted.intersection(*(finished(plan, row) for row in arms))
        entry = {"against": against, "folds": len(done), "complete": False}
        found[name][label] = entry
        differences.append(Difference(0.0, -100.0, 100.0, 1.0))
        if done:
            scores = [scores_of(plan, row, sorted(done)) for row in arms]
            value, entry["t"] = differ(METRICS[plan.metric], scores, signs)
            entry.update(value=value.value, low=value.low, high=value.high)
            if done == wanted:
                differences[-1], entry["complete"] = value, True
    words = verdicts(differences, plan.facts["margin"])
    entries = [entry for table in found.values() for entry in table.values()]
    for entry, (p, word) in zip(entries, words):
        complete = entry.pop("complete")
        entry["p"] = p if complete else None
        entry["finding"] = word if complete else "not complete"
    return found


def measure(plan):
    """The statistics of a plan for the pages; None before its first run."""
    stored = list(plan.rows().values())
    if not stored or (plan.trials and not plan.chosen_path.exists()):
        return None
    tables = plan.tables()
    silence = [
        100 * row["silence"]
        for row in stored
        if "silence" in row and row["fold"] != "search"
    ]
    return {
        "metric": plan.metric,
        "rows": {
            name: {label: measure_row(plan, row) for label, row in rows.items()}
            for name, rows in tables.items()
        },
        "contrasts": measure_contrasts(plan, tables),
        "runs": len(stored),
        "cpu_hours": sum(row["cpu_minutes"] for row in stored) / 60,
        "processors": sorted({row["processor"] for row in stored}),
        "commits": sorted({row["commit"][:10] for row in stored}),
        "silence": [min(silence), max(silence)] if silence else None,
    }


def measure_across(plans):
    """The differences of ACROSS, on the folds that both rows have."""
    found = {}
    for name, places in ACROSS.items():
        arms = [(plans[p], plans[p].tables()[t][x]) for p, t, x in places]
        folds = sorted(set.intersection(*(set(finished(*arm)) for arm in arms)))
        scores = [scores_of(*arm, folds) for arm in arms]
        value, t = differ(METRICS["accuracy"], scores, (1, -1))
        word = "higher" if value.value > 0 else "lower"
        found[name] = {
            **value._asdict(),
            "t": t,
            "folds": len(folds),
            "finding": "unresolved" if value.low <= 0 <= value.high else word,
        }
    return found


def measure_noise(plans):
    """Standard deviation of repeated runs on other processors and versions."""
    stored = plans["speech_commands"].rows()
    repeats = map(json.loads, REPEATS.read_text("utf-8").splitlines())
    difference = statistics.stdev(
        100 * (run["value"] - stored[run["repeats"]]["value"])
        for run in repeats
    )
    return {"difference": difference, "run": difference / 2**0.5}


def measure_all():
    """The statistics of all plans."""
    plans = {name: Plan(name) for name in PLANS}
    return {
        "plans": {name: measure(plan) for name, plan in plans.items()},
        "across": measure_across(plans),
        "noise": measure_noise(plans),
    }


def with_interval(row):
    """Formats a mean with its interval."""
    return f"{row['mean']:.1f} [{row['low']:.1f}, {row['high']:.1f}]"


def points(contrast):
    """Formats a difference with its interval."""
    return f"{contrast['value']:+.1f} {bounds(contrast)}"


def bounds(contrast):
    """Formats the interval of a difference."""
    return f"[{contrast['low']:+.1f}, {contrast['high']:+.1f}]"


def spread(values):
    """Formats the mean of values, with the lowest and the highest."""
    more = f" ({min(values):.1f} to {max(values):.1f})"
    return f"{statistics.mean(values):.1f}{more if len(values) > 1 else ''}"


def contrast_cells(contrast):
    """The cells of a contrast, which may be None."""
    if contrast is None:
        return ["-"] * 4
    text, t, p = "-", "-", contrast["p"]
    if "value" in contrast:
        text = f"{points(contrast)} to {contrast['against']}"
        if contrast["t"]:
            t = "[{:+.1f}, {:+.1f}]".format(*contrast["t"])
    shown = "-"
    if p is not None:
        shown = f"{p:.3f}" if p >= 0.001 else "< 0.001"
    return [text, t, shown, contrast["finding"]]


def cells(label, row, contrast, metric):
    """The cells of a row of a table."""
    names = EVENT_FIGURES if metric == "event_F1" else ()
    if row is None:
        return [label, *["-"] * (len(COLUMNS) + len(names) - 2), "not yet run"]
    minutes = row["cpu_minutes"]
    folds = f"{row['folds']} of {row['wanted']}"
    return [
        label,
        row["options"],
        f"{row['macs'] / 1e6:.1f}",
        f"{row['training_macs'] / 1e12:.2f}",
        str(row["epochs"]),
        f"{minutes:.1f}" if minutes else "-",
        str(row["folds"]) if row["folds"] == row["wanted"] else folds,
        with_interval(row),
        *contrast_cells(contrast),
        *(spread(row[name]) for name in names),
    ]


def table(measured, name, shown=None, count=None):
    """A table in Markdown: the ``shown`` columns and ``count`` rows."""
    metric, contrasts = measured["metric"], measured["contrasts"][name]
    columns = [text.format(metric=metric) for text in COLUMNS]
    columns += EVENT_FIGURES if metric == "event_F1" else []
    wanted = [shown is None or c.split()[0] in shown for c in columns]
    rows = [
        cells(label, row, contrasts.get(label), metric)
        for label, row in measured["rows"][name].items()
    ]
    lines = [
        "| " + " | ".join(c for c, w in zip(line, wanted) if w) + " |"
        for line in [columns, ["---"] * len(columns), *rows[:count]]
    ]
    for label, contrast in contrasts.items():
        if label not in measured["rows"][name]:
            _, t, p, finding = contrast_cells(contrast)
            shown = points(contrast) if "value" in contrast else "-"
            place = f"{label} ({contrast['against']})"
            lines += ["", f"{place}: {shown}, t {t}, p {p}: {finding}."]
    return "\n".join(lines) + "\n"


def trials(plan):
    """The table of a plan's trials of options, by model."""
    if not plan.trials:
        return []
    found = json.loads(plan.chosen_path.read_text("utf-8"))["scores"]
    names = [", ".join(map(str, each.values())) for each in plan.trials]
    lines = [
        f"## Trials\n\n{plan.metric} in % by {', '.join(plan.trials[0])}.\n",
        "| model | " + " | ".join(names) + " |",
        "|" + "---|" * (1 + len(names)),
    ]
    for model, scores in found.items():
        each = (f"{100 * score:.1f}" for score in scores.values())
        lines.append(f"| {model} | " + " | ".join(each) + " |")
    return [*lines, ""]


def plan_section(plan, measured):
    """All tables of a plan."""
    note = NOTE.format(
        groups=plan.facts["groups"],
        contrasts=sum(map(len, measured["contrasts"].values())),
        margin=plan.facts["margin"],
        seconds=plan.facts["seconds"],
        processors=", ".join(measured["processors"]),
    )
    lines = [f"# {plan.name}", "", note]
    if measured["silence"]:
        low, high = measured["silence"]
        lines.append(
            "Clips of silence, whose recordings the folds share: "
            f"{low:.0f} to {high:.0f} % correct, by run.\n"
        )
    lines += trials(plan)
    for name, facts in plan.facts["tables"].items():
        lines += [f"## {facts['title']}", "", table(measured, name)]
    lines.append(
        f"{measured['runs']} runs in {measured['cpu_hours']:.1f} CPU hours, of "
        f"commits {', '.join(measured['commits'])}."
    )
    return "\n".join(lines) + "\n"


def evidence(figures):
    """Renders docs/evidence.md from its template."""
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )
    environment.trim_blocks = environment.lstrip_blocks = True
    environment.filters.update(
        ci=with_interval,
        points=points,
        bounds=bounds,
        one="{:.1f}".format,
        two="{:.2f}".format,
    )
    plans = figures["plans"]

    def row(plan, name, label):
        return plans[plan] and plans[plan]["rows"][name][label]

    def diff(plan, name, label):
        """A complete contrast, or None."""
        found = plans[plan] and plans[plan]["contrasts"][name][label]
        return found if found and found["p"] is not None else None

    def verdict(word, *contrasts):
        """Whether contrasts support a claim."""
        words = [each["finding"] for each in contrasts if each]
        if words == [word] * len(contrasts):
            return "supported"
        against = {"higher": "lower", "lower": "higher"}[word]
        return "contradicted" if against in words else "open"

    def result(name):
        path = ROOT / "benchmarks" / "results" / f"{name}.json"
        return json.loads(path.read_text("utf-8"))

    path = Path(__file__).with_name("evidence.jinja")
    return environment.from_string(path.read_text("utf-8")).render(
        **figures, row=row, diff=diff, verdict=verdict, result=result
    )


def readme(figures):
    """Fills in the study's table in README."""

    def fill(match):
        begin, plan, name, shown, count, end = match.groups()
        text = table(
            figures["plans"][plan], name, shown.split(), count=int(count)
        )
        return f"{begin}\n{text}\n{end}"

    return re.sub(BLOCK, fill, README.read_text("utf-8"), flags=re.DOTALL)


def pages(figures):
    """The text of each page that ``make evidence`` writes, by path."""
    tables = [
        plan_section(Plan(name), measured)
        for name, measured in figures["plans"].items()
        if measured
    ]
    return {
        EVIDENCE: evidence(figures),
        README: readme(figures),
        RESULTS / "tables.md": "\n".join(tables),
    }


def main():
    """Writes figures, pages and plots."""
    write_json(RESULTS / "figures.json", measure_all())
    figures = json.loads((RESULTS / "figures.json").read_text("utf-8"))
    for path, text in pages(figures).items():
        with atomic_path(path) as temporary:
            Path(temporary).write_text(text, "utf-8")
    plot_cost(figures["plans"], RESULTS / "cost.png")
    plot_differences(figures, RESULTS / "differences.png")


if __name__ == "__main__":
    main()
