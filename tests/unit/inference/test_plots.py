"""Tests of the content of figures.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import pytest
import torch

pytest.importorskip("matplotlib")

from speechbrain_fftp.inference import AudioTagger, Event, Timeline, plots
from speechbrain_fftp.lobes.features import KaldiFbank


@pytest.fixture
def figures(monkeypatch):
    """The figures that are made, in order."""
    made, new_figure = [], plots.new_figure

    def keep(*args, **kwargs):
        """Makes one as usual."""
        made.append(new_figure(*args, **kwargs))
        return made[-1]

    monkeypatch.setattr(plots, "new_figure", keep)
    return made


@pytest.mark.parametrize("rate, n_mels", [(16000, 128), (8000, 64)])
def test_frequencies_are_where_the_front_end_finds_them(rate, n_mels):
    fbank = KaldiFbank(sample_rate=rate, n_mels=n_mels)
    times = torch.arange(rate) / rate
    _, (ax,) = plots.new_figure()
    plots.plot_spectrogram(fbank(times[None])[0].numpy(), ax, fbank=fbank)
    ticks = [int(text.get_text()) for text in ax.get_yticklabels()]
    assert ticks == [f for f in (500, 1000, 2000, 4000) if f < rate / 2]
    assert ax.get_ylabel() == "Hz" and ax.get_title() == "Spectrogram"
    for frequency, place in zip(ticks, ax.get_yticks()):
        sine = torch.sin(2 * torch.pi * frequency * times)
        loudest = fbank(sine[None])[0].mean(0).argmax()
        assert abs(loudest + 0.5 - place) < 1


def test_events_are_drawn_at_their_times(exported, figures, tmp_path):
    tagger = AudioTagger.from_pretrained(exported[1])
    rng = np.random.default_rng(0)
    wav = 0.1 * rng.standard_normal(40000).astype(np.float32)
    probs, times = rng.random((2, 5)), np.array([0.5, 2.0])
    timeline = Timeline(times, probs, probs[0], 2.5, 1.0, tagger.labels)
    events = [Event(0.5, 1.5, tagger.labels[1], 0.9), Event(0, 1, "?", 0.9)]
    plots.plot_tags(tmp_path / "clip.png", tagger, wav, timeline, events)
    [(_, axes)] = figures
    [_, line] = axes[1].collections  # the heat map, and one known event
    [[start, end]] = line.get_segments()
    assert (start[0], end[0]) == (0.5, 1.5)
    assert axes[1].get_xlim() == axes[0].get_xlim() == (0, 2.5)
