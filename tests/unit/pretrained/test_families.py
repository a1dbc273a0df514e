"""What all published families have in common, and what is refused.

Authors
 * The speechbrain_fftp authors 2026
"""

import os

import pytest
import torch
from published_forms import FORMS, ast_file, ced_folder, dasheng_file

from speechbrain_fftp.pretrained import load_ast, load_aum, load_published


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_missing_and_unknown_tensors_are_refused(form, tmp_path):
    for name in form.make_tensors():
        tensors = form.make_tensors()
        tensors["extra.bias"] = tensors.pop(name)
        path, _ = form.write(tmp_path, tensors)
        with pytest.raises(ValueError, match=str(path)):
            load_published(path)


def test_another_family_is_named(tmp_path):
    path, _ = FORMS["CED"].write(tmp_path)
    for load in (load_ast, load_aum):
        with pytest.raises(ValueError, match="CED"):
            load(path)


def test_an_unknown_checkpoint_is_an_error_that_names_the_known(tmp_path):
    torch.save({"conv.weight": torch.ones(2)}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match="other.pth.*AST, Audio Mamba, CED"):
        load_published(tmp_path / "other.pth")


class Touch:
    """When it is unpickled, makes a folder."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_pickled_code_is_not_run(tmp_path):
    torch.save({"weight": Touch(tmp_path / "made")}, tmp_path / "model.pth")
    with pytest.raises(ValueError, match="model.pth"):
        load_published(tmp_path / "model.pth")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    "name, changes",
    [
        ("AST folder", {"hidden_act": "relu"}),
        ("AST folder", {"num_hidden_layers": 2}),
        ("AST folder", {"max_length": 1024}),
        ("AST folder", {"frequency_stride": 8}),
        ("CED", {"pooling": "token"}),
        ("CED", {"target_length": 2024}),
    ],
)
def test_settings_that_are_not_those_of_the_tensors(tmp_path, name, changes):
    path, _ = FORMS[name].write(tmp_path, config=changes)
    with pytest.raises(ValueError, match=str(path)):
        load_published(path)


def test_settings_that_tensors_do_not_show(tmp_path):
    changes = {"num_attention_heads": 4, "layer_norm_eps": 0.5}
    path, _ = FORMS["AST folder"].write(tmp_path / "ast", config=changes)
    encoder, classifier = load_ast(path)
    assert encoder.blocks[0].num_heads == 4
    assert encoder.blocks[0].norm1.eps == classifier[0].eps == 0.5
    changes = {"encoder_kwargs": {"num_heads": 4}}
    path, _ = FORMS["Dasheng folder"].write(tmp_path / "dasheng", None, changes)
    assert load_published(path)[0].blocks[0].num_heads == 4


@pytest.mark.parametrize("columns, frames", [(101, 1024), (12, 128), (50, 512)])
def test_the_clip_length_of_ast_is_inferred(tmp_path, columns, frames):
    path, _ = FORMS["AST file"].write(tmp_path, ast_file(2 + 12 * columns))
    assert load_ast(path)[0].max_frames == frames


def test_heads_of_published_models(tmp_path):
    """64 channels each, but for one; names go before the file's settings."""
    for name, heads in (("ced-tiny", 3), ("ced-base", 12)):
        tensors = ced_folder(64 * heads)
        path, _ = FORMS["CED"].write(tmp_path, tensors, {"name": name})
        assert load_published(path)[0].num_heads == heads
    for width, heads in ((128, 2), (1280, 16)):
        path, _ = FORMS["Dasheng file"].write(tmp_path, dasheng_file(width))
        assert load_published(path)[0].num_heads == heads
    path, _ = FORMS["Dasheng file"].write(tmp_path, dasheng_file(96))
    with pytest.raises(ValueError, match="96"):
        load_published(path)


@pytest.mark.parametrize("family", ["AST", "Dasheng"])
def test_both_forms_of_a_family_are_the_same_model(tmp_path, family):
    found = []
    for name in (f"{family} folder", f"{family} file"):
        encoder, _ = load_published(FORMS[name].write(tmp_path / name)[0])
        found.append(encoder(torch.ones(1, 128, encoder.n_mels)))
    torch.testing.assert_close(*found)
