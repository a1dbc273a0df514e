"""Tests of the false alarms in background.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses

import numpy as np
import pytest

from fftp_tag.learning.thresholds import choose_high
from fftp_tag.model.info import default_rules
from fftp_tag.score.background import Heard, count_false_alarms
from fftp_tag.tag.events import Timeline

RULES = default_rules(4)


def make_heard(probs, silent=0.0):
    """A recording with a prediction each second; classes are letters."""
    times, duration = np.arange(len(probs)) + 0.5, float(len(probs))
    timeline = Timeline(times, probs, probs.max(0), duration, [*"abcd"], RULES)
    return Heard(timeline, silent)


def test_events_are_counted():
    """Bounds are those of Poisson's distribution, as published tables have them."""
    probs = np.zeros((3600, 4), np.float32)
    probs[100:120, 0] = probs[105:110, 1] = probs[115:125, 2] = 0.9
    probs[200:231, 0] = 0.9
    for heard in (
        [make_heard(probs)],
        [make_heard(probs[:150]), make_heard(probs[150:])],
    ):
        found = count_false_alarms([*"abcd"], heard, RULES)
        assert found.seconds == 3600 and found.silent_seconds == 0
        a, b, c, d = found.of_classes.values()
        assert (a.count, b.count, c.count, d.count) == (2, 1, 1, 0)
        assert b.at_most == pytest.approx(4.744, abs=1e-3)
        assert d.at_most == pytest.approx(2.996, abs=1e-3)
        assert found.together.count == 4
        assert found.together.at_most == pytest.approx(9.154, abs=1e-3)


def test_digital_silence_is_no_evidence():
    probs = np.zeros((1000, 4), np.float32)
    heard = [make_heard(probs, silent=400.0), make_heard(probs, silent=1000.0)]
    found = count_false_alarms(["a"], heard, RULES)
    assert (found.seconds, found.silent_seconds) == (600, 1400)
    assert found.together.at_most == pytest.approx(2.996 * 6, abs=1e-2)
    nothing = count_false_alarms(["a"], heard[1:], RULES)
    assert nothing.seconds == 0 and nothing.together.at_most == np.inf


@pytest.mark.parametrize("per_hour", [0, 0.4, 3, 20, 1000])
def test_so_many_false_alarms_are_accepted(per_hour):
    """As many as that, if they are tags; in two hours that cannot show one, none
    that the rules would not find.
    """
    draw = np.random.default_rng(0)
    probs = np.zeros((7200, 4), np.float32)
    probs[::60] = draw.uniform(0, 1, (120, 4)) * [1, 1, 0.4, 0]
    heard = [make_heard(probs)]
    rules = dataclasses.replace(
        RULES,
        low=np.full(4, 0.1, np.float32),
        threshold=np.full(4, 0.3, np.float32),
        high=np.full(4, 0.8, np.float32),
    )
    high = choose_high(heard, rules, per_hour)
    allowed = int(2 * per_hour)
    least = rules.threshold if allowed else rules.high
    chosen = dataclasses.replace(rules, high=high)
    found = count_false_alarms([*"abcd"], heard, chosen).of_classes
    for c, label in enumerate("abcd"):
        above = (probs[:, c] >= least[c]).sum()
        assert found[label].count == min(above, allowed)
    assert (high >= least).all() and high[3] == least[3]
