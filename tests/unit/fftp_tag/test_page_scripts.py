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
import os
import shutil
import subprocess

import numpy as np
import pytest
import soundfile as sf

from fftp_tag.cli.output import Output
from fftp_tag.cli.page import STATIC
from fftp_tag.tag.events import Event, Timeline, rank_tags
from fftp_tag.tag.plots import TICKS, to_mel
from fftp_tag.tag.tagger import AudioTagger
from speechbrain_fftp.dataio.model_info import default_rules

LABELS = ["Speech", "Bark, dog", 'A "siren"', "Music", "Rain"]


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """A function that runs JavaScript with ``given``; returns its result.

    The code is an async function's, and has all that a module exports.
    """
    command = shutil.which("node")
    if command is None:
        if os.environ.get("CI_REQUIRE_BROWSER") == "1":
            pytest.fail("node is not installed")
        pytest.skip("node is not installed")
    folder = tmp_path_factory.mktemp("static")
    (folder / "package.json").write_text('{"type": "module"}')
    for path in STATIC.glob("*.js"):
        shutil.copyfile(path, folder / path.name)

    def run(module, code, given):
        text = f"""
            import * as page from {json.dumps(str(folder / module))};
            import fs from "node:fs";
            const given = JSON.parse(fs.readFileSync(0, "utf8"));
            const result = await (async () => {{ {code} }})();
            fs.writeSync(1, JSON.stringify(result));"""
        done = subprocess.run(
            [command, "--input-type=module", "--eval", text],
            input=json.dumps(given),
            capture_output=True,
            encoding="utf-8",
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


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
    const { timeline, rules } = given;
    const probs = Float32Array.from(timeline.probs.flat());
    const peaks = page.highest(probs, timeline.labels.length);
    const clipProbs = Float32Array.from(timeline.clipProbs);
    return page.findEvents({ ...timeline, probs, peaks, clipProbs }, rules);"""


def events_of_node(node, timeline):
    """The events of JavaScript, by the rules of the timeline."""
    names = ("threshold", "low", "high", "merge_gap", "min_duration")
    rules = {name: getattr(timeline.rules, name).tolist() for name in names}
    given = {
        "times": timeline.times.tolist(),
        "probs": timeline.probs.tolist(),
        "clipProbs": timeline.clip_probs.tolist(),
        "duration": timeline.duration,
        "labels": timeline.labels,
        "windowsAreClips": timeline.windows_are_clips,
    }
    return node("events.js", EVENTS, {"timeline": given, "rules": rules})


def sort_events(events):
    """Events of different labels with the same times are in no fixed order."""
    return sorted(events, key=lambda x: (x["start"], x["end"], x["label"]))


THRESHOLDS = {  # low and high
    "ties": ([0.25] * 5, [0.25] * 5),
    "both": ([0.1, 0.25, 0.5, 0.7, 0.9], [0.1, 0.5, 0.75, 0.9, 1.0]),
}
OF_TAGS = [0.0, 0.25, 0.45, 0.6, 0.9]
# Most are a number of steps
GAPS = [0.0, 1 / 16, 2 / 16, 3 / 16, 1.0]
SHORTEST = [1 / 16, 0.0, 3 / 16, 2 / 16, 0.5]


@pytest.mark.parametrize("name", THRESHOLDS)
@pytest.mark.parametrize("seed, n_steps", [(0, 300), (1, 40), (2, 2), (3, 1)])
def test_events_are_those_of_python(node, seed, n_steps, name):
    for gaps, shortest in ((None, None), (GAPS, SHORTEST)):
        low, high = np.array(THRESHOLDS[name], np.float32)
        rules = dataclasses.replace(
            default_rules(5).replace(None, gaps, shortest),
            low=low,
            high=high,
            threshold=np.array(OF_TAGS, np.float32),
        )
        timeline = random_timeline(seed, n_steps, rules)
        expected = [event.to_dict() for event in timeline.events()]
        found = events_of_node(node, timeline)
        assert sort_events(found) == sort_events(expected)
        starts = [(event["start"], event["end"]) for event in found]
        assert starts == sorted(starts)
        assert found or n_steps < 40


@pytest.mark.parametrize("thresholds", [None, [0.5, 0.7, 0.1, 0.9, 0.25]])
def test_tags_are_those_of_python(node, thresholds):
    probs = np.array([0.6, 0.7, 0.2, 0.6, 0.25], np.float32)
    code = "return page.rankTags(...given)"
    found = node("events.js", code, [probs.tolist(), LABELS, 3, thresholds])
    expected = rank_tags(probs, LABELS, 3, thresholds or 0.0)
    assert found == [tag.to_dict() for tag in expected]


def test_thresholds_are_compared_in_single_precision(node):
    rules = default_rules(5).replace(0.7)
    assert float(rules.threshold[0]) < 0.7
    timeline = random_timeline(0, 3, rules)
    timeline.probs[:] = rules.threshold
    timeline.probs[:, 1] = np.nextafter(rules.threshold[1], np.float32(0))
    timeline.clip_probs[:] = rules.threshold
    timeline.clip_probs[2] = timeline.probs[0, 1]
    found = events_of_node(node, timeline)
    assert len(found) == len(timeline.events()) == 3
    # Where a window is a clip, its classes need not be tags of the file
    timeline = dataclasses.replace(timeline, windows_are_clips=True)
    assert len(events_of_node(node, timeline)) == 4
    assert len(timeline.events()) == 4
    for event in found:
        assert (event["start"], event["end"]) == (0, timeline.duration)


class Ramp:
    """A model whose probabilities depend on where a piece of a ramp begins."""

    labels = ["A", "B"]
    sample_rate = 1000
    min_samples = 200
    step_samples = 70
    first_seconds = 0.1
    frame_samples = 50
    window_samples = None
    rules = default_rules(2)

    def __init__(self, max_samples, has_steps):
        self.max_samples = max_samples
        self.has_steps = has_steps

    def probabilities(self, wavs):
        """Of a clip, from its first sample and its length."""
        first = wavs[:, 0]
        return np.stack([first, first * wavs.shape[1] / 10000], 1)

    def step_probabilities(self, wavs):
        """Those of a clip for each step, and half of them."""
        clips = self.probabilities(wavs)
        count = len(self.step_times(wavs.shape[1]))
        share = np.arange(1, count + 1, dtype=np.float32)[None, :, None] / 500
        return clips, clips[:, None] * share

    def step_times(self, n_samples):
        """As ``Model.step_times``."""
        count = max(n_samples - self.min_samples, 0) // 70 + 1
        step = 70 / self.sample_rate
        return 0.1 + step * np.arange(count)

    def about(self):
        """The metadata, for JavaScript."""
        names = ("labels", "sample_rate", "min_samples", "max_samples")
        names += ("window_samples",)
        about = {name: getattr(self, name) for name in names}
        steps = {"first_seconds": 0.1, "step_samples": 70}
        return {**about, "steps": steps if self.has_steps else None}


ANALYZE = """
    const { about, ramp } = given;
    const samples = Float32Array.from(ramp);
    const shares = [];
    const run = async (wav) => {
        const clip = Float32Array.of(wav[0], wav[0] * wav.length / 10000);
        const patches = Math.floor(Math.max(wav.length - 200, 0) / 70);
        const steps = Float32Array.from({ length: 2 * (patches + 1) },
            (_, i) => clip[i % 2] * (Math.floor(i / 2) + 1) / 500);
        return { clip, steps };
    };
    const report = (share) => shares.push(share);
    const found = await page.analyze(samples, about, run, report);
    const lists = {};
    for (const name of ["probs", "clipProbs", "peaks"]) {
        lists[name] = Array.from(found[name]);
    }
    return { ...found, ...lists, shares };"""


@pytest.mark.parametrize("has_steps", [False, True])
@pytest.mark.parametrize("max_samples", [600, 3000])
@pytest.mark.parametrize("n_samples", [100, 600, 601, 2990, 10000])
def test_timelines_are_those_of_python(node, n_samples, max_samples, has_steps):
    model = Ramp(max_samples, has_steps)
    if max_samples == 3000:  # as ``learn`` writes it
        model.window_samples = 420
    ramp = np.linspace(0.1, 0.9, n_samples, dtype=np.float32)
    expected = AudioTagger(model).analyze(ramp, model.sample_rate)
    given = {"about": model.about(), "ramp": ramp.tolist()}
    found = node("timeline.js", ANALYZE, given)
    assert found["times"] == expected.times.tolist()
    assert found["duration"] == expected.duration
    for name, values in (
        ("probs", expected.probs.ravel()),
        ("clipProbs", expected.clip_probs),
        ("peaks", expected.probs.max(0)),
    ):
        np.testing.assert_allclose(found[name], values, rtol=1e-5)
    assert found["shares"] == sorted(found["shares"])
    assert found["shares"][-1] == 1


@pytest.mark.parametrize("output_format", ["csv", "json", "audacity"])
def test_downloads_are_as_of_the_command(node, capsys, output_format):
    rng = np.random.default_rng(0)
    found = {
        name: [Event(*rng.random(2), label, rng.random()) for label in LABELS]
        for name in ("a.wav", '=b, "c".wav')
    }
    if output_format == "audacity":
        found.popitem()  # it takes one file at a time
    printed = Output(output_format, timeline=True)
    results = []
    for name, events in found.items():
        printed.add(name, events)
        rows = [event.to_dict() for event in events]
        results.append({"file": name, "events": rows})
    printed.add("broken.wav", [], "broken.wav is not readable")
    results.append(
        {"file": "broken.wav", "error": "broken.wav is not readable"}
    )
    printed.close()
    code = {
        "csv": "return page.toCsv(given)",
        "json": "return page.toJson(given)",
        "audacity": "return page.toAudacity(given[0].events)",
    }
    found = node("outputs.js", code[output_format], results)
    expected = capsys.readouterr().out
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
    assert found["heard"] == seconds and found["kept"] == kept
    content = io.BytesIO(base64.b64decode(found["bytes"]))
    samples, rate = sf.read(content)
    expected = np.arange(seconds - kept, seconds) / 1000
    assert rate == 10 and found["name"] == "recording.wav"
    np.testing.assert_allclose(samples[::10], expected, atol=1e-4)


@pytest.mark.parametrize("rate", [8000, 16000, 32000, 48000])
def test_frequencies_are_placed_as_in_figures(node, rate):
    found = node("draw.js", "return page.frequencyTicks(given)", rate)
    expected = [tick for tick in TICKS if tick < 0.99 * rate / 2]
    assert [tick["hertz"] for tick in found] == expected
    places = 1 - to_mel(np.array(expected)) / to_mel(rate / 2)
    np.testing.assert_allclose([tick["top"] for tick in found], places)
