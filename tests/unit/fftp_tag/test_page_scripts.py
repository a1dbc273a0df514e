"""Tests that the page's JavaScript finds what the Python code finds.

Node runs the modules of the page. Skipped where there is no Node, unless
CI_REQUIRE_BROWSER=1.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import os
import shutil
import subprocess

import numpy as np
import pytest

from fftp_tag.cli.page import STATIC
from fftp_tag.events import Rules, Timeline
from fftp_tag.tagger import AudioTagger

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
    return Timeline(times, probs, probs.max(0), duration, LABELS, rules)


EVENTS = """
    const { timeline, rules } = given;
    const probs = Float32Array.from(timeline.probs.flat());
    const peaks = page.highest(probs, timeline.labels.length);
    return page.findEvents({ ...timeline, probs, peaks }, rules);"""


def events_of_node(node, timeline, rules):
    """The events of JavaScript, by the rules of a model's metadata."""
    given = {
        "times": timeline.times.tolist(),
        "probs": timeline.probs.tolist(),
        "duration": timeline.duration,
        "labels": timeline.labels,
    }
    return node("events.js", EVENTS, {"timeline": given, "rules": rules})


def sort_events(events):
    """Events of different labels with the same times are in no fixed order."""
    return sorted(events, key=lambda x: (x["start"], x["end"], x["label"]))


THRESHOLDS = {
    "all": [0.0] * 5,
    "ties": [0.25] * 5,
    "few": [1.0] * 5,
    "each": [0.1, 0.25, 0.5, 0.7, 0.9],
}
# Most are a number of steps
GAPS = [0.0, 1 / 16, 2 / 16, 3 / 16, 1.0]
SHORTEST = [1 / 16, 0.0, 3 / 16, 2 / 16, 0.5]


@pytest.mark.parametrize("name", THRESHOLDS)
@pytest.mark.parametrize("seed, n_steps", [(0, 300), (1, 40), (2, 2), (3, 1)])
def test_events_are_those_of_python(node, seed, n_steps, name):
    for gaps, shortest in ((None, None), (GAPS, SHORTEST)):
        rules = Rules(
            np.array(THRESHOLDS[name], np.float32),
            np.array(gaps or [0.0] * 5),
            np.array(shortest or [0.0] * 5),
        )
        timeline = random_timeline(seed, n_steps, rules)
        metadata = {
            "thresholds": THRESHOLDS[name],
            "merge_gap": gaps,
            "min_duration": shortest,
        }
        expected = [event.to_dict() for event in timeline.events()]
        found = events_of_node(node, timeline, metadata)
        assert sort_events(found) == sort_events(expected)
        starts = [(event["start"], event["end"]) for event in found]
        assert starts == sorted(starts)
        assert found or n_steps < 40


def test_thresholds_are_compared_in_single_precision(node):
    rules = Rules(np.full(5, 0.7, np.float32), np.zeros(5), np.zeros(5))
    assert float(rules.threshold[0]) < 0.7
    timeline = random_timeline(0, 3, rules)
    timeline.probs[:] = rules.threshold
    timeline.probs[:, 1] = np.nextafter(rules.threshold[1], np.float32(0))
    found = events_of_node(node, timeline, {"thresholds": [0.7] * 5})
    assert len(found) == len(timeline.events()) == 4
    for event in found:
        assert (event["start"], event["end"]) == (0, timeline.duration)


class Ramp:
    """A model whose probabilities depend on where a piece of a ramp begins."""

    labels = ["A", "B"]
    sample_rate = 1000
    min_samples = 200
    frame_samples = 50
    window_samples = None
    step_samples = 70
    first_seconds = 0.1
    rules = Rules(np.full(2, 0.5, np.float32), np.zeros(2), np.zeros(2))

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
        count = max(n_samples - self.min_samples, 0) // self.step_samples + 1
        step = self.step_samples / self.sample_rate
        return self.first_seconds + step * np.arange(count)

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


def test_windows_of_what_was_learnt_are_those_of_python(node):
    model = Ramp(3000, has_steps=False)
    model.window_samples = 420
    ramp = np.linspace(0.1, 0.9, 2000, dtype=np.float32)
    expected = AudioTagger(model).analyze(ramp, model.sample_rate)
    assert expected.times[:2].tolist() == [0.21, 0.315]
    given = {"about": model.about(), "ramp": ramp.tolist()}
    found = node("timeline.js", ANALYZE, given)
    np.testing.assert_allclose(found["times"], expected.times, rtol=1e-12)
    np.testing.assert_allclose(found["probs"], expected.probs.ravel(), 1e-5)
