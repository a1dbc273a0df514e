"""Tests of a published CED as a tagger: data form, ONNX, figures, windows.

Authors
 * The speechbrain_fftp authors 2026
"""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain_fftp.inference import AudioTagger, plots
from speechbrain_fftp.inference.config import NUMBERS, TRAINED, describe_module
from speechbrain_fftp.inference.onnx import export_onnx
from speechbrain_fftp.inference.relevance import token_relevance
from speechbrain_fftp.lobes.features import DatasetNormalization, MelDecibels
from speechbrain_fftp.pretrained import load_ced

CLIPS = ("full", "ten", "short", "over", "long")


@pytest.fixture(scope="module")
def golden(shared):
    """A reference model as a tagger, and its clips with probabilities."""
    folder = shared / "fixtures" / "ced"
    encoder, classifier = load_ced(folder / "ced_a")
    labels = CategoricalEncoder()
    labels.update_from_iterable(f"label {i:02}" for i in range(20))
    modules = {
        "compute_features": MelDecibels(),
        "mean_var_norm": DatasetNormalization(0.0, 0.5),
        "embedding_model": encoder,
        "classifier": classifier,
    }
    hparams = {"sample_rate": 16000, "max_frames": 1012}
    hparams["label_encoder"] = labels
    tagger = AudioTagger(modules, hparams, packed=False)
    io = np.load(folder / "ced_a_io.npz")
    wav = torch.from_numpy(io["wav"] / np.float32(32768))
    clips = {name: wav[slice(*io[f"{name}_at"])] for name in CLIPS}
    probs = {name: torch.from_numpy(io[f"{name}_probs"]) for name in CLIPS}
    return tagger, clips, probs


@pytest.fixture
def folder(golden, tmp_path):
    """The data form of the tagger."""
    tagger = golden[0]
    config = {name: getattr(tagger.hparams, name) for name in NUMBERS}
    for name, module in tagger.mods.items():
        config[name] = describe_module(module)
    (tmp_path / "config.json").write_text(json.dumps(config), "utf-8")
    tensors = {
        f"{name}.{key}": value.clone().contiguous()
        for name in TRAINED
        for key, value in tagger.mods[name].state_dict().items()
    }
    save_file(tensors, tmp_path / "model.safetensors")
    rows = [f"{i},{label}\n" for i, label in enumerate(tagger.labels)]
    text = "index,label\n" + "".join(rows)
    (tmp_path / "labels.csv").write_text(text, "utf-8")
    return tmp_path


def test_sizes_are_those_of_the_reference(golden):
    tagger, clips, _ = golden
    assert tagger.max_samples == len(clips["full"])
    assert tagger.min_samples == 2400
    assert tagger.frame_samples == 160
    mel = tagger.mods.compute_features
    for frames in (5, 16, 100):
        samples = tagger._num_samples(frames)
        assert mel(torch.randn(1, samples)).shape[1] == frames
        assert mel(torch.randn(1, samples - 1)).shape[1] == frames - 1


def test_data_form_is_the_same_model(golden, folder):
    _, clips, probs = golden
    tagger = AudioTagger.from_pretrained(folder)
    encoder = tagger.mods.embedding_model
    assert encoder.bin_norm.num_batches_tracked.dtype == torch.int64
    for name in CLIPS:
        found = tagger.tag_batch(clips[name])[0]
        torch.testing.assert_close(found, probs[name], rtol=0, atol=1e-4)


ENCODER = "embedding_model"


@pytest.mark.parametrize(
    "part, key, value, message",
    [
        (ENCODER, "depth", 10**6, "tensors are too few for depth=1000000"),
        (ENCODER, "depth", 3, "not the tensors of .* Missing"),
        (ENCODER, "num_heads", 7, "multiple of num_heads=7"),
        (ENCODER, "max_frames", 2**20, r"time_positions is \[63, 64\]"),
        (ENCODER, "max_frames", 15, "longer than the longest clip"),
        (ENCODER, "embed_dim", 2**20, "but .4194304. in the model of"),
        (ENCODER, "mlp_ratio", float("inf"), "mlp_ratio cannot be 'inf'"),
        (ENCODER, "embedding", {"class": "FFTPEmbedding"}, "no argument"),
        ("compute_features", "n_mels", 2**20, "filterbank has more than"),
        ("compute_features", "n_fft", 2**20, "filterbank has more than"),
        ("compute_features", "n_fft", 0, "n_fft must be positive"),
        ("compute_features", "hop_length", 0, "hop_length must be positive"),
        ("compute_features", "sample_rate", 0, "sample_rate must be positive"),
        ("compute_features", "n_mels", 40, "n_mels=40, but .* n_mels=64"),
        ("compute_features", "f_max", "high", "f_max cannot be 'high'"),
        ("compute_features", "f_min", -800.0, "config.json cannot be used"),
    ],
)
def test_impossible_settings_are_errors(folder, part, key, value, message):
    path = folder / "config.json"
    config = json.loads(path.read_text("utf-8"))
    config[part][key] = value
    path.write_text(json.dumps(config), "utf-8")
    with pytest.raises(ValueError, match=message):
        AudioTagger.from_pretrained(folder)


@pytest.mark.parametrize(
    "name, value",
    [
        ("num_batches_tracked", torch.tensor(3.0)),
        ("num_batches_tracked", torch.zeros(2, dtype=torch.int64)),
        ("running_mean", torch.zeros(64, dtype=torch.int64)),
    ],
)
def test_statistics_of_other_kinds_are_errors(folder, name, value):
    path = folder / "model.safetensors"
    tensors = {**load_file(path), f"embedding_model.bin_norm.{name}": value}
    save_file(tensors, path)
    with pytest.raises(ValueError, match=f"bin_norm.{name} is"):
        AudioTagger.from_pretrained(folder)


def test_onnx_equals_the_reference(golden, tmp_path):
    for package in ("onnx", "onnxscript"):
        pytest.importorskip(package)
    onnxruntime = pytest.importorskip("onnxruntime")
    tagger, clips, probs = golden
    path = export_onnx(tagger, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(path)

    def run(wavs, lens):
        inputs = {"wavs": wavs.numpy(), "wav_lens": lens.numpy()}
        return torch.from_numpy(session.run(None, inputs)[0])

    for name in CLIPS:
        found = run(clips[name][None], torch.ones(1))[0]
        torch.testing.assert_close(found, probs[name], rtol=0, atol=1e-4)
    # Mixed lengths, with loud noise as padding
    wavs = torch.randn(len(CLIPS), 400_000)
    for wav, name in zip(wavs, CLIPS):
        wav[: len(clips[name])] = clips[name]
    lens = torch.tensor([len(clips[name]) for name in CLIPS]) / 400_000
    expected = torch.stack([probs[name] for name in CLIPS])
    found = run(wavs, lens)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
    for samples in (160, 2399, 2400, 50_000):
        wavs = 0.1 * torch.randn(2, samples)
        found, lens = run(wavs, torch.tensor([1.0, 0.5])), (1.0, 0.5)
        expected = tagger.tag_batch(wavs, torch.tensor(lens))
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


def test_figures_have_no_relevance(golden, tmp_path):
    pytest.importorskip("matplotlib")
    tagger, clips, _ = golden
    wav = clips["short"]
    timeline = tagger.analyze([wav.numpy()])
    plots.plot_tags(tmp_path / "tags.png", tagger, wav, timeline)
    assert (tmp_path / "tags.png").stat().st_size > 10_000
    with pytest.raises(TypeError, match="CED does not have: use an AST"):
        token_relevance(tagger, wav)
