"""Tables and plots of the study, from its stored runs.

Authors
 * The speechbrain_fftp authors 2026
"""

import functools
import json
import re
import statistics
from pathlib import Path
from typing import NamedTuple

from study.folds import SEARCH
from study.models import ROOT
from study.plots import plot_table
from study.uncertainty import METRICS, verdicts

from speechbrain_fftp.dataio.files import atomic_path
from speechbrain_fftp.metrics.comparison import (
    Difference,
    bootstrap,
    compare,
    interval,
)

PAGES = (ROOT / "docs" / "evidence.md", ROOT / "README.md")
# A block of a page: the plan's and the table's name, the first words of the
# columns if not all are shown, and last how many rows, such as 4
BLOCK = r"(<!-- study {} (.*?) -->\n).*?(<!-- end -->)"
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
    "p",
    "finding",
)
# Further figures of the runs: the factor, and the mean with the lowest and the
# highest run
FIGURES = {
    "event_F1": {
        "segment_F1": ("segment F1 in %", 100),
        "onset_error": ("onset error in ms", 1000),
        "PSDS1": ("PSDS1 in %", 100),
        "PSDS2": ("PSDS2 in %", 100),
        "mAP": ("mAP of clips in %", 100),
    },
}
NOTE = """\
Means over folds, with 95 % intervals of a bootstrap that draws folds and, in
each fold, {groups}. Differences are to the row named, on the folds that both
have. p is two-sided, with Holm's correction over the {contrasts} contrasts that
the plan declares; *equal* needs an interval inside ±{margin:g} points. MACs are
those of encoder and classifier for a clip of {seconds:g} s, attention and scans
included; those of training are three times as many for each clip and epoch.
CPU minutes are those of a whole run of the recipe, on one thread of {processors}.
Options are the learning rate and the share of cells that masks cover.
"""


def _range(values):
    """Their mean, with the lowest and the highest."""
    mean, low, high = statistics.mean(values), min(values), max(values)
    more = f" ({low:.1f} to {high:.1f})" if len(values) > 1 else ""
    return f"{mean:.1f}{more}"


class Contrast(NamedTuple):
    """Rows and their signs; the row, or the table, that it is named after."""

    against: str
    rows: list
    signs: tuple


class Report:
    """What the stored runs of a plan show.

    Arguments
    ---------
    results : Results
        The stored runs.
    """

    def __init__(self, results):
        self.results, self.plan = results, results.plan
        self.metric = METRICS[self.plan.metric]
        self.tables, self.stored = self.plan.tables(), results.rows()

    def runs(self, row):
        """The finished runs of a row by fold."""
        runs = (self.plan.run(row, fold) for fold in row.folds)
        return {
            run.fold: run
            for run in runs
            if self.results.digest(run) in self.stored
        }

    @functools.cached_property
    def contrasts(self):
        """All declared contrasts, by table and label."""
        found = {}
        for name, table in self.tables.items():
            rows = {row.label: row for row in table.rows}
            for row in table.rows:
                if row.against:
                    pair = [row, rows[row.against]]
                    found[name, row.label] = Contrast(
                        row.against, pair, (1, -1)
                    )
            for entry in table.interactions:
                other = self.tables[entry["table"]].rows
                others = {row.label: row for row in other}
                labels = entry["label"], entry["against"]
                four = [where[x] for where in (rows, others) for x in labels]
                text = f"{labels[0]} minus {labels[1]}, here minus there"
                found[name, text] = Contrast(
                    entry["table"], four, (1, -1, -1, 1)
                )
        return found

    @functools.cached_property
    def findings(self):
        """A ``Difference``, corrected p and a finding for each contrast.

        While runs are missing, the difference is that of the folds there are,
        or None, and the contrast counts for the correction as one without any.
        """
        found, values = {}, []
        for key, contrast in self.contrasts.items():
            runs = [self.runs(row) for row in contrast.rows]
            wanted, done = (
                set.intersection(*map(set, folds))
                for folds in ([row.folds for row in contrast.rows], runs)
            )
            if done:
                folds = [
                    [self.results.scores(each[fold]) for each in runs]
                    for fold in sorted(done)
                ]
                found[key] = compare(folds, self.metric, contrast.signs)
            nothing = Difference(0.0, -100.0, 100.0, 1.0)
            values.append(found[key] if wanted == done else nothing)
        words = verdicts(values, self.plan.margin)
        for key, value, (p, word) in zip(self.contrasts, values, words):
            complete = value is found.get(key)
            found[key] = (
                found.get(key),
                p if complete else None,
                word if complete else "not complete",
            )
        return found

    def summary(self, row):
        """Mean and 95 % interval of a row in percent; None without a run."""
        runs = self.runs(row)
        if not runs:
            return None
        folds = [[self.results.scores(run)] for run in runs.values()]
        draws = 100 * bootstrap(folds, self.metric)[:, 0]
        values = [self.row_of(run)["value"] for run in runs.values()]
        return (100 * statistics.mean(values), *interval(draws))

    def row_of(self, run):
        """The stored row of a run."""
        return self.stored[self.results.digest(run)]

    def cells(self, name, row):
        """The cells of a row of a table."""
        figures = FIGURES.get(self.plan.metric, {})
        if (found := self.summary(row)) is None:
            empty = ["-"] * (len(COLUMNS) + len(figures) - 2)
            return [row.label, *empty, "not yet run"]
        stored = [self.row_of(run) for run in self.runs(row).values()]
        options = row.config.overrides
        trained = [self.stored.get(row.get("trained"), row) for row in stored]
        minutes = [r["cpu_minutes"] for r in trained if not r["resumed"]]
        done, wanted = len(stored), len(row.folds)
        masks = f"{100 * options['mask_budget']:g} %"
        if options.get("time_mask"):
            masks = "SpecAugment"
        return [
            row.label,
            f"{options['lr']:g}, {masks}",
            f"{stored[0]['macs'] / 1e6:.1f}",
            f"{stored[0]['training_macs'] / 1e12:.2f}",
            str(options["number_of_epochs"]),
            f"{statistics.mean(minutes):.1f}" if minutes else "-",
            str(done) if done == wanted else f"{done} of {wanted}",
            "{:.1f} [{:.1f}, {:.1f}]".format(*found),
            *self.contrast_cells((name, row.label)),
            *(
                _range([factor * each[key] for each in stored])
                for key, (_, factor) in figures.items()
            ),
        ]

    def contrast_cells(self, key):
        """The cells of a contrast."""
        if key not in self.contrasts:
            return ["-", "-", "-"]
        difference, p, finding = self.findings[key]
        text = "-"
        if difference is not None:
            text = f"{difference} to {self.contrasts[key].against}"
        if p is not None:
            p = f"{p:.3f}" if p >= 0.001 else "< 0.001"
        return [text, p or "-", finding]

    def lines(self, name, shown=None, count=None):
        """A table as lines of Markdown: the ``shown`` columns, so many rows."""
        figures = FIGURES.get(self.plan.metric, {}).values()
        columns = [text.format(metric=self.plan.metric) for text in COLUMNS]
        columns += [text for text, _ in figures]
        wanted = [shown is None or c.split()[0] in shown for c in columns]
        rows = [self.cells(name, row) for row in self.tables[name].rows[:count]]
        lines = [columns, ["---"] * len(columns), *rows]
        lines = [
            "| " + " | ".join(c for c, w in zip(line, wanted) if w) + " |"
            for line in lines
        ]
        for key, contrast in self.contrasts.items():
            if key[0] == name and len(contrast.rows) == 4:
                difference = self.findings[key][0] or "-"
                _, p, finding = self.contrast_cells(key)
                text = f"{key[1]} (table {contrast.against}): {difference}"
                lines += ["", f"{text}, p {p}: {finding}."]
        if self.tables[name].target:
            lines += self.target_lines(self.tables[name])
        return lines

    def target_lines(self, table):
        """Epochs that rows need for the last validation score of another."""
        target = next(row for row in table.rows if row.label == table.target)
        goals = {
            fold: self.row_of(run)["curve"][-1]
            for fold, run in self.runs(target).items()
        }
        lines = [
            "",
            f"Epochs until the last validation score of {target.label}, in "
            "each fold that reaches it:",
            "",
        ]
        for row in table.rows:
            if row.data != target.data:
                continue
            runs = self.runs(row)
            curves = {f: self.row_of(runs[f])["curve"] for f in runs}
            needed = sorted(
                1 + next(i for i, v in enumerate(curve) if v >= goals[fold])
                for fold, curve in curves.items()
                if max(curve) >= goals[fold]
            )
            text = ", ".join(map(str, needed)) or "none"
            lines.append(f"* {row.label}: {text}, of {len(curves)} folds")
        return lines

    def silence(self):
        """How clips without a word fared, which no other figure contains."""
        found = [
            100 * row["silence"]
            for row in self.stored.values()
            if "silence" in row and row["fold"] != SEARCH
        ]
        if not found:
            return []
        return [
            "Clips of silence, whose recordings the folds share: "
            f"{min(found):.0f} to {max(found):.0f} % correct, by run.",
            "",
        ]

    def trials(self):
        """What the trials of options gave, by model."""
        trials = self.plan.trials
        if not trials:
            return []
        found = json.loads(self.plan.chosen_path.read_text("utf-8"))["scores"]
        names = [", ".join(map(str, each.values())) for each in trials]
        about = f"{self.plan.metric} in % by {', '.join(trials[0])}."
        lines = ["## Trials", "", about, ""]
        lines += ["| model | " + " | ".join(names) + " |"]
        lines += ["|" + "---|" * (1 + len(names))]
        for model, scores in found.items():
            each = (f"{100 * score:.1f}" for score in scores.values())
            lines.append(f"| {model} | " + " | ".join(each) + " |")
        return [*lines, ""]

    def fill(self, text):
        """Replaces the blocks of a page that show tables of this plan."""

        def block(match):
            name, *shown = match[2].split()
            count = int(shown.pop()) if shown and shown[-1].isdigit() else None
            lines = self.lines(name, shown or None, count)
            return match[1] + "\n".join(["", *lines, "", ""]) + match[3]

        pattern = BLOCK.format(self.plan.name)
        return re.sub(pattern, block, text, flags=re.DOTALL)

    def page(self):
        """The page of all tables."""
        stored = self.stored.values()
        note = NOTE.format(
            groups=self.plan.facts["groups"],
            contrasts=len(self.contrasts),
            margin=self.plan.margin,
            seconds=self.plan.seconds,
            processors=", ".join(sorted({row["processor"] for row in stored})),
        )
        lines = [f"# Study on {self.plan.name}", "", note, *self.silence()]
        lines += self.trials()
        for name, table in self.tables.items():
            lines += [f"## {table.title}", "", *self.lines(name), ""]
            if any(map(self.runs, table.rows)):
                picture = f"{self.plan.name}_{name}.png"
                lines += [f"![{table.title}]({picture})", ""]
        commits = sorted({row["commit"][:10] for row in stored})
        minutes = sum(row["cpu_minutes"] for row in stored)
        lines.append(
            f"{len(stored)} runs in {minutes / 60:.1f} CPU hours, of commits "
            f"{', '.join(commits)}."
        )
        return "\n".join(lines) + "\n"


def write_report(results):
    """Writes the tables and plots of a plan, and the pages that show some."""
    report = Report(results)
    pages = {page: report.fill(page.read_text("utf-8")) for page in PAGES}
    if report.stored:
        pages[results.path.with_suffix(".md")] = report.page()
    for name, table in report.tables.items():
        path = results.path.with_name(f"{results.plan.name}_{name}.png")
        found = {row.label: report.summary(row) for row in table.rows}
        plot_table(table.title, results.plan.metric, found, path)
    for page, text in pages.items():
        with atomic_path(page) as path:
            Path(path).write_text(text, "utf-8")
