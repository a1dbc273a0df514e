"""Tests of the false alarms in background.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import pytest

from fftp_tag.score.background import (
    Heard,
    count_false_alarms,
    find_silence,
    upper_bound,
    without_silence,
)
from fftp_tag.tag.events import Timeline
from speechbrain_fftp.dataio.model_info import default_rules


def make_timeline(probs):
    """A timeline with a prediction each second; classes are letters."""
    n_steps, n_classes = probs.shape
    return Timeline(
        times=np.arange(n_steps) + 0.5,
        probs=probs,
        clip_probs=probs.max(0),
        duration=float(n_steps),
        labels=list("abc"[:n_classes]),
        rules=default_rules(n_classes),
    )


def test_upper_bounds_are_those_of_poisson():
    """As published tables have them: "the rule of three" for none."""
    for count, expected in ((0, 2.996), (1, 4.744), (10, 16.962)):
        assert upper_bound(count) == pytest.approx(expected, abs=1e-3)


def test_events_and_their_time_are_counted():
    """Of two classes, which overlap for a second."""
    probs = np.zeros((3600, 3), np.float32)
    probs[100:120, 0] = probs[119:129, 1] = probs[200:231, 0] = 0.9
    for timelines in (
        [make_timeline(probs)],
        [make_timeline(probs[:150]), make_timeline(probs[150:])],
    ):
        heard = [Heard(timeline, silent_seconds=0) for timeline in timelines]
        found = count_false_alarms(["a", "b", "c"], heard)
        assert found.seconds == 3600 and found.silent_seconds == 0
        a, b, c = found.of_classes.values()
        assert (a.count, b.count, c.count) == (2, 1, 0)
        assert a.share == pytest.approx(51 / 3600)
        assert b.share == pytest.approx(10 / 3600)
        assert c.at_most == pytest.approx(2.996, abs=1e-3)
        assert found.together.count == 3
        assert found.together.at_most == pytest.approx(7.754, abs=1e-3)
        assert found.together.share == pytest.approx(60 / 3600)


def test_digital_silence_is_not_counted():
    """Nor is what a model hears in it."""
    probs = np.ones((100, 1), np.float32)
    wav = np.full(100 * 10 - 5, 0.1, np.float32)
    wav[200:700] = 1e-6
    blocks = iter([wav[:333], wav[333:334], wav[334:]])
    is_silent = find_silence(blocks, rate=10)
    assert is_silent.tolist() == 20 * [False] + 50 * [True] + 30 * [False]
    heard = without_silence(make_timeline(probs), is_silent)
    found = count_false_alarms(["a"], [heard])
    assert (found.seconds, found.silent_seconds) == (50, 50)
    assert found.together.count == 2 and found.together.share == 1
    heard = without_silence(make_timeline(probs), np.ones(100, bool))
    nothing = count_false_alarms(["a"], [heard])
    assert nothing.seconds == 0 and nothing.together.count == 0
    assert nothing.together.at_most == np.inf
