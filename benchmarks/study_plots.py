"""Plots of a study: the metric versus multiply-accumulates.

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
    "inference_macs": ("macs", 1e6, "million MACs for a clip"),
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
    """What a configuration's points have in common."""
    name, stride = config.yaml, config.overrides.get("stride_frames")
    if "aum" in name:
        return "AuM"
    if "square" in name:
        return f"square 16/{stride}"
    return "FFTP" if "fftp" in name else "other"


def points_of(study, results):
    """What is drawn: each configuration once, on each device.

    Returns
    -------
    list of tuple
        Family, label and ``Result``.
    """
    points, known = [], set()
    for title, grid in study.grids().items():
        if title not in GRIDS:
            continue
        for entry in grid.entries:
            for device in results.devices:
                result = results.find(entry.config, device)
                identity = (str(entry.config), device)
                if result is None or identity in known:
                    continue
                known.add(identity)
                label = entry.label
                epochs = result.rows[0]["epochs"]
                if epochs != study.epochs:
                    name = label.partition(", as many")[0]
                    label = f"{name} ({epochs} epochs)"
                if device != "cpu":
                    label = f"{label}, {device}"
                points.append((family(entry.config), label, result))
    return points


def plot_study(study, results, stem):
    """Draws the metric versus the MACs, for inference and for training.

    Arguments
    ---------
    study : Study
        The study.
    results : Results
        Its results.
    stem : pathlib.Path
        Beginning of the pictures' paths.

    Returns
    -------
    dict
        From what a picture shows to its PNG; an SVG lies beside.
    """
    points, pictures = points_of(study, results), {}
    for name, (key, unit, label) in AXES.items():
        figure = Figure((10, 5.5), dpi=100, layout="constrained")
        ax = figure.subplots()
        markers = {}
        for kind, text, result in points:
            marks = markers.setdefault(kind, itertools.cycle(MARKERS))
            values = result.values
            deviation = statistics.stdev(values) if len(values) > 1 else 0
            ax.errorbar(
                result.rows[0][key] / unit,
                statistics.mean(values),
                yerr=deviation,
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
        ax.set_ylabel(f"{study.data.metric} in %, mean and deviation of seeds")
        ax.set_title(f"{study.data.name}, {study.data.metric} versus {label}")
        figure.legend(loc="outside right upper", fontsize=9)
        path = stem.with_name(f"{stem.name}_{name}.png")
        figure.savefig(path, metadata={"Software": None})
        with matplotlib.rc_context({"svg.hashsalt": "study"}):
            figure.savefig(path.with_suffix(".svg"), metadata={"Date": None})
        pictures[f"{study.data.metric} versus {label}"] = path
    return pictures
