"""A stream of the page finds what one of Python finds, at the same time.

The page's code runs in Node with ONNX Runtime for browsers.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import pytest
import torch
from small_models import make_modules
from tiny_onnx import RATE, sounds, write_model

from fftp_tag import AudioTagger
from fftp_tag.cli.page import INTEGRITY, write_page
from fftp_tag.model.info import RULES, default_rules
from fftp_tag.tag.live import PAGE_HOP
from speechbrain_fftp.lobes.frame_classifier import FrameClassifier, FrameTagger
from speechbrain_fftp.lobes.models.ConvNeXt1d import ConvNeXt1d
from speechbrain_fftp.nnet.patching import FFTPEmbedding
from speechbrain_fftp.onnx.export import export_onnx

STREAM = """
    const { dist, integrity, rules, blocks } = given;
    const read = (path) => fs.readFileSync(path);
    globalThis.fetch = async (url) => new Response(read(url));
    URL.createObjectURL = () => dist + Object.keys(integrity)[0];
    const { Stream } = await import(`${folder}stream.js`);
    process.chdir(given.folder);
    const about = await page.readJson("model.json");
    const run = await page.loadModel({ runtime: dist, integrity }, () => {});
    const { buffer } = Uint8Array.from(read("wav.raw"));
    const cut = async (begin, end) => new Float32Array(buffer).slice(begin, end);
    const all = [];
    for (const ends of blocks) {
        const stream = new Stream(about, run, cut, rules);
        const found = [];
        for (const end of ends) found.push(await stream.advance(end));
        found.push(await stream.finish(ends.at(-1)));
        all.push(found);
    }
    return all;"""


def write_with_look_ahead(path):
    """A frame-level model of random weights that hears 0.2 s ahead."""
    torch.manual_seed(0)
    embedding = FFTPEmbedding(16, 24, patch_frames=10, stride_frames=5)
    encoder = ConvNeXt1d(16, 24, 3, embedding, 7, look_ahead=4)
    tagger = FrameTagger(encoder, FrameClassifier(24, 3)).eval()
    for parameter in tagger.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    modules = make_modules(tagger)
    export_onnx(path, modules, "ABC", sample_rate=16000, max_frames=1000)


@pytest.fixture(scope="module", params=["clips", "steps", "state"])
def tagger(request, tmp_path_factory):
    """Of windows; and frame-level, without and with a state."""
    path = tmp_path_factory.mktemp(request.param) / "model.onnx"
    if request.param == "state":
        write_with_look_ahead(path)
    else:
        write_model(path, is_frame_level=request.param == "steps")
    return AudioTagger.from_pretrained(path, threads=1)


def listen(tagger, wav, ends, rules):
    """The events of a stream in Python, by the end of its blocks."""
    is_frame_level = tagger.model.is_frame_level
    hop = PAGE_HOP if is_frame_level else None
    stream = tagger.stream(rules=rules, hop=hop)
    starts = [0, *ends[:-1]]
    found = [stream.push(wav[x:y]) for x, y in zip(starts, ends, strict=True)]
    return [*found, stream.finish()]


def order(event):
    """Events of equal times are in no fixed order."""
    return event["start"], event["end"] is None, event["label"]


def cut_blocks(n_samples, rate):
    """Ends of blocks of 0.1, 0.25 and 1 s, and of any size."""
    blocks = [
        list(range(round(seconds * rate), n_samples, round(seconds * rate)))
        for seconds in (0.1, 0.25, 1)
    ]
    draw = np.random.default_rng(0)
    blocks.append(np.sort(draw.integers(0, n_samples, 25)).tolist())
    return [[*ends, n_samples] for ends in blocks]


def test_a_stream_finds_the_same(tagger, node, runtime, tmp_path):
    rate = tagger.sample_rate
    levels = np.random.default_rng(0).uniform(0, 1, 40)
    n_samples = 11 * rate + 77
    wav = sounds(n_samples / RATE) * np.resize(
        levels.repeat(rate // 3), n_samples
    )
    wav[4 * rate : 5 * rate] = 0
    wav = wav.astype(np.float32)
    write_page(tmp_path, tagger.model, None, None)
    probs = tagger.analyze(wav, rate).probs
    rules = default_rules(3).replace(
        np.median(probs[probs.any(1)], axis=0) + 0.003,  # near no probability
        merge_gap=[0.0, 0.1, 0.3],
        min_duration=[0.0, 0.1, 0.2],
    )
    wav.tofile(tmp_path / "wav.raw")
    given = {
        "folder": str(tmp_path),
        "dist": f"{runtime}/",
        "integrity": dict.fromkeys(INTEGRITY, ""),
        "rules": {name: getattr(rules, name).tolist() for name in RULES},
        "blocks": cut_blocks(n_samples, rate),
    }
    of_page = node("model.js", STREAM, given)
    for ends, found in zip(given["blocks"], of_page, strict=True):
        expected = listen(tagger, wav, ends, rules)
        assert sum(map(len, expected)) > 10
        for own, events in zip(found, expected, strict=True):
            rows = [event.to_dict() for event in events]
            pairs = zip(
                sorted(own, key=order), sorted(rows, key=order), strict=True
            )
            for one, other in pairs:
                assert one.pop("label") == other.pop("label")
                if other["end"] is None:
                    assert one.pop("end") is other.pop("end")
                assert one == pytest.approx(other, abs=2e-4)
