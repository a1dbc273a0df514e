"""Tests of events in streams: those of files, with bounded delay.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses

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
from fftp_tag.tag.live import stream_events


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


def in_blocks(wav, size):
    return (wav[n : n + size] for n in range(0, len(wav), size))


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
    block=st.integers(7, 5000),
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
@example("clips", 60300, 100, WINDOWS[1], {}, {"threshold": 0.1})
@example("steps", 30010, 50, {}, {}, {"threshold": 0.1, "merge_gap": 0.4})
def test_events_are_those_of_a_file(
    taggers, name, n_samples, block, windows, hop, rules
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
    found = stream_events(tagger, in_blocks(wav, block), **options, **rules)
    assert rounded(ended(found)) == rounded(expected)


@pytest.mark.parametrize(
    "name, ahead, late", [("clips", 0.0, 2.0), ("steps", 1.0, 1.0 + 2 * 0.05)]
)
def test_an_event_is_known_soon(taggers, name, ahead, late):
    """That a sound has begun, and is over after the gap."""
    wav = np.zeros(20 * RATE, np.float32)
    wav[6 * RATE : 10 * RATE] = 0.9 * cosines(4 * RATE)[1]
    heard = 0

    def blocks():
        """Counts what is taken."""
        nonlocal heard
        for block in in_blocks(wav, 10):
            heard += len(block)
            yield block

    events = stream_events(
        taggers[name], blocks(), merge_gap=1.5, min_duration=1.0
    )
    begun = next(events)
    assert (begun.label, begun.end) == ("Middle", None)
    assert 7.0 <= heard / RATE - ahead <= 7.0 + late
    over = next(events)
    assert over.end == pytest.approx(10.0, abs=0.6)
    assert 0 <= heard / RATE - ahead - (over.end + 1.5) <= late
