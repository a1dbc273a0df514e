"""Tests of models exported to ONNX, against the same models in PyTorch.

Authors
 * The speechbrain_fftp authors 2026
"""

import copy
import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from small_encoders import make_encoder
from small_models import CLIP, PITCHES, make_model, make_modules

from fftp_tag.audio.pieces import through
from fftp_tag.model.info import ModelInfo
from fftp_tag.model.int8 import store_in_int8
from fftp_tag.model.session import Model
from fftp_tag.tag.live import look, looks_with_state
from speechbrain_fftp.lobes.frame_classifier import FrameClassifier, FrameTagger
from speechbrain_fftp.lobes.models.ConvNeXt1d import ConvNeXt1d
from speechbrain_fftp.lobes.tagger import classify, extract_features
from speechbrain_fftp.nnet.patching import FFTPEmbedding
from speechbrain_fftp.onnx.export import (
    ExportError,
    describe,
    export_onnx,
    largest_difference,
)
from speechbrain_fftp.onnx.wrapper import WaveformModel

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

ROOT = Path(__file__).resolve().parents[3]

# A Fo-Bi AuM is exported by test_train.py, square patches of an AST by
# test_goldens.py
ENCODERS = {
    "aum": ("AuM bi-bi", "square"),
    "convnext-stem": ("ConvNeXt1d", "stem"),
}
FORMS = [
    "ast",
    "frames",
    *(pytest.param(form, marks=pytest.mark.slow) for form in ENCODERS),
]


@pytest.fixture(scope="module")
def model(exported, trained_on_tones, tmp_path_factory):
    """A function that returns the modules of a form, and their file."""
    hparams, folder = exported
    made = {
        "ast": (hparams["modules"], folder / "model.onnx"),
        "frames": trained_on_tones,
    }

    def make(form):
        if form not in made:
            encoder = make_encoder(*ENCODERS[form])
            classifier = torch.nn.Linear(24, 3)
            path = tmp_path_factory.mktemp("export") / "model.onnx"
            make_model(path, encoder, classifier, max_frames=60)
            made[form] = make_modules(encoder, classifier), path
        return made[form]

    return make


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["AST", "AuM fo-bi"])
@torch.no_grad()
def test_short_clips_of_a_model_that_attends_to_padding(kind, tmp_path):
    """They are padded, as in training."""
    encoder = make_encoder(kind)
    modules = make_modules(encoder)
    encoder.mask_padding, modules["mean_var_norm"].pad_frames = False, 60
    path = tmp_path / "model.onnx"
    export_onnx(path, modules, "ABC", sample_rate=16000, max_frames=60)
    session = onnxruntime.InferenceSession(path)
    wavs = torch.zeros(1, 9840)  # 60 frames
    wavs[:, :5000] = noise(1, 5000)
    feats, lens = extract_features(modules, wavs, torch.tensor([5000 / 9840]))
    expected = classify(modules["classifier"], encoder(feats, lens)).sigmoid()
    (found,) = session.run(["probabilities"], {"wavs": wavs[:, :5000].numpy()})
    np.testing.assert_allclose(found, expected, atol=1e-5)


def noise(*shape):
    generator = torch.Generator().manual_seed(sum(shape))
    return 0.2 * torch.randn(shape, generator=generator)


@torch.no_grad()
def outputs_of_clip(modules, wav):
    """All outputs of PyTorch for one clip ``[S]``, without padding."""
    encoder = modules["embedding_model"]
    feats, lens = extract_features(modules, wav[None])
    front_end = modules["compute_features"]
    outputs = {"features": front_end(wav[None])}
    if isinstance(encoder, FrameTagger):
        logits, frame_logits, *_ = encoder(feats, return_frames=True)
        outputs["frame_probabilities"] = frame_logits.sigmoid()
        tokens = encoder.encoder.encode(feats).tokens
        embedding = tokens.mean(1, keepdim=True)
    else:
        logits = embedding = encoder(feats)
        tokens = encoder.encode(feats).tokens
    logits = classify(modules["classifier"], logits)
    outputs["probabilities"] = logits.sigmoid()
    outputs["tokens"] = tokens
    outputs["embeddings"] = embedding[:, 0]
    return {name: output[0].numpy() for name, output in outputs.items()}


@pytest.mark.parametrize("form", FORMS)
def test_outputs_are_those_of_clips_in_pytorch(model, form):
    """Of any length and number."""
    modules, path = model(form)
    session = onnxruntime.InferenceSession(path)
    names = [output.name for output in session.get_outputs()]
    probs = []
    for length in (16000, 5000, 1600, 400, 399, 160, 7, CLIP + 5000, 2 * CLIP):
        wavs = noise(2, length)
        found = dict(zip(names, session.run(None, {"wavs": wavs.numpy()})))
        probs.append(found["probabilities"])
        for number, wav in enumerate(wavs):
            expected = outputs_of_clip(modules, wav)
            assert set(expected) == set(names)
            for name, array in expected.items():
                limit = 1e-4 * max(np.abs(array).max(), 1)
                np.testing.assert_allclose(
                    found[name][number], array, atol=limit
                )
    assert np.concatenate(probs).std(0).max() > 1e-3


RUN = """
import sys
import numpy as np
import onnxruntime
wavs = np.random.default_rng(0).random((2, 9000), np.float32)
for path in sys.argv[1:]:
    session = onnxruntime.InferenceSession(path)
    session.run(None, {"wavs": wavs})
"""


@pytest.mark.parametrize(
    "forms", [["ast", "frames"], pytest.param(["aum"], marks=pytest.mark.slow)]
)
def test_a_file_runs_without_a_warning(model, forms, tmp_path):
    """In other programs, by default; also in int8, and the starter."""
    paths = [model(form)[1] for form in forms]
    for number, path in enumerate(paths):
        store_in_int8(path, tmp_path / f"{number}.onnx")
    paths = [*paths, *tmp_path.iterdir(), ROOT / "fftp_tag/starter/model.onnx"]
    done = subprocess.run(
        [sys.executable, "-c", RUN, *paths], stderr=subprocess.PIPE, check=True
    )
    assert done.stderr == b""


@torch.no_grad()
def test_probabilities_of_single_labels_sum_to_one(model):
    """They are the softmax of the logits, of which others are the sigmoid."""
    single, several = (
        wrap(model("ast")[0], is_single)(noise(2, 9000))[0]
        for is_single in (True, False)
    )
    torch.testing.assert_close(single, several.logit().softmax(-1))


def wrap(modules, is_single=False):
    """The form of a model that is exported, which changes its modules."""
    modules = copy.deepcopy(modules)
    return WaveformModel(modules, True, is_single, one_frame=400)


def test_the_file_is_complete(model):
    _, path = model("frames")
    session = onnxruntime.InferenceSession(path)
    metadata = session.get_modelmeta().custom_metadata_map
    names = {field.name for field in dataclasses.fields(ModelInfo)}
    assert {name: json.loads(metadata[name]) for name in names} == {
        "labels": list(PITCHES),
        "sample_rate": 16000,
        "max_samples": 400 + 299 * 160,
        "min_samples": 400 + 9 * 160,
        "frame_samples": 160,
        "single_label": False,
        "rules": None,
        "token_samples": 800,
        "frame_level": {
            "span_samples": 1840,
            "hop_samples": 800,
            "of_clips": False,
        },
        "note": None,
        "credit": None,
        "fixed_length": False,
    }
    # No traces of the machine that exported it
    content = path.read_bytes()
    assert str(ROOT).encode() not in content and b"torch/nn" not in content
    onnx.checker.check_model(path)


@pytest.mark.parametrize(
    "max_seconds, max_samples",
    [
        (None, 400 + 99 * 160),
        (9, 400 + 99 * 160),
        (0.5, 8000),
        (0.50004, 8001),
        (0.01, 400 + 9 * 160),
    ],
)
def test_longest_clip_is_that_of_the_training(max_seconds, max_samples):
    """Between a patch and the clip length of the yaml file."""
    modules = make_modules(make_encoder("ConvNeXt1d"))
    info = describe(modules, list("ABC"), 16000, 100, max_seconds=max_seconds)
    assert info.max_samples == max_samples


class Means(torch.nn.Module):
    """An encoder without tokens."""

    n_mels = 40

    def forward(self, feats, lens=None):
        return feats.mean(1, keepdim=True)


@torch.no_grad()
def test_an_encoder_without_tokens_has_its_embedding_as_one(tmp_path):
    classifier = torch.nn.Linear(40, 3)
    path = make_model(tmp_path / "model.onnx", Means(), classifier)
    assert os.listdir(tmp_path) == ["model.onnx"]
    session = onnxruntime.InferenceSession(path)
    inputs = {"wavs": noise(2, 9000).numpy()}
    names = ["probabilities", "embeddings", "tokens"]
    probs, embeddings, tokens = session.run(names, inputs)
    expected = classifier(torch.from_numpy(embeddings)).sigmoid()
    np.testing.assert_allclose(probs, expected, atol=1e-6)
    np.testing.assert_array_equal(tokens, embeddings[:, None])


def test_a_wrong_export_is_noticed(model):
    modules, path = model("frames")
    assert largest_difference(path, wrap(modules), CLIP) < 1e-4
    other = wrap(modules)
    torch.nn.init.normal_(other.parts["embedding_model"].encoder.norm.weight)
    assert largest_difference(path, other, CLIP) > 1e-3


class Shrinking(Means):
    """An encoder of clips of at least five frames."""

    def forward(self, feats, lens=None):
        return super().forward(feats.unfold(1, 5, 1)[..., 0])


@pytest.mark.parametrize(
    "encoder, labels, torch_version, named",
    [
        (Shrinking(), "ABC", "2.11.0", "Shrinking .* 400 samples"),
        (Means(), "AB", "2.11.0", "3 classes.* 2 labels"),
        (Means(), "ABC", "2.8.0+cpu", "2.8.0.*2.11"),
    ],
)
def test_what_does_not_fit_is_an_error(
    encoder, labels, torch_version, named, tmp_path, monkeypatch
):
    """For what cannot be followed, see test_own_encoder.py."""
    version = torch.torch_version.TorchVersion(torch_version)
    monkeypatch.setattr(torch, "__version__", version)
    path = tmp_path / "model.onnx"
    with pytest.raises((ExportError, ValueError), match=named):
        make_model(path, encoder, torch.nn.Linear(40, 3), labels)
    assert not any(tmp_path.iterdir())


def export_for_streams(path, look_ahead, mean_var_norm=None):
    """A model of random weights with a look-ahead."""
    torch.manual_seed(0)
    embedding = FFTPEmbedding(16, 24, patch_frames=10, stride_frames=5)
    encoder = ConvNeXt1d(16, 24, 3, embedding, 7, look_ahead=look_ahead)
    tagger = FrameTagger(encoder, FrameClassifier(24, 3)).eval()
    for parameter in tagger.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    modules = make_modules(tagger)
    if mean_var_norm is not None:
        modules["mean_var_norm"] = mean_var_norm
    export_onnx(path, modules, "ABC", sample_rate=16000, max_frames=1000)
    return Model(path)


@pytest.mark.parametrize("look_ahead", [0, 4, None])
def test_chunks_with_a_state_are_those_of_the_whole(look_ahead, tmp_path):
    """Of any size, with silence, and at both ends."""
    model = export_for_streams(tmp_path / "model.onnx", look_ahead)
    bound = 9 if look_ahead is None else look_ahead
    assert model.info.frame_level.look_ahead == bound
    rng = np.random.default_rng(0)
    for hop, n_samples in (
        (0.1, 64003),
        (0.25, 80000),
        (1, 32000),
        (0.03, 800),
    ):
        levels = rng.uniform(0, 3, n_samples // 500 + 1).repeat(500)[:n_samples]
        wav = noise(n_samples).numpy() * levels.astype(np.float32)
        wav[20000:30000] = 0
        (whole,) = model.run(["frame_probabilities"], wav[None])
        blocks = np.split(wav, np.sort(rng.integers(0, n_samples, 20)))
        looks = looks_with_state(model.info.frame_level, round(16000 * hop))
        found = [*through(blocks, *look(model, looks))]
        times = np.concatenate([x.times for x in found])
        np.testing.assert_allclose(np.diff(times), 0.05, atol=1e-6)
        chunks = np.concatenate([x.rows for x in found])
        np.testing.assert_allclose(chunks, whole[0], atol=1e-4)
        if n_samples > 800:  # without the state, predictions are others
            (late,) = model.run(["frame_probabilities"], wav[None, 16000:])
            assert np.abs(late[0, 0] - whole[0, 20]).max() > 0.01


class WholeClipNorm(torch.nn.Module):
    """Subtracts the mean of a clip."""

    def forward(self, x, lengths=None):
        return x - x.mean((1, 2), keepdim=True)


def test_a_model_that_reads_the_whole_clip_has_no_state(tmp_path):
    model = export_for_streams(tmp_path / "model.onnx", 2, WholeClipNorm())
    assert model.info.frame_level.look_ahead is None
