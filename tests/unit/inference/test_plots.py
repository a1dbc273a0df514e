"""Tests of the content of figures.

Authors
 * The speechbrain_fftp authors 2026
"""

import sys
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
import soundfile as sf
import torch

pytest.importorskip("matplotlib")
from matplotlib.image import imread

from speechbrain.lobes.features import Fbank
from speechbrain_fftp.inference import AudioTagger, Timeline, plots
from speechbrain_fftp.inference.relevance import token_relevance
from speechbrain_fftp.lobes.features import KaldiFbank
from speechbrain_fftp.lobes.models.AuM import AuM
from speechbrain_fftp.nnet.patching import FFTPEmbedding, SquarePatchEmbedding


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


def lines(ax):
    """Where the vertical and the horizontal lines of a grid are."""
    ends = [line.get_xydata() for line in ax.lines]
    vertical = [e[0, 0] for e in ends if e[0, 0] == e[1, 0]]
    return vertical, [e[0, 1] for e in ends if e[0, 1] == e[1, 1]]


@pytest.mark.parametrize(
    "embedding, columns, rows, title",
    [
        (FFTPEmbedding(40, 8, 25, 5), 4, [0], "patches of 0.25 s"),
        (SquarePatchEmbedding(40, 8, 16, 10), 7, [0, 16, 32], "of 0.16 s"),
        (FFTPEmbedding(40, 8, 100, 50), 1, [0], "patches of 1 s"),
    ],
)
def test_spectrogram_in_seconds_with_its_grid(embedding, columns, rows, title):
    feats = np.random.default_rng(0).standard_normal((100, 40))
    _, (ax,) = plots.new_figure()
    plots.plot_spectrogram(feats, ax, embedding)
    (image,) = ax.images
    assert image.get_extent() == [0, 1.0, 0, 40] and image.origin == "lower"
    np.testing.assert_array_equal(image.get_array(), feats.T)
    width = embedding.patch_frames * 0.01
    vertical, horizontal = lines(ax)
    np.testing.assert_allclose(vertical, width * np.arange(columns))
    assert horizontal == rows and title in ax.get_title()


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


def test_a_grid_that_would_hide_the_spectrogram_is_left_out():
    _, (ax,) = plots.new_figure()
    plots.plot_spectrogram(np.zeros((1011, 40)), ax, FFTPEmbedding(40, 8, 4))
    assert lines(ax) == ([], [0])


def test_formats_by_the_ending(tmp_path):
    figure, (ax,) = plots.new_figure()
    plots.plot_spectrogram(np.zeros((50, 40)), ax)
    for name in ("a.png", "a.svg", "a"):
        plots.check_extension(tmp_path / name)
        figure.savefig(tmp_path / name)
    assert imread(tmp_path / "a.png").shape == (260, 1000, 4)
    assert ElementTree.parse(tmp_path / "a.svg").getroot().tag.endswith("svg")
    with pytest.raises(ValueError, match="a.wav must end with one of .*png"):
        plots.check_extension(tmp_path / "a.wav")


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


def test_timeline_of_a_file_covers_it(exported, tmp_path):
    tagger = AudioTagger.from_hparams(source=str(exported[1]))
    sf.write(tmp_path / "a.wav", 0.1 * np.random.rand(40123), 16000)
    timeline = tagger.analyze(tmp_path / "a.wav", window=1.0, hop=0.4)
    _, (ax,) = plots.new_figure()
    plots.plot_timeline(timeline, ax)
    edges = ax.collections[0].get_coordinates()[0, :, 0]
    centres = [0.5, 0.9, 1.3, 1.7, 40123 / 16000 - 0.5]
    middles = [(a + b) / 2 for a, b in zip(centres, centres[1:])]
    np.testing.assert_allclose(edges, [0, *middles, 40123 / 16000], atol=1e-6)


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
    plots.plot_tags(tmp_path / "s.png", tagger, wav, timeline, compact=True)
    spectrogram, bars = figures[-1][1]
    assert not spectrogram.lines and len(bars.get_yticks()) == 5
    assert imread(tmp_path / "s.png").shape[:2] == (640, 1000)
    heights = [imread(tmp_path / f"{n}.png").shape[0] for n in ("ast", "aum")]
    assert heights == [780, 520]


def test_without_matplotlib_the_error_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match="pip install -c .*demo"):
        plots.new_figure()
