"""Plots of the study: means and intervals of the rows of a table.

Authors
 * The speechbrain_fftp authors 2026
"""

from matplotlib.figure import Figure


def plot_table(title, metric, found, path):
    """Plots means with their 95 % intervals, one row each.

    Arguments
    ---------
    title, metric : str
        Of the table.
    found : dict
        By label: mean, lower and upper end in percent, and more; or None.
    path : Path
        The picture to write.
    """
    rows = [(label, *row[:3]) for label, row in found.items() if row]
    if not rows:
        return
    labels, means, lows, highs = zip(*reversed(rows))
    figure = Figure((8, 0.8 + 0.35 * len(rows)), dpi=100, layout="constrained")
    ax = figure.subplots()
    errors = [
        [mean - low for mean, low in zip(means, lows)],
        [high - mean for mean, high in zip(means, highs)],
    ]
    ax.errorbar(means, labels, xerr=errors, fmt="o", capsize=3)
    ax.set_xlabel(f"{metric} in %, mean over folds and 95 % interval")
    ax.set_title(title, fontsize=10)
    ax.grid(alpha=0.3)
    ax.margins(y=0.1)
    figure.savefig(path, metadata={"Software": None})
