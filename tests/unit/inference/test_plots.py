"""Tests of the content of figures.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import pytest
import torch

pytest.importorskip("matplotlib")

from speechbrain.lobes.features import Fbank
from speechbrain_fftp.inference import AudioTagger, Timeline, plots
from speechbrain_fftp.inference.relevance import token_relevance
from speechbrain_fftp.lobes.features import KaldiFbank
from speechbrain_fftp.lobes.models.AuM import AuM


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
    _, (ax,) = plots.new_figure()
    plots.plot_spectrogram(np.zeros((9, 40)), ax, fbank=Fbank())
    assert ax.get_ylabel() == "mel bin"


def drawn(times, probs, labels, duration, **options):
    """The axes of a timeline and its mesh."""
    _, (ax,) = plots.new_figure()
    timeline = Timeline(
        np.array(times), probs, probs.max(0), duration, 2.0, labels
    )
    plots.plot_timeline(timeline, ax, **options)
    return ax, ax.collections[0]


def test_timeline_of_the_most_probable_classes():
    first, second = [0.1, 0.9, 0.3, 0.0], [0.2, 0.1, 0.8, 0.0]
    probs = np.array([first, second, first])
    labels = ["a", "b", "$c$", "d"]
    ax, mesh = drawn([1.0, 2.0, 4.0], probs, labels, 5.0, top=3)
    assert [text.get_text() for text in ax.get_yticklabels()] == [
        "b",
        "$c$",
        "a",
    ]
    np.testing.assert_array_equal(mesh.get_array(), probs[:, [1, 2, 0]].T)
    assert not any(text.get_parse_math() for text in ax.get_yticklabels())
    assert ax.yaxis_inverted() and mesh.get_clim() == (0, 1)


@pytest.mark.parametrize(
    "times, duration, edges",
    [
        ([5.0, 7.0], 12.0, [0, 6, 12]),  # windows of 10 s every 2 s
        ([1.0, 2.0, 2.5], 3.5, [0, 1.5, 2.25, 3.5]),  # the last one is shifted
        ([1.5], 3.0, [0, 3]),
    ],
)
def test_timeline_covers_the_clip(times, duration, edges):
    _, mesh = drawn(
        times, np.full((len(times), 4), 0.5), list("abcd"), duration
    )
    found = mesh.get_coordinates()[0, :, 0]
    np.testing.assert_allclose(found, edges)
    assert mesh.get_array().shape == (4, len(times))


def test_tags_with_relevance_and_without(exported, figures, tmp_path):
    tagger = AudioTagger.from_hparams(source=str(exported[1]))
    rng = np.random.default_rng(0)
    wav = 0.1 * rng.standard_normal(40000).astype(np.float32)
    probs, times = rng.random((2, 5)), np.array([0.5, 2.0])
    timeline = Timeline(times, probs, probs[0], 2.5, 1.0, tagger.labels)
    plots.plot_tags(tmp_path / "ast.png", tagger, wav, timeline)
    _, axes = figures[-1]
    assert len(axes) == 3 and axes[0].images and axes[1].collections
    relevance = axes[2].lines[0].get_xydata().T
    np.testing.assert_allclose(relevance, token_relevance(tagger, wav))
    assert axes[2].get_xlim() == axes[0].get_xlim() == (0, 2.5)

    tagger.engine.mods.embedding_model = AuM(40, embed_dim=24, depth=1)
    plots.plot_tags(tmp_path / "aum.png", tagger, wav, timeline)
    assert len(figures[-1][1]) == 2
