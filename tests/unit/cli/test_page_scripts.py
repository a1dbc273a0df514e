"""Tests that the page's JavaScript finds what the Python code finds.

Node runs the modules of the page. Skipped where there is no Node, unless
CI_REQUIRE_BROWSER=1.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
import json
import os
import shutil
import subprocess

import numpy as np
import pytest

from speechbrain_fftp.cli.page import STATIC
from speechbrain_fftp.inference.events import Event, Timeline

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


def random_timeline(seed, n_steps, window=2.0, hop=0.5):
    """Probabilities that rise and fall, with zeros, ones and equal values."""
    rng = np.random.default_rng(seed)
    walk = rng.standard_normal((n_steps, len(LABELS))).cumsum(0)
    probs = np.clip(0.4 + 0.25 * walk, 0, 1).astype(np.float32)
    probs[rng.random(probs.shape) < 0.1] = 0.25
    times = window / 2 + hop * np.arange(n_steps)
    duration = float(times[-1] + window / 2)
    if n_steps > 2:
        times[-1] -= 0.2  # the last window is shifted
        duration -= 0.2
    return Timeline(times, probs, probs.max(0), duration, window, LABELS)


def as_json(timeline):
    """A timeline for JavaScript."""
    values = dataclasses.asdict(timeline)
    return {
        name: value.tolist() if isinstance(value, np.ndarray) else value
        for name, value in values.items()
    }


EVENTS = """
    const probs = Float32Array.from(given.timeline.probs.flat());
    const peaks = page.classPeaks(probs, given.timeline.labels.length);
    return given.thresholds.map((thresholds) =>
        page.findEvents({...given.timeline, probs, peaks}, thresholds));"""


@pytest.mark.parametrize("seed, n_steps", [(0, 40), (1, 300), (2, 1), (3, 2)])
def test_events_are_those_of_python(node, seed, n_steps):
    timeline = random_timeline(seed, n_steps)
    rng = np.random.default_rng(seed)
    limits = [np.full(5, value) for value in (0.0, 0.1, 0.25, 0.5, 0.9, 1.0)]
    limits.append(rng.uniform(0.05, 1, 5).astype(np.float32))
    given = {
        "timeline": as_json(timeline),
        "thresholds": [thresholds.tolist() for thresholds in limits],
    }
    n_found = 0
    for thresholds, found in zip(limits, node("events.js", EVENTS, given)):
        expected = timeline.events(thresholds)
        # Events with the same times are in no certain order
        found.sort(
            key=lambda e: (round(e["start"], 6), round(e["end"], 6), e["label"])
        )
        expected.sort(
            key=lambda e: (round(e.start, 6), round(e.end, 6), e.label)
        )
        assert [e["label"] for e in found] == [e.label for e in expected]
        for event, wanted in zip(found, expected):
            assert Event(**event).to_dict() == pytest.approx(
                wanted.to_dict(), abs=1e-9
            )
        n_found += len(found)
    assert n_found > 5
