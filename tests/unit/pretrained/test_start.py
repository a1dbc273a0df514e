"""Tests of initialising encoders from checkpoints.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import logging

import pytest
import torch
from published_forms import FORMS

from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.lobes.models.ATST import ATST
from speechbrain_fftp.lobes.models.AuM import AuM
from speechbrain_fftp.nnet.patching import (
    FFTPEmbedding,
    PatchEmbedding,
    SquarePatchEmbedding,
)
from speechbrain_fftp.nnet.position import resize_positions
from speechbrain_fftp.pretrained import (
    load_ast,
    load_aum,
    square_to_fftp,
    start_from,
)

KINDS = ("weight", "bias")
NOT_BLOCKS = {"embedding.proj.weight", "embedding.proj.bias", "position.table"}


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


def copy_of(encoder):
    return {name: v.clone() for name, v in encoder.state_dict().items()}


def check_taken(encoder, before, source, left=frozenset()):
    """All but some tensors are the source's, and those are as before."""
    for name, tensor in encoder.state_dict().items():
        if name in left:
            assert torch.equal(tensor, before[name]), name
        elif name == "position.table":
            resized = resize_positions(source[name], tensor.shape[1])
            assert torch.equal(tensor, resized)
        else:
            assert torch.equal(tensor, source[name]), name
            assert not torch.equal(tensor, before[name]), name


def full_frequency(square):
    """The tensors of an encoder whose patches of 16 frames are made full."""
    embedding = FFTPEmbedding(128, square.embed_dim, 16, 5)
    state = square_to_fftp(square, embedding).state_dict()
    table = square.position.table.mean(0, keepdim=True)
    return {**state, "position.table": table}


@pytest.mark.parametrize("file", [False, True])
@pytest.mark.parametrize("max_frames", [128, 300])
def test_own_model_of_another_clip_length(exported, file, max_frames, caplog):
    hparams, folder = exported
    encoder = small_ast(FFTPEmbedding(40, 24, 10, 5), max_frames)
    torch.nn.init.normal_(encoder.norm.weight)
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter)
    before = copy_of(encoder)
    source = folder / "embedding_model.ckpt" if file else str(folder)
    with caplog.at_level(logging.INFO):
        names = start_from(encoder, source)
    assert "classifier" in caplog.text  # which is not taken over
    assert sorted(names) == sorted(before)
    trained = hparams["embedding_model"].state_dict()
    check_taken(encoder, before, trained)
    assert encoder.training
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]


STEM = {f"embedding.stem.{i}.{kind}" for i in (0, 2) for kind in KINDS}


SQUARE = SquarePatchEmbedding(128, 64, 16, 10)
WITH_STEM = FFTPEmbedding(128, 64, 25, 10, stem_channels=4)


@pytest.mark.parametrize(
    "trained_with, embedding, left",
    [
        (SQUARE, FFTPEmbedding(128, 64, 25, 5), NOT_BLOCKS),
        (
            SQUARE,
            FFTPEmbedding(128, 64, 25, 6, stem_channels=4),
            NOT_BLOCKS | STEM,
        ),
        (SQUARE, SquarePatchEmbedding(128, 64, 8, 8), NOT_BLOCKS),
        (SQUARE, SquarePatchEmbedding(128, 64, 16, 16), {"position.table"}),
        (SQUARE, SquarePatchEmbedding(128, 64, 16, 10), set()),
        (WITH_STEM, FFTPEmbedding(128, 64, 25, 10, stem_channels=4), set()),
        (
            WITH_STEM,
            FFTPEmbedding(128, 64, 25, 10, stem_channels=5),
            NOT_BLOCKS | STEM,
        ),
        (WITH_STEM, FFTPEmbedding(128, 64, 25, 10), NOT_BLOCKS),
    ],
)
def test_other_patches(tmp_path, trained_with, embedding, left, caplog):
    path = tmp_path / "before.ckpt"
    trained = small_ast(trained_with, 128, 64, 2, 1)
    for parameter in trained.parameters():
        torch.nn.init.normal_(parameter)
    source = copy_of(trained)
    torch.save(source, path)
    encoder = small_ast(embedding, 1000, 64, 2, 1)
    before = copy_of(encoder)
    with caplog.at_level(logging.WARNING):
        names = start_from(encoder, path)
    assert set(names) == set(before) - left
    check_taken(encoder, before, source, left)
    warned = [r.getMessage() for r in caplog.records if r.levelno >= 30]
    assert len(warned) == bool(left)
    for name in left:
        assert name in warned[0] and "before.ckpt" in warned[0]


@pytest.mark.parametrize("name", ["official_d64_t128.pth", "hf_d64_t128"])
def test_published_ast(shared, name):
    path = shared / "fixtures" / "ast" / name
    square = load_ast(path)[0]
    encoder = small_ast(FFTPEmbedding(128, 64, 16, 5), 1000, 64, 2, 1)
    before = copy_of(encoder)
    assert set(start_from(encoder, path)) == set(before)
    check_taken(encoder, before, full_frequency(square))
    other = small_ast(FFTPEmbedding(128, 64), 100, 64, 2, 4)
    with pytest.raises(ValueError, match="num_heads=1.* num_heads=4"):
        start_from(other, path)


@pytest.mark.parametrize("form", ["fobi", "bibi"])
def test_published_aum(shared, form, caplog):
    path = shared / "fixtures" / "aum" / f"{form}_t128.pth"
    square = load_aum(path)[0]
    kwargs = dict(embed_dim=64, depth=2, bidirectional=f"{form[:2]}-bi")
    for embedding, source in (
        (SquarePatchEmbedding(128, 64, 16, 16), square.state_dict()),
        (FFTPEmbedding(128, 64, 16, 5), full_frequency(square)),
    ):
        encoder = AuM(embedding=embedding, max_frames=1024, **kwargs)
        for parameter in encoder.parameters():
            torch.nn.init.normal_(parameter)
        before = copy_of(encoder)
        assert set(start_from(encoder, path)) == set(before)
        check_taken(encoder, before, source)
    kwargs["bidirectional"] = "bi-bi" if form == "fobi" else "fo-bi"
    other = AuM(embedding=embedding, max_frames=1024, **kwargs)
    with pytest.raises(ValueError, match=f"{form}_t128.pth.*conv1d_b"):
        start_from(other, path)


@pytest.mark.parametrize("name", ["ATST-Frame", "Dasheng folder"])
@pytest.mark.parametrize(
    "patch_frames, stride, left",
    [(4, 4, set()), (4, 2, set()), (8, 4, NOT_BLOCKS)],
)
def test_published_full_frequency_models(
    tmp_path, name, patch_frames, stride, left, caplog
):
    """Another stride has interpolated positions."""
    path, _ = FORMS[name].write(tmp_path)
    published, _ = FORMS[name].load(path)
    embedding = FFTPEmbedding(64, 64, patch_frames, stride)
    encoder = ATST(
        depth=1,
        num_heads=1,
        embed_dim=64,
        embedding=embedding,
        max_frames=published.max_frames,
        mlp_ratio=1.5,
        has_bin_norm=name == "Dasheng folder",
        pooling="tokens",
    )
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter)
    before = copy_of(encoder)
    with caplog.at_level(logging.WARNING):
        names = start_from(encoder, path, sample_rate=16000)
    assert set(names) == set(before) - left
    check_taken(encoder, before, copy_of(published), left)
    assert bool(caplog.records) == bool(left)
    assert encoder(torch.randn(2, 90, 64)).isfinite().all()


@pytest.mark.parametrize("stride", [10, 16, [10, 10]])
def test_own_square_model_becomes_full_frequency(tmp_path, stride, caplog):
    """``PatchEmbedding`` has a stride of frames and bins."""
    given = stride if isinstance(stride, list) else [stride, stride]
    square = small_ast(PatchEmbedding(48, 24, (16, 16), given))
    expected = square_to_fftp(square, FFTPEmbedding(48, 24, 10, 5))
    torch.save(square.state_dict(), tmp_path / "embedding_model.ckpt")
    settings = {"num_heads": 2, "embedding": {"stride": stride}}
    config = json.dumps({"embedding_model": settings})
    (tmp_path / "config.json").write_text(config)
    encoder = small_ast(FFTPEmbedding(48, 24, 10, 5))
    assert set(start_from(encoder, tmp_path)) == set(encoder.state_dict())
    found = encoder.state_dict()["embedding.proj.weight"]
    torch.testing.assert_close(found, expected.embedding.proj.weight.data)
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]
    # Another number of mel bins has other rows.
    other = small_ast(FFTPEmbedding(128, 24, 10, 5))
    assert "embedding.proj.weight" not in start_from(other, tmp_path)


@pytest.mark.parametrize("form", ["fo-bi", "bi-bi", False])
def test_own_aum(form, tmp_path):
    embedding = FFTPEmbedding(128, 16, 10, 5)
    trained, encoder = (
        AuM(128, 16, 1, form, embedding, max_frames=n) for n in (100, 200)
    )
    for parameter in trained.parameters():
        torch.nn.init.normal_(parameter)
    source = copy_of(trained)
    torch.save(source, tmp_path / "some.ckpt")
    for parameter in encoder.parameters():
        torch.nn.init.zeros_(parameter)
    before = copy_of(encoder)
    assert start_from(encoder, tmp_path / "some.ckpt") == list(before)
    check_taken(encoder, before, source)


@pytest.mark.parametrize(
    "sizes, message",
    [
        ({"width": 48}, r"cls_tokens is \[2, 24\].* \[2, 48\]"),
        ({"depth": 3}, "missing .*blocks.2"),
        ({"heads": 3}, "num_heads=2.* num_heads=3"),
        ({"sample_rate": 8000}, "sample_rate=16000.* sample_rate=8000"),
        ({"mlp_ratio": 2.0}, r"mlp\.0\.weight is \[96, 24\].* \[48, 24\]"),
    ],
)
def test_other_sizes_are_an_error(exported, sizes, message):
    _, folder = exported
    embedding = FFTPEmbedding(40, sizes.get("width", 24), 10, 5)
    rate = sizes.pop("sample_rate", 16000)
    encoder = small_ast(embedding, **sizes)
    before = copy_of(encoder)
    with pytest.raises(ValueError, match=f"inference: .*{message}"):
        start_from(encoder, folder, rate)
    for name, tensor in encoder.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_wrong_sources(exported, tmp_path):
    ast = small_ast(FFTPEmbedding(40, 24, 10, 5))
    aum = AuM(embed_dim=24, depth=2)
    path, _ = FORMS["AuM fo-bi"].write(tmp_path / "aum")
    with pytest.raises(ValueError, match="Audio Mamba, but the encoder is AST"):
        start_from(ast, path)
    path, _ = FORMS["AST file"].write(tmp_path / "ast")
    with pytest.raises(ValueError, match="AST, but the encoder is AuM"):
        start_from(aum, path)
    path, _ = FORMS["ATST-Frame"].write(tmp_path / "atst")
    with pytest.raises(ValueError, match="ATST-Frame, but the encoder is AST"):
        start_from(ast, path)
    with pytest.raises(ValueError, match="inference: .*missing"):
        start_from(aum, exported[1])
    with pytest.raises(FileNotFoundError, match="nowhere"):
        start_from(ast, tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="config.json"):
        start_from(ast, tmp_path)
    torch.save({"embedding.proj.weight": torch.ones(1)}, tmp_path / "a.ckpt")
    with pytest.raises(ValueError, match="a.ckpt"):
        start_from(ast, tmp_path / "a.ckpt")


def test_a_folder_of_data_alone(exported, tmp_path):
    """What ``fftp-tag import`` writes serves as a start as well."""
    hparams, folder = exported
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    encoder = small_ast(FFTPEmbedding(40, 24, 10, 5))
    before = copy_of(encoder)
    assert sorted(start_from(encoder, tmp_path)) == sorted(before)
    trained = hparams["embedding_model"].state_dict()
    for name, tensor in encoder.state_dict().items():
        assert torch.equal(tensor, trained[name]), name
