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
from speechbrain_fftp.datasets.demo import prepare_demo
from speechbrain_fftp.inference import (
    AudioTagger,
    onnx as onnx_export,
)
from speechbrain_fftp.inference.packed_linear import pack_linear
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
    return AudioTagger(modules, hparams, packed=False)


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

    monkeypatch.setattr(onnx_export, "_export", lambda tagger: Program())


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
    inputs = {x.name: (x.type, x.shape) for x in session.get_inputs()}
    assert inputs == {
        "wavs": ("tensor(float)", ["batch", "samples"]),
        "wav_lens": ("tensor(float)", ["batch"]),
    }
    (output,) = session.get_outputs()
    assert (output.name, output.shape) == ("probabilities", ["batch", 5])
    # No traces of the machine that exported it
    content = path.read_bytes()
    assert str(ROOT).encode() not in content and b"torch/nn" not in content
    onnx.checker.check_model(path)


def test_the_tagger_is_not_changed(exported):
    tagger, _ = exported("ast-fftp")
    fresh = make_tagger("ast-fftp").state_dict()
    state = tagger.state_dict()
    assert all(torch.equal(state[key], fresh[key]) for key in fresh)
    assert tagger.device == "cpu" and not tagger.mods.training


def test_packed_layers_are_exported(tmp_path):
    tagger = make_tagger("ast-square")
    assert pack_linear(tagger.mods, force=True) == 4 + 1
    path = onnx_export.export_onnx(tagger, tmp_path / "model.onnx")
    wavs = noise(2, 16000)
    expected = tagger.tag_batch(wavs)
    torch.testing.assert_close(run(path, wavs), expected, rtol=0, atol=1e-4)


def test_int8_is_small_and_gives_the_same_tags(
    exported, no_second_export, tmp_path
):
    tagger, path = exported("ast-fftp")
    lines = []
    small = onnx_export.export_onnx(
        tagger, tmp_path / "a.onnx", int8=True, report=lines.append
    )
    assert os.listdir(tmp_path) == ["a.onnx"]
    exact, rounded, wrote = lines
    size = f"{small.stat().st_size / 1e6:.1f} MB"
    assert wrote.startswith(f"wrote {small}, {size}: wavs [batch, samples]")
    assert wrote.endswith("-> probabilities [batch, 5]")
    pattern = " weights with PyTorch on 2 batches: largest difference "
    exact = re.fullmatch(
        f"compared float32{pattern}(.*), at most 0.0001.*", exact
    )
    rounded = re.fullmatch(f"compared int8{pattern}(.*)", rounded)
    worst, generator = 0.0, torch.Generator().manual_seed(0)
    for share, ends in onnx_export.CHECKS:  # the same two batches
        size, lens = int(share * WINDOW), torch.tensor(ends)
        wavs = 0.1 * torch.randn(len(ends), size, generator=generator)
        wavs[torch.arange(size) >= (lens * size).round()[:, None]] = 0.0
        difference = run(small, wavs, lens) - tagger.tag_batch(wavs, lens)
        worst = max(worst, difference.abs().max().item())
    assert float(rounded[1]) == pytest.approx(worst, rel=0.06)
    assert float(exact[1]) < 1e-4 < float(rounded[1])
    assert small.stat().st_size < 0.4 * path.stat().st_size
    prepare_demo(tmp_path / "demo", num_train=1, num_valid=1, num_eval=10)
    clips = sorted((tmp_path / "demo").rglob("*.flac"))
    assert len(clips) == 12
    for clip in clips:
        wav = tagger.load_wav(clip)[None, :WINDOW]
        exact, found = run(path, wav)[0], run(small, wav)[0]
        assert exact.argmax() == found.argmax()
        torch.testing.assert_close(found, exact, rtol=0, atol=0.02)
    # The front end is in float32, the mel bands are its only matmul
    graph = onnx.load(small).graph
    floats = {
        x.name: list(x.dims) for x in graph.initializer if x.data_type == 1
    }
    products = [node for node in graph.node if node.op_type == "MatMul"]
    shapes = [floats.get(node.input[1]) for node in products]
    assert [shape for shape in shapes if shape] == [[257, 40]]
    assert max(np.prod(shape) for shape in floats.values()) == 257 * 40
    about = onnxruntime.InferenceSession(small).get_modelmeta()
    assert json.loads(about.custom_metadata_map["labels"]) == LABELS


def test_thresholds_are_metadata(exported, no_second_export, tmp_path):
    tagger, _ = exported("ast-fftp")
    limits = torch.tensor([0.5, 0.1, 0.9, 0.25, 1.0])
    tagger = AudioTagger(
        dict(tagger.mods), {**vars(tagger.hparams), "thresholds": limits}
    )
    path = onnx_export.export_onnx(tagger, tmp_path / "model.onnx")
    about = onnxruntime.InferenceSession(path).get_modelmeta()
    read = json.loads(about.custom_metadata_map["thresholds"])
    assert torch.equal(torch.tensor(read), limits)


@pytest.mark.parametrize("part", ["_check", "_quantize"])
def test_a_failed_export_keeps_the_old_file(
    exported, no_second_export, tmp_path, monkeypatch, part
):
    tagger, _ = exported("ast-fftp")
    path = tmp_path / "model.onnx"
    path.write_bytes(b"before")

    def fail(*args):
        raise OSError("no space left")

    monkeypatch.setattr(onnx_export, part, fail)
    with pytest.raises(OSError, match="no space left"):
        onnx_export.export_onnx(tagger, path, int8=True)
    assert os.listdir(tmp_path) == ["model.onnx"]
    assert path.read_bytes() == b"before"
    monkeypatch.undo()


def test_a_wrong_export_is_an_error(exported, no_second_export, tmp_path):
    tagger = make_tagger("ast-fftp")
    with torch.no_grad():
        tagger.mods.classifier.bias += 0.01
    with pytest.raises(RuntimeError, match=r"off by \d.*e-03.*versions"):
        onnx_export.export_onnx(tagger, tmp_path / "model.onnx")
    assert os.listdir(tmp_path) == []


def test_missing_folders_are_not_created(tmp_path, monkeypatch):
    """This is noticed before the export, which takes time."""
    monkeypatch.setattr(onnx_export, "_export", None)
    tagger = make_tagger("aum-fftp")
    with pytest.raises(FileNotFoundError, match="new"):
        onnx_export.export_onnx(tagger, tmp_path / "new" / "model.onnx")
    assert os.listdir(tmp_path) == []


def test_labels_must_fit(no_second_export, tmp_path):
    tagger = make_tagger("ast-fftp")
    tagger.mods.classifier = torch.nn.Linear(192, 6)
    with pytest.raises(ValueError, match="6 classes.*5 labels"):
        onnx_export.export_onnx(tagger, tmp_path / "model.onnx")


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime"])
def test_missing_packages(
    exported, no_second_export, tmp_path, monkeypatch, caplog, package
):
    tagger, _ = exported("ast-fftp")
    path = tmp_path / "model.onnx"
    find_spec = onnx_export.importlib.util.find_spec

    def find_other(name):
        return None if name == package else find_spec(name)

    monkeypatch.setattr(onnx_export.importlib.util, "find_spec", find_other)
    with pytest.raises(ImportError, match=rf"{package}: pip .*\[export\]"):
        onnx_export.export_onnx(tagger, path, int8=True)
    if package == "onnxruntime":
        onnx_export.export_onnx(tagger, path)
        assert "model.onnx is not compared" in caplog.text
    assert path.exists() == (package == "onnxruntime")


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
    sf.write(tmp_path / "clip.wav", wav, 8000)
    done = subprocess.run(
        [sys.executable, "example.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and "8000 Hz" in done.stderr
