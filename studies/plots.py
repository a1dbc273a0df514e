"""The pictures of docs/evidence.md.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
from matplotlib.figure import Figure
from scipy.optimize import isotonic_regression

from studies.comparison import t_interval

COLOURS = {
    "AST": "#1f5fa8",
    "ConvNeXt1d": "#1b7f3b",
    "x-vector": "#7a4a9e",
}


def marker_of(label):
    """The marker of a model: square patches, full-frequency ones, or none."""
    if "square" in label:
        return "s"
    return "o" if "FFTP" in label else "D"


def spread(values, gap):
    """Heights at least ``gap`` apart, close to rising values."""
    steps = gap * np.arange(len(values))
    return steps + isotonic_regression(np.array(values) - steps).x


def plot_panels(panels, path):
    """Plots accuracy against MACs, a panel a data set and a point a model.

    ``panels`` is as in ``panels_of`` in report.py. Bars are 95 % intervals of the
    mean over folds.
    """
    figure = Figure((9, 2.9 * len(panels)), dpi=120, layout="constrained")
    grid = figure.subplots(len(panels), squeeze=False)[:, 0]
    for ax, (title, (metric, points)) in zip(grid, panels.items()):
        points = sorted(points, key=lambda point: point[1]["mean"])
        values = [row["mean"] for _, row in points]
        costs = [row["macs"] / 1e6 for _, row in points]
        intervals = [
            t_interval(list(row["by_fold"].values())) for _, row in points
        ]
        lows, highs, _ = zip(*intervals)
        ax.vlines(costs, lows, highs, color="grey", alpha=0.5)
        gap = (max(highs) - min(lows)) / 12
        for (label, _), value, cost, height in zip(
            points, values, costs, spread(values, gap)
        ):
            colour = COLOURS[label.partition(",")[0]]
            ax.plot(cost, value, marker_of(label), color=colour, ms=7)
            ax.annotate(
                label,
                (cost, value),
                (1.25 * cost, height),
                va="center",
                color=colour,
                arrowprops={"arrowstyle": "-", "lw": 0.5, "color": colour},
            )
        ax.set_xscale("log")
        ax.set_xticks([], minor=True)
        low, high = 0.9 * min(costs), 2 * max(costs)
        ticks = [x * 10**k for k in range(4) for x in (1, 2, 5)]
        ticks = [tick for tick in ticks if low <= tick <= high]
        ax.set_xticks(ticks, list(map(str, ticks)))
        ax.set_xlim(low, high)
        ax.margins(y=0.12)
        ax.grid(alpha=0.3)
        ax.set_xlabel("MMACs of inference, one clip")
        ax.set_ylabel(metric)
        ax.set_title(title, loc="left", fontweight="bold")
    figure.savefig(path, metadata={"Software": None})


def plot_curve(names, clips, differences, path):
    """Plots two arms, and their difference, against the number of clips.

    ``differences`` has contrasts of measure.py by number; ``names`` those of the
    arms, and ``clips`` what is counted. Dashes are folds, bars 95 % intervals.
    """
    figure = Figure((9, 3), dpi=120, layout="constrained")
    left, right = figure.subplots(1, 2)
    counts, entries = list(differences), list(differences.values())
    for number, name in enumerate(names):
        arms = [entry["arms"][number] for entry in entries]
        [line] = left.plot(
            counts, [arm["mean"] for arm in arms], "-o", label=name
        )
        for count, arm in zip(counts, arms):
            for value in arm["by_fold"].values():
                left.plot(count, value, "_", color=line.get_color())
    right.axhline(0, color="grey", lw=0.7)
    for count, entry in differences.items():
        right.vlines(count, entry["low"], entry["high"], color="grey")
    right.plot(counts, [entry["value"] for entry in entries], "-o", color="k")
    left.set_ylabel("mAP in %")
    left.legend()
    right.set_ylabel("difference in points")
    for ax in (left, right):
        ax.set_xscale("log")
        ax.set_xticks([], minor=True)
        ax.set_xticks(counts, [f"{count:,}" for count in counts])
        ax.set_xlabel(clips)
        ax.grid(alpha=0.3)
    figure.savefig(path, metadata={"Software": None})
