"""One set of recordings through AudioTagger, a stream and the page.

All cut recordings as ``ModelInfo`` says, hear them to their end, and find
nothing in silence. The page's code runs in Node with ONNX Runtime for browsers.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
import json
import shutil

import numpy as np
import pytest
from tiny_onnx import (
    GAIN,
    PATCH,
    PITCHES,
    RATE,
    expected_tokens,
    sounds,
    write_model,
)

from fftp_tag import AudioTagger
from fftp_tag.cli.page import INTEGRITY, describe
from fftp_tag.learning.classifier import ClipClassifier
from fftp_tag.model.edit import copy_model
from fftp_tag.model.info import RULES
from fftp_tag.model.session import Model
from fftp_tag.model.spans import OUTPUT, make_span_model

IN_SILENCE = 0.1
QUIET = 5e-5  # below a sample of 1/10,000
# Around a patch, a step, the spans and hops of the models, and pieces
LENGTHS = [30, 99, 100, 101, 149, 150, 151, 299, 799, 800, 801, 850, 899, 900]
LENGTHS += [901, 1899, 1900, 1901, 1999, 2000, 2001, 2049, 2349, 2780, 3801]
LENGTHS += [7401, 9000]
# First and last sample of silence
SILENCES = [(0, 3000), (2500, 7600), (4000, 4900), (4000, 9000), (1, 8999)]


def write_learnt(folder, seconds):
    """Writes a model of random classes of spans; returns its path."""
    base = Model(write_model(folder / "base.onnx"))
    encoder = make_span_model(base, folder / "spans.onnx", seconds)
    features = encoder.run([OUTPUT], sounds(2.0)[None])[0][0]
    weight = np.random.default_rng(0).standard_normal((3, features.shape[1]))
    weight /= 3 * features.std()
    bias = 0.2 - weight @ features.mean(0)
    classifier = ClipClassifier(weight, bias, 3, single_label=False)
    info = dataclasses.replace(encoder.info, labels=list(PITCHES))
    path = folder / "learnt.onnx"
    copy_model(encoder.path, path, info, classifier.add_to)
    return path


@pytest.fixture(scope="module", params=["clips", "steps", "short", "long"])
def tagger(request, tmp_path_factory):
    """Of clips; frame-level; and learnt from clips of 0.8 and of nearly 2 s."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param in ("short", "long"):
        seconds = {"short": 0.83, "long": 1.92}[request.param]
        path = write_learnt(folder, seconds)
    else:
        path = write_model(
            folder / "model.onnx",
            is_frame_level=request.param == "steps",
            in_silence=IN_SILENCE,
        )
    return AudioTagger.from_pretrained(path, threads=1)


RECORDINGS = [sounds(n / RATE, seed=n) for n in LENGTHS]
for first, end in SILENCES:
    RECORDINGS.append(sounds(9))
    silence = QUIET * np.sin(np.arange(end - first))
    RECORDINGS[-1][first:end] = silence
RECORDINGS.append(np.zeros(4321, np.float32))


def heard(tagger, n_samples):
    """Samples that a prediction or a window of a recording is made from."""
    info = tagger.model.info
    if info.frame_level is None:
        return min(info.windows().size, n_samples), info.windows().hop, 1
    token = info.token_samples
    size, hop = info.frame_level.span_samples, info.frame_level.hop_samples
    return min(size, n_samples), hop, token


def check_predictions(tagger, wav, times, probs):
    """Checks where predictions are, and their values if they are known."""
    size, step, token = heard(tagger, len(wav))
    if tagger.model.is_frame_level:
        size = tagger.model.span_samples  # also if the recording is shorter
    starts = np.round(RATE * np.array(times) - size / 2).astype(int)
    apart = np.diff(starts)
    assert starts[0] == 0
    assert ((0 < apart) & (apart <= step)).all()
    assert 0 <= max(len(wav) - size, 0) - starts[-1] < token
    is_own = not tagger.model.is_frame_level or size == PATCH
    for start, row in zip(starts, probs):
        part = wav[start : start + size]
        if np.abs(part).max() < 1e-4:
            assert (row == 0).all()
        elif is_own:
            levels = (expected_tokens(part) + IN_SILENCE).mean(0)
            expected = np.minimum(GAIN * levels, 1)
            np.testing.assert_allclose(row, expected, atol=1e-5)
        else:
            assert (row > 0).all()


def test_recordings_are_heard_to_their_end(tagger):
    for wav in RECORDINGS:
        found = tagger.analyze(wav, RATE)
        check_predictions(tagger, wav, found.times, found.probs)
        assert found.duration == len(wav) / RATE
        if np.abs(wav).max() < 1e-4:
            assert not found.clip_probs.any() and not found.tags()
        elif tagger.model.info.frame_level is None:
            assert (found.clip_probs >= GAIN * IN_SILENCE).all()
        else:
            # A piece holds more predictions than are used of it
            assert (found.clip_probs >= found.probs.max(0) - 1e-6).all()


PAGE = """
    const { files, dist, integrity, rules } = given;
    const read = (path) => fs.readFileSync(path);
    globalThis.fetch = async (url) => new Response(read(url));
    URL.createObjectURL = () => dist + Object.keys(integrity)[0];
    const { findEvents, rankTags } = await import(`${folder}events.js`);
    const { analyze } = await import(`${folder}timeline.js`);
    process.chdir(given.folder);
    const about = await page.readJson("model.json");
    const run = await page.loadModel({ runtime: dist, integrity }, () => {});
    const found = [];
    for (const file of files) {
        const { buffer } = Uint8Array.from(read(file));
        const samples = new Float32Array(buffer);
        const timeline = await analyze(samples, about, run, () => {});
        found.push({
            times: timeline.times,
            probs: Array.from(timeline.probs),
            clipProbs: Array.from(timeline.clipProbs),
            events: findEvents(timeline, rules),
            tags: rankTags(timeline.clipProbs, about.labels, 3, null),
        });
    }
    return found;"""


def order(row):
    """Rows of equal times or probabilities are in no fixed order."""
    return row.get("start"), row["label"]


def run_page(tagger, recordings, folder, node, runtime):
    """What the page finds in recordings, with a threshold of 0.3."""
    shutil.copyfile(tagger.model.path, folder / "model.onnx")
    (folder / "model.json").write_text(json.dumps(describe(tagger.model.info)))
    rules = tagger.model.rules.replace(0.3)
    given = {
        "files": [str(folder / f"{n}.raw") for n in range(len(recordings))],
        "folder": str(folder),
        "dist": f"{runtime}/",
        "integrity": dict.fromkeys(INTEGRITY, ""),
        "rules": {
            **{name: getattr(rules, name).tolist() for name in RULES},
            "is_learnt": rules.is_learnt,
        },
    }
    for path, wav in zip(given["files"], recordings):
        wav.tofile(path)
    return node("model.js", PAGE, given)


def test_the_page_finds_the_same(tagger, node, runtime, tmp_path):
    of_page = run_page(tagger, RECORDINGS, tmp_path, node, runtime)
    count = 0
    for wav, found in zip(RECORDINGS, of_page, strict=True):
        expected = tagger.analyze(wav, RATE)
        np.testing.assert_allclose(found["times"], expected.times, atol=1e-9)
        probs = np.reshape(found["probs"], expected.probs.shape)
        np.testing.assert_allclose(probs, expected.probs, atol=1e-5)
        np.testing.assert_allclose(
            found["clipProbs"], expected.clip_probs, atol=1e-5
        )
        for ours, theirs in (
            (found["events"], expected.events(0.3)),
            (found["tags"], expected.tags(3, 0.0)),
        ):
            count += len(ours)
            theirs = [item.to_dict() for item in theirs]
            rows = (sorted(x, key=order) for x in (ours, theirs))
            for own, other in zip(*rows, strict=True):
                assert own.pop("label") == other.pop("label")
                assert own == pytest.approx(other, abs=2e-4)
    assert count > 40
