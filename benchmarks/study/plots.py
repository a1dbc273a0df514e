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
        ("strides", "strides"),
        ("x_vector", "epochs"),
    ),
    "soundscapes of 10 s, mAP in %, folds 1 to 3": (
        ("long_clips", "convergence"),
    ),
}
DIFFERENCES = (  # what the plot says; plan, table and label, or one of ACROSS
    (
        "square 16/16 to FFTP 10/5, same tokens and MACs",
        ("speech_commands", "cpu_time", "square 16/16 on 48 bins"),
    ),
    (
        "square 16/10 to FFTP 10/5, same MACs",
        ("speech_commands", "macs", "square 16/10 on 128 bins, 48 wide"),
    ),
    (
        "square 16/16 to FFTP 10/10, instruments, mAP",
        ("audioset_mini", "mini", "square 16/16, no masks"),
    ),
    (
        "x-vector to AST with FFTP 10/5, same MACs",
        ("speech_commands", "macs", "x-vector, 128 wide"),
    ),
    (
        "ConvNeXt1d with FFTP 11/2, 30 epochs, to x-vector, 21",
        ("encoders", "long", "FFTP 11/2 ConvNeXt1d"),
    ),
    (
        "the same to the x-vector of 23 epochs, not declared",
        ("across", "FFTP to other x-vector"),
    ),
    (
        "x-vector at 0.001 to that ConvNeXt1d, 30 epochs each",
        ("x_vector", "epochs", "x-vector, learning rate 0.001"),
    ),
    (
        "x-vector at 0.003 to that ConvNeXt1d, 30 epochs each",
        ("x_vector", "epochs", "x-vector, learning rate 0.003"),
    ),
    (
        "SpecMask of 22 % to no masks",
        ("speech_commands", "masks", "SpecMask that covers tokens"),
    ),
    (
        "SpecMask of 6.25 % to no masks, AST",
        ("specmask_words", "published", "AST, SpecMask of 6.25 %"),
    ),
    (
        "SpecMask of 6.25 % to no masks, AuM",
        ("specmask_words", "published", "AuM, SpecMask of 6.25 %"),
    ),
    (
        "square 16/16 to FFTP 10/10, 10 s, 10 epochs, mAP",
        ("long_clips", "convergence", "square 16/16, 10 epochs"),
    ),
    (
        "square 16/16 to FFTP 10/10, 10 s, 40 epochs, mAP",
        ("long_clips", "convergence", "square 16/16, 40 epochs"),
    ),
    (
        "FFTP 10/10, 80 epochs, to square 16/16, 40, 10 s, mAP",
        ("long_clips", "convergence", "FFTP 10/10, 80 epochs"),
    ),
    (
        "SpecMask of 20 % to no masks, 10 s, mAP",
        ("long_clips", "tokens", "SpecMask of 20 %, 70 % of it full-height"),
    ),
    (
        "40 % of the time steps dropped to none, 10 s, mAP",
        ("long_clips", "tokens", "40 % of the time steps dropped"),
    ),
    (
        "one model for four strides to one for stride 5",
        ("strides", "strides", "one model, at stride 5"),
    ),
    (
        "random to square weights, 10 clips of each word",
        ("reuse", "ten", "random weights"),
    ),
    (
        "windows to time steps, FFTP 10/10, event F1",
        ("sound_events", "weak", "FFTP 10/10, 1 s windows every 0.25 s"),
    ),
)


def patches_of(row):
    """The colour's name of a row."""
    name = Path(row["yaml"]).stem
    if name in ("ast_square", "square_frames"):
        return f"square 16/{row['stride']}"
    if name in ("xvector", "bcresnet"):
        return "none"
    return f"FFTP, stride {row['stride']}"


def points_of(plans, tables):
    """The rows of some tables with folds 1 to 3, each one once."""
    found = {}
    for plan, name in tables:
        if not plans[plan]:
            continue
        for label, row in plans[plan]["rows"][name].items():
            if row and row["folds"] >= 3 and "one model" not in label:
                values = [row["values"][fold] for fold in "123"]
                found[(row["training_macs"], *values)] = row, sum(values) / 3
    return list(found.values())


def plot_cost(plans, path):
    """Accuracy against the MACs of training, a panel for each kind of clips."""
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


def find_contrast(figures, first, *rest):
    """A contrast of a plan, or across plans; None if runs are missing."""
    if first == "across":
        return figures["across"][rest[0]]
    if not figures["plans"][first]:
        return None
    table, label = rest
    found = figures["plans"][first]["contrasts"][table][label]
    return None if found["p"] is None else found


def plot_differences(figures, path):
    """Paired differences with their intervals and findings."""
    found = [
        (text, contrast)
        for text, place in DIFFERENCES
        if (contrast := find_contrast(figures, *place))
    ]
    figure = Figure(
        (10, 0.8 + 0.32 * len(found)), dpi=100, layout="constrained"
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
    ax.set_yticks(range(len(found)), [text for text, _ in reversed(found)])
    ax.axvline(0, color="k", lw=0.8)
    ax.set_xlabel("difference in points, 95 % interval")
    ax.grid(axis="x", alpha=0.3)
    figure.savefig(path, metadata={"Software": None})
