"""Tests of models exported to ONNX, and of ``OnnxEngine``, which runs them.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch
from small_models import make_tagger

from speechbrain_fftp.inference import (
    AudioTagger,
    onnx as onnx_export,
)
from speechbrain_fftp.lobes.frame_classifier import FrameClassifier
from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.lobes.models.AuM import AuM
from speechbrain_fftp.lobes.models.ConvNeXt1d import ConvNeXt1d
from speechbrain_fftp.nnet.convolution import ConvStem
from speechbrain_fftp.nnet.patching import FFTPEmbedding, SquarePatchEmbedding

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

ROOT = Path(__file__).resolve().parents[3]
LABELS = ["Speech", "Bark, dog", "Siren", "Müsik", "Rain"]
THRESHOLDS = np.array([0.5, 0.1, 0.9, 0.25, 1.0], np.float32)
WINDOW = 400 + 127 * 160  # samples of the models' 128 frames
FORMS = {
    # Wide enough that most of the file is weights, as in real models
    "ast-fftp": (AST, "fftp", {"embed_dim": 192, "depth": 2, "num_heads": 3}),
    "ast-square": (AST, "square", {"embed_dim": 24, "num_heads": 2}),
    "aum-fftp": (AuM, "fftp", {"embed_dim": 24, "bidirectional": "fo-bi"}),
    "convnext-stem": (ConvNeXt1d, "stem", {"embed_dim": 24}),
    "convnext-frames": (
        ConvNeXt1d,
        "fftp",
        {"embed_dim": 24, "pooling": "tokens"},
    ),
    "aum-square": (AuM, "square", {"embed_dim": 24, "bidirectional": "bi-bi"}),
}
MARKED = [
    pytest.param(form, marks=pytest.mark.slow if "square" in form else ())
    for form in FORMS
]


def random_tagger(form):
    """A tagger with random weights."""
    model, patches, sizes = FORMS[form]
    sizes = {"n_mels": 40, "depth": 1, **sizes}
    if model is not ConvNeXt1d:  # which has no positions
        sizes["max_frames"] = 128
    width = sizes["embed_dim"]
    torch.manual_seed(0)
    if patches == "fftp":
        sizes["embedding"] = FFTPEmbedding(40, width, 10, 5)
    elif patches == "stem":
        sizes["embedding"] = FFTPEmbedding(40, width, 11, 6, stem=ConvStem(3))
    else:
        sizes["embedding"] = SquarePatchEmbedding(40, width, 16, 10)
    encoder = model(**sizes)
    if width < 100:  # larger, so that clips differ
        for parameter in encoder.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    classifier = None
    if form == "convnext-frames":
        classifier = FrameClassifier(width, len(LABELS), mean_seconds=0.25)
    return make_tagger(
        encoder,
        classifier,
        labels=LABELS,
        thresholds=THRESHOLDS,
        max_frames=128,
    )


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A function that returns a tagger and its file, cached by form."""
    made = {}

    def export(form):
        if form not in made:
            folder = tmp_path_factory.mktemp("export")
            tagger = random_tagger(form)
            path = onnx_export.export_onnx(tagger, folder / "model.onnx")
            made[form] = tagger, path
        return made[form]

    return export


def noise(*shape):
    generator = torch.Generator().manual_seed(sum(shape))
    return 0.2 * torch.randn(shape, generator=generator)


@pytest.mark.parametrize("form", MARKED)
def test_probabilities_are_those_of_clips_in_pytorch(exported, form):
    """Of any length, however far a batch is padded."""
    tagger, path = exported(form)
    session = onnxruntime.InferenceSession(path)
    spreads = []
    for lengths in ([16000, 5000, 400], [300, WINDOW + 5000, 160], [7, 9, 30]):
        for size in (max(lengths), 2 * WINDOW):
            wavs = noise(3, size)  # with noise in the padding
            clips = [wav[None, :n] for wav, n in zip(wavs, lengths)]
            expected = torch.cat([tagger.tag_batch(clip) for clip in clips])
            lens = torch.tensor(lengths) / size
            inputs = {"wavs": wavs.numpy(), "wav_lens": lens.numpy()}
            found, *_ = session.run(None, inputs)
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)
            spreads.append(found.std(0).max())
    assert max(spreads) > 1e-3


def test_file_is_complete(exported):
    tagger, path = exported("ast-fftp")
    assert os.listdir(path.parent) == ["model.onnx"]
    session = onnxruntime.InferenceSession(path)
    about = session.get_modelmeta().custom_metadata_map
    assert json.loads(about["labels"]) == LABELS
    assert about["sample_rate"] == "16000"
    assert about["max_samples"] == str(WINDOW)
    assert json.loads(about["steps"]) is None
    thresholds = json.loads(about["thresholds"])
    np.testing.assert_array_equal(np.float32(thresholds), THRESHOLDS)
    # No traces of the machine that exported it
    content = path.read_bytes()
    assert str(ROOT).encode() not in content and b"torch/nn" not in content
    onnx.checker.check_model(path)


def test_a_wrong_export_is_noticed(exported):
    tagger, path = exported("ast-fftp")
    assert onnx_export.largest_difference(path, tagger.engine) < 1e-4
    other = random_tagger("ast-fftp")
    with torch.no_grad():
        other.engine.mods.classifier.bias += 0.01
    assert onnx_export.largest_difference(path, other.engine) > 1e-3


def write_clip(path, seconds=4.0, rate=22050):
    """A file of noise whose level changes."""
    wav = noise(int(seconds * rate)).numpy()
    wav *= np.sin(np.linspace(0, 9, len(wav)))
    sf.write(path, wav, rate, subtype="FLOAT")
    return path


@pytest.mark.parametrize("form", ["ast-fftp", "convnext-frames"])
def test_both_engines_give_the_same(exported, tmp_path, form):
    tagger, model = exported(form)
    runtime = AudioTagger.from_pretrained(model)
    for name in ("labels", "sample_rate", "has_frames", "max_window"):
        assert getattr(runtime, name) == getattr(tagger, name), name
    for name in ("min_samples", "max_samples", "frame_samples", "single_label"):
        assert getattr(runtime.engine, name) == getattr(tagger.engine, name)
    np.testing.assert_array_equal(runtime.thresholds, THRESHOLDS)

    path = write_clip(tmp_path / "clip.wav")
    short = write_clip(tmp_path / "short.wav", seconds=0.05)
    for source in (path, short):
        tags = tagger.tag_file(source, threshold="auto")
        found = runtime.tag_file(source, threshold="auto")
        assert [tag.label for tag in found] == [tag.label for tag in tags]
        embedding = tagger.embed_file(source)
        np.testing.assert_allclose(
            runtime.embed_file(source), embedding, atol=1e-4, rtol=1e-4
        )
        grids = [(0.5, 0.1)]
        if tagger.has_frames:
            grids.append((None, None))
        for window, hop in grids:
            timeline = tagger.analyze(source, window=window, hop=hop)
            found = runtime.analyze(source, window=window, hop=hop)
            np.testing.assert_allclose(found.times, timeline.times, atol=1e-9)
            np.testing.assert_allclose(found.probs, timeline.probs, atol=1e-4)
            np.testing.assert_allclose(
                found.clip_probs, timeline.clip_probs, atol=1e-4
            )
            events = timeline.events(0.5)
            for event, other in zip(events, found.events(0.5), strict=True):
                assert event.label == other.label
                assert event.start == pytest.approx(other.start, abs=1e-3)
                assert event.end == pytest.approx(other.end, abs=1e-3)


WITHOUT_TORCH = """
import sys


class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        if name in ("torch", "torchaudio", "speechbrain", "hyperpyyaml"):
            raise ImportError(f"there is no {name}")


sys.meta_path.insert(0, NotInstalled())

from speechbrain_fftp.cli.main import main

sys.exit(main())
"""


def test_the_command_runs_without_torch(exported, tmp_path):
    """Tags, events and live events of an ONNX model."""
    tagger, model = exported("convnext-frames")

    def call(*arguments, sound=None):
        done = subprocess.run(
            [sys.executable, "-c", WITHOUT_TORCH, *map(str, arguments)],
            input=sound,
            capture_output=True,
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    clip = write_clip(tmp_path / "clip.wav", rate=16000)
    end = ["--model", model, "--format", "jsonl"]
    row = json.loads(call(clip, *end))
    tags = tagger.tag_file(clip)
    assert [tag["label"] for tag in row["tags"]] == [t.label for t in tags]
    row = json.loads(call(clip, "--timeline", *end))
    events = tagger.tag_long(clip)
    assert len(row["events"]) == len(events) > 0
    sound = (noise(32000) * 2**14).short().numpy().tobytes()
    lines = call(
        "listen", "--raw", 16000, "--window", 1, *end, sound=sound
    ).splitlines()
    assert {json.loads(line)["label"] for line in lines} <= set(LABELS)
