"""Tests of both forms of inference folders: writing, reading, refusing.

Authors
 * The speechbrain_fftp authors 2026
"""

import os
import shutil
import sys

import pytest
import torch
from hyperpyyaml import load_hyperpyyaml, resolve_references
from safetensors.torch import load_file, save_file

from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain.inference.classifiers import EncoderClassifier
from speechbrain_fftp.inference import AudioTagger
from speechbrain_fftp.inference.folder import FILES, export_inference

AUM = """embedding_model: !new:speechbrain_fftp.lobes.models.AuM.AuM
    n_mels: 40
    embed_dim: !ref <embed_dim>
    depth: 2
    bidirectional: bi-bi
    embedding: !ref <embedding>
    max_frames: !ref <max_frames>
"""
CONVNEXT = """embedding_model: !new:speechbrain_fftp.lobes.models.ConvNeXt1d.ConvNeXt1d
    n_mels: 40
    embed_dim: !ref <embed_dim>
    depth: 2
    embedding: !ref <embedding>
    max_frames: !ref <max_frames>
    pooling: mean+std
"""
SENTENCE = """mean_var_norm: !new:speechbrain.processing.features.InputNormalization
    norm_type: sentence
    std_norm: False
"""
SQUARE = """embedding: !new:speechbrain_fftp.nnet.patching.PatchEmbedding
    n_mels: 40
    embed_dim: !ref <embed_dim>
    patch: [16, 16]
    stride: [10, 10]
"""


STEM = """embedding: !new:speechbrain_fftp.nnet.patching.FFTPEmbedding
    n_mels: 40
    embed_dim: !ref <embed_dim>
    patch_frames: 11
    stride_frames: 4
    stem: !new:speechbrain_fftp.nnet.convolution.ConvStem [3]
"""
STOCK = (
    "compute_features: !new:speechbrain.lobes.features.Fbank\n    n_mels: 40\n"
)


def replace_node(recipe, name, text):
    """Replaces a top-level node of a recipe."""
    lines = recipe.splitlines(keepends=True)
    start = next(i for i, x in enumerate(lines) if x.startswith(f"{name}:"))
    stop = start + 1
    while lines[stop].startswith((" ", "-")):
        stop += 1
    return "".join(lines[:start]) + text + "".join(lines[stop:])


def export(recipe, folder):
    """Exports a model with random weights; its folder and its modules."""
    folder.mkdir(parents=True, exist_ok=True)
    resolved = resolve_references(recipe).getvalue()
    (folder / "recipe.yaml").write_text(resolved, "utf-8")
    torch.manual_seed(0)
    hparams = load_hyperpyyaml(recipe)
    labels = CategoricalEncoder()
    labels.update_from_iterable(hparams["labels"])
    for module in hparams["modules"].values():
        module.eval()
        for parameter in module.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
    path = export_inference(
        folder / "recipe.yaml",
        hparams["modules"],
        labels,
        folder / "inference",
    )
    return path, hparams


@pytest.fixture
def model(exported, tmp_path):
    """A copy of an inference folder."""
    return shutil.copytree(exported[1], tmp_path / "model")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"embedding": SQUARE},
        {"embedding": SQUARE, "embedding_model": AUM},
        {
            "embedding": STEM,
            "embedding_model": CONVNEXT,
            "mean_var_norm": SENTENCE,
        },
    ],
    ids=["AST", "AST-square", "AuM-square", "ConvNeXt1d-stem"],
)
def test_both_forms_are_the_model(recipe, tmp_path, monkeypatch, changes):
    """Module by module, and from any place, which must not change."""
    for name, node in changes.items():
        recipe = replace_node(recipe, name, node)
    folder, hparams = export(recipe, tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    # These labels must not be read
    (elsewhere / "label_encoder.txt").write_text("'Wrong' => 0\n", "utf-8")
    wavs = 0.2 * torch.randn(2, 20720)
    with torch.no_grad():
        feats = hparams["compute_features"](wavs)
        feats = hparams["mean_var_norm"](feats, torch.ones(2))
        embeddings = hparams["embedding_model"](feats)
        logits = hparams["classifier"](embeddings).squeeze(1)
    assert logits.std() > 1e-3
    stock = EncoderClassifier.from_hparams(source=str(folder))
    torch.testing.assert_close(stock.encode_batch(wavs), embeddings)
    found, _, best, label = stock.classify_batch(wavs)
    torch.testing.assert_close(found, logits)
    assert label == [hparams["labels"][index] for index in best]
    assert os.listdir(elsewhere) == ["label_encoder.txt"]

    for path in folder.iterdir():
        if path.name not in FILES:
            path.unlink()
    tagger = AudioTagger.from_pretrained(folder)
    assert tagger.labels == hparams["labels"]
    found = tagger.tag_batch(wavs)
    torch.testing.assert_close(found, logits.sigmoid(), rtol=0, atol=1e-6)


def test_other_modules_are_written_as_yaml_only(recipe, tmp_path, caplog):
    recipe = replace_node(recipe, "compute_features", STOCK)
    folder, hparams = export(recipe, tmp_path)
    assert "Fbank" in caplog.text
    assert not set(FILES) & set(os.listdir(folder))
    stock = EncoderClassifier.from_hparams(source=str(folder))
    *_, label = stock.classify_batch(torch.randn(1, 16000))
    assert label[0] in hparams["labels"]


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
