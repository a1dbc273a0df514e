"""Draws the spectrogram of a recording, and its tags over time.

Drawn by matplotlib without a display. The file extension, such as ``.png`` or
``.svg``, sets the format.

Authors
 * The speechbrain_fftp authors 2026
"""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fftp_tag import files
from fftp_tag.audio.decode import Source
from fftp_tag.audio.pieces import cut_pieces, read_blocks
from fftp_tag.errors import InputError
from fftp_tag.files import PathLike
from fftp_tag.packages import require
from fftp_tag.tag.events import Event, Timeline
from fftp_tag.tag.tagger import AudioTagger

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TICKS = (250, 500, 1000, 2000, 4000, 8000, 16000)  # in Hz
FFT_SECONDS = 0.032
COLUMNS = 1000  # of a spectrogram, about
RANGE = 80  # of the colours, in dB
HEIGHT = 2.6  # of axes, in inches
CLASS_HEIGHT = 0.3  # of a class, whose name has up to two lines


def new_figure(*heights: float) -> tuple["Figure", np.ndarray]:
    """A figure that needs no display, and its axes, of heights in inches."""
    require("matplotlib", "Drawing")
    from matplotlib.figure import Figure

    heights = heights or (HEIGHT,)
    figure = Figure(figsize=(10.0, sum(heights)), dpi=100, layout="constrained")
    axes = figure.subplots(
        len(heights), sharex=True, squeeze=False, height_ratios=heights
    )
    return figure, axes[:, 0]


def check_figure(path: str) -> None:
    """Raises an InputError if a figure cannot be written."""
    figure, _ = new_figure()
    known = sorted(figure.canvas.get_supported_filetypes())
    if Path(path).suffix[1:].lower() not in known:
        raise InputError(f"{path} must end with one of .{', .'.join(known)}")
    files.check_target(path)


def plot_tags(
    path: PathLike,
    tagger: AudioTagger,
    source: Source,
    timeline: Timeline,
    events: Sequence[Event] = (),
    truth: Sequence[Event] = (),
    top: int = 8,
) -> None:
    """Draws the spectrogram of a file above its timeline with events.

    The file is a path or its content; for the others see ``plot_timeline``.
    """
    shown = min(top, len(timeline.labels))
    figure, axes = new_figure(HEIGHT, max(HEIGHT, CLASS_HEIGHT * shown + 0.8))
    power, frequencies = spectrogram(
        source, tagger.sample_rate, timeline.duration
    )
    plot_spectrogram(power, frequencies, timeline.duration, axes[0])
    plot_timeline(timeline, axes[1], events, truth, top)
    axes[1].set(xlabel="seconds", xlim=(0, timeline.duration))
    with files.atomic_path(path) as temporary_path:
        figure.savefig(temporary_path, format=Path(path).suffix[1:])


def spectrogram(
    source: Source, rate: int, duration: float
) -> tuple[np.ndarray, np.ndarray]:
    """The power of a file over time ``[T, F]``, and frequencies ``[F]``.

    The power is averaged so that there are about 1000 times, but no less than
    8 ms apart.
    """
    size = min(round(FFT_SECONDS * rate), round(duration * rate))
    column = max(round(duration * rate / COLUMNS), size // 4)
    window = np.hanning(size)
    powers = []
    blocks = read_blocks(source, rate, warn=False)
    for _, wavs in cut_pieces(blocks, max(column, size), column):
        for wav in wavs:
            parts = wav[: len(wav) // size * size].reshape(-1, size)
            spectra = np.fft.rfft(window * parts)
            powers.append((np.abs(spectra) ** 2).mean(0))
    return np.stack(powers), np.fft.rfftfreq(size, 1 / rate)


def plot_spectrogram(
    power: np.ndarray, frequencies: np.ndarray, duration: float, ax: "Axes"
) -> None:
    """Draws a spectrogram ``[T, F]`` in decibels over a mel scale in Hz."""
    decibels = 10 * np.log10(power + 1e-12)
    high = decibels.max()
    bins = np.arange(len(frequencies) + 1) - 0.5  # their edges
    ax.pcolormesh(
        np.linspace(0, duration, len(power) + 1),
        bins * frequencies[1],
        decibels.T,
        cmap="magma",
        vmin=high - RANGE,
        vmax=high,
        rasterized=True,
    )
    ax.set_yscale("function", functions=(to_mel, from_mel))
    ticks = [x for x in TICKS if x < 0.99 * frequencies[-1]]
    ax.set_yticks(ticks, [str(x) for x in ticks])
    ax.set(ylim=(0, frequencies[-1]), ylabel="Hz", title="Spectrogram")


def to_mel(frequency: np.ndarray) -> np.ndarray:
    """Frequencies in Hz on the mel scale."""
    return 2595 * np.log10(1 + frequency / 700)


def from_mel(mel: np.ndarray) -> np.ndarray:
    """The inverse of ``to_mel``."""
    return 700 * (10 ** (mel / 2595) - 1)


def plot_timeline(
    timeline: Timeline,
    ax: "Axes",
    events: Sequence[Event] = (),
    truth: Sequence[Event] = (),
    top: int = 8,
) -> None:
    """Draws a ``Timeline`` into axes, as a heat map of the whole file.

    Shows the ``top`` most probable classes of the file. Cells of neighbouring
    predictions meet halfway between their centres. Events are red lines; true
    events, if given, are blue lines above them.
    """
    best = np.argsort(-timeline.clip_probs, kind="stable")[:top]
    mesh = ax.pcolormesh(
        np.array(timeline.edges),  # of columns
        np.arange(len(best) + 1) - 0.5,  # edges of rows
        timeline.probs[:, best].T,
        cmap="viridis",
        vmin=0,
        vmax=1,
        rasterized=True,
    )
    ax.invert_yaxis()
    names = [textwrap.fill(timeline.labels[c], 18) for c in best]
    ax.set_yticks(range(len(names)), names, parse_math=False, size="small")
    rows = {timeline.labels[c]: row for row, c in enumerate(best)}
    for lines, offset, color in (
        (truth, 0.22, "deepskyblue"),
        (events, 0.38, "tab:red"),
    ):
        for event in lines:
            if event.label in rows:
                ax.hlines(
                    rows[event.label] + offset,
                    event.start,
                    event.end or timeline.duration,
                    color=color,
                    linewidth=3,
                )
    title = "Probability of tags, and events (red)"
    if truth:
        title = "Probability of tags, events found (red) and true events (blue)"
    ax.set_title(title)
    ax.figure.colorbar(mesh, ax=ax, pad=0.02)
