"""Tests of initialising encoders from checkpoints.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch
from published_forms import FORMS

from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.lobes.models.AuM import AuM
from speechbrain_fftp.nnet.patching import FFTPEmbedding, SquarePatchEmbedding
from speechbrain_fftp.nnet.position import resize_positions
from speechbrain_fftp.pretrained import (
    load_published,
    square_to_fftp,
    start_from,
)
from speechbrain_fftp.pretrained.encoder import ChunkedTransformer


def small_ast(embedding, max_frames=128, width=24, depth=2, heads=2, **kwargs):
    """An encoder of the size that the fixture ``exported`` has."""
    return AST(
        embedding.n_mels,
        width,
        depth,
        heads,
        embedding,
        max_frames,
        **kwargs,
    )


def check_start(encoder, source, expected):
    """All weights of an encoder become those of another clip length or stride."""
    state = {k: x.clone() for k, x in expected.state_dict().items()}
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter)
    start_from(encoder, source)
    for name, tensor in encoder.state_dict().items():
        if name == "position.table":
            state[name] = resize_positions(state[name], tensor.shape[1])
        torch.testing.assert_close(tensor, state[name])


@pytest.mark.parametrize("file", [False, True])
@pytest.mark.parametrize("max_frames", [128, 300])
def test_inference_folder_of_another_clip_length(exported, file, max_frames):
    hparams, folder = exported
    encoder = small_ast(FFTPEmbedding(40, 24, 10, 5), max_frames)
    source = folder / "embedding_model.ckpt" if file else str(folder)
    check_start(encoder, source, hparams["embedding_model"])
    assert encoder.training


@pytest.mark.parametrize(
    "form", [form for form in FORMS if form.startswith("A") and "-" not in form]
)
def test_published_square_models(form, tmp_path):
    """They start encoders with square patches and with full-frequency ones."""
    path, _ = FORMS[form].write(tmp_path)
    square, _ = load_published(path)
    width = square.embed_dim
    fftp = square_to_fftp(square, FFTPEmbedding(128, width, 16, 5))
    fftp.position.table = torch.nn.Parameter(
        square.position.table.mean(0, keepdim=True)
    )
    for expected in (square, fftp):
        sizes = {"n_mels": 128, "embed_dim": width, "depth": 1}
        if form == "AuM":
            encoder = AuM(
                **sizes,
                embedding=expected.embedding,
                max_frames=512,
                d_state=4,
                d_conv=3,
                expand=3,
            )
        else:
            encoder = AST(
                **sizes,
                num_heads=1,
                embedding=expected.embedding,
                max_frames=512,
                mlp_ratio=1.5,
            )
        check_start(encoder, path, expected)


@pytest.mark.parametrize("name", ["ATST-Frame", "Dasheng folder"])
@pytest.mark.parametrize("stride", [4, 2])
def test_published_full_frequency_models(tmp_path, name, stride):
    path, _ = FORMS[name].write(tmp_path)
    published, _ = load_published(path)
    encoder = ChunkedTransformer(
        n_mels=64,
        embed_dim=64,
        depth=1,
        num_heads=1,
        embedding=FFTPEmbedding(64, 64, 4, stride),
        max_frames=published.max_frames,
        mlp_ratio=1.5,
        has_bin_norm=name == "Dasheng folder",
    )
    check_start(encoder, path, published)


@pytest.mark.parametrize("stride", [10, 16])
def test_trained_square_model_becomes_full_frequency(tmp_path, stride):
    square = small_ast(SquarePatchEmbedding(48, 24, 16, stride))
    torch.save(square.state_dict(), tmp_path / "embedding_model.ckpt")
    embedding = FFTPEmbedding(48, 24, 10, 5)
    expected = square_to_fftp(square, embedding)
    expected.position.table = torch.nn.Parameter(
        square.position.table.mean(0, keepdim=True)
    )
    check_start(small_ast(embedding), tmp_path, expected)


@pytest.mark.parametrize(
    "sizes",
    [{"width": 48}, {"depth": 3}, {"mlp_ratio": 2.0}, {"patch_frames": 20}],
)
def test_other_sizes_are_an_error(exported, sizes):
    _, folder = exported
    frames = sizes.pop("patch_frames", 10)
    embedding = FFTPEmbedding(40, sizes.get("width", 24), frames, 5)
    with pytest.raises(ValueError, match="embedding_model.ckpt"):
        start_from(small_ast(embedding, **sizes), folder)


def test_sizes_that_published_tensors_do_not_show(tmp_path):
    path, _ = FORMS["AST file"].write(tmp_path)
    embedding = FFTPEmbedding(128, 64, 16, 5)
    for heads, rate in ((4, 16000), (1, 8000)):
        encoder = small_ast(embedding, 128, 64, 1, heads, mlp_ratio=1.5)
        with pytest.raises(ValueError, match="model.pth"):
            start_from(encoder, path, sample_rate=rate)


def test_wrong_sources(exported, tmp_path):
    ast = small_ast(FFTPEmbedding(40, 24, 10, 5))
    for form in ("AuM", "ATST-Frame"):
        path, _ = FORMS[form].write(tmp_path / form)
        with pytest.raises(ValueError, match="model.pth"):
            start_from(ast, path)
    with pytest.raises(ValueError, match="embedding_model.ckpt"):
        start_from(AuM(embed_dim=24, depth=2), exported[1])
    with pytest.raises(FileNotFoundError, match="nowhere"):
        start_from(ast, tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="model.safetensors"):
        start_from(ast, tmp_path)
