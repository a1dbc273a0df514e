"""The picture of the plan `height`.

Authors
 * The speechbrain_fftp authors 2026
"""

from matplotlib.figure import Figure


def plot_steps(tables, kinds, path):
    """Plots the metric against the step in time: a line for each patch.

    ``tables`` has rows of measure.py by title: a row of panels each, with a panel
    for each of some kinds of sound. Dashes are folds.
    """
    size = (3.2 * len(kinds), 0.6 + 2.6 * len(tables))
    figure = Figure(size, dpi=120, layout="constrained")
    grid = figure.subplots(
        len(tables), len(kinds), squeeze=False, sharex=True, sharey="col"
    )
    for axes, (title, rows) in zip(grid, tables.items()):
        for ax, kind in zip(axes, kinds):
            plot_patches(ax, rows, kind)
            ax.set_xticks(sorted({row["stride"][0] for row in rows}))
            ax.set_title(f"{kind}, {title}", fontsize="medium")
            ax.grid(alpha=0.3)
    for ax in grid[-1]:
        ax.set_xlabel("step in frames")
    for ax in grid[:, 0]:
        ax.set_ylabel("mAP in %")
    grid[0, 0].legend(title="frames x bins", fontsize="small")
    figure.savefig(path, metadata={"Software": None})


def plot_patches(ax, rows, kind):
    """Plots the rows of each patch, by their steps."""
    patches = {}
    for row in rows:
        patches.setdefault(tuple(row["patch"]), []).append(row)
    for (frames, bins), of_patch in sorted(patches.items()):
        of_patch = sorted(of_patch, key=lambda row: row["stride"])
        [line] = ax.plot(
            [row["stride"][0] for row in of_patch],
            [row["kinds"][kind]["mean"] for row in of_patch],
            "-o",
            label=f"{frames} x {bins}",
        )
        for row in of_patch:
            values = [*row["kinds"][kind]["by_fold"].values()]
            steps = [row["stride"][0]] * len(values)
            ax.plot(steps, values, "_", color=line.get_color())
