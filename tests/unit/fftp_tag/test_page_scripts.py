"""Tests that the page's JavaScript finds what the Python code finds.

Node runs the modules of the page. Skipped where there is no Node, unless
CI_REQUIRE_BROWSER=1.

Authors
 * The speechbrain_fftp authors 2026
"""

import base64
import dataclasses
import io
import json

import numpy as np
import pytest
import soundfile as sf

from fftp_tag.cli.formats import FORMATS, Context, Result
from fftp_tag.model.info import RULES, default_rules
from fftp_tag.tag.events import Event, Timeline, rank_tags

LABELS = ["Speech", "Bark, dog", 'A "siren"', "Music", "Rain"]


def random_timeline(seed, n_steps, rules):
    """Probabilities that rise and fall, with equal ones, zeros and ones."""
    rng = np.random.default_rng(seed)
    steps = np.arange(n_steps)
    waves = np.sin(steps[:, None] / np.arange(2, 7))
    noise = rng.standard_normal((n_steps, len(LABELS)))
    probs = np.clip(0.5 + 0.5 * waves + 0.2 * noise, 0, 1).astype(np.float32)
    probs[rng.random(probs.shape) < 0.1] = 0.25
    times = (steps + 1) / 16
    if n_steps > 1:
        times[-1] -= 1 / 64  # the last window ends with the file
    duration = float(times[-1] + 1 / 16)
    clip_probs = probs.mean(0)  # less than the peaks
    return Timeline(times, probs, clip_probs, duration, LABELS, rules)


EVENTS = """
    return given.map(({ timeline, rules }) => {
        const probs = Float32Array.from(timeline.probs.flat());
        const peaks = page.highest(probs, timeline.labels.length);
        const clipProbs = Float32Array.from(timeline.clipProbs);
        const found = { ...timeline, probs, peaks, clipProbs };
        return page.findEvents(found, rules);
    });"""


def order(event):
    """Events of different labels with the same times are in no fixed order."""
    return event["start"], event["end"], event["label"]


def test_events_are_those_of_python(node):
    """Thresholds are compared in single precision; gaps are a number of steps."""
    same = default_rules(5).replace(0.25)
    other = default_rules(5).replace(
        [0.0, 0.25, 0.45, 0.6, 0.9],
        merge_gap=[0.0, 1 / 16, 2 / 16, 3 / 16, 1.0],
        min_duration=[1 / 16, 0.0, 3 / 16, 2 / 16, 0.5],
    )
    other = dataclasses.replace(
        other,
        low=np.float32([0.1, 0.25, 0.5, 0.7, 0.9]),
        high=np.float32([0.1, 0.5, 0.75, 0.9, 1.0]),
        is_learnt=True,
    )
    timelines = [
        random_timeline(seed, n_steps, rules)
        for rules in (same, other)
        for seed, n_steps in enumerate((300, 40, 2, 1))
    ]
    single = random_timeline(0, 3, default_rules(5).replace(0.7))
    threshold = single.rules.threshold[0]  # less than 0.7
    single.probs[:] = single.clip_probs[:] = threshold
    single.probs[:, 1] = np.nextafter(threshold, np.float32(0))
    timelines.append(single)
    given = [
        {
            "timeline": {
                "times": x.times.tolist(),
                "probs": x.probs.tolist(),
                "clipProbs": x.clip_probs.tolist(),
                "duration": x.duration,
                "labels": x.labels,
            },
            "rules": {
                **{name: getattr(x.rules, name).tolist() for name in RULES},
                "is_learnt": x.rules.is_learnt,
            },
        }
        for x in timelines
    ]
    found = node("events.js", EVENTS, given)
    for timeline, events in zip(timelines, found, strict=True):
        starts = [(event["start"], event["end"]) for event in events]
        assert starts == sorted(starts)
        expected = [event.to_dict() for event in timeline.events()]
        assert sorted(events, key=order) == sorted(expected, key=order)
    assert sum(map(len, found)) > 100 and len(found[-1]) == 4


def test_tags_are_those_of_python(node):
    probs = np.array([0.6, 0.7, 0.2, 0.6, 0.25], np.float32)
    for thresholds in (None, [0.5, 0.7, 0.1, 0.9, 0.25]):
        given = [probs.tolist(), LABELS, 3, thresholds]
        found = node("events.js", "return page.rankTags(...given)", given)
        expected = rank_tags(probs, LABELS, 3, thresholds or 0.0)
        assert found == [tag.to_dict() for tag in expected]


@pytest.mark.parametrize(
    "output_format, code",
    [
        ("csv", "return page.toCsv(given)"),
        ("json", "return JSON.parse(page.toJson(given))"),
        ("audacity", "return page.toAudacity(given[0].events)"),
    ],
)
def test_downloads_are_as_of_the_command(node, output_format, code):
    rng = np.random.default_rng(0)
    events = [Event(*rng.random(2), label, rng.random()) for label in LABELS]
    results = [Result('=b, "c".wav', events)]
    given = [{"file": results[0].file, "events": [x.to_dict() for x in events]}]
    if output_format != "audacity":  # it has one file
        error = {"file": "-a.wav", "error": "-a.wav is not readable"}
        given.append(error)
        results.append(Result(error["file"], [], error["error"]))
    context = Context(
        timeline=True, thresholds={}, show_thresholds=False, sample_rate=16000
    )
    stream = io.StringIO()
    FORMATS[output_format].write(results, stream, context)
    expected = stream.getvalue()
    if output_format == "json":
        expected = json.loads(expected)
    assert node("outputs.js", code, given) == expected


RECORD = """
    const recorder = new page.Recorder();
    recorder.context = { sampleRate: 10, close() {} };
    recorder.stream = { getTracks: () => [] };
    for (let second = 0; second < given; second++) {
        recorder.add(new Float32Array(10).fill(second / 1000));
    }
    const file = recorder.stop("recording.wav");
    const bytes = Buffer.from(await file.arrayBuffer()).toString("base64");
    return { ...recorder.seconds, name: file.name, bytes };"""


@pytest.mark.parametrize("seconds", [3, 700])
def test_the_end_of_a_recording_is_kept(node, seconds):
    found = node("audio.js", RECORD, seconds)
    kept = min(seconds, 601)  # the block in which the ten minutes begin is kept
    assert (found["heard"], found["kept"]) == (seconds, kept)
    samples, rate = sf.read(io.BytesIO(base64.b64decode(found["bytes"])))
    expected = np.arange(seconds - kept, seconds) / 1000
    assert rate == 10
    np.testing.assert_allclose(samples[::10], expected, atol=1e-4)
