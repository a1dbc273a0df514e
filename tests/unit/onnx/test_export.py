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
from small_models import CLIP, PITCHES, make_model, make_modules

from fftp_tag.model.info import ModelInfo
from fftp_tag.model.int8 import store_in_int8
from speechbrain_fftp.lobes.frame_classifier import FrameTagger
from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.lobes.models.AuM import AuM
from speechbrain_fftp.lobes.models.ConvNeXt1d import ConvNeXt1d
from speechbrain_fftp.lobes.tagger import classify, extract_features
from speechbrain_fftp.nnet.convolution import ConvStemEmbedding
from speechbrain_fftp.nnet.patching import SquarePatchEmbedding
from speechbrain_fftp.onnx import export
from speechbrain_fftp.onnx.export import ExportError, export_onnx
from speechbrain_fftp.onnx.wrapper import WaveformTagger
from speechbrain_fftp.pretrained.onnx_weights import read_onnx

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

ROOT = Path(__file__).resolve().parents[3]
LABELS = ["Speech", "Bark, dog", "Siren", "Müsik", "Rain"]
SIZES = {"n_mels": 40, "embed_dim": 24, "depth": 1}

# A Fo-Bi AuM is exported by test_train.py, square patches of an AST by
# test_goldens.py
ENCODERS = {
    "aum": lambda: AuM(
        **SIZES,
        embedding=SquarePatchEmbedding(40, 24, patch_size=16, stride=10),
        max_frames=128,
        bidirectional="bi-bi",
    ),
    "convnext-stem": lambda: ConvNeXt1d(
        **SIZES, embedding=ConvStemEmbedding(40, 24, 11, 6, channels=3)
    ),
}
FORMS = [
    "ast",
    "steps",
    *(pytest.param(form, marks=pytest.mark.slow) for form in ENCODERS),
]


@pytest.fixture(scope="module")
def model(exported, trained_on_tones, tmp_path_factory):
    """A function that returns the modules of a form, and their file."""
    hparams, folder = exported
    made = {
        "ast": (hparams["modules"], folder / "model.onnx"),
        "steps": trained_on_tones,
    }

    def make(form):
        if form not in made:
            torch.manual_seed(0)
            encoder = ENCODERS[form]()
            for parameter in encoder.parameters():  # so that clips differ
                torch.nn.init.normal_(parameter, std=0.3)
            modules = make_modules(encoder.eval(), labels=LABELS)
            path = tmp_path_factory.mktemp("export") / "model.onnx"
            export_onnx(
                path, modules, LABELS, sample_rate=16000, max_frames=128
            )
            made[form] = modules, path
        return made[form]

    return make


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
        logits, frame_logits, _ = encoder(feats, return_frames=True)
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
def test_weights_are_read_back(model, form):
    """By their names, as an encoder starts from them."""
    modules, path = model(form)
    encoder = modules["embedding_model"]
    encoder = getattr(encoder, "encoder", encoder)
    found, stride = read_onnx(path, encoder)
    assert stride == encoder.embedding.stride_frames
    assert found.keys() == encoder.state_dict().keys()
    for name, tensor in encoder.state_dict().items():
        torch.testing.assert_close(found[name], tensor)


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
    "forms", [["ast", "steps"], pytest.param(["aum"], marks=pytest.mark.slow)]
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


def test_silence_has_no_probability(model):
    """Of a clip, and of each frame-level prediction that is made from it."""
    _, path = model("steps")
    session = onnxruntime.InferenceSession(path)
    wavs = noise(3, 32000).numpy()
    wavs[0, 8000:24000] = 9e-5
    wavs[1], wavs[2] = 9e-5, 1.1e-4
    names = ["probabilities", "frame_probabilities"]
    clips, steps = session.run(names, {"wavs": wavs})
    assert (clips[[0, 2]] > 0).all() and (steps[2] > 0).all()
    assert not clips[1].any() and not steps[1].any()
    starts = 800 * np.arange(steps.shape[1])
    is_silent = (starts >= 8000) & (starts + 1840 <= 24000)
    assert is_silent.sum() == 18
    np.testing.assert_array_equal((steps[0] == 0).all(1), is_silent)
    np.testing.assert_array_equal((steps[0] > 0).all(1), ~is_silent)


@torch.no_grad()
def test_probabilities_of_single_labels_sum_to_one(model):
    """They are the softmax of the logits, of which others are the sigmoid."""
    modules, _ = model("ast")
    wavs = noise(2, 9000)
    several, single = (
        WaveformTagger(copy.deepcopy(modules), True, is_single, one_frame=400)(
            wavs
        )[0]
        for is_single in (False, True)
    )
    torch.testing.assert_close(single, several.logit().softmax(-1))


def test_the_file_is_complete(model):
    _, path = model("steps")
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
    }
    # No traces of the machine that exported it
    content = path.read_bytes()
    assert str(ROOT).encode() not in content and b"torch/nn" not in content
    onnx.checker.check_model(path)


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
    modules, path = model("steps")
    exported = WaveformTagger(
        copy.deepcopy(modules), True, False, one_frame=400
    )
    assert export.largest_difference(path, exported, CLIP) < 1e-4
    modules = copy.deepcopy(modules)
    torch.nn.init.normal_(modules["embedding_model"].encoder.norm.weight)
    other = WaveformTagger(modules, True, False, one_frame=400)
    assert export.largest_difference(path, other, CLIP) > 1e-3


class Shrinking(Means):
    """An encoder of clips of at least five frames."""

    def forward(self, feats, lens=None):
        return super().forward(feats.unfold(1, 5, 1)[..., 0])


def test_what_does_not_fit_is_an_error(tmp_path):
    """For what cannot be followed, see test_own_encoder.py."""
    path = tmp_path / "model.onnx"
    with pytest.raises(ExportError, match="Shrinking .* 400 samples"):
        make_model(path, Shrinking(), torch.nn.Linear(40, 3))
    encoder = AST(embed_dim=24, depth=1, num_heads=2)
    with pytest.raises(ValueError, match="3 classes.* 2 labels"):
        make_model(path, encoder, torch.nn.Linear(24, 3), labels="AB")
    assert not any(tmp_path.iterdir())


def test_an_old_torch_is_named(tmp_path, monkeypatch):
    old = torch.torch_version.TorchVersion("2.8.0+cpu")
    monkeypatch.setattr(torch, "__version__", old)
    encoder = AST(embed_dim=24, depth=1, num_heads=2)
    with pytest.raises(ExportError, match="2.8.0.*2.11"):
        make_model(tmp_path / "model.onnx", encoder, torch.nn.Linear(24, 3))
