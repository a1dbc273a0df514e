"""The contract of all published families: goldens, and what is refused.

Authors
 * The speechbrain_fftp authors 2026
"""

import os
import random

import numpy as np
import pytest
import torch
from published_forms import (
    DASHENG_CONFIG,
    FORMS,
    ast_file,
    ced_folder,
    dasheng_file,
    random_tensors,
)

from speechbrain_fftp.pretrained import (
    load_ast,
    load_atst,
    load_aum,
    load_ced,
    load_dasheng,
)

forms = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
HUGE = 2**20

# File and the largest difference of the logits, which are of order 1
GOLDENS = {
    "ast/hf_tiny": 2e-6,
    "ast/hf_d128": 2e-6,
    "ast/hf_d64_t128": 2e-6,
    "ast/official_d128_module.pth": 2e-6,
    "ast/official_d64_t128.pth": 2e-6,
    "aum/fobi_t1024.pth": 1e-5,
    "aum/fobi_t128.pth": 1e-5,
    "aum/bibi_t1024.pth": 1e-5,
    "aum/bibi_t128.pth": 1e-5,
}


@pytest.mark.parametrize("name", GOLDENS)
def test_logits_are_those_of_the_reference(shared, name):
    path = shared / "fixtures" / name
    load = load_ast if name.startswith("ast") else load_aum
    encoder, classifier = load(str(path))
    for module in (encoder, classifier):
        assert not any(part.training for part in module.modules())
        assert {p.dtype for p in module.parameters()} == {torch.float32}
    arrays = np.load(path.with_name(path.stem + "_io.npz"))
    assert encoder.max_frames == arrays["input"].shape[1]
    with torch.no_grad():
        logits = classifier(encoder(torch.from_numpy(arrays["input"])))
    np.testing.assert_allclose(
        logits[:, 0], arrays["logits"], rtol=0, atol=GOLDENS[name]
    )


@forms
def test_every_tensor_is_used(form, tmp_path):
    path, _ = form.write(tmp_path)
    encoder, classifier = form.load(path)
    tensors = {**encoder.state_dict(), **classifier.state_dict()}
    count = sum(x.numel() for x in form.make_tensors().values())
    # Two class tokens, or one, have positions that are added to them. ATST has
    # a position of none, but no biases of queries, keys and values. Dasheng
    # has a position for all tokens.
    merged = {
        "AST": 2 * 64,
        "Audio Mamba": 24,
        "CED": 0,
        "ATST-Frame": 64 - 3 * 64,
        "Dasheng": 64,
    }
    found = sum(x.numel() for x in tensors.values())
    assert found == count - merged[form.family]
    n_tokens = 10 if form.family == "ATST-Frame" else 1
    feats = torch.randn(2, 40, encoder.n_mels)
    assert encoder(feats).shape[:2] == (2, n_tokens)


@forms
def test_missing_and_unknown_tensors_are_refused(form, tmp_path):
    for name in form.make_tensors():
        tensors = form.make_tensors()
        tensors["extra.bias"] = tensors.pop(name)
        path, weights = form.write(tmp_path, tensors)
        with pytest.raises(ValueError) as error:
            form.load(path)
        assert str(weights) in str(error.value)


@forms
def test_tensors_of_other_shapes_are_refused(form, tmp_path):
    for name, tensor in form.make_tensors().items():
        longer = [2, *tensor.shape[1:]]
        if tensor.dim() and tensor.shape[0] > 1:
            longer[0] = tensor.shape[0] + 1
        for shape in (longer, [0], [10**5, 1, 1, 1]):
            tensors = {**form.make_tensors(), name: torch.zeros(shape)}
            path, weights = form.write(tmp_path, tensors)
            with pytest.raises(ValueError) as error:
                form.load(path)
            assert str(weights) in str(error.value)
            assert "alloc" not in str(error.value)


@forms
def test_the_family_is_named_if_another_is_asked_for(form, tmp_path):
    path, _ = form.write(tmp_path)
    every = {load_ast, load_atst, load_aum, load_ced, load_dasheng}
    for load in every - {form.load}:
        with pytest.raises(ValueError, match=f"of the family {form.family}"):
            load(path)


class Touch:
    """When it is unpickled, makes a folder."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@forms
def test_pickled_code_is_not_run(form, tmp_path):
    path, weights = form.write(tmp_path / "model")
    made = tmp_path / "made"
    torch.save({"weight": Touch(made)}, weights)
    with pytest.raises(ValueError, match="cannot be read"):
        form.load(path)
    assert not made.exists()


@forms
def test_damaged_files_load_or_are_named(form, tmp_path):
    path, weights = form.write(tmp_path)
    files = [weights]
    if form.config:
        files.append(path / "config.json")
    draw = random.Random(0)
    for file in files:
        whole = file.read_bytes()
        ends = min(200, len(whole))
        for _ in range(40):
            content = bytearray(whole)
            place = draw.choice(
                [draw.randrange(ends), -draw.randrange(1, ends)]
            )
            content[place] = draw.randrange(256)
            if draw.random() < 0.2:
                del content[place:]
            file.write_bytes(content)
            try:
                form.load(path)
            except ValueError as error:
                assert str(tmp_path) in str(error)
        file.write_bytes(whole)
    weights.unlink()
    with pytest.raises(FileNotFoundError, match=weights.name):
        form.load(path)


@pytest.mark.parametrize(
    "name, changes, named",
    [
        ("AST folder", {"hidden_act": "relu"}, "hidden_act"),
        ("AST folder", {"model_type": "vit"}, "'vit'"),
        ("AST folder", {"frequency_stride": 0}, "frequency_stride"),
        ("AST folder", {"patch_size": None}, "patch_size"),
        ("AST folder", {"layer_norm_eps": float("nan")}, "layer_norm_eps"),
        ("AST folder", {"hidden_size": -64}, "hidden_size"),
        ("CED", {"pooling": ["mean"]}, "pooling"),
        ("CED", {"depth": "1"}, "depth"),
        ("CED", {"mlp_ratio": 1e300}, "mlp_ratio"),
        ("Dasheng folder", {"encoder_kwargs": [1]}, "encoder_kwargs"),
        # Sizes of which the tensors are not, and which take no memory
        ("AST folder", {"hidden_size": HUGE}, "model.safetensors"),
        ("AST folder", {"num_hidden_layers": HUGE}, "model.safetensors"),
        ("AST folder", {"num_attention_heads": 7}, "model.safetensors"),
        ("AST folder", {"max_length": HUGE}, "model.safetensors"),
        ("AST folder", {"max_length": 128.5}, "model.safetensors"),
        ("AST folder", {"num_mel_bins": 64}, "model.safetensors"),
        ("AST folder", {"patch_size": 15}, "model.safetensors"),
        ("AST folder", {"frequency_stride": 8}, "model.safetensors"),
        ("CED", {"depth": HUGE}, "model.safetensors"),
        ("CED", {"embed_dim": HUGE, "mlp_ratio": HUGE}, "model.safetensors"),
        ("CED", {"num_heads": 7}, "model.safetensors"),
        ("CED", {"mlp_ratio": 1.0}, "model.safetensors"),
    ],
)
def test_impossible_settings_are_refused(tmp_path, name, changes, named):
    path, _ = FORMS[name].write(tmp_path, config=changes)
    with pytest.raises(ValueError) as error:
        FORMS[name].load(path)
    assert str(path) in str(error.value) and named in str(error.value)
    assert "alloc" not in str(error.value)


def test_config_is_the_authority(tmp_path):
    changes = {"num_attention_heads": 4, "layer_norm_eps": 0.5}
    path, _ = FORMS["AST folder"].write(tmp_path, config=changes)
    encoder, classifier = load_ast(path)
    assert encoder.blocks[0].num_heads == 4
    assert encoder.blocks[0].norm1.eps == classifier[0].eps == 0.5


def test_a_padded_export_is_refused_with_the_remedy(tmp_path):
    """Of a clip, most frames would not be seen."""
    tensors = FORMS["AST folder"].make_tensors()
    (name,) = (x for x in tensors if x.endswith("projection.weight"))
    tensors[name] = torch.zeros(64, 1, 128, 128)
    path, _ = FORMS["AST folder"].write(tmp_path, tensors, {"patch_size": 128})
    with pytest.raises(ValueError, match="positions"):
        load_ast(path)


@pytest.mark.parametrize("columns, frames", [(101, 1024), (12, 128), (50, 512)])
def test_the_clip_length_of_ast_is_inferred(tmp_path, columns, frames):
    tensors = ast_file(2 + 12 * columns)
    tensors["v.head.weight"] = torch.zeros(7, 64)  # saved but never used
    path, _ = FORMS["AST file"].write(tmp_path, tensors)
    assert load_ast(path)[0].max_frames == frames


@pytest.mark.parametrize("name, heads", [("ced-tiny", 3), ("ced-base", 12)])
def test_names_of_published_ceds_fix_width_and_heads(tmp_path, name, heads):
    """The file's own sizes are those of another model."""
    form = FORMS["CED"]
    path, _ = form.write(tmp_path, ced_folder(64 * heads), {"name": name})
    encoder, _ = load_ced(path)
    assert (encoder.embed_dim, encoder.num_heads) == (64 * heads, heads)
    assert encoder.bin_norm.num_batches_tracked.item() == 7
    form.write(tmp_path, ced_folder(64), {"name": name})
    with pytest.raises(ValueError, match="size mismatch"):
        load_ced(path)


def write_dasheng(folder, name, settings):
    """Either form of Dasheng with these settings; its path and its weights."""
    form = FORMS[name]
    settings = {**DASHENG_CONFIG["encoder_kwargs"], **settings}
    if form.config:
        return form.write(folder, config={"encoder_kwargs": settings})
    path, _ = form.write(folder)
    torch.save({"model": form.make_tensors(), "config": settings}, path)
    return path, path


dashengs = pytest.mark.parametrize("name", ["Dasheng folder", "Dasheng file"])


@dashengs
def test_dasheng_has_the_heads_of_its_settings(tmp_path, name):
    path, _ = write_dasheng(tmp_path, name, {"num_heads": 4})
    assert load_dasheng(path)[0].num_heads == 4
    path, _ = write_dasheng(tmp_path, name, {"patch_size": (64, 4)})
    assert load_dasheng(path)[0].num_heads == 1


def test_heads_of_a_dasheng_that_states_none(tmp_path):
    """They have 64 channels, but for the published width of 1280."""
    for width, heads in ((64, 1), (128, 2), (1280, 16)):
        path, _ = FORMS["Dasheng file"].write(tmp_path, dasheng_file(width))
        assert load_dasheng(path)[0].num_heads == heads


@dashengs
@pytest.mark.parametrize(
    "key, value",
    [
        ("num_heads", 7),
        ("num_heads", "1"),
        ("depth", HUGE),
        ("embed_dim", 128),
        ("mlp_ratio", 4.0),
        ("target_length", HUGE),
        ("patch_size", [64, 8]),
        ("patch_stride", 4),
        ("qkv_bias", False),
    ],
)
def test_settings_that_contradict_the_tensors(tmp_path, name, key, value):
    path, weights = write_dasheng(tmp_path, name, {key: value})
    with pytest.raises(ValueError) as error:
        load_dasheng(path)
    assert str(weights) in str(error.value)
    assert key in str(error.value)


@pytest.mark.parametrize("family", ["AST", "Dasheng"])
def test_both_forms_of_a_family_are_the_same_model(tmp_path, family):
    found = []
    for name in (f"{family} folder", f"{family} file"):
        encoder, _ = FORMS[name].load(FORMS[name].write(tmp_path / name)[0])
        found.append(encoder(torch.ones(1, 128, encoder.n_mels)))
    torch.testing.assert_close(*found)


def test_tensors_that_inference_does_not_need(tmp_path):
    extra = {
        "ATST-Frame": {
            "model.atst.mask_embed": [1, 1, 64],
            "model.atst_mel.mel_transform.spectrogram.window": [1024],
            "model.atst_mel.mel_transform.mel_scale.fb": [513, 64],
            "weak_head.weight": [5, 64],
            "weak_head.bias": [5],
        },
        "Dasheng file": {
            "front_end.0.spectrogram.window": [512],
            "front_end.0.mel_scale.fb": [257, 64],
        },
    }
    for name, shapes in extra.items():
        form = FORMS[name]
        tensors = form.make_tensors()
        encoder, _ = form.load(form.write(tmp_path, tensors)[0])
        path, _ = form.write(
            tmp_path, {**random_tensors(shapes, {}), **tensors}
        )
        same, _ = form.load(path)
        for key, tensor in encoder.state_dict().items():
            assert torch.equal(tensor, same.state_dict()[key])


def test_atst_of_another_width_is_refused(tmp_path):
    tensors = FORMS["ATST-Frame"].make_tensors()
    name = "model.atst.patch_embed.patch_embed.weight"
    tensors[name] = torch.zeros(96, 256)
    path, _ = FORMS["ATST-Frame"].write(tmp_path, tensors)
    with pytest.raises(ValueError, match="width 96 is not a multiple of 64"):
        load_atst(path)
