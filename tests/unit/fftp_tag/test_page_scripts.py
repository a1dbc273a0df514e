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
from fftp_tag.model.info import default_rules
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


def check_events(node, timelines):
    """Checks that JavaScript finds the events of timelines; returns them."""
    names = ("threshold", "low", "high", "merge_gap", "min_duration")
    given = []
    for timeline in timelines:
        values = {
            "times": timeline.times.tolist(),
            "probs": timeline.probs.tolist(),
            "clipProbs": timeline.clip_probs.tolist(),
            "duration": timeline.duration,
            "labels": timeline.labels,
        }
        rules = {name: getattr(timeline.rules, name).tolist() for name in names}
        given.append({"timeline": values, "rules": rules})
    found = node("events.js", EVENTS, given)
    for timeline, events in zip(timelines, found, strict=True):
        starts = [(event["start"], event["end"]) for event in events]
        assert starts == sorted(starts)
        expected = [event.to_dict() for event in timeline.events()]
        assert sorted(events, key=order) == sorted(expected, key=order)
    return found


def order(event):
    """Events of different labels with the same times are in no fixed order."""
    return event["start"], event["end"], event["label"]


LOW = [0.1, 0.25, 0.5, 0.7, 0.9]
HIGH = [0.1, 0.5, 0.75, 0.9, 1.0]
OF_TAGS = [0.0, 0.25, 0.45, 0.6, 0.9]
# Most are a number of steps
GAPS = [0.0, 1 / 16, 2 / 16, 3 / 16, 1.0]
SHORTEST = [1 / 16, 0.0, 3 / 16, 2 / 16, 0.5]


def test_events_are_those_of_python(node):
    same = default_rules(5).replace(0.25)
    other = dataclasses.replace(
        default_rules(5).replace(np.array(OF_TAGS), GAPS, SHORTEST),
        low=np.array(LOW, np.float32),
        high=np.array(HIGH, np.float32),
    )
    timelines = []
    for rules in (same, other):
        for seed, n_steps in enumerate((300, 40, 2, 1)):
            timelines.append(random_timeline(seed, n_steps, rules))
    assert sum(map(len, check_events(node, timelines))) > 100


def test_thresholds_are_compared_in_single_precision(node):
    rules = default_rules(5).replace(0.7)
    assert float(rules.threshold[0]) < 0.7
    timeline = random_timeline(0, 3, rules)
    timeline.probs[:] = timeline.clip_probs[:] = rules.threshold
    timeline.probs[:, 1] = np.nextafter(rules.threshold[1], np.float32(0))
    [found] = check_events(node, [timeline])
    assert len(found) == 4


@pytest.mark.parametrize("thresholds", [None, [0.5, 0.7, 0.1, 0.9, 0.25]])
def test_tags_are_those_of_python(node, thresholds):
    probs = np.array([0.6, 0.7, 0.2, 0.6, 0.25], np.float32)
    code = "return page.rankTags(...given)"
    found = node("events.js", code, [probs.tolist(), LABELS, 3, thresholds])
    expected = rank_tags(probs, LABELS, 3, thresholds or 0.0)
    assert found == [tag.to_dict() for tag in expected]


@pytest.mark.parametrize("output_format", ["csv", "json", "audacity"])
def test_downloads_are_as_of_the_command(node, output_format):
    rng = np.random.default_rng(0)
    results = [
        Result(
            file,
            [Event(*rng.random(2), label, rng.random()) for label in LABELS],
        )
        for file in ("-a.wav", '=b, "c".wav')
    ]
    if output_format == "audacity":
        results.pop()  # it has one file
    results.append(Result("broken.wav", [], "broken.wav is not readable"))
    context = Context(
        timeline=True, thresholds={}, show_thresholds=False, sample_rate=16000
    )
    given = [
        {"file": x.file, "events": [event.to_dict() for event in x.found]}
        if x.error is None
        else {"file": x.file, "error": x.error}
        for x in results
    ]
    stream = io.StringIO()
    FORMATS[output_format].write(results, stream, context)
    expected = stream.getvalue()
    functions = {"csv": "toCsv(given)", "json": "toJson(given)"}
    functions["audacity"] = "toAudacity(given[0].events)"
    code = f"return page.{functions[output_format]}"
    found = node("outputs.js", code, given)
    if output_format == "json":
        found, expected = json.loads(found), json.loads(expected)
    assert found == expected


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
