"""The picture of docs/evidence.md.

Authors
 * The speechbrain_fftp authors 2026
"""

from matplotlib.figure import Figure


def plot_claims(claims, path):
    """Plots each claim's difference: folds, mean and both 95 % t intervals.

    The thin line is the interval that is corrected for what folds share.
    """
    claims = [claim for claim in claims if "value" in claim]
    figure = Figure((10, 1 + 0.5 * len(claims)), dpi=100, layout="constrained")
    ax = figure.subplots()
    for y, claim in enumerate(reversed(claims)):
        colour = "#888888"
        if claim["finding"] in ("supported", "contradicted"):
            colour = "#08519c"
        folds = claim["by_fold"]
        ax.plot(folds, [y] * len(folds), "|", color=colour, ms=10, alpha=0.6)
        ends = [claim["wide_low"], claim["wide_high"]]
        ax.plot(ends, [y, y], color=colour, lw=0.8)
        ax.plot([claim["low"], claim["high"]], [y, y], color=colour, lw=2.5)
        ax.plot(claim["value"], y, "o", color=colour)
    texts = [
        f"{claim['text']}: {claim['finding']}\n{claim['contrast']}"
        for claim in reversed(claims)
    ]
    ax.set_yticks(range(len(claims)), texts, fontsize=8)
    ax.axvline(0, color="k", lw=0.8)
    ax.set_xlabel(
        "points of accuracy (words) or mAP: folds, mean, 95 % t interval, "
        "corrected (thin)"
    )
    ax.grid(axis="x", alpha=0.3)
    figure.savefig(path, metadata={"Software": None})
