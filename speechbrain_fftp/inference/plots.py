"""Pictures of clips, of their tags over time, and of what an AST draws from.

Matplotlib draws them without a display; it is imported when one is drawn. A
file's ending, such as ``.png`` or ``.svg``, tells the format.

Authors
 * The speechbrain_fftp authors 2026
"""

import torch

from speechbrain_fftp.inference.relevance import token_relevance
from speechbrain_fftp.inference.windows import frame_size
from speechbrain_fftp.lobes.models.AST import AST

# A grid with more columns than that would hide the spectrogram.
MAX_GRID_COLUMNS = 250


def new_figure(rows=1, width=10.0, height=2.6):
    """A figure that belongs to no display, and its axes, one below another.

    Arguments
    ---------
    rows : int
        How many axes, which share their time axis.
    width : float
        Width of the figure in inches.
    height : float
        Height of each of the axes in inches.

    Returns
    -------
    figure : matplotlib.figure.Figure
        The figure. ``figure.savefig(path)`` writes it.
    axes : numpy.ndarray
        The axes, ``[rows]``.

    Raises
    ------
    ImportError
        If matplotlib is not installed.

    Example
    -------
    >>> figure, axes = new_figure(rows=2)
    >>> len(axes)
    2
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError(
            "Pictures need matplotlib: pip install matplotlib"
        ) from None
    figure = Figure((width, rows * height), dpi=100, layout="constrained")
    return figure, figure.subplots(rows, sharex=True, squeeze=False)[:, 0]


def plot_spectrogram(feats, path_or_ax, embedding=None, frame_shift=0.01):
    """Draws a clip's spectrogram, and over it the grid of its patches.

    Patches that overlap are drawn as if they lay side by side. A clip of more
    than 250 patch widths is drawn without vertical lines.

    Arguments
    ---------
    feats : torch.Tensor
        Features ``[T, F]``.
    path_or_ax : str or matplotlib.axes.Axes
        The file to write, or where to draw.
    embedding : PatchEmbedding, optional
        The model's patch embedding, whose patches are drawn.
    frame_shift : float
        Seconds from one frame to the next.

    Example
    -------
    >>> path = getfixture("tmpdir") / "clip.png"
    >>> plot_spectrogram(torch.rand(100, 128), str(path))
    >>> path.check()
    True
    """
    if not hasattr(path_or_ax, "imshow"):
        figure, (ax,) = new_figure()
        plot_spectrogram(feats, ax, embedding, frame_shift)
        ax.set_xlabel("seconds")
        figure.savefig(path_or_ax)
        return
    ax, seconds = path_or_ax, len(feats) * frame_shift
    extent = (0, seconds, 0, feats.shape[1])
    picture = feats.detach().float().cpu().T.numpy()
    ax.imshow(
        picture, cmap="magma", origin="lower", aspect="auto", extent=extent
    )
    ax.set_ylabel("mel bin")
    if embedding is None:
        return
    bins, frames = embedding.proj.kernel_size
    style = {"color": "white", "linewidth": 0.4, "alpha": 0.7}
    if len(feats) <= MAX_GRID_COLUMNS * frames:
        for frame in range(0, len(feats), frames):
            ax.axvline(frame * frame_shift, **style)
    for row in range(0, feats.shape[1], bins):
        ax.axhline(row, **style)
    bin_stride, frame_stride = embedding.proj.stride
    every = f"every {frame_stride} frames"
    if embedding.freq_patches > 1:
        every += f" and {bin_stride} bins"
    ax.set_title(f"patches of {bins} bins x {frames} frames, {every}")


def plot_timeline(times, probs, labels, ax, top=8):
    """Draws class probabilities over time, as a heat map.

    Arguments
    ---------
    times : sequence of float
        Middle ``[W]`` of each window, in seconds, ascending.
    probs : torch.Tensor
        Probabilities ``[W, C]``.
    labels : list of str
        Names of the C classes.
    ax : matplotlib.axes.Axes
        Where to draw.
    top : int
        How many classes to draw: those with the highest probability in any
        window, the highest one uppermost.

    Example
    -------
    >>> figure, (ax,) = new_figure()
    >>> probs = torch.tensor([[0.1, 0.2, 0.9], [0.1, 0.8, 0.9]])
    >>> plot_timeline([5.0, 10.0], probs, ["Rain", "Siren", "Music"], ax, 2)
    >>> [text.get_text() for text in ax.get_yticklabels()]
    ['Music', 'Siren']
    """
    times, probs = torch.as_tensor(times), torch.as_tensor(probs)
    best = probs.amax(0).topk(min(top, probs.shape[1])).indices
    # A column reaches half way to its neighbours.
    steps = times.diff() if len(times) > 1 else torch.ones(1)
    before = torch.cat([steps[:1], steps])[: len(times)]
    edges = torch.cat([times - before / 2, times[-1:] + steps[-1:] / 2])
    mesh = ax.pcolormesh(
        edges.numpy(),
        torch.arange(len(best) + 1).numpy() - 0.5,
        probs[:, best].float().cpu().T.numpy(),
        cmap="viridis",
        vmin=0,
        vmax=1,
    )
    ax.invert_yaxis()
    names = [labels[index] for index in best]
    ax.set_yticks(range(len(names)), names, parse_math=False)
    ax.figure.colorbar(mesh, ax=ax, label="probability")


def plot_tags(wav, tagger, times, probs, path):
    """Draws a clip's spectrogram, its tags over time, and an AST's relevance.

    Arguments
    ---------
    wav : torch.Tensor
        Waveform ``[S]`` at the model's sampling rate.
    tagger : AudioTagger
        The model. With an Audio Mamba the row of relevance is left out.
    times : sequence of float
        Middle ``[W]`` of each window of the timeline, in seconds.
    probs : torch.Tensor
        Probabilities ``[W, C]`` of the timeline.
    path : str
        The file to write.

    Example
    -------
    >>> from speechbrain.dataio.encoder import CategoricalEncoder
    >>> from speechbrain_fftp.inference.tagging import AudioTagger
    >>> from speechbrain_fftp.lobes.features import (
    ...     DatasetNormalization,
    ...     KaldiFbank,
    ... )
    >>> labels = CategoricalEncoder()
    >>> labels.update_from_iterable(["Speech", "Music"])
    >>> modules = {
    ...     "compute_features": KaldiFbank(),
    ...     "mean_var_norm": DatasetNormalization(),
    ...     "embedding_model": AST(embed_dim=48, depth=1, num_heads=3),
    ...     "classifier": torch.nn.Linear(48, 2),
    ... }
    >>> hparams = {
    ...     "label_encoder": labels,
    ...     "sample_rate": 16000,
    ...     "max_frames": 1024,
    ... }
    >>> tagger = AudioTagger(modules, hparams)
    >>> path = getfixture("tmpdir") / "tags.png"
    >>> wav, probs = torch.rand(32000), torch.rand(3, 2)
    >>> plot_tags(wav, tagger, [0.5, 1.0, 1.5], probs, str(path))
    >>> path.check()
    True
    """
    encoder, fbank = tagger.mods.embedding_model, tagger.mods.compute_features
    rate = tagger.hparams.sample_rate
    has_attention = isinstance(encoder, AST)
    figure, axes = new_figure(3 if has_attention else 2)
    with torch.no_grad():
        feats = fbank(wav[None].to(tagger.device))[0]
    shift = frame_size(fbank)[1] / rate
    plot_spectrogram(feats, axes[0], encoder.embedding, shift)
    plot_timeline(times, probs, tagger.labels, axes[1])
    if has_attention:
        axes[2].plot(*token_relevance(tagger, wav), linewidth=1)
        axes[2].set_ylabel("relevance")
        axes[2].set_ylim(bottom=0)
    axes[-1].set_xlabel("seconds")
    axes[-1].set_xlim(0, len(wav) / rate)
    figure.savefig(path)
