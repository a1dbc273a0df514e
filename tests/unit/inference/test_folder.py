"""Tests of the data form of inference folders: writing, reading, refusing.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import itertools
import json
import logging
import os
import re
import shutil
import sys

import pytest
import torch
from hyperpyyaml import load_hyperpyyaml, resolve_references
from safetensors.torch import load_file, save_file

from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain_fftp.inference import AudioTagger
from speechbrain_fftp.inference.folder import FILES, export_inference

AUM = """embedding_model: !new:speechbrain_fftp.lobes.models.AuM.AuM
    n_mels: 40
    embed_dim: !ref <embed_dim>
    depth: 2
    bidirectional: {}
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
SQUARE = """embedding: !new:speechbrain_fftp.nnet.patching.SquarePatchEmbedding
    n_mels: 40
    embed_dim: !ref <embed_dim>
    patch_size: 16
    stride: 10
"""
STEM = """embedding: !new:speechbrain_fftp.nnet.patching.FFTPEmbedding
    n_mels: 40
    embed_dim: !ref <embed_dim>
    patch_frames: 11
    stride_frames: 4
    stem_channels: 3
"""


def replace_node(recipe, name, text):
    """Replaces a top-level node of a recipe."""
    lines = recipe.splitlines(keepends=True)
    start = next(i for i, x in enumerate(lines) if x.startswith(f"{name}:"))
    stop = start + 1
    while lines[stop].startswith((" ", "-")):
        stop += 1
    return "".join(lines[:start]) + text + "".join(lines[stop:])


def export(recipe, folder):
    """Exports a model with random weights."""
    folder.mkdir(parents=True, exist_ok=True)
    resolved = resolve_references(recipe).getvalue()
    (folder / "recipe.yaml").write_text(resolved, "utf-8")
    torch.manual_seed(0)
    hparams = load_hyperpyyaml(recipe)
    labels = CategoricalEncoder()
    labels.update_from_iterable(hparams["labels"])
    for module in hparams["modules"].values():
        for parameter in module.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
    return export_inference(
        folder / "recipe.yaml", hparams["modules"], labels, folder / "inference"
    )


@pytest.fixture
def model(exported, tmp_path):
    """A copy of an inference folder without its yaml form."""
    (tmp_path / "model").mkdir()
    for name in FILES:
        shutil.copy(exported[1] / name, tmp_path / "model")
    return tmp_path / "model"


def test_what_is_written(exported):
    hparams, folder = exported
    config = json.loads((folder / "config.json").read_text("utf-8"))
    assert config == {
        "sample_rate": 16000,
        "max_frames": 128,
        "compute_features": {
            "class": "KaldiFbank",
            "sample_rate": 16000,
            "n_mels": 40,
            "frame_length": 25.0,
            "frame_shift": 10.0,
            "low_freq": 20.0,
            "preemphasis": 0.97,
        },
        "mean_var_norm": {
            "class": "DatasetNormalization",
            "mean": -5.0,
            "std": 4.0,
        },
        "embedding_model": {
            "class": "AST",
            "n_mels": 40,
            "embed_dim": 24,
            "depth": 2,
            "num_heads": 2,
            "embedding": {
                "class": "FFTPEmbedding",
                "n_mels": 40,
                "embed_dim": 24,
                "patch_frames": 10,
                "stride_frames": 5,
                "strides": None,
                "stem_channels": 0,
            },
            "max_frames": 128,
            "mlp_ratio": 4.0,
            "dropout": 0.3,
            "norm_eps": 1e-6,
            "pooling": "cls",
            "conv_kernel": 0,
        },
        "classifier": {
            "class": "Sequential",
            "layers": [
                {
                    "class": "LayerNorm",
                    "normalized_shape": 24,
                    "eps": 1e-5,
                    "elementwise_affine": True,
                    "bias": True,
                },
                {
                    "class": "Linear",
                    "in_features": 24,
                    "out_features": 5,
                    "bias": True,
                },
            ],
        },
    }
    tensors = load_file(folder / "model.safetensors")
    for name in ("embedding_model", "classifier"):
        for key, value in hparams[name].state_dict().items():
            assert torch.equal(tensors.pop(f"{name}.{key}"), value)
    assert not tensors
    with open(folder / "labels.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[:3] == [["index", "label"], ["0", "Speech"], ["1", "Bark, dog"]]


@pytest.mark.parametrize(
    "encoder, patches",
    [
        *itertools.product(
            ["AST", "fo-bi", "bi-bi", "False"], ["fftp", "square"]
        ),
        ("ConvNeXt1d", "fftp"),
        ("ConvNeXt1d", "stem"),
        ("AST", "stem"),
    ],
)
def test_both_forms_are_the_same_model(recipe, tmp_path, encoder, patches):
    if encoder == "ConvNeXt1d":
        recipe = replace_node(recipe, "embedding_model", CONVNEXT)
        recipe = replace_node(recipe, "mean_var_norm", SENTENCE)
    if patches == "stem":
        recipe = replace_node(recipe, "embedding", STEM)
    elif patches == "square":
        recipe = replace_node(recipe, "embedding", SQUARE)
    if encoder not in ("AST", "ConvNeXt1d"):
        recipe = replace_node(recipe, "embedding_model", AUM.format(encoder))
    folder = export(recipe, tmp_path)
    alone = tmp_path / "alone"
    alone.mkdir()
    for name in FILES:
        (folder / name).rename(alone / name)
    by_yaml = AudioTagger.from_hparams(source=str(folder))
    by_data = AudioTagger.from_pretrained(alone)
    wavs, lens = torch.randn(3, 20720), torch.tensor([1.0, 0.6, 0.05])
    expected = by_yaml.tag_batch(wavs, lens)
    assert expected.std() > 1e-4
    found = by_data.tag_batch(wavs, lens)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    assert by_data.labels == by_yaml.labels
    assert not any(module.training for module in by_data.mods.modules())
    assert not any(p.requires_grad for p in by_data.mods.parameters())
    normalizer = by_data.audio_normalizer
    assert normalizer.sample_rate == by_data.hparams.sample_rate == 16000


def test_a_hostile_yaml_stays_inert(exported, tmp_path, monkeypatch):
    folder = tmp_path / "model"
    shutil.copytree(exported[1], folder)
    made = tmp_path / "made"
    hostile = f"made: !apply:os.mkdir ['{made}']\nsample_rate: 16000\n"
    (folder / "hyperparams.yaml").write_text(hostile, "utf-8")
    for path in folder.glob("*.ckpt"):
        path.write_bytes(b"no weights")
    monkeypatch.setitem(sys.modules, "hyperpyyaml", None)
    monkeypatch.setattr(torch, "load", None)
    tagger = AudioTagger.from_pretrained(str(folder))
    assert tagger.tag_batch(torch.randn(1, 16000)).shape == (1, 5)
    assert not made.exists()
    monkeypatch.undo()
    with pytest.raises(ValueError):
        AudioTagger.from_hparams(source=str(folder))
    assert made.exists()


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_an_error(model, name):
    (model / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"{name} is missing. Use a"):
        AudioTagger.from_pretrained(model)
    (model / name).mkdir()
    with pytest.raises(FileNotFoundError, match=name):
        AudioTagger.from_pretrained(model)


def test_no_folder_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file or folder .*none"):
        AudioTagger.from_pretrained(tmp_path / "none")


@pytest.mark.parametrize("device", ["cuda:77", "nowhere", "meta:x"])
def test_no_such_device_is_an_error(model, device):
    with pytest.raises(ValueError, match=f"cannot run on {device}"):
        AudioTagger.from_pretrained(model, device=device)


def change(config, path, value):
    """Sets one value, by its keys, or deletes it."""
    *keys, last = path.split(".")
    for key in keys:
        config = config[int(key) if isinstance(config, list) else key]
    last = int(last) if isinstance(config, list) else last
    if value is None:
        del config[last]
    else:
        config[last] = value


ENCODER = "embedding_model"
PATCHES = f"{ENCODER}.embedding"
HUGE = 2**30


@pytest.mark.parametrize(
    "path, value, message",
    [
        ("sample_rate", None, "missing: sample_rate; unknown: none"),
        ("extra", 1, "missing: none; unknown: extra"),
        ("sample_rate", 16000.5, "must be an integer from .* not 16000.5"),
        ("sample_rate", True, "not True"),
        ("sample_rate", 5, "sample_rate must be an integer from 1000 to"),
        ("max_frames", 0, "max_frames must be an integer from 1 to .*, not 0"),
        ("max_frames", HUGE, "max_frames"),
        (ENCODER, 3, "the class is '3', not one of AST, AuM"),
        (f"{ENCODER}.class", "os.system", "'os.system', not one of AST, AuM"),
        (f"{ENCODER}.class", "Linear", "'Linear', not one of AST, AuM"),
        (f"{ENCODER}.class", ["AST"], "not one of AST, AuM"),
        (f"{ENCODER}.hook", 1, "AST has no argument 'hook', only n_mels"),
        (f"{ENCODER}.depth", HUGE, f"depth cannot be '{HUGE}'"),
        (f"{ENCODER}.depth", 10**6, "tensors are too few for depth=1000000"),
        (f"{ENCODER}.depth", 3, "not the tensors of .* Missing"),
        (f"{ENCODER}.depth", -1, "depth cannot be '-1'"),
        (f"{ENCODER}.depth", "2", "depth cannot be '2'"),
        (
            f"{ENCODER}.embed_dim",
            48,
            "the encoder has n_mels=40 and embed_dim=48",
        ),
        (f"{ENCODER}.num_heads", 5, "must be a multiple of"),
        (f"{ENCODER}.num_heads", 0, "multiple of"),
        (f"{ENCODER}.max_frames", 2**20, r"position.table is \[1, 24, 24\]"),
        (f"{ENCODER}.max_frames", 9, "longer than the longest clip"),
        (f"{ENCODER}.mlp_ratio", float("nan"), "mlp_ratio cannot be 'nan'"),
        (f"{ENCODER}.mlp_ratio", 1e300, "mlp_ratio cannot be '1e.300'"),
        (f"{ENCODER}.dropout", [0.1], "dropout cannot be"),
        (f"{ENCODER}.dropout", 7, "dropout"),
        (f"{PATCHES}.class", "KaldiFbank", "not one of FFTPEmbedding"),
        (f"{PATCHES}.patch_frames", 20, r"proj.weight is \[24, 1, 40, 10\]"),
        (f"{PATCHES}.patch_frames", 0, "must all be positive"),
        (f"{PATCHES}.embed_dim", None, "missing.* 'embed_dim'"),
        ("compute_features.n_mels", 80, "n_mels=80, but .* n_mels=40"),
        ("compute_features.n_mels", 2**20, "filterbank has more than"),
        ("compute_features.frame_length", 1e6, "filterbank has more than"),
        ("compute_features.frame_shift", 0.0, "at least one sample"),
        ("compute_features.frame_length", 0.1, "at least two"),
        ("compute_features.class", "AST", "not one of KaldiFbank"),
        ("mean_var_norm.std", 0.0, "std must not be 0"),
        ("mean_var_norm.mean", float("inf"), "mean cannot be 'inf'"),
        (
            "mean_var_norm",
            {"class": "InputNormalization"},
            "norm_type must be sentence",
        ),
        ("classifier.layers", 3, "takes a list of layers"),
        (
            "classifier.layers.1.out_features",
            6,
            r"1.bias is \[5\], .* \[6\] in the model of",
        ),
        ("classifier.layers.1.in_features", 6, r"1.weight is \[5, 24\]"),
        ("classifier.layers.1", {"class": "GELU"}, "Unknown: classifier.1"),
        ("classifier.layers.0.class", "Sequential", "not one of Dropout"),
        ("classifier.layers.0.device", 0, "no argument 'device'"),
    ],
)
def test_impossible_settings_are_errors(model, path, value, message):
    file = model / "config.json"
    config = json.loads(file.read_text("utf-8"))
    change(config, path, value)
    file.write_text(json.dumps(config), "utf-8")
    with pytest.raises(ValueError, match=message) as error:
        AudioTagger.from_pretrained(model)
    assert str(model) in str(error.value)
    assert "or export the model again" in str(error.value)


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("config.json", b"", "config.json cannot be used"),
        ("config.json", b"{", "config.json cannot be used"),
        ("config.json", b"\xff", "config.json cannot be used"),
        ("config.json", b"[" * 10**6, "config.json cannot be used"),
        ("config.json", b"[]", "does not hold a JSON object"),
        ("config.json", b" " * (2**24 + 1), "larger than 16777216 bytes"),
        ("labels.csv", b"", "must have the columns index and label"),
        ("labels.csv", b"index,label\n", "must have the columns"),
        ("labels.csv", b"index,label\n0,\xff\n", "labels.csv cannot be used"),
        ("labels.csv", b"index,label\n1,a\n", "label of class 0, found '1,a'"),
        ("labels.csv", b"index,label\n0, \n", "label of class 0"),
        ("labels.csv", b"index,label\n0,a,b\n", "label of class 0"),
        ("labels.csv", b"index,label\n0,a\n1,a\n", "a duplicate label"),
        ("labels.csv", b"index,label\n0,a\x1bb\n", "control characters"),
        ("labels.csv", b"index,label\n0,a\n1,b\n", "has 2 labels.* 5 classes"),
        ("model.safetensors", b"", "safetensors cannot be read"),
        ("model.safetensors", b"no weights", "safetensors cannot be read"),
        ("model.safetensors", b"\xff" * 99, "safetensors cannot be read"),
    ],
)
def test_damaged_files_are_errors(model, name, content, message):
    (model / name).write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        AudioTagger.from_pretrained(model)
    assert str(model) in str(error.value)
    assert "or export the model again" in str(error.value)


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"classifier.1.weight": None}, "Missing: classifier.1.weight"),
        ({"more": torch.ones(1)}, "Unknown: more"),
        ({"classifier.1.bias": torch.ones(6)}, r"bias is \[6\].*\[5\]"),
        ({"classifier.1.bias": torch.ones(5).int()}, "torch.int32"),
    ],
)
def test_other_tensors_are_errors(model, changed, message):
    path = model / "model.safetensors"
    tensors = {**load_file(path), **changed}
    save_file({k: v for k, v in tensors.items() if v is not None}, path)
    with pytest.raises(ValueError, match=message) as error:
        AudioTagger.from_pretrained(model)
    assert str(path) in str(error.value)


class OtherHead(torch.nn.Linear):
    """A class that is not in the table."""


@pytest.mark.parametrize(
    "name, node, message",
    [
        (
            "classifier",
            "classifier: !new:test_model_folder.OtherHead [24, 5]\n",
            "cannot describe classifier, a .*OtherHead",
        ),
        (
            "compute_features",
            "compute_features: !new:speechbrain.lobes.features.Fbank\n"
            "    n_mels: 40\n",
            "cannot describe compute_features, a .*Fbank",
        ),
        (
            "mean_var_norm",
            "mean_var_norm: !new:speechbrain.processing.features."
            "InputNormalization\n    norm_type: batch\n",
            "cannot describe mean_var_norm, a .*InputNormalization",
        ),
        (
            "labels",
            'labels: [a, b, c, d, "e\\x1b"]\n',
            "control characters",
        ),
    ],
)
def test_unknown_modules_are_written_as_yaml_only(
    recipe, tmp_path, monkeypatch, caplog, name, node, message
):
    monkeypatch.setitem(sys.modules, "test_model_folder", sys.modules[__name__])
    with caplog.at_level(logging.WARNING):
        folder = export(replace_node(recipe, name, node), tmp_path)
    assert re.search(message, caplog.text)
    assert not set(FILES) & set(os.listdir(folder))
    tagger = AudioTagger.from_hparams(source=str(folder))
    assert tagger.tag_batch(torch.randn(1, 16000)).shape == (1, 5)


def test_half_precision_weights_are_read(model):
    path = model / "model.safetensors"
    expected = AudioTagger.from_pretrained(model)
    save_file({k: v.half() for k, v in load_file(path).items()}, path)
    tagger = AudioTagger.from_pretrained(model)
    wavs = torch.randn(2, 16000)
    found = tagger.tag_batch(wavs)
    assert found.dtype == torch.float32
    torch.testing.assert_close(
        found, expected.tag_batch(wavs), rtol=0, atol=0.02
    )
