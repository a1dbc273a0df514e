"""The two plots of docs/evidence.md.

Authors
 * The speechbrain_fftp authors 2026
"""

from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator

RISING = 2 / 3  # of the runs have their last epoch among the best
ENCODERS = {  # by yaml: name and marker
    "ast_fftp": ("AST", "o"),
    "ast_fftp_frames": ("AST", "o"),
    "ast_square": ("AST", "o"),
    "square_frames": ("AST", "o"),
    "fftp_cnn": ("ConvNeXt1d", "s"),
    "convnext_fftp": ("ConvNeXt1d", "s"),
    "aum_fftp": ("AuM", "^"),
    "xvector": ("x-vector", "D"),
    "bcresnet": ("BC-ResNet", "v"),
}
COLOURS = {
    "FFTP, stride 2": "#08306b",
    "FFTP, stride 5": "#2171b5",
    "FFTP, stride 10": "#6baed6",
    "FFTP, stride 20": "#9ecae1",
    "square 16/16": "#e6550d",
    "square 16/10": "#fdae6b",
    "none": "#555555",
}
COSTS = {  # the tables of each panel
    "words of 1 s, accuracy in %, folds 1 to 3": (
        ("speech_commands", "cpu_time"),
        ("speech_commands", "macs"),
        ("encoders", "long"),
        ("x_vector", "epochs"),
    ),
    "soundscapes of 10 s, mAP in %, folds 1 to 3": (
        ("long_clips", "convergence"),
        ("aum_long_clips", "patches"),
    ),
}
DIFFERENCES = (  # plan, table and label, or a name of ACROSS
    ("speech_commands", "cpu_time", "square 16/16 on 48 bins"),
    ("speech_commands", "macs", "square 16/10 on 128 bins, 48 wide"),
    ("audioset_mini", "mini", "square 16/16, no masks"),
    ("long_clips", "convergence", "square 16/16, 10 epochs"),
    ("long_clips", "convergence", "square 16/16, 40 epochs"),
    ("long_clips", "convergence", "FFTP 10/10, 80 epochs"),
    ("aum_long_clips", "patches", "AuM, square 16/16"),
    ("speech_commands", "macs", "x-vector, 128 wide"),
    ("encoders", "long", "FFTP 11/2 ConvNeXt1d"),
    ("across", "FFTP 11/2 ConvNeXt1d minus x-vector of speech_commands"),
    ("x_vector", "epochs", "x-vector, learning rate 0.001"),
    ("x_vector", "epochs", "x-vector, learning rate 0.003"),
    ("speech_commands", "masks", "SpecMask that covers tokens"),
    ("specmask_words", "published", "AST, SpecMask of 6.25 %"),
    ("specmask_words", "published", "AuM, SpecMask of 6.25 %"),
    ("long_clips", "tokens", "SpecMask of 20 %, 70 % of it full-height"),
    ("long_clips", "tokens", "40 % of the time steps dropped"),
    ("reuse", "ten", "random weights"),
    ("sound_events", "weak", "FFTP 10/10, 1 s windows every 0.25 s"),
)


def patches_of(row):
    """The name of a row's patches, which sets its colour."""
    name = Path(row["yaml"]).stem
    if row["is_square"]:
        return f"square 16/{row['stride']}"
    if name in ("xvector", "bcresnet"):
        return "none"
    return f"FFTP, stride {row['stride']}"


def points_of(plans, tables):
    """The rows of some tables with folds 1 to 3, without duplicates."""
    found = {}
    for plan, name in tables:
        if not plans[plan]:
            continue
        for label, row in plans[plan]["rows"][name].items():
            if row and row["folds"] >= 3:
                values = [row["values"][fold] for fold in "123"]
                found[(row["training_macs"], *values)] = row, sum(values) / 3
    return list(found.values())


def plot_cost(plans, path):
    """Plots accuracy against training MACs, with a panel per kind of clip."""
    panels = {
        title: rows
        for title, tables in COSTS.items()
        if (rows := points_of(plans, tables))
    }
    figure = Figure((8, 5 * len(panels)), dpi=100, layout="constrained")
    axes = figure.subplots(len(panels), squeeze=False)[:, 0]
    seen = {}
    for ax, (title, rows) in zip(axes, panels.items()):
        for row, value in rows:
            encoder, marker = ENCODERS[Path(row["yaml"]).stem]
            patches = patches_of(row)
            cost, colour = row["training_macs"] / 1e12, COLOURS[patches]
            face = "white" if row["rising"] >= RISING else colour
            ax.plot(cost, value, marker, color=colour, mfc=face, ms=8, mew=1.5)
            ax.annotate(
                str(row["epochs"]),
                (cost, value),
                (6, -3),
                textcoords="offset points",
                fontsize=8,
            )
            seen[encoder] = Line2D([], [], color="k", ls="", marker=marker)
            seen[patches] = Line2D([], [], color=colour, lw=4)
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_minor_formatter("")
        ax.set_xlabel("training TMACs (log)")
        ax.set_ylabel(title.split(", ")[1])
        ax.set_title(title, fontsize=10)
        ax.grid(alpha=0.3)
    ordered = [x for x in (*dict(ENCODERS.values()), *COLOURS) if x in seen]
    axes[0].legend([seen[x] for x in ordered], ordered, fontsize=8)
    figure.savefig(path, metadata={"Software": None})


def plot_differences(figures, path):
    """Plots paired differences with their intervals and findings."""
    found = []
    for plan, *rest in DIFFERENCES:
        if plan == "across":
            found.append((rest[0], figures["across"][rest[0]]))
        elif measured := figures["plans"][plan]:
            name, label = rest
            contrast = measured["contrasts"][name][label]
            text = f"{plan}: {label} minus {contrast['against']}"
            if contrast["p"] is not None:
                found.append((text, contrast))
    figure = Figure(
        (11, 0.8 + 0.32 * len(found)), dpi=100, layout="constrained"
    )
    ax = figure.subplots()
    for y, (_, contrast) in enumerate(reversed(found)):
        open_ = contrast["finding"] == "unresolved"
        colour = "#888888" if open_ else "#08519c"
        face = "white" if open_ else colour
        ax.plot([contrast["low"], contrast["high"]], [y, y], color=colour)
        ax.plot(contrast["value"], y, "o", color=colour, mfc=face)
        ax.annotate(
            f"{contrast['value']:+.1f} [{contrast['low']:+.1f}, "
            f"{contrast['high']:+.1f}]  {contrast['finding']}",
            (1.02, y),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=9,
        )
    texts = [text for text, _ in reversed(found)]
    ax.set_yticks(range(len(found)), texts, fontsize=9)
    ax.axvline(0, color="k", lw=0.8)
    ax.set_xlabel("difference in points, 95 % interval")
    ax.grid(axis="x", alpha=0.3)
    figure.savefig(path, metadata={"Software": None})
