"""Tables of a study: means over seeds, and differences to a baseline.

Authors
 * The speechbrain_fftp authors 2026
"""

import statistics
from pathlib import Path
from typing import NamedTuple

from study_models import unavailable
from study_plots import plot_study
from study_runs import read_rows, row_key, run_key
from study_statistics import mean_and_deviation, sampling_note, welch

from speechbrain_fftp.dataio.files import atomic_path

NOTE = """\
Each row is a configuration trained from scratch by the recipe with each seed:
mean and sample standard deviation over the seeds. The difference is that to
the row named, with its standard error from both rows' deviations (Welch). One
of no more than two standard errors is *inside the noise*. Beyond that it may
still be chance: with three seeds the deviations are rough themselves, and of
many differences some exceed two standard errors without a cause.

MACs are those of one clip of {seconds:g} s, encoder and classifier: first the
paper's count (linear and convolutional layers), then all, with attention and
scans. Training MACs are three times all of them for each training clip and
epoch. After a model's name stand its width and its depth, such as 80 x 4. CPU
minutes are those of the whole run, evaluation included, on one thread of the
processor named beside them or else of the first one above; latency is that of
one clip at a time, on one thread, from waveform to logits.
"""


class Result(NamedTuple):
    """What the runs of a configuration gave.

    Arguments
    ---------
    rows : list of dict
        One for each seed, by the seed.
    """

    rows: list

    @property
    def values(self):
        """The metric in percent, of each seed."""
        return [100 * row["value"] for row in self.rows]

    @property
    def minutes(self):
        """CPU minutes of runs that were not interrupted."""
        return [row["cpu_minutes"] for row in self.rows if not row["resumed"]]


class Results:
    """The rows of a study, by configuration and device.

    Arguments
    ---------
    study : Study
        The study.
    rows : dict
        Rows by key.
    """

    def __init__(self, study, rows):
        self.recipe = study.data.recipe
        self.rows = rows
        self.devices = sorted({row["device"] for row in rows.values()})
        self.seeds = sorted({row["seed"] for row in rows.values()})

    def find(self, config, device):
        """The ``Result`` of a configuration on a device; None if none."""
        found = []
        for seed in self.seeds:
            key = run_key(
                self.recipe, config.yaml, config.overrides, seed, device
            )
            found += [self.rows[key]] if key in self.rows else []
        return Result(found) if found else None


def table(grid, study, results, latency):
    """A grid as the lines of a Markdown table.

    Arguments
    ---------
    grid : Grid
        The grid.
    study : Study
        The study.
    results : Results
        Its results.
    latency : dict
        Times of each model, by key of the model.

    Returns
    -------
    list of str
        The lines, with those of the pairs to compare.
    """
    names = [
        "configuration",
        "tokens",
        "M params",
        "MMACs, linear+conv",
        "MMACs, all",
        "training TMACs",
        "epochs",
        "seeds",
        f"{study.data.metric} in %",
        "difference",
        "to",
        "which is",
        "CPU minutes",
    ]
    names += ["latency in ms"] if latency else []
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    notes = []
    for device in results.devices:
        found = {e.label: results.find(e.config, device) for e in grid.entries}
        for entry in grid.entries:
            reason = unavailable(entry.config)
            if found[entry.label] is None and reason:
                notes.append(f"{entry.label} was skipped: {reason}.")
            cells = _cells(entry, study, found)
            if device != "cpu":
                cells[0] += f" ({device})"
            if latency:
                time = latency.get(entry.config.model_key)
                cells.append(f"{1000 * time['median']:.2f}" if time else "-")
            lines.append("| " + " | ".join(cells) + " |")
        for first, second in grid.pairs:
            if found[first] and found[second]:
                difference = welch(found[first].values, found[second].values)
                notes.append(
                    f"{first} less {second}: {difference}, "
                    f"{difference.verdict}."
                )
    return [*lines, "", *(f"- {note}" for note in notes), ""]


def _cells(entry, study, found):
    """The cells of a row of a table."""
    result = found[entry.label]
    if result is None:
        return [entry.label, *["-"] * 12]
    row = result.rows[0]
    cells = [
        entry.label,
        str(row["tokens"] or "-"),
        f"{row['params'] / 1e6:.3f}",
        f"{row['macs_linear'] / 1e6:.2f}",
        f"{row['macs'] / 1e6:.2f}",
        f"{row['training_macs'] / 1e12:.2f}",
        str(row["epochs"]),
        str(len(result.rows)),
        mean_and_deviation(result.values),
    ]
    baseline = found.get(entry.baseline)
    if baseline is None:
        cells += ["-", "-", "-"]
    else:
        difference = welch(result.values, baseline.values)
        cells += [str(difference), entry.baseline, difference.verdict]
    minutes = result.minutes
    words = [f"{statistics.mean(minutes):.1f}" if minutes else "-"]
    # Rows of before have none: they are of the first processor of the header.
    words += sorted({r["processor"] for r in result.rows if "processor" in r})
    return [*cells, ", ".join(words)]


def header(study, rows, facts):
    """What stands above the tables: commands, machine, notes."""
    lines = [f"# Study on {study.data.name}", ""]
    lines += [f"    {command}" for command in facts.get("commands", [])]
    for name, fact in facts.items():
        if name.startswith("on "):
            named = ", ".join(f"{k} {v}" for k, v in fact.items())
            lines += ["", f"Run {name}: {named}."]
    lines += ["", NOTE.format(seconds=study.data.seconds)]
    row = next(iter(rows.values()))
    if row["metric"] == "accuracy":
        share = statistics.mean(row["value"] for row in rows.values())
        lines += [sampling_note(share, row["clips"]["test"])]
    versions = {}
    for row in rows.values():
        versions.setdefault(row["yaml"], set()).add(row["yaml_sha1"])
    for yaml, digests in versions.items():
        if len(digests) > 1:
            note = f"Rows of {yaml} are of {len(digests)} versions of it."
            lines += ["", note]
    return [*lines, ""]


def write_report(study, path, facts):
    """Writes tables and plots beside the rows.

    Arguments
    ---------
    study : Study
        The study.
    path : pathlib.Path
        The file of JSON lines.
    facts : dict
        ``commands``, ``latency`` and, by device, the machine.
    """
    rows = read_rows(path)
    if not rows:
        print(f"There are no results in {path}.")
        return
    results = Results(study, rows)
    lines, shown = header(study, rows, facts), set()
    for grid in study.grids().values():
        found = [
            results.find(entry.config, device)
            for entry in grid.entries
            for device in results.devices
        ]
        seen = {row_key(row) for each in found if each for row in each.rows}
        if seen:
            shown |= seen
            lines += [f"## {grid.title}", ""]
            lines += table(grid, study, results, facts.get("latency", {}))
    if len(rows) > len(shown):
        rest = len(rows) - len(shown)
        lines += [f"{rest} rows are of configurations that no grid has.", ""]
    pictures = plot_study(study, results, path.with_suffix(""))
    lines += ["## Plots", ""]
    lines += [f"![{text}]({file.name})\n" for text, file in pictures.items()]
    report = path.with_suffix(".md")
    with atomic_path(report) as temporary:
        Path(temporary).write_text("\n".join(lines), encoding="utf-8")
    print(f"Written: {report}")
