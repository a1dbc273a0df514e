"""Figures of spectrograms and of tags over time.

Drawn by matplotlib without a display. The file extension, such as ``.png`` or
``.svg``, sets the format.

Authors
 * The speechbrain_fftp authors 2026
"""

import textwrap
from pathlib import Path

import numpy as np
import torch
from torchaudio.compliance.kaldi import mel_scale_scalar

from speechbrain_fftp.lobes.features import KaldiFbank

TICKS = (500, 1000, 2000, 4000, 8000)  # in Hz
# More grid lines would hide the spectrogram: vertical ones are omitted.
MAX_GRID_COLUMNS = 250


def new_figure(rows=1):
    """A figure without a display, and its axes ``[rows]`` with one time axis."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError(
            "Figures need matplotlib: pip install matplotlib"
        ) from None
    figure = Figure(figsize=(10.0, 2.6 * rows), dpi=100, layout="constrained")
    axes = figure.subplots(rows, sharex=True, squeeze=False)
    return figure, axes[:, 0]


def check_extension(path):
    """Raises a ValueError if figures cannot be written in a file's format."""
    figure, _ = new_figure()
    known = sorted(figure.canvas.get_supported_filetypes())
    if Path(path).suffix[1:].lower() not in ["", *known]:
        raise ValueError(f"{path} must end with one of .{', .'.join(known)}")


def plot_spectrogram(feats, ax, embedding=None, frame_shift=0.01, fbank=None):
    """Draws a spectrogram and a grid of patches into axes.

    Arguments
    ---------
    feats : numpy.ndarray
        Features ``[T, F]``.
    ax : matplotlib.axes.Axes
    embedding : PatchEmbedding, optional
        Draws its patches, side by side also if they overlap.
    frame_shift : float
        Seconds from one frame to the next.
    fbank : torch.nn.Module, optional
        The front end; if it is a ``KaldiFbank``, the vertical axis is in Hz.
    """
    ax.imshow(
        feats.T,
        extent=(0, len(feats) * frame_shift, 0, feats.shape[1]),
        cmap="magma",
        origin="lower",
        aspect="auto",
    )
    ax.set_ylabel("mel bin")
    if isinstance(fbank, KaldiFbank):
        nyquist = fbank.sample_rate / 2
        ticks = [f for f in TICKS if fbank.low_freq < f < nyquist]
        low = mel_scale_scalar(fbank.low_freq)
        high = mel_scale_scalar(nyquist)
        # The bins' centres divide the range into n_mels + 1 equal steps; the
        # first bin is at 0.5.
        step = (high - low) / (fbank.n_mels + 1)
        rows = [(mel_scale_scalar(f) - low) / step - 0.5 for f in ticks]
        ax.set_yticks(rows, ticks)
        ax.set_ylabel("Hz")
    ax.set_title("Spectrogram")
    if embedding is None:
        return
    bins = embedding.patch_bins
    frames = embedding.patch_frames
    style = {"color": "white", "linewidth": 0.4, "alpha": 0.7}
    if len(feats) <= MAX_GRID_COLUMNS * frames:
        for frame in range(0, len(feats), frames):
            ax.axvline(frame * frame_shift, **style)
    for row in range(0, feats.shape[1], bins):
        ax.axhline(row, **style)
    width = round(frames * frame_shift, 3)
    ax.set_title(f"Spectrogram, cut into patches of {width:g} s")


def plot_timeline(timeline, ax, events=(), top=8):
    """Draws a ``Timeline`` into axes, as a heat map of the whole file.

    The ``top`` classes are those that the file is most probably tagged with.
    Cells of neighbouring windows meet halfway between their centres. Events are
    red lines.
    """
    best = np.argsort(-timeline.clip_probs, kind="stable")[:top]
    centres = timeline.times
    middles = (centres[1:] + centres[:-1]) / 2
    mesh = ax.pcolormesh(
        np.array([0.0, *middles, timeline.duration]),  # edges of columns
        np.arange(len(best) + 1) - 0.5,  # edges of rows
        timeline.probs[:, best].T,
        cmap="viridis",
        vmin=0,
        vmax=1,
    )
    ax.invert_yaxis()
    names = [textwrap.fill(timeline.labels[index], 18) for index in best]
    ax.set_yticks(range(len(names)), names, parse_math=False, size="small")
    rows = {timeline.labels[number]: row for row, number in enumerate(best)}
    for event in events:
        if event.label in rows:
            ax.hlines(
                rows[event.label] + 0.38,
                event.start,
                event.end,
                color="tab:red",
                linewidth=3,
            )
    ax.set_title("Probability of tags, and events (red)")
    ax.figure.colorbar(mesh, ax=ax, pad=0.02)


def plot_tags(path, tagger, wav, timeline, events=()):
    """Draws the spectrogram and the timeline with events.

    Arguments
    ---------
    path : str
        The file to write.
    tagger : AudioTagger
        One with a ``TorchEngine``.
    wav : numpy.ndarray
        Samples ``[S]`` at the model's sampling rate.
    timeline : Timeline
    events : list of Event, optional
    """
    engine = tagger.engine
    fbank = engine.mods.compute_features
    figure, axes = new_figure(rows=2)
    with torch.no_grad():
        feats = fbank(torch.as_tensor(wav[None]).to(engine.device))[0]
    plot_spectrogram(
        feats.float().cpu().numpy(),
        axes[0],
        embedding=engine.mods.embedding_model.embedding,
        frame_shift=engine.frame_samples / engine.sample_rate,
        fbank=fbank,
    )
    plot_timeline(timeline, axes[1], events)
    axes[-1].set(xlabel="seconds", xlim=(0, len(wav) / engine.sample_rate))
    figure.savefig(path)
