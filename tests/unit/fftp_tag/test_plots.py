"""Tests of the content of figures.

Authors
 * The speechbrain_fftp authors 2026
"""

import types

import numpy as np
import pytest
import soundfile as sf

pytest.importorskip("matplotlib")

from fftp_tag import Event, Timeline
from fftp_tag.model.info import default_rules
from fftp_tag.tag import plots

RATE = 16000


@pytest.mark.parametrize("seconds", [0.5, 40.0])
def test_a_sound_is_at_its_time_and_frequency(tmp_path, seconds):
    times = np.arange(round(seconds * RATE)) / RATE
    wav = 0.3 * np.sin(2 * np.pi * 3000 * times) * (times >= seconds / 2)
    sf.write(tmp_path / "a.wav", wav, RATE)
    power, frequencies = plots.spectrogram(tmp_path / "a.wav", RATE, seconds)
    assert len(power) <= 1100
    is_loud = power.sum(1) > 0.1 * power.sum(1).max()
    assert is_loud.argmax() / len(power) == pytest.approx(0.5, abs=0.05)
    assert is_loud[len(power) // 2 + 5 :].all()
    _, (ax,) = plots.new_figure()
    plots.plot_spectrogram(power, frequencies, seconds, ax)
    [mesh] = ax.collections
    row = mesh.get_array().sum(1).argmax()
    low, high = mesh.get_coordinates()[row : row + 2, 0, 1]
    assert low - 1 <= 3000 <= high + 1


def test_events_are_drawn_at_their_times():
    """Classes are ordered by their probability in the file."""
    probs, labels = np.random.default_rng(0).random((2, 3)), ["A", "$B", "C"]
    timeline = Timeline(
        np.array([0.5, 2.0]), probs, probs[0], 2.5, labels, default_rules(3)
    )
    _, (ax,) = plots.new_figure()
    events = [Event(0.5, 1.5, "$B", 0.9), Event(0, 1, "?", 0.9)]
    plots.plot_timeline(timeline, ax, events)
    [mesh, line] = ax.collections  # the heat map, and one known event
    [[start, end]] = line.get_segments()
    assert (start[0], end[0]) == (0.5, 1.5)
    order = np.argsort(-probs[0])
    np.testing.assert_array_equal(mesh.get_array(), probs[:, order].T)
    names = [text.get_text() for text in ax.get_yticklabels()]
    assert names == [labels[n] for n in order]
    assert round(start[1]) == names.index("$B")


def test_long_names_do_not_overlap(tmp_path, monkeypatch):
    """Of more classes than a file of the command has, some of two lines."""
    labels = [f"Crowing, cock-a-doodle-doo {n}" for n in range(14)]
    sf.write(tmp_path / "a.wav", np.full(RATE, 0.1), RATE)
    probs = np.random.default_rng(0).random((2, 14))
    timeline = Timeline(
        np.array([0.25, 0.75]), probs, probs[0], 1.0, labels, default_rules(14)
    )
    drawn = []
    new_figure = plots.new_figure
    monkeypatch.setattr(
        plots, "new_figure", lambda *x: drawn.append(new_figure(*x)) or drawn[0]
    )
    tagger = types.SimpleNamespace(sample_rate=RATE)
    path = tmp_path / "a.png"
    plots.plot_tags(path, tagger, tmp_path / "a.wav", timeline, top=14)
    figure, axes = drawn[0]
    boxes = [text.get_window_extent() for text in axes[1].get_yticklabels()]
    assert len(boxes) == 14
    for above, below in zip(boxes, boxes[1:]):
        assert above.y0 >= below.y1
