"""Tests of the data form of inference folders: writing, reading, refusing.

Authors
 * The speechbrain_fftp authors 2026
"""

import copy
import csv
import json
import os
import shutil
import sys

import numpy as np
import pytest
import torch
from hyperpyyaml import load_hyperpyyaml, resolve_references
from safetensors.torch import load_file, save_file

from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain_fftp.inference import AudioTagger
from speechbrain_fftp.inference.folder import (
    FILES,
    export_inference,
    load_folder,
)

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
    stem_channels: 3
"""


CONFIG = {
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


def replace_node(recipe, name, text):
    """Replaces a top-level node of a recipe."""
    lines = recipe.splitlines(keepends=True)
    start = next(i for i, x in enumerate(lines) if x.startswith(f"{name}:"))
    stop = start + 1
    while lines[stop].startswith((" ", "-")):
        stop += 1
    return "".join(lines[:start]) + text + "".join(lines[stop:])


def export(recipe, folder, thresholds=()):
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
        folder / "recipe.yaml",
        hparams["modules"],
        labels,
        folder / "inference",
        thresholds=thresholds,
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
    assert config == CONFIG
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
        ("AST", "fftp"),
        ("AST", "square"),
        ("bi-bi", "square"),
        ("False", "fftp"),
        ("ConvNeXt1d", "stem"),
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
    expected = np.asarray(by_yaml.tag_batch(wavs, lens))
    assert expected.std() > 1e-4
    found = by_data.tag_batch(wavs, lens)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    assert by_data.labels == by_yaml.labels


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
    with pytest.raises(FileNotFoundError, match=name):
        AudioTagger.from_pretrained(model)


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
HUGE = 2**20


@pytest.mark.parametrize(
    "path, value",
    [
        ("sample_rate", None),
        ("max_frames", 0),
        (f"{ENCODER}.class", "os.system"),
        (f"{ENCODER}.depth", HUGE),
        (f"{ENCODER}.embed_dim", 48),
        (f"{PATCHES}.patch_frames", 0),
        ("compute_features.n_mels", HUGE),
        ("mean_var_norm", {"class": "Linear", "in_features": "a"}),
        ("classifier.layers.1.out_features", HUGE),
    ],
)
def test_impossible_settings_are_errors(model, path, value):
    file = model / "config.json"
    config = json.loads(file.read_text("utf-8"))
    change(config, path, value)
    file.write_text(json.dumps(config), "utf-8")
    with pytest.raises(ValueError, match="or export the model again") as error:
        AudioTagger.from_pretrained(model)
    assert str(file) in str(error.value)
    assert "alloc" not in str(error.value)


@pytest.mark.parametrize(
    "name, content",
    [
        ("config.json", b"[" * 10**6),
        ("config.json", b" " * (2**24 + 1)),
        ("labels.csv", b"index,label\n0,\xff\n"),
        ("labels.csv", b"index,label\n"),
        ("labels.csv", b"index,label\n0,a\n1,a\n"),
        ("model.safetensors", b"\xff" * 99),
    ],
)
def test_damaged_files_are_named(model, name, content):
    (model / name).write_bytes(content)
    with pytest.raises(ValueError, match="or export the model again") as error:
        AudioTagger.from_pretrained(model)
    assert str(model / name) in str(error.value)


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


def test_a_folder_of_an_earlier_version(exported, model):
    """Its config.json lacks arguments that were added later."""
    config = copy.deepcopy(CONFIG)
    for path in (
        f"{ENCODER}.pooling",
        f"{ENCODER}.conv_kernel",
        f"{PATCHES}.strides",
        f"{PATCHES}.stem_channels",
        "classifier.layers.0.bias",
    ):
        change(config, path, None)
    config["single_label"] = True
    (model / "config.json").write_text(json.dumps(config), "utf-8")
    modules, hparams = load_folder(model)
    trained, feats = exported[0], torch.randn(2, 100, 40)
    torch.testing.assert_close(
        modules["classifier"](modules["embedding_model"].eval()(feats)),
        trained["classifier"](trained["embedding_model"](feats)),
    )
    assert hparams["single_label"] and hparams["max_frames"] == 128
    assert hparams["label_encoder"].ind2lab[1] == "Bark, dog"


def test_unknown_modules_are_written_as_yaml_only(
    exported, recipe, tmp_path, caplog
):
    node = "compute_features: !new:speechbrain.lobes.features.Fbank\n"
    node += "    n_mels: 40\n"
    limits = [0.1, 0.2, 0.3, 0.4, 0.5]
    rows = [(x, p, 9, 0.5) for x, p in zip(exported[0]["labels"], limits)]
    folder = export(
        replace_node(recipe, "compute_features", node),
        tmp_path,
        thresholds=rows,
    )
    assert "Fbank" in caplog.text
    assert not set(FILES) & set(os.listdir(folder))
    tagger = AudioTagger.from_hparams(source=str(folder))
    np.testing.assert_allclose(tagger.thresholds, limits, rtol=1e-6)


def test_half_precision_weights_are_read(model):
    path = model / "model.safetensors"
    expected = AudioTagger.from_pretrained(model)
    save_file({k: v.half() for k, v in load_file(path).items()}, path)
    tagger = AudioTagger.from_pretrained(model)
    wavs = torch.randn(2, 16000)
    np.testing.assert_allclose(
        tagger.tag_batch(wavs), expected.tag_batch(wavs), rtol=0, atol=0.02
    )
