"""Tests of inference folders as data alone: writing, reading, refusing.

Authors
 * The speechbrain_fftp authors 2026
"""

import shutil
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file
from small_models import make_tagger

from speechbrain.processing.features import InputNormalization
from speechbrain_fftp.inference import AudioTagger
from speechbrain_fftp.inference.folder import write_folder
from speechbrain_fftp.lobes.frame_classifier import FrameClassifier, MaxPooling
from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.lobes.models.AuM import AuM
from speechbrain_fftp.lobes.models.ConvNeXt1d import ConvNeXt1d
from speechbrain_fftp.nnet.convolution import ConvStem
from speechbrain_fftp.nnet.patching import FFTPEmbedding, SquarePatchEmbedding

SIZES = {"n_mels": 40, "embed_dim": 24, "depth": 2}
FFTP = FFTPEmbedding(40, 24, 10, 5)
SQUARE = SquarePatchEmbedding(40, 24, patch_size=16, stride=10)
STEM = FFTPEmbedding(40, 24, 11, 4, stem=ConvStem(3))
ENCODERS = {
    "AST": AST(**SIZES, num_heads=2, embedding=FFTP, pooling="cls+mean"),
    "AST, square": AST(**SIZES, num_heads=2, embedding=SQUARE),
    "AuM": AuM(**SIZES, embedding=SQUARE, bidirectional="bi-bi"),
    "ConvNeXt1d": ConvNeXt1d(**SIZES, embedding=STEM, pooling="mean+std"),
    "time steps": ConvNeXt1d(**SIZES, embedding=FFTP, pooling="tokens"),
}


@pytest.mark.parametrize("name", ENCODERS)
def test_the_model_is_read_as_it_was_written(tmp_path, name):
    torch.manual_seed(0)
    normalizer = None
    if name == "time steps":
        classifier = FrameClassifier(24, 3, MaxPooling(), mean_seconds=0.3)
    else:
        linear = torch.nn.Linear(24, 3)
        classifier = torch.nn.Sequential(torch.nn.LayerNorm(24), linear)
        normalizer = InputNormalization(norm_type="sentence", std_norm=False)
    written = make_tagger(ENCODERS[name], classifier, normalizer=normalizer)
    for parameter in written.engine.mods.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    hparams = vars(written.engine.hparams)
    write_folder(tmp_path / "model", dict(written.engine.mods), hparams)
    read = AudioTagger.from_pretrained(tmp_path / "model")
    assert read.labels == ["A", "B", "C"]
    assert read.max_window == written.max_window
    wavs, lens = torch.randn(3, 20720), torch.tensor([1.0, 0.6, 0.05])
    expected = written.tag_batch(wavs, lens)
    assert expected.std() > 1e-3
    found = read.tag_batch(wavs, lens)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    if name == "time steps":
        assert read.engine.mean_seconds == 0.3
        expected = written.engine.tag_frames(wavs)[1]
        torch.testing.assert_close(read.engine.tag_frames(wavs)[1], expected)


@pytest.fixture
def model(exported, tmp_path):
    """A copy of an inference folder."""
    return shutil.copytree(exported[1], tmp_path / "model")


def test_a_hostile_yaml_stays_inert(model, tmp_path, monkeypatch):
    made = tmp_path / "made"
    hostile = f"made: !apply:os.mkdir ['{made}']\nsample_rate: 16000\n"
    (model / "hyperparams.yaml").write_text(hostile, "utf-8")
    monkeypatch.setitem(sys.modules, "hyperpyyaml", None)
    monkeypatch.setattr(torch, "load", None)
    tagger = AudioTagger.from_pretrained(str(model))
    assert tagger.tag_batch(torch.randn(1, 16000)).shape == (1, 5)
    assert not made.exists()


@pytest.mark.parametrize(
    "name, value",
    [
        ("classifier.1.weight", None),
        ("more", torch.ones(1)),
        ("classifier.1.bias", torch.ones(6)),
        ("embedding_model.position.table", torch.ones(1, 23, 24)),
    ],
)
def test_other_tensors_are_named(model, name, value):
    path = model / "model.safetensors"
    tensors = {**load_file(path), name: value}
    save_file({k: v for k, v in tensors.items() if v is not None}, path)
    with pytest.raises(ValueError, match=name):
        AudioTagger.from_pretrained(model)
