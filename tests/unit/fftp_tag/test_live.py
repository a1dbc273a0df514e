"""Tests of events in streams: those of files, with bounded delay.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
import itertools
import pickle

import numpy as np
import pytest
from hypothesis import (
    example,
    given,
    settings,
    strategies as st,
)
from tiny_onnx import RATE, cosines, sounds, write_model

from fftp_tag import AudioTagger


@pytest.fixture(scope="module")
def taggers(tmp_path_factory):
    """Of a model of clips, and of a frame-level one."""
    folder = tmp_path_factory.mktemp("models")
    return {
        name: AudioTagger.from_pretrained(
            write_model(folder / f"{name}.onnx", is_frame_level=name == "steps")
        )
        for name in ("clips", "steps")
    }


def listen(tagger, wav, sizes, rules=None, **options):
    """The events of a stream; the sizes of its blocks are repeated."""
    stream = tagger.stream(rules=rules, **options)
    events, start = [], 0
    for size in itertools.cycle(sizes):
        if start >= len(wav):
            return events + stream.finish()
        events += stream.push(wav[start : start + size])
        start += size


def ended(events):
    """Events that are over; each must have begun, once at a time."""
    begun, rows = {}, []
    for event in events:
        if event.end is None:
            assert event.label not in begun
            begun[event.label] = event
            continue
        first = begun.pop(event.label)
        assert first.start == event.start < event.end
        rows.append(event)
    assert not begun
    return rows


def rounded(events):
    rows = [(x.start, x.end, x.label, round(x.probability, 4)) for x in events]
    return sorted(rows)


WINDOWS = [{}, {"window": 0.5, "hop": 0.125}, {"window": 2.0, "hop": 2.0}]


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    name=st.sampled_from(["clips", "steps"]),
    n_samples=st.integers(30, 20000),
    sizes=st.lists(st.integers(0, 3000), min_size=1).filter(any),
    windows=st.sampled_from(WINDOWS),
    hop=st.sampled_from([{}, {"hop": 0.5}]),
    rules=st.fixed_dictionaries(
        {"threshold": st.sampled_from([0.1, np.array([0.1, 0.2, 0.05])])},
        optional={
            "merge_gap": st.sampled_from([0.4, 0.6]),
            "min_duration": st.sampled_from([0.4, 0.7]),
        },
    ),
)
@example("clips", 60300, [100], WINDOWS[1], {}, {"threshold": 0.1})
@example("steps", 30010, [50], {}, {}, {"threshold": 0.1, "merge_gap": 0.4})
def test_events_are_those_of_a_file(
    taggers, name, n_samples, sizes, windows, hop, rules
):
    tagger, wav = taggers[name], sounds(n_samples / RATE)
    if name == "steps":  # which has no windows, and runs every hop of a stream
        windows, options = {}, hop
    else:
        options = windows
    timeline = tagger.analyze(wav, RATE, **windows)
    # Of a stream, it is not known what its tags are
    timeline = dataclasses.replace(timeline, clip_probs=np.ones(3))
    expected = timeline.events(**rules)
    assert expected or n_samples < 10000
    rules = tagger.model.rules.replace(**rules)
    found = listen(tagger, wav, sizes, rules, **options)
    assert found == listen(tagger, wav, [n_samples], rules, **options)
    assert rounded(ended(found)) == rounded(expected)


@pytest.mark.parametrize(
    "name, ahead, late", [("clips", 0.0, 2.0), ("steps", 1.0, 1.0 + 2 * 0.05)]
)
def test_an_event_is_known_soon(taggers, name, ahead, late):
    """That a sound has begun, and is over after the gap."""
    wav = np.zeros(20 * RATE, np.float32)
    wav[6 * RATE : 10 * RATE] = 0.9 * cosines(4 * RATE)[1]
    rules = taggers[name].model.rules.replace(merge_gap=1.5, min_duration=1.0)
    stream = taggers[name].stream(labels=["Middle"], rules=rules)
    events = []
    for start in range(0, len(wav), 10):
        found = stream.push(wav[start : start + 10])
        events += [((start + 10) / RATE, event) for event in found]
    assert not stream.finish()
    (heard, begun), (heard_after, over) = events
    assert (begun.label, begun.end) == ("Middle", None)
    assert 7.0 <= heard - ahead <= 7.0 + late
    assert over.end == pytest.approx(10.0, abs=0.6)
    assert 0 <= heard_after - ahead - (over.end + 1.5) <= late


@pytest.mark.parametrize("name", ["clips", "steps"])
def test_a_stream_holds_little(taggers, name):
    """However long it lasts, and however long its blocks are."""
    stream = taggers[name].stream()
    held = []
    for seconds in (1, 2, 100, 1):
        stream.push(sounds(seconds))
        held.append(len(pickle.dumps(stream.stages[0])))
    assert max(held) < 3 * held[0]


def test_samples_may_be_integers(taggers):
    """They are those of sound cards."""
    wav = (2**15 * sounds(20)).astype(np.int16)
    tagger = taggers["steps"]
    rules = tagger.model.rules.replace(0.1)
    found = listen(tagger, wav, [100], rules)
    assert found and found == listen(tagger, wav / 2**15, [333], rules)
