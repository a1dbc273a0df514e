"""Tables of the study: means over seeds, and differences from a baseline.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import math
import statistics
from pathlib import Path
from typing import NamedTuple, Optional

from scipy.stats import sem
from study.models import unavailable
from study.plots import plot_study

from speechbrain_fftp.dataio.files import atomic_path

NOTE = """\
Each row is a configuration that the recipe trained from scratch with each seed:
mean and sample standard deviation over the seeds. Differences are relative to
the row named, with their standard error from the standard deviations of both
rows (Welch). A difference of at most two standard errors is *inside the noise*.
A larger one may still be due to chance: with three seeds the standard
deviations are rough estimates, and among many differences some exceed two
standard errors by chance.

MACs are those of encoder and classifier for a clip of {seconds:g} s: first as
the paper counts them (linear and convolutional layers), then all of them,
including attention and scans. Training MACs are three times all MACs per
training clip and epoch. Names of models may end in width x depth, such as
80 x 4. CPU minutes include the evaluation, on one thread of the processor named
beside them, or else of the first one above. Latency is the time from waveform
to logits of one clip at a time, on one thread.
"""
COLUMNS = (
    "configuration",
    "tokens",
    "M params",
    "MMACs, linear+conv",
    "MMACs, all",
    "training TMACs",
    "epochs",
    "seeds",
    "{metric} in %",
    "difference",
    "from",
    "which is",
    "CPU minutes",
)


class Difference(NamedTuple):
    """A difference of two means and its standard error, if known."""

    value: float
    error: Optional[float]

    @property
    def verdict(self):
        """Whether the difference exceeds two standard errors."""
        if self.error is None:
            return "too few seeds"
        if abs(self.value) > 2 * self.error:
            return "beyond the noise"
        return "inside the noise"

    def __str__(self):
        error = "" if self.error is None else f" ± {self.error:.2f}"
        return f"{self.value:+.2f}{error}"


def welch(first, second):
    """The ``Difference`` of the means of two samples, as in Welch's test."""
    value = statistics.mean(first) - statistics.mean(second)
    if min(len(first), len(second)) < 2:
        return Difference(value, None)
    return Difference(value, math.hypot(sem(first), sem(second)))


def mean_and_std(values):
    """Mean and sample standard deviation, for a table."""
    if len(values) < 2:
        return f"{values[0]:.2f}"
    return f"{statistics.mean(values):.2f} ± {statistics.stdev(values):.2f}"


def run_key(recipe, yaml, overrides, seed, device):
    """Identifies a run, however its values are written (1.0 is 1)."""
    values = {}
    for name, value in overrides.items():
        whole = isinstance(value, float) and value.is_integer()
        # A budget of 1 is one cell, 1.0 is all cells.
        if whole and not (name == "mask_budget" and value):
            value = int(value)
        values[name] = value
    parts = [recipe, yaml, values, int(seed), device.split(":")[0]]
    return json.dumps(parts, sort_keys=True)


def row_key(row):
    """The key of a row of the results."""
    names = ("recipe", "yaml", "overrides", "seed", "device")
    return run_key(*(row[name] for name in names))


def read_rows(path):
    """The rows of a results file by key; skips an incomplete line."""
    rows = {}
    for line in path.read_text("utf-8").splitlines() if path.exists() else ():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        rows[row_key(row)] = row
    return rows


class Result(NamedTuple):
    """Rows of the runs of a configuration, one per seed."""

    rows: list

    @property
    def values(self):
        """The metric in percent for each seed."""
        return [100 * row["value"] for row in self.rows]

    @property
    def minutes(self):
        """CPU minutes of the runs that were not interrupted."""
        return [row["cpu_minutes"] for row in self.rows if not row["resumed"]]


class Results:
    """The rows of a recipe (by key), found by configuration and device."""

    def __init__(self, recipe, rows):
        self.recipe, self.rows = recipe, rows
        self.devices = sorted({row["device"] for row in rows.values()})
        self.seeds = sorted({row["seed"] for row in rows.values()})

    def find(self, config, device):
        """The ``Result`` of a configuration on a device, or None."""
        keys = (
            run_key(self.recipe, config.yaml, config.overrides, seed, device)
            for seed in self.seeds
        )
        found = [self.rows[key] for key in keys if key in self.rows]
        return Result(found) if found else None


def table(grid, data, results, latency):
    """A grid as lines of Markdown; ``latency`` has times by model key."""
    names = [name.format(metric=data.metric) for name in COLUMNS]
    names += ["latency in ms"] if latency else []
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    notes = []
    for device in results.devices:
        found = {r.label: results.find(r.config, device) for r in grid.rows}
        for row in grid.rows:
            reason = unavailable(row.config)
            if found[row.label] is None and reason:
                notes.append(f"{row.label} was skipped: {reason}.")
            cells = _cells(row, found)
            if device != "cpu":
                cells[0] += f" ({device})"
            if latency:
                time = latency.get(row.config.model_key)
                cells.append(f"{1000 * time['median']:.2f}" if time else "-")
            lines.append("| " + " | ".join(cells) + " |")
        for first, second in grid.pairs:
            if found[first] and found[second]:
                difference = welch(found[first].values, found[second].values)
                notes.append(
                    f"{first} minus {second}: {difference}, "
                    f"{difference.verdict}."
                )
    return [*lines, "", *(f"- {note}" for note in notes), ""]


def _cells(row, found):
    """The cells of a row of a table, but for the latency."""
    result, baseline = found[row.label], found.get(row.baseline)
    if result is None:
        return [row.label, *["-"] * (len(COLUMNS) - 1)]
    first = result.rows[0]
    difference = ["-", "-", "-"]
    if baseline is not None:
        found = welch(result.values, baseline.values)
        difference = [str(found), row.baseline, found.verdict]
    minutes = result.minutes
    words = [f"{statistics.mean(minutes):.1f}" if minutes else "-"]
    # Older rows lack the processor: it is the first one of the header.
    words += sorted({r["processor"] for r in result.rows if "processor" in r})
    return [
        row.label,
        str(first["tokens"] or "-"),
        f"{first['params'] / 1e6:.3f}",
        f"{first['macs_linear'] / 1e6:.2f}",
        f"{first['macs'] / 1e6:.2f}",
        f"{first['training_macs'] / 1e12:.2f}",
        str(first["epochs"]),
        str(len(result.rows)),
        mean_and_std(result.values),
        *difference,
        ", ".join(words),
    ]


def header(data, rows, facts):
    """The lines above the tables: commands, machines and notes."""
    lines = [f"# Study on {data.name}", ""]
    lines += [f"    {command}" for command in facts.get("commands", [])]
    for name, fact in facts.items():
        if name.startswith("on "):
            named = ", ".join(f"{k} {v}" for k, v in fact.items())
            lines += ["", f"Run {name}: {named}."]
    lines += ["", NOTE.format(seconds=data.seconds)]
    if data.metric == "accuracy":
        share = statistics.mean(row["value"] for row in rows)
        clips = rows[0]["clips"]["test"]
        points = 100 * math.sqrt(share * (1 - share) / clips)
        lines.append(
            f"All seeds are scored on the same {clips} test clips. With "
            f"{clips} other clips, accuracies would vary by {points:.1f} points (one "
            "standard error of a proportion), with clips of other speakers or "
            "places by more; the tables do not include this. Since all rows "
            "are scored on the same clips, their differences vary less.\n"
        )
    versions = {}
    for row in rows:
        versions.setdefault(row["yaml"], set()).add(row["yaml_sha1"])
    for yaml, digests in versions.items():
        if len(digests) > 1:
            lines.append(
                f"Rows of {yaml} come from {len(digests)} versions of it.\n"
            )
    return lines


def write_report(grids, data, path, facts):
    """Writes tables and plots beside a results file.

    ``facts`` is what the JSON file beside it holds: ``commands``, ``latency``
    and machines.
    """
    rows = read_rows(path)
    if not rows:
        print(f"There are no results in {path}.")
        return
    results, shown = Results(data.recipe, rows), set()
    lines = header(data, list(rows.values()), facts)
    for grid in grids.values():
        found = [
            results.find(row.config, device)
            for row in grid.rows
            for device in results.devices
        ]
        seen = {row_key(row) for each in found if each for row in each.rows}
        if seen:
            shown |= seen
            lines += [f"## {grid.title}", ""]
            lines += table(grid, data, results, facts.get("latency", {}))
    if len(rows) > len(shown):
        lines += [f"{len(rows) - len(shown)} rows belong to no grid.", ""]
    pictures = plot_study(grids, data, results, path.with_suffix(""))
    lines += ["## Plots", ""]
    lines += [f"![{text}]({file.name})\n" for text, file in pictures.items()]
    report = path.with_suffix(".md")
    with atomic_path(report) as temporary:
        Path(temporary).write_text("\n".join(lines), encoding="utf-8")
    print(f"Written: {report}")
