"""Figures of spectrograms, of tags over time and of an AST's relevance.

Drawn by matplotlib without a display. The file extension, such as ``.png`` or
``.svg``, sets the format.

Authors
 * The speechbrain_fftp authors 2026
"""

import textwrap
from pathlib import Path

import torch
from torchaudio.compliance.kaldi import mel_scale_scalar

from speechbrain_fftp.inference.relevance import token_relevance
from speechbrain_fftp.lobes.features import KaldiFbank
from speechbrain_fftp.lobes.models.AST import AST

TICKS = (500, 1000, 2000, 4000, 8000)  # in Hz
# More grid lines would hide the spectrogram: vertical ones are omitted.
MAX_GRID_COLUMNS = 250


def new_figure(rows=1, width=10.0):
    """A figure without a display, and its axes ``[rows]`` with one time axis.

    ``width``, in inches, is 1000 pixels: text in a narrow figure is larger.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError(
            "Figures need matplotlib: "
            'pip install -c constraints.txt -e ".[demo]"'
        ) from None
    size = width, rows * (0.2 * width + 0.6)
    figure = Figure(size, dpi=1000 / width, layout="constrained")
    return figure, figure.subplots(rows, sharex=True, squeeze=False)[:, 0]


def check_extension(path):
    """Raises a ValueError if figures cannot be written in a file's format."""
    figure, _ = new_figure()
    known = sorted(figure.canvas.get_supported_filetypes())
    if Path(path).suffix[1:].lower() not in ["", *known]:
        raise ValueError(f"{path} must end with one of .{', .'.join(known)}")


def plot_spectrogram(feats, ax, embedding=None, frame_shift=0.01, fbank=None):
    """Draws features ``[T, F]`` and a grid of patches into axes.

    ``frame_shift`` is in seconds. The vertical axis is in Hz if ``fbank``, the
    front end, is a ``KaldiFbank``. Overlapping patches are drawn side by side.
    """
    extent = (0, len(feats) * frame_shift, 0, feats.shape[1])
    style = {"cmap": "magma", "origin": "lower", "aspect": "auto"}
    ax.imshow(feats.detach().float().cpu().T.numpy(), extent=extent, **style)
    ax.set_ylabel("mel bin")
    if isinstance(fbank, KaldiFbank):
        ticks = [f for f in TICKS if fbank.low_freq < f < fbank.sample_rate / 2]
        # The bins' centres divide the range into n_mels + 1 equal steps; the
        # first bin is at 0.5.
        edges = fbank.low_freq, fbank.sample_rate / 2
        low, high, *mels = map(mel_scale_scalar, (*edges, *ticks))
        steps = (fbank.n_mels + 1) / (high - low)
        ax.set_yticks([(mel - low) * steps - 0.5 for mel in mels], ticks)
        ax.set_ylabel("Hz")
    ax.set_title("Spectrogram")
    if embedding is None:
        return
    bins, frames = embedding.patch_bins, embedding.patch_frames
    style = {"color": "white", "linewidth": 0.4, "alpha": 0.7}
    if len(feats) <= MAX_GRID_COLUMNS * frames:
        for frame in range(0, len(feats), frames):
            ax.axvline(frame * frame_shift, **style)
    for row in range(0, feats.shape[1], bins):
        ax.axhline(row, **style)
    width = round(frames * frame_shift, 3)
    ax.set_title(f"Spectrogram, cut into patches of {width:g} s")


def plot_timeline(timeline, ax, top=8):
    """Draws a ``Timeline`` into axes, as a heat map of the whole file.

    The ``top`` classes are those that the file is most probably tagged with.
    Cells of neighbouring windows meet halfway between their centres.
    """
    probs = timeline.probs
    best = timeline.clip_probs.topk(min(top, probs.shape[1])).indices
    centres = timeline.times.double().numpy()
    edges = [0.0, *(centres[1:] + centres[:-1]) / 2, timeline.duration]
    rows = torch.arange(len(best) + 1).numpy() - 0.5
    cells = edges, rows, probs[:, best].T.numpy()
    mesh = ax.pcolormesh(*cells, cmap="viridis", vmin=0, vmax=1)
    ax.invert_yaxis()
    names = [textwrap.fill(timeline.labels[index], 18) for index in best]
    ax.set_yticks(range(len(names)), names, parse_math=False, size="small")
    ax.set_title("Probability of tags")
    ax.figure.colorbar(mesh, ax=ax, pad=0.02)


def plot_tags(path, tagger, wav, timeline, compact=False):
    """Draws the spectrogram, timeline and, for an AST, relevance of a clip.

    ``wav`` ``[S]`` has the model's sampling rate. A ``compact`` figure, with
    larger text, fewer tags and no grid of patches, can be read on a phone.
    """
    encoder, fbank = tagger.mods.embedding_model, tagger.mods.compute_features
    rate = tagger.hparams.sample_rate
    has_attention = isinstance(encoder, AST)
    figure, axes = new_figure(2 + has_attention, width=5.0 if compact else 10.0)
    with torch.no_grad():
        feats = fbank(wav[None].to(tagger.device))[0]
    shift = tagger.frame_samples / rate
    embedding = None if compact else encoder.embedding
    plot_spectrogram(feats, axes[0], embedding, shift, fbank)
    plot_timeline(timeline, axes[1], top=5 if compact else 8)
    if has_attention:
        axes[2].plot(*token_relevance(tagger, wav), linewidth=1)
        axes[2].set(title="What the model attends to", ylabel="relevance")
        axes[2].set_ylim(bottom=0)
    axes[-1].set(xlabel="seconds", xlim=(0, len(wav) / rate))
    figure.savefig(path)
