"""Tests of initialising encoders from checkpoints.

Authors
 * The speechbrain_fftp authors 2026
"""

import copy

import pytest
import torch
from published_forms import FORMS

from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.lobes.models.AuM import AuM
from speechbrain_fftp.lobes.models.ConvNeXt1d import ConvNeXt1d
from speechbrain_fftp.nnet.patching import (
    FFTPEmbedding,
    PatchEmbedding,
    SquarePatchEmbedding,
)
from speechbrain_fftp.nnet.position import resize_positions
from speechbrain_fftp.pretrained import (
    load_published,
    square_to_fftp,
    start_from,
)


def small_ast(embedding, max_frames=128, depth=2, heads=2, mlp_ratio=4.0):
    """A small encoder."""
    return AST(
        n_mels=embedding.n_mels,
        embed_dim=embedding.embed_dim,
        depth=depth,
        num_heads=heads,
        embedding=embedding,
        max_frames=max_frames,
        mlp_ratio=mlp_ratio,
    )


def check_start(encoder, source, expected):
    """All weights of an encoder become those of another clip length."""
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter)
    start_from(encoder, source)
    state = expected.state_dict()
    for name, tensor in encoder.state_dict().items():
        if name == "position.table":
            state[name] = resize_positions(state[name], tensor.shape[1])
        torch.testing.assert_close(tensor, state[name])


@pytest.mark.parametrize("file", [False, True])
@pytest.mark.parametrize("max_frames", [128, 300])
def test_inference_folder_of_another_clip_length(tmp_path, file, max_frames):
    trained = small_ast(FFTPEmbedding(40, 24, 10, 5))
    path = tmp_path / "embedding_model.ckpt"
    torch.save(trained.state_dict(), path)
    encoder = small_ast(FFTPEmbedding(40, 24, 10, 5), max_frames)
    check_start(encoder, path if file else str(tmp_path), trained)


@pytest.mark.parametrize("form", FORMS)
def test_published_models(form, tmp_path):
    """Square patches become full-frequency ones where the encoder has those."""
    path, _ = FORMS[form].write(tmp_path)
    published, _ = load_published(path)
    check_start(copy.deepcopy(published), path, published)
    if published.embedding.freq_patches > 1:
        embedding = FFTPEmbedding(published.n_mels, published.embed_dim, 16, 5)
        expected = square_to_fftp(published, embedding)
        check_start(copy.deepcopy(expected), path, expected)


@pytest.mark.parametrize("stride", [10, 16])
def test_trained_square_model_becomes_full_frequency(tmp_path, stride):
    square = small_ast(SquarePatchEmbedding(48, 24, 16, stride))
    torch.save(square.state_dict(), tmp_path / "embedding_model.ckpt")
    expected = square_to_fftp(square, FFTPEmbedding(48, 24, 10, 5))
    check_start(copy.deepcopy(expected), tmp_path, expected)


@pytest.mark.parametrize(
    "patch, n_mels, named", [((16, 16), 64, "n_mels 64"), ((8, 16), 48, "128")]
)
def test_patches_that_cannot_become_full_frequency(
    tmp_path, patch, n_mels, named
):
    """Of other mel bins, or not square: the file does not tell their sizes."""
    trained = small_ast(PatchEmbedding(48, 24, patch, patch))
    torch.save(trained.state_dict(), tmp_path / "embedding_model.ckpt")
    with pytest.raises(SystemExit, match=named):
        start_from(small_ast(FFTPEmbedding(n_mels, 24, 10, 5)), tmp_path)


@pytest.mark.parametrize(
    "encoder, named",
    [
        (small_ast(FFTPEmbedding(40, 48, 10, 5)), "embed_dim 24 instead of 48"),
        (small_ast(FFTPEmbedding(40, 24, 20, 5)), "patch 400 instead of 800"),
        (small_ast(FFTPEmbedding(40, 24, 10, 5), depth=3), "depth 2"),
        (small_ast(FFTPEmbedding(40, 24, 10, 5), mlp_ratio=2), "mlp.0.weight"),
        (AuM(embed_dim=24, depth=2), "lacks .*mixer"),
        (ConvNeXt1d(40, 24, 2, pooling="mean+std"), "statistics"),
    ],
    ids=["width", "patch", "depth", "MLP", "family", "pooling"],
)
def test_other_sizes_are_named_in_one_line(tmp_path, encoder, named):
    """Not those that agree."""
    trained = small_ast(FFTPEmbedding(40, 24, 10, 5))
    torch.save(trained.state_dict(), tmp_path / "embedding_model.ckpt")
    with pytest.raises(SystemExit, match=named) as caught:
        start_from(encoder, tmp_path)
    message = str(caught.value)
    assert str(tmp_path) in message and "\n" not in message
    assert ("depth" in message) == ("depth" in named)


@pytest.mark.parametrize(
    "heads, rate, named", [(4, 16000, "num_heads"), (1, 8000, "sample_rate")]
)
def test_sizes_that_published_tensors_do_not_show(tmp_path, heads, rate, named):
    path, _ = FORMS["AST file"].write(tmp_path)
    embedding = FFTPEmbedding(128, 64, 16, 5)
    encoder = small_ast(embedding, depth=1, heads=heads, mlp_ratio=1.5)
    with pytest.raises(SystemExit, match=f"model.pth.*{named}"):
        start_from(encoder, path, sample_rate=rate)


def test_missing_sources(tmp_path):
    encoder = small_ast(FFTPEmbedding(40, 24, 10, 5))
    with pytest.raises(SystemExit, match="nowhere"):
        start_from(encoder, tmp_path / "nowhere")
    with pytest.raises(SystemExit, match="model.safetensors"):
        start_from(encoder, tmp_path)
