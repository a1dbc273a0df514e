"""Tests of the content of figures.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import pytest
import soundfile as sf

pytest.importorskip("matplotlib")

from fftp_tag import AudioTagger, Event, Timeline
from fftp_tag.tag import plots
from speechbrain_fftp.dataio.errors import InputError
from speechbrain_fftp.dataio.model_info import default_rules

RATE = 16000


class Model:
    sample_rate = RATE


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


@pytest.mark.parametrize("seconds", [0.03, 0.5, 40.0])
def test_a_sound_is_at_its_time_and_frequency(seconds):
    times = np.arange(round(seconds * RATE)) / RATE
    wav = 0.3 * np.sin(2 * np.pi * 3000 * times)
    wav[: len(wav) // 2] = 0
    power, frequencies = plots.spectrogram(wav, RATE, seconds, RATE)
    assert len(power) <= 1100
    assert abs(frequencies[power.sum(0).argmax()] - 3000) < 40
    assert frequencies[-1] == pytest.approx(RATE / 2, rel=0.01)
    is_loud = power.sum(1) > 0.1 * power.sum(1).max()
    if seconds > 0.1:
        assert is_loud.argmax() / len(power) == pytest.approx(0.5, abs=0.05)
        assert is_loud[len(power) // 2 + 5 :].all()
    _, (ax,) = plots.new_figure()
    plots.plot_spectrogram(power, frequencies, seconds, ax)
    [mesh] = ax.collections
    row = mesh.get_array().sum(1).argmax()
    low, high = mesh.get_coordinates()[row : row + 2, 0, 1]
    assert low - 1 <= 3000 <= high + 1
    labels = [int(text.get_text()) for text in ax.get_yticklabels()]
    assert labels == ax.get_yticks().tolist() and max(labels) == 4000


def test_events_are_drawn_at_their_times(figures, tmp_path):
    rng = np.random.default_rng(0)
    wav = 0.1 * rng.standard_normal(40000)
    sf.write(tmp_path / "a.wav", wav, RATE)
    probs, labels = rng.random((2, 3)), ["A", "$B", "C"]
    rules = default_rules(3)
    timeline = Timeline(
        np.array([0.5, 2.0]), probs, probs[0], 2.5, labels, rules
    )
    events = [Event(0.5, 1.5, "$B", 0.9), Event(0, 1, "?", 0.9)]
    target = tmp_path / "clip.png"
    plots.check_figure(str(target))
    tagger = AudioTagger(Model())
    plots.plot_tags(target, tagger, tmp_path / "a.wav", timeline, events)
    assert target.stat().st_size > 10000
    (_, axes) = figures[-1]
    [mesh, line] = axes[1].collections  # the heat map, and one known event
    [[start, end]] = line.get_segments()
    assert (start[0], end[0]) == (0.5, 1.5)
    order = np.argsort(-probs[0])
    np.testing.assert_array_equal(mesh.get_array(), probs[:, order].T)
    names = [text.get_text() for text in axes[1].get_yticklabels()]
    assert names == [labels[n] for n in order]
    assert round(start[1]) == names.index("$B")
    assert axes[1].get_xlim() == axes[0].get_xlim() == (0, 2.5)


def test_targets_that_cannot_be_written(tmp_path):
    with pytest.raises(InputError, match="clip.wav"):
        plots.check_figure(str(tmp_path / "clip.wav"))
    with pytest.raises(OSError, match="nowhere"):
        plots.check_figure(str(tmp_path / "nowhere" / "clip.png"))
