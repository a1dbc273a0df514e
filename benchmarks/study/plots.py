"""Plots of the study: the metric against MACs.

Authors
 * The speechbrain_fftp authors 2026
"""

import itertools
import statistics

import matplotlib
from matplotlib.figure import Figure

# Grids whose configurations differ in their cost; masks cost nothing.
GRIDS = (
    "smoke",
    "embedding",
    "training_macs",
    "inference_macs",
    "encoder",
    "stride",
    "peers",
)
AXES = {
    "inference_macs": ("macs", 1e6, "million MACs per clip"),
    "training_macs": ("training_macs", 1e12, "tera MACs in training"),
}
MARKERS = "osD^v<>PX*hpd"
COLOURS = {
    "FFTP": "tab:blue",
    "square 16/16": "tab:orange",
    "square 16/10": "tab:red",
    "AuM": "tab:green",
    "other": "tab:purple",
}


def family(config):
    """The entry of ``COLOURS`` for a configuration."""
    name, stride = config.yaml, config.overrides.get("stride_frames")
    if "aum" in name:
        return "AuM"
    if "square" in name:
        return f"square 16/{stride}"
    return "FFTP" if "fftp" in name else "other"


def points_of(grids, results):
    """Family, label and ``Result`` of each configuration on each device."""
    points, known, usual = [], set(), None
    for grid in (grid for name, grid in grids.items() if name in GRIDS):
        for row, device in itertools.product(grid.rows, results.devices):
            usual = usual or row.config.overrides["number_of_epochs"]
            result = results.find(row.config, device)
            identity = (str(row.config), device)
            if result is None or identity in known:
                continue
            known.add(identity)
            label, epochs = row.label, result.rows[0]["epochs"]
            if epochs != usual:
                name = label.partition(", as many")[0]
                label = f"{name} ({epochs} epochs)"
            if device != "cpu":
                label = f"{label}, {device}"
            points.append((family(row.config), label, result))
    return points


def plot_study(grids, data, results, stem):
    """Plots the metric against inference MACs and training MACs.

    Writes a PNG and an SVG for each, with paths that begin with ``stem``;
    returns the paths of the PNGs by title.
    """
    points, pictures = points_of(grids, results), {}
    for name, (key, unit, label) in AXES.items():
        figure = Figure((10, 5.5), dpi=100, layout="constrained")
        ax = figure.subplots()
        markers = {}
        for kind, text, result in points:
            marks = markers.setdefault(kind, itertools.cycle(MARKERS))
            values = result.values
            ax.errorbar(
                result.rows[0][key] / unit,
                statistics.mean(values),
                yerr=statistics.stdev(values) if len(values) > 1 else 0,
                color=COLOURS.get(kind, COLOURS["other"]),
                marker=next(marks),
                markersize=8,
                markeredgecolor="white",
                linestyle="none",
                capsize=3,
                label=text,
            )
        ax.set_xscale("log")
        ax.grid(alpha=0.3, which="both")
        ax.set_xlabel(label)
        ax.set_ylabel(f"{data.metric} in %, mean ± standard deviation of seeds")
        title = f"{data.metric} against {label}"
        ax.set_title(f"{data.name}, {title}")
        figure.legend(loc="outside right upper", fontsize=9)
        path = stem.with_name(f"{stem.name}_{name}.png")
        figure.savefig(path, metadata={"Software": None})
        with matplotlib.rc_context({"svg.hashsalt": "study"}):
            figure.savefig(path.with_suffix(".svg"), metadata={"Date": None})
        pictures[title] = path
    return pictures
