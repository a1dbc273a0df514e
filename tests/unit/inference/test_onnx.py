"""Tests of models exported to ONNX.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch

from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain_fftp.inference import (
    AudioTagger,
    onnx as onnx_export,
)
from speechbrain_fftp.inference.torch_engine import TorchEngine
from speechbrain_fftp.lobes.features import DatasetNormalization, KaldiFbank
from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.lobes.models.AuM import AuM
from speechbrain_fftp.lobes.models.ConvNeXt1d import ConvNeXt1d
from speechbrain_fftp.nnet.patching import FFTPEmbedding, SquarePatchEmbedding

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

ROOT = Path(__file__).resolve().parents[3]
LABELS = ["Speech", "Bark, dog", "Siren", "Müsik", "Rain"]
WINDOW = 400 + 127 * 160  # samples of the models' 128 frames
FORMS = {
    # Wide enough that most of the file is weights, as in real models
    "ast-fftp": (AST, "fftp", {"embed_dim": 192, "depth": 2, "num_heads": 3}),
    "ast-square": (AST, "square", {"embed_dim": 24, "num_heads": 2}),
    "aum-fftp": (AuM, "fftp", {"embed_dim": 24, "bidirectional": "fo-bi"}),
    "convnext-stem": (ConvNeXt1d, "stem", {"embed_dim": 24}),
    "aum-square": (AuM, "square", {"embed_dim": 24, "bidirectional": "bi-bi"}),
}
MARKED = [
    pytest.param(form, marks=pytest.mark.slow if "square" in form else ())
    for form in FORMS
]


def make_tagger(form):
    """A tagger with random weights."""
    model, patches, sizes = FORMS[form]
    sizes = {"n_mels": 40, "depth": 1, "max_frames": 128, **sizes}
    width = sizes["embed_dim"]
    torch.manual_seed(0)
    if patches == "fftp":
        sizes["embedding"] = FFTPEmbedding(40, width, 10, 5)
    elif patches == "stem":
        sizes["embedding"] = FFTPEmbedding(40, width, 11, 6, stem_channels=3)
    else:
        sizes["embedding"] = SquarePatchEmbedding(40, width, 16, 10)
    encoder = model(**sizes)
    if width < 100:  # larger, so that clips differ
        for parameter in encoder.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    labels = CategoricalEncoder()
    labels.update_from_iterable(LABELS)
    modules = {
        "compute_features": KaldiFbank(n_mels=40),
        "mean_var_norm": DatasetNormalization(),
        "embedding_model": encoder,
        "classifier": torch.nn.Linear(width, len(LABELS)),
    }
    hparams = {
        "label_encoder": labels,
        "sample_rate": 16000,
        "max_frames": 128,
    }
    return AudioTagger(TorchEngine(modules, hparams))


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A function that returns a tagger and its file, cached by form."""
    made = {}

    def export(form):
        if form not in made:
            folder = tmp_path_factory.mktemp("export")
            tagger = make_tagger(form)
            path = onnx_export.export_onnx(tagger, folder / "model.onnx")
            made[form] = tagger, path
        return made[form]

    return export


def run(path, wavs, wav_lens=None):
    """Probabilities by ONNX Runtime, ``[B, C]``."""
    session = onnxruntime.InferenceSession(path)
    if wav_lens is None:
        wav_lens = torch.ones(len(wavs))
    inputs = {"wavs": wavs.numpy(), "wav_lens": wav_lens.numpy()}
    return torch.from_numpy(session.run(None, inputs)[0])


def noise(*shape):
    generator = torch.Generator().manual_seed(sum(shape))
    return 0.2 * torch.randn(shape, generator=generator)


@pytest.fixture
def no_second_export(exported, monkeypatch):
    """Makes ``export_onnx`` reuse the exported AST with FFTP."""
    _, path = exported("ast-fftp")
    model = onnx.load(path)

    class Program:
        model = type("Model", (), {"metadata_props": {}})

        def save(self, target):
            texts = self.model.metadata_props
            onnx.helper.set_model_props(model, texts)
            onnx.save(model, target)

    monkeypatch.setattr(onnx_export, "export_program", lambda engine: Program())


@pytest.mark.parametrize("form", MARKED)
def test_probabilities_are_those_of_pytorch(exported, form):
    tagger, path = exported(form)
    outputs = []
    # 10 ms, a frame, a second, and more than the maximum clip length
    for samples in (160, 400, 16000, WINDOW + 5000):
        wavs = noise(1, samples)
        outputs.append(run(path, wavs))
        expected = tagger.tag_batch(wavs)
        torch.testing.assert_close(outputs[-1], expected, rtol=0, atol=1e-4)
    assert (outputs[2] - outputs[1]).abs().max() > 1e-3
    for samples in (400, 16000, WINDOW + 5000):
        wavs = noise(3, samples)
        expected = tagger.tag_batch(wavs)
        found = run(path, wavs)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("form", MARKED)
def test_padding_has_no_influence(exported, form):
    tagger, path = exported(form)
    for lengths in ([16000, 5000, 400], [300, WINDOW + 5000, 160], [7, 9, 30]):
        for size in (max(lengths), 2 * WINDOW):
            wavs = noise(3, size)  # with noise in the padding
            clips = [wav[None, :n] for wav, n in zip(wavs, lengths)]
            expected = torch.cat([tagger.tag_batch(clip) for clip in clips])
            found = run(path, wavs, torch.tensor(lengths) / size)
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


def test_file_is_complete(exported):
    tagger, path = exported("ast-fftp")
    assert os.listdir(path.parent) == ["model.onnx"]
    session = onnxruntime.InferenceSession(path)
    about = session.get_modelmeta().custom_metadata_map
    assert json.loads(about["labels"]) == LABELS
    assert about["sample_rate"] == "16000"
    assert about["window_samples"] == str(WINDOW)
    assert set(about) == {"labels", "sample_rate", "window_samples"}
    # No traces of the machine that exported it
    content = path.read_bytes()
    assert str(ROOT).encode() not in content and b"torch/nn" not in content
    onnx.checker.check_model(path)


def test_thresholds_are_metadata(exported, no_second_export, tmp_path):
    tagger, _ = exported("ast-fftp")
    limits = np.array([0.5, 0.1, 0.9, 0.25, 1.0], np.float32)
    engine = tagger.engine
    tagger = AudioTagger(
        TorchEngine(
            dict(engine.mods), {**vars(engine.hparams), "thresholds": limits}
        )
    )
    path = onnx_export.export_onnx(tagger, tmp_path / "model.onnx")
    about = onnxruntime.InferenceSession(path).get_modelmeta()
    read = json.loads(about.custom_metadata_map["thresholds"])
    np.testing.assert_array_equal(np.float32(read), limits)


def test_a_failed_export_keeps_the_old_file(
    exported, no_second_export, tmp_path, monkeypatch
):
    tagger, _ = exported("ast-fftp")
    path = tmp_path / "model.onnx"
    path.write_bytes(b"before")

    def fail(*args):
        raise OSError("no space left")

    monkeypatch.setattr(onnx_export, "check", fail)
    with pytest.raises(OSError, match="no space left"):
        onnx_export.export_onnx(tagger, path)
    assert os.listdir(tmp_path) == ["model.onnx"]
    assert path.read_bytes() == b"before"
    monkeypatch.undo()


def test_a_wrong_export_is_an_error(exported, no_second_export, tmp_path):
    tagger = make_tagger("ast-fftp")
    with torch.no_grad():
        tagger.engine.mods.classifier.bias += 0.01
    with pytest.raises(RuntimeError, match=r"off by \d.*e-03"):
        onnx_export.export_onnx(tagger, tmp_path / "model.onnx")
    assert os.listdir(tmp_path) == []


def test_a_missing_package_is_named(exported, tmp_path, monkeypatch):
    tagger, _ = exported("ast-fftp")
    find_spec = onnx_export.importlib.util.find_spec

    def find_other(name):
        return None if name == "onnxscript" else find_spec(name)

    monkeypatch.setattr(onnx_export.importlib.util, "find_spec", find_other)
    with pytest.raises(ImportError, match="onnxscript"):
        onnx_export.export_onnx(tagger, tmp_path / "model.onnx")


def test_the_example_runs_without_torch(exported, tmp_path):
    tagger, path = exported("ast-fftp")
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    texts = "".join(page.read_text("utf-8") for page in pages)
    codes = re.findall(r"(?ms)^```python\n(.*?)^```$", texts)
    (code,) = [code for code in codes if "onnxruntime" in code]
    assert len(code.splitlines()) <= 30
    block = "import sys\nfor name in ('torch', 'speechbrain', 'torchaudio'):\n"
    (tmp_path / "example.py").write_text(
        f"{block}    sys.modules[name] = None\n{code}", "utf-8"
    )
    (tmp_path / "model.onnx").write_bytes(path.read_bytes())
    # Short; two windows that overlap by much, and by little; stereo
    for samples in ((5000,), (WINDOW + 399,), (2 * WINDOW - 9,), (9000, 2)):
        wav = noise(*samples).numpy()
        wav[:WINDOW] *= 0.1
        sf.write(tmp_path / "clip.wav", wav, 16000, subtype="FLOAT")
        done = subprocess.run(
            [sys.executable, "example.py"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            encoding="utf-8",
            env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        )
        assert done.returncode == 0, done.stderr
        tags = tagger.tag_file(tmp_path / "clip.wav", top_k=5)
        printed = [line.split("  ") for line in done.stdout.splitlines()]
        assert [label for _, label in printed] == [tag.label for tag in tags]
        for (number, _), tag in zip(printed, tags):
            assert float(number) == pytest.approx(tag.probability, abs=1e-3)
