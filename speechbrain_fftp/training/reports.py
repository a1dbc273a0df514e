"""What the recipes show in TensorBoard besides scalars.

Authors
 * The speechbrain_fftp authors 2026
"""

import torch

from speechbrain.utils.logger import get_logger

logger = get_logger(__name__)


def add_spectrograms(writer, plain, masked, step):
    """Adds a picture of a clip as it is and, above it, masked.

    Arguments
    ---------
    writer : torch.utils.tensorboard.SummaryWriter
        Where to add it.
    plain : torch.Tensor
        Features ``[T, F]`` of the clip.
    masked : torch.Tensor
        Its features ``[T, F]`` after augmentation.
    step : int
        Number of the epoch or step.

    Example
    -------
    >>> from torch.utils.tensorboard import SummaryWriter
    >>> with SummaryWriter(str(getfixture("tmpdir"))) as writer:
    ...     add_spectrograms(writer, torch.rand(9, 4), torch.rand(9, 4), 1)
    """
    # [T, F] each -> [2 * F, T], low bins at the bottom of either
    picture = torch.cat([plain.T, masked.T]).flip(0).float()
    picture = picture - picture.min()
    picture = picture / picture.max().clamp(min=1e-6)
    writer.add_image(
        "spectrogram/masked_above_plain", picture.cpu(), step, dataformats="HW"
    )


def add_predictions(writer, ids, scores, targets, labels, step):
    """Adds a table of clips with their labels and their top three tags.

    Arguments
    ---------
    writer : torch.utils.tensorboard.SummaryWriter
        Where to add it.
    ids : list of str
        Names of the clips.
    scores : torch.Tensor
        Probabilities ``[clips, classes]``.
    targets : torch.Tensor
        Multi-hot labels ``[clips, classes]``.
    labels : list of str
        Names of the classes.
    step : int
        Number of the epoch or step.

    Example
    -------
    >>> from torch.utils.tensorboard import SummaryWriter
    >>> scores, labels = torch.tensor([[0.9, 0.2]]), ["Siren", "Beep"]
    >>> with SummaryWriter(str(getfixture("tmpdir"))) as writer:
    ...     add_predictions(writer, ["a"], scores, scores > 0.5, labels, 1)
    """
    rows = ["clip | labels | predicted", "--- | --- | ---"]
    for clip, score, target in zip(ids, scores, targets):
        true = [name for name, hot in zip(labels, target) if hot > 0.5]
        top = zip(*score.topk(min(3, len(score))))
        tags = [f"{labels[c]} {p:.2f}" for p, c in top]
        rows.append(f"{clip} | {', '.join(true)} | {', '.join(tags)}")
    writer.add_text("predictions", "\n".join(rows), step)


def add_confusion(writer, confusion, labels, path):
    """Adds a picture of a confusion matrix, and writes it to a file.

    Arguments
    ---------
    writer : torch.utils.tensorboard.SummaryWriter
        Where to add it.
    confusion : numpy.ndarray
        Numbers of clips ``[true class, predicted class]``.
    labels : list of str
        Names of the classes.
    path : str
        The file; its ending, such as ``.png``, tells the format. Without
        matplotlib there is neither, but a warning.

    Example
    -------
    >>> from torch.utils.tensorboard import SummaryWriter
    >>> tmpdir = getfixture("tmpdir")
    >>> with SummaryWriter(str(tmpdir)) as writer:
    ...     picture = torch.eye(2).int().numpy()
    ...     add_confusion(writer, picture, ["no", "yes"], tmpdir / "c.png")
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        logger.warning(
            "%s is not drawn: that needs matplotlib (pip install matplotlib).",
            path,
        )
        return
    size = 2.5 + 0.35 * len(labels)
    figure = Figure((size, size), dpi=100, layout="constrained")
    axes = figure.subplots()
    share = confusion / confusion.sum(1, keepdims=True).clip(min=1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    ticks = range(len(labels))
    axes.set_xticks(ticks, labels, rotation=90)
    axes.set_yticks(ticks, labels)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    for row, column in zip(*confusion.nonzero()):
        colour = "white" if share[row, column] > 0.5 else "black"
        text = str(confusion[row, column])
        axes.text(
            column, row, text, ha="center", va="center", color=colour, size=7
        )
    figure.savefig(path)
    writer.add_figure("confusion", figure)
