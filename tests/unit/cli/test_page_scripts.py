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
from speechbrain_fftp.inference.tagger import join_pieces
from speechbrain_fftp.inference.windows import WindowCutter

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


@pytest.mark.parametrize("seconds", [0, 0.06, 0.5, 0.75, 2.0, 100.0])
@pytest.mark.parametrize("n_steps", [1, 2, 90])
def test_the_moving_average_is_that_of_python(node, seconds, n_steps):
    timeline = random_timeline(0, n_steps, window=0.0, hop=0.05)
    code = """
        const {times, probs, labels} = given.timeline;
        const {probs: mean, window} = page.smooth(
            times, Float32Array.from(probs.flat()), labels.length, given.seconds);
        return {mean: Array.from(mean), window};"""
    given = {"timeline": as_json(timeline), "seconds": seconds}
    found = node("events.js", code, given)
    expected = timeline.smooth(seconds)
    assert found["window"] == pytest.approx(expected.window, abs=1e-12)
    np.testing.assert_allclose(
        found["mean"], expected.probs.ravel(), rtol=0, atol=1e-7
    )


@pytest.mark.parametrize("n_samples", [1, 79, 80, 81, 100, 119, 120, 121, 999])
def test_windows_are_those_of_python(node, n_samples):
    cutter = WindowCutter(size=80, hop=20)
    expected = [start for start, _ in cutter.push(np.zeros(n_samples))]
    expected.append(cutter.finish()[0])
    code = "return page.windowStarts(given, 80, 20);"
    assert node("pieces.js", code, n_samples) == expected


def test_pieces_cover_all_and_fade_into_each_other(node):
    about = {
        "max_samples": 2000,
        "min_samples": 250,
        "steps": {"step_samples": 80},
    }
    rng = np.random.default_rng(0)
    for n_samples in (90, 2000, 2001, 3300, 7777):
        code = "return page.framePieces(given.n_samples, given);"
        pieces = node("pieces.js", code, {**about, "n_samples": n_samples})
        assert pieces[0]["start"] == 0 and pieces[-1]["end"] == n_samples
        for piece in pieces:
            assert piece["start"] == 80 * piece["first"]
            assert piece["end"] - piece["start"] <= 2000
        for one, other in zip(pieces, pieces[1:]):
            assert one["end"] - other["start"] >= 250
        counts = [(p["end"] - p["start"] - 170) // 80 for p in pieces]
        given = [
            (piece["first"], rng.random((max(n, 1), 3), np.float32))
            for piece, n in zip(pieces, counts)
        ]
        code = """
            const pieces = given.map(([first, probs]) =>
                ({first, probs: Float32Array.from(probs.flat())}));
            return Array.from(page.joinPieces(pieces, 3));"""
        texts = [(first, probs.tolist()) for first, probs in given]
        np.testing.assert_allclose(
            node("pieces.js", code, texts),
            join_pieces(given).ravel(),
            rtol=0,
            atol=1e-6,
        )
