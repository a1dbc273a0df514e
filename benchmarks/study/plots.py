"""The picture of docs/evidence.md.

Authors
 * The speechbrain_fftp authors 2026
"""

from matplotlib.figure import Figure


def plot_claims(claims, path):
    """Plots each claim's difference: folds, mean and 95 % t interval."""
    claims = [claim for claim in claims if "value" in claim]
    figure = Figure((9, 1 + 0.5 * len(claims)), dpi=100, layout="constrained")
    ax = figure.subplots()
    for y, claim in enumerate(reversed(claims)):
        colour = "#08519c"
        if claim["finding"] == "open":
            colour = "#888888"
        folds = claim["by_fold"]
        ax.plot(folds, [y] * len(folds), "|", color=colour, ms=10, alpha=0.6)
        ax.plot([claim["low"], claim["high"]], [y, y], color=colour, lw=2)
        ax.plot(claim["value"], y, "o", color=colour)
    texts = [
        f"{claim['contrast']}\n{claim['finding']}" for claim in reversed(claims)
    ]
    ax.set_yticks(range(len(claims)), texts, fontsize=8)
    ax.axvline(0, color="k", lw=0.8)
    ax.set_xlabel(
        "points of accuracy (words) or mAP (10 s): mean, 95 % t interval, folds"
    )
    ax.grid(axis="x", alpha=0.3)
    figure.savefig(path, metadata={"Software": None})
