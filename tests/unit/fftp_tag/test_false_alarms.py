"""Tests of the false alarms in background.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import pytest

from fftp_tag.model.info import default_rules
from fftp_tag.score.background import Heard, count_false_alarms
from fftp_tag.tag.events import Timeline

RULES = default_rules(3)


def make_heard(probs, silent=0.0):
    """A recording with a prediction each second; classes are letters."""
    times = np.arange(len(probs)) + 0.5
    duration = float(len(probs))
    timeline = Timeline(
        times, probs, probs.max(0), duration, list("abc"), RULES
    )
    return Heard(timeline, silent)


def test_events_and_their_time_are_counted():
    """Of two classes, which overlap for a second.

    Bounds are those of Poisson's distribution, as published tables have them.
    """
    probs = np.zeros((3600, 3), np.float32)
    probs[100:120, 0] = probs[119:129, 1] = probs[200:231, 0] = 0.9
    for heard in (
        [make_heard(probs)],
        [make_heard(probs[:150]), make_heard(probs[150:])],
    ):
        found = count_false_alarms(["a", "b", "c"], heard, RULES)
        assert found.seconds == 3600 and found.silent_seconds == 0
        a, b, c = found.of_classes.values()
        assert (a.count, b.count, c.count) == (2, 1, 0)
        assert a.share == pytest.approx(51 / 3600)
        assert b.share == pytest.approx(10 / 3600)
        assert b.at_most == pytest.approx(4.744, abs=1e-3)
        assert c.at_most == pytest.approx(2.996, abs=1e-3)
        assert found.together.count == 3
        assert found.together.at_most == pytest.approx(7.754, abs=1e-3)
        assert found.together.share == pytest.approx(60 / 3600)


def test_digital_silence_is_no_evidence():
    probs = np.zeros((1000, 3), np.float32)
    heard = [make_heard(probs, silent=400.0), make_heard(probs, silent=1000.0)]
    found = count_false_alarms(["a"], heard, RULES)
    assert (found.seconds, found.silent_seconds) == (600, 1400)
    assert found.together.at_most == pytest.approx(2.996 * 6, abs=1e-2)
    nothing = count_false_alarms(["a"], heard[1:], RULES)
    assert nothing.seconds == 0 and nothing.together.at_most == np.inf
