"""Tests with hostile files of weights.

Authors
 * The speechbrain_fftp authors 2026
"""

import io
import json
import pickle
import struct
import zipfile

import pytest
import torch
from fuzzing import Touch, damaged, fuzz, refused, sizes

from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.lobes.models.AuM import AuM
from speechbrain_fftp.pretrained import load_ast, load_aum, start_from
from speechbrain_fftp.pretrained.ast import HUGGING_FACE
from speechbrain_fftp.pretrained.tensors import read_tensors

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

AST_SHAPES = {
    "v.cls_token": [1, 1, 64],
    "v.dist_token": [1, 1, 64],
    "v.pos_embed": [1, 2 + 12 * 12, 64],
    "v.patch_embed.proj.weight": [64, 1, 16, 16],
    "v.patch_embed.proj.bias": [64],
    "v.blocks.0.attn.qkv.weight": [192, 64],
    "v.blocks.0.attn.qkv.bias": [192],
    "v.blocks.0.attn.proj.weight": [64, 64],
    "v.blocks.0.attn.proj.bias": [64],
    "v.blocks.0.mlp.fc1.weight": [8, 64],
    "v.blocks.0.mlp.fc1.bias": [8],
    "v.blocks.0.mlp.fc2.weight": [64, 8],
    "v.blocks.0.mlp.fc2.bias": [64],
    "mlp_head.1.weight": [5, 64],
    "mlp_head.1.bias": [5],
}
for norm in ("v.blocks.0.norm1", "v.blocks.0.norm2", "v.norm", "mlp_head.0"):
    AST_SHAPES.update({f"{norm}.weight": [64], f"{norm}.bias": [64]})

MIXER = "layers.0.mixer."
AUM_SHAPES = {
    "cls_token": [1, 1, 24],
    "pos_embed.pos_embed": [1, 1 + 8 * 8, 24],
    "patch_embed.proj.weight": [24, 1, 16, 16],
    "patch_embed.proj.bias": [24],
    "layers.0.norm.weight": [24],
    "norm_f.weight": [24],
    "head.weight": [6, 24],
    "head.bias": [6],
    MIXER + "A_log": [48, 4],
    MIXER + "A_b_log": [48, 4],
    MIXER + "D": [48],
    MIXER + "in_proj.weight": [96, 24],
    MIXER + "x_proj.weight": [10, 48],
    MIXER + "out_proj.weight": [24, 48],
    MIXER + "conv1d.weight": [48, 1, 4],
    MIXER + "conv1d.bias": [48],
    MIXER + "dt_proj.weight": [48, 2],
    MIXER + "dt_proj.bias": [48],
}
LOADERS = {"ast": (load_ast, AST_SHAPES), "aum": (load_aum, AUM_SHAPES)}
CONFIG = {
    "model_type": "audio-spectrogram-transformer",
    "hidden_act": "gelu",
    "qkv_bias": True,
    "hidden_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 1,
    "intermediate_size": 8,
    "max_length": 128,
    "num_mel_bins": 128,
    "patch_size": 16,
    "time_stride": 10,
    "frequency_stride": 10,
    "layer_norm_eps": 1e-12,
}


def saved(obj, **options):
    file = io.BytesIO()
    torch.save(obj, file, **options)
    return file.getvalue()


def zeros(shapes):
    return {name: torch.zeros(shape) for name, shape in shapes.items()}


@pytest.mark.parametrize("kind", LOADERS)
@sizes(250, 10000)
def test_damaged_weights(tmp_path, kind, examples):
    path = tmp_path / "model.pth"
    load, shapes = LOADERS[kind]
    contents = [
        saved(zeros(shapes)),
        saved(zeros(shapes), _use_new_zipfile_serialization=False),
        pickle.dumps(zeros(shapes)),
    ]

    def check(content):
        path.write_bytes(content)
        with refused(path):
            encoder, classifier = load(path)
            for module in (encoder, classifier):
                assert {p.device.type for p in module.parameters()} == {"cpu"}

    path.write_bytes(contents[0])
    load(path)
    fuzz(check, damaged(contents), examples, tmp_path)


def hub_folder(folder, **changes):
    """A Hugging Face folder: a tiny AST whose config may be wrong."""
    from safetensors.torch import save_file

    shapes = {
        "tokens": [1, 1, 64],
        "positions": [1, 2 + 12 * 12, 64],
        "embedding.proj.*": [64, 1, 16, 16],
        "blocks.#.qkv.*": [64, 64],
        "blocks.#.proj.*": [64, 64],
        "blocks.#.mlp.0.*": [8, 64],
        "blocks.#.mlp.3.*": [64, 8],
        "classifier.1.*": [5, 64],
    }
    state = {}
    for new, old in HUGGING_FACE.items():
        shape = shapes.get(new, [64])
        for name in (name.replace("#", "0") for name in old):
            state[name.replace("*", "weight")] = torch.zeros(shape)
            if "*" in name:
                state[name.replace("*", "bias")] = torch.zeros(shape[0])
    folder.mkdir(exist_ok=True)
    save_file(state, folder / "model.safetensors")
    config = json.dumps({**CONFIG, **changes})
    (folder / "config.json").write_text(config, "utf-8")
    return folder


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
@sizes(300, 10000)
def test_damaged_hub_folders(tmp_path, name, examples):
    folder = hub_folder(tmp_path / "hub")
    content = (folder / name).read_bytes()

    def check(content):
        (folder / name).write_bytes(content)
        with refused(folder):
            encoder, _ = load_ast(folder)
            assert encoder.position.table.shape[2] == 64

    load_ast(folder)
    fuzz(check, damaged([content]), examples, tmp_path)


@pytest.mark.parametrize(
    "header",
    [
        2**63,
        2**31,
        0,
        {"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 4]}},
        {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 2**50]}},
        {
            "a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
            "b": {"dtype": "F32", "shape": [1], "data_offsets": [2, 6]},
        },
        {"a": {"dtype": "F99", "shape": [1], "data_offsets": [0, 4]}},
    ],
)
def test_garbled_safetensors(tmp_path, header):
    text, size = b"", header
    if not isinstance(header, int):
        text = json.dumps(header).encode()
        size = len(text)
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", size) + text + bytes(8))
    with pytest.raises(ValueError, match="model.safetensors cannot be read"):
        read_tensors(path)


@pytest.mark.parametrize(
    "changes, message",
    [
        (
            {"hidden_size": 10**9},
            "hidden_size must be .* to 1048576, not 10{9}",
        ),
        ({"hidden_size": 10**6}, r"shape '\[-1, 1000000\]' is invalid"),
        ({"hidden_size": -64}, "hidden_size must be an integer from 1"),
        ({"num_hidden_layers": 10**6}, "27 tensors are too few for an AST"),
        ({"intermediate_size": 10**6}, "(?s)size mismatch"),
        ({"max_length": 10**6}, "146 positions do not fit"),
        ({"num_mel_bins": 10**6}, "146 positions do not fit"),
        ({"num_attention_heads": 10**6}, "embed_dim=64 must be a multiple"),
        ({"patch_size": 10**6}, "taller than the spectrogram"),
        ({"layer_norm_eps": float("nan")}, "layer_norm_eps must be a number"),
        ({"layer_norm_eps": float("inf")}, "layer_norm_eps must be a number"),
    ],
)
def test_absurd_sizes_are_refused_before_they_take_memory(
    tmp_path, changes, message
):
    folder = hub_folder(tmp_path / "hub", **changes)
    with pytest.raises(ValueError, match=message) as error:
        load_ast(folder)
    assert str(folder) in str(error.value)
    assert "alloc" not in str(error.value)


def test_deep_json_is_refused(tmp_path):
    folder = hub_folder(tmp_path / "hub")
    (folder / "config.json").write_text("[" * 200000, "utf-8")
    with pytest.raises(ValueError, match="config.json is not JSON"):
        load_ast(folder)


@pytest.mark.parametrize(
    "kind, changes",
    [
        ("ast", {"v.patch_embed.proj.weight": [64 * 5000, 1, 1, 1]}),
        ("ast", {"v.patch_embed.proj.weight": [64, 16]}),
        ("ast", {"v.pos_embed": [0, 2, 64]}),
        ("ast", {"v.blocks.0.mlp.fc1.bias": [10**6]}),
        ("aum", {"patch_embed.proj.weight": [0, 1, 16, 16]}),
        ("aum", {"pos_embed.pos_embed": [0, 65, 24]}),
        ("aum", {MIXER + "A_log": []}),
        (
            "aum",
            {
                "patch_embed.proj.weight": [10**5, 1, 1, 1],
                MIXER + "A_log": [2 * 10**5, 1],
            },
        ),
    ],
)
def test_absurd_shapes_are_refused(tmp_path, kind, changes):
    load, shapes = LOADERS[kind]
    path = tmp_path / "model.pth"
    torch.save(zeros({**shapes, **changes}), path)
    with pytest.raises(ValueError, match="model.pth: ") as error:
        load(path)
    assert "alloc" not in str(error.value)


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.zeros(1).expand(10**6, 10**6),
        lambda: torch.zeros(1).as_strided([2**40], [0]),
        lambda: torch.empty(10**6, 10**6, device="meta"),
        lambda: torch.empty(2, device="meta"),
        lambda: torch.sparse_coo_tensor(size=(10**6, 10**6)),
    ],
)
def test_small_files_of_enormous_tensors(tmp_path, make):
    path = tmp_path / "model.pth"
    torch.save({"weight": make()}, path)
    assert path.stat().st_size < 10000
    message = "model.pth does not contain all values of 'weight'"
    with pytest.raises(ValueError, match=message):
        read_tensors(path)


def test_zip_bombs(tmp_path):
    """Compressed parts, and parts that claim more than there is."""
    path = tmp_path / "model.pth"
    whole = saved({"weight": torch.zeros(2**22)})
    with zipfile.ZipFile(io.BytesIO(whole)) as source, zipfile.ZipFile(
        path, "w", zipfile.ZIP_DEFLATED
    ) as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    assert path.stat().st_size < 2**16
    with pytest.raises(ValueError, match="model.pth is compressed"):
        read_tensors(path)
    size = (2**24).to_bytes(4, "little")
    for claimed in (2**31, 2**24 + 1):
        path.write_bytes(whole.replace(size, claimed.to_bytes(4, "little")))
        with pytest.raises(ValueError, match="model.pth"):
            read_tensors(path)


@pytest.mark.parametrize(
    "text", ["", "a: 1", "- 1", "{", "\0", "a: *b", "embedding_model: 5"]
)
def test_garbled_settings_beside_weights(tmp_path, text):
    encoder = AST(embed_dim=8, depth=1, num_heads=1)
    torch.save(encoder.state_dict(), tmp_path / "embedding_model.ckpt")
    start_from(encoder, tmp_path)
    (tmp_path / "hyperparams.yaml").write_text(text, "utf-8")
    message = "hyperparams.yaml is not the yaml of a model"
    with pytest.raises(ValueError, match=message):
        start_from(encoder, tmp_path)


@pytest.mark.parametrize("loader", ["encoder", "folder", "ast", "aum"])
def test_pickled_code_is_not_run(tmp_path, loader):
    path, made = tmp_path / "embedding_model.ckpt", tmp_path / "made"
    torch.save({"weight": Touch(made)}, path)
    with pytest.raises(ValueError, match="embedding_model.ckpt cannot be read"):
        if loader in LOADERS:
            LOADERS[loader][0](path)
        else:
            encoder = AuM(embed_dim=8, depth=1, expand=1)
            start_from(encoder, path if loader == "encoder" else tmp_path)
    assert not made.exists()
