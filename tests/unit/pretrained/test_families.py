"""The contract of all published families: goldens, and what is refused.

Authors
 * The speechbrain_fftp authors 2026
"""

import os
import random

import numpy as np
import pytest
import torch
from published_forms import FORMS, ast_file, ced_folder

from speechbrain_fftp.pretrained import load_ast, load_aum, load_ced

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
    # Two class tokens, or one, have positions that are added to them.
    merged = {"AST": 2 * 64, "Audio Mamba": 24, "CED": 0}[form.family]
    assert sum(x.numel() for x in tensors.values()) == count - merged
    assert encoder(torch.randn(2, 40, encoder.n_mels)).shape[:2] == (2, 1)


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
    for load in {load_ast, load_aum, load_ced} - {form.load}:
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
        for _ in range(40):
            content = bytearray(whole)
            place = draw.choice([draw.randrange(200), -draw.randrange(1, 200)])
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
    "name, changes, key",
    [
        ("AST folder", {"hidden_act": "relu"}, "hidden_act"),
        ("AST folder", {"qkv_bias": False}, "qkv_bias"),
        ("AST folder", {"model_type": "vit"}, "'vit'"),
        ("AST folder", {"frequency_stride": 0}, "frequency_stride"),
        ("AST folder", {"patch_size": None}, "patch_size"),
        ("AST folder", {"layer_norm_eps": "1e-5"}, "layer_norm_eps"),
        ("AST folder", {"layer_norm_eps": float("nan")}, "layer_norm_eps"),
        ("AST folder", {"hidden_size": 10**9}, "hidden_size"),
        ("AST folder", {"hidden_size": -64}, "hidden_size"),
        ("CED", {"pooling": "token"}, "pooling"),
        ("CED", {"pooling": ["mean"]}, "pooling"),
        ("CED", {"pad_last": None}, "pad_last"),
        ("CED", {"patch_size": 8}, "patch_size"),
        ("CED", {"eval_avg": "max"}, "eval_avg"),
        ("CED", {"depth": "1"}, "depth"),
        ("CED", {"depth": 0}, "depth"),
        ("CED", {"mlp_ratio": 1e300}, "mlp_ratio"),
    ],
)
def test_settings_that_are_not_supported(tmp_path, name, changes, key):
    path, _ = FORMS[name].write(tmp_path, config=changes)
    with pytest.raises(ValueError) as error:
        FORMS[name].load(path)
    assert str(path / "config.json") in str(error.value)
    assert key in str(error.value)


@pytest.mark.parametrize(
    "name, changes",
    [
        ("AST folder", {"hidden_size": HUGE}),
        ("AST folder", {"num_hidden_layers": HUGE}),
        ("AST folder", {"num_hidden_layers": 2}),
        ("AST folder", {"num_attention_heads": 7}),
        ("AST folder", {"intermediate_size": HUGE}),
        ("AST folder", {"max_length": HUGE}),
        ("AST folder", {"max_length": 128.5}),
        ("AST folder", {"num_mel_bins": 64}),
        ("AST folder", {"patch_size": HUGE}),
        ("AST folder", {"patch_size": 15}),
        ("AST folder", {"frequency_stride": 8}),
        ("CED", {"depth": HUGE}),
        ("CED", {"embed_dim": HUGE, "mlp_ratio": HUGE, "n_mels": HUGE}),
        ("CED", {"num_heads": 7}),
        ("CED", {"n_mels": 15}),
        ("CED", {"target_length": HUGE}),
        ("CED", {"mlp_ratio": 1.0}),
    ],
)
def test_sizes_that_do_not_fit_take_no_memory(tmp_path, name, changes):
    path, weights = FORMS[name].write(tmp_path, config=changes)
    with pytest.raises(ValueError) as error:
        FORMS[name].load(path)
    assert str(weights) in str(error.value)
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
    with pytest.raises(ValueError, match="Use the inference folder"):
        load_ast(path)


def test_both_forms_of_ast_are_the_same_model(tmp_path):
    found = []
    for name in ("AST folder", "AST file"):
        encoder, _ = load_ast(FORMS[name].write(tmp_path / name)[0])
        found.append(encoder(torch.ones(1, 128, 128)))
    torch.testing.assert_close(*found)


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
