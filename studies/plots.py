"""The pictures of docs/evidence.md.

Authors
 * The speechbrain_fftp authors 2026
"""

from matplotlib.figure import Figure

from studies.comparison import t_interval


def plot_panels(panels, path):
    """Plots accuracy against MACs, a panel a data set and a point a model.

    ``panels`` is as in ``panels_of`` in report.py. Bars are 95 % intervals of the
    mean over folds.
    """
    figure = Figure((9, 2.9 * len(panels)), dpi=120, layout="constrained")
    grid = figure.subplots(len(panels), squeeze=False)[:, 0]
    for ax, (title, (metric, points)) in zip(grid, panels.items()):
        for label, row in sorted(points, key=lambda point: -point[1]["mean"]):
            low, high, _ = t_interval(list(row["by_fold"].values()))
            ax.errorbar(
                row["macs"] / 1e6,
                row["mean"],
                (high - low) / 2,
                fmt="s" if "square" in label else "o",
                label=label,
            )
        ax.grid(alpha=0.3)
        ax.set_xlabel("MMACs of inference, one clip")
        ax.set_ylabel(metric)
        ax.set_title(title, loc="left", fontweight="bold")
        ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
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
