"""Tests of the false alarms in background.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses

import numpy as np
import pytest
import soundfile
import tiny_onnx
from scipy.special import expit
from tiny_onnx import RATE

from fftp_tag import AudioTagger
from fftp_tag.learning.thresholds import choose_high
from fftp_tag.model.info import default_rules
from fftp_tag.score.background import (
    Heard,
    count_false_alarms,
    listen_to_background,
)
from fftp_tag.tag.events import Timeline

RULES = default_rules(4)


def make_heard(probs, silent=0.0):
    """A recording with a prediction each second; classes are letters."""
    times, duration = np.arange(len(probs)) + 0.5, float(len(probs))
    timeline = Timeline(times, probs, probs.max(0), duration, [*"abcd"], RULES)
    seconds = np.arange(len(probs))
    return Heard(timeline, seconds < silent, np.zeros(len(probs), bool))


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


@pytest.mark.parametrize("shift", [0, 0.37])
def test_what_is_repeated_is_no_evidence(tmp_path, shift):
    """Another file or the same one, wherever the copy begins; no other noise."""
    draw = np.random.default_rng(0)
    minutes = 0.1 * draw.standard_normal((4, 60 * RATE))
    first = np.concatenate([*minutes[:3], minutes[0, : round(shift * RATE)]])
    again = np.concatenate([minutes[1], minutes[2], minutes[3]])
    for name, wav in (
        ("a", first),
        ("b", np.append(again, again[: 60 * RATE])),
    ):
        path = tmp_path / f"{name}.wav"
        soundfile.write(
            path, np.append(np.zeros(round(shift * RATE)), wav), RATE
        )
    paths = sorted(map(str, tmp_path.glob("*.wav")))
    tagger = AudioTagger.from_pretrained(
        tiny_onnx.write_model(tmp_path / "model.onnx", is_frame_level=True)
    )
    found = listen_to_background(tagger, paths)
    assert found.repeated_seconds == pytest.approx(180, abs=2)
    assert found.seconds == pytest.approx(240, abs=2)


def make_background(seed, hours):
    """Recordings of an hour with 30 events of each class an hour, whose logits
    decay exponentially, above -1, as fast as a class's number.
    """
    draw = np.random.default_rng(seed)
    decay = np.array([0.5, 1.0, 1.5, 0.0])
    heard = []
    for _ in range(hours):
        probs = np.zeros((3600, 4), np.float32)
        for c in range(3):
            rows = draw.choice(1800, 30, replace=False) * 2
            probs[rows, c] = expit(-1 + decay[c] * draw.exponential(size=30))
        heard.append(make_heard(probs))
    return heard


@pytest.mark.parametrize(
    "per_hour, share", [(0, 1), (0.2, 0.6), (1, 0.8), (5, 0.9)]
)
def test_as_many_false_alarms_are_accepted(per_hour, share):
    """By an hour, which cannot show one in five hours; later there are as many,
    within the interval, and mostly within a factor of 3.
    """
    rules = dataclasses.replace(
        RULES,
        low=np.full(4, 0.2, np.float32),
        threshold=np.full(4, 0.2, np.float32),
        high=np.full(4, 0.8, np.float32),
    )
    later = make_background(0, 200)
    inside, ratios = [], []
    for seed in range(1, 9):
        found = choose_high(make_background(seed, 1), rules, per_hour)
        assert found.high[3] == rules.high[3]
        chosen = dataclasses.replace(rules, high=found.high)
        of_classes = count_false_alarms([*"abcd"], later, chosen).of_classes
        for label in "abc":
            rate = of_classes[label].count / 200
            inside.append(found.fewest <= rate <= found.most)
            ratios.append(rate / per_hour if per_hour else 1)
    assert np.mean(inside) > 0.9
    assert np.exp(np.mean(np.log(ratios))) == pytest.approx(1, rel=0.5)
    assert np.mean(np.abs(np.log(ratios)) < np.log(3)) >= share


def test_events_of_one_minute_are_of_one_sound():
    """The interval is that of fewer events."""
    probs = np.zeros((2, 3600, 4), np.float32)
    peaks = np.linspace(0.4, 0.8, 12)
    probs[0, 60 * np.arange(12), 0] = peaks
    probs[1, 60 + 4 * np.arange(12), 0] = peaks
    apart, together = (choose_high([make_heard(x)], RULES, 1) for x in probs)
    assert apart.high[0] == together.high[0]
    assert together.most > 3 * apart.most
