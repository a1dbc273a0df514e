"""The picture of docs/evidence.md and README.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
from matplotlib.figure import Figure
from scipy.optimize import isotonic_regression

COLOURS = {
    "AST": "#1f5fa8",
    "AuM": "#c0392b",
    "ConvNeXt1d": "#1b7f3b",
    "x-vector": "#7a4a9e",
}
COSTS = {
    "macs": "MMACs of inference, one clip",
    "minutes": "CPU minutes of training, one thread",
}


def marker_of(patches):
    """The marker of a model: square patches, full-frequency ones, or none."""
    if not patches:
        return "D"
    return "s" if patches.startswith("square") else "o"


def spread(values, gap):
    """Heights at least ``gap`` apart, close to rising values."""
    steps = gap * np.arange(len(values))
    return steps + isotonic_regression(np.array(values) - steps).x


def plot_models(panels, path):
    """Plots accuracy against both costs, a point a model with its interval.

    ``panels`` maps titles to a metric and points in any order, see
    ``panels_of`` in report.py.
    """
    figure = Figure((10, 2.7 * len(panels)), dpi=150, layout="constrained")
    grid = figure.subplots(len(panels), len(COSTS), sharey="row", squeeze=False)
    for axes, (title, (metric, points)) in zip(grid, panels.items()):
        points = sorted(points, key=lambda point: point["value"])
        for ax, (cost, name) in zip(axes, COSTS.items()):
            for point in points:
                colour = COLOURS[point["encoder"]]
                value = point["value"]
                ends = [point["low"], point["high"]]
                ax.plot(2 * [point[cost]], ends, color=colour, lw=1.2)
                marker = marker_of(point["patches"])
                ax.plot(point[cost], value, marker, color=colour, ms=7)
            ax.set_xscale("log")
            ax.set_xticks([], minor=True)
            costs = [point[cost] for point in points]
            ticks = [x * 10**k for k in range(4) for x in (1, 2, 5)]
            low, high = 0.8 * min(costs), 1.25 * max(costs)
            ticks = [tick for tick in ticks if low <= tick <= high]
            ax.set_xticks(ticks, list(map(str, ticks)))
            ax.set_xlim(low, high)
            ax.grid(alpha=0.3)
            ax.set_xlabel(name)
        axes[0].set_ylabel(metric)
        axes[0].set_title(title, loc="left", fontweight="bold")
        low, high = ax.get_ylim()
        heights = spread([x["value"] for x in points], (high - low) / 12)
        for point, height in zip(points, heights):
            colour = COLOURS[point["encoder"]]
            ax.annotate(
                f"{point['encoder']} {point['patches']}".strip()
                + f", {point['epochs']} epochs",
                (point[cost], point["value"]),
                (1.07, height),
                textcoords=ax.get_yaxis_transform(),
                va="center",
                color=colour,
                arrowprops={
                    "arrowstyle": "-",
                    "relpos": (0, 0.5),
                    "lw": 0.5,
                    "color": colour,
                },
            )
    figure.savefig(path, metadata={"Software": None})
