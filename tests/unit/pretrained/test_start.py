"""Tests of initialising encoders from checkpoints.

Authors
 * The speechbrain_fftp authors 2026
"""

import copy

import pytest
import torch

from fftp_tag.errors import InputError
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
    load_ast,
    load_aum,
    square_to_fftp,
    start_from,
)


def small_ast(embedding, max_frames=128, depth=2, heads=2):
    """A small encoder."""
    return AST(
        n_mels=embedding.n_mels,
        embed_dim=embedding.embed_dim,
        depth=depth,
        num_heads=heads,
        embedding=embedding,
        max_frames=max_frames,
    )


def fftp(n_mels=40, embed_dim=24, patch_frames=10, stride=5):
    return FFTPEmbedding(n_mels, embed_dim, patch_frames, stride)


def save(encoder, folder):
    """Writes an inference folder as training does; returns its weights."""
    (folder / "hyperparams.yaml").write_text(
        "modules:\n  embedding_model: !new:a.AST\n    embedding: !new:a.B\n"
        f"      stride: [{encoder.embedding.stride_frames}, 1]\n"
    )
    torch.save(encoder.state_dict(), folder / "embedding_model.ckpt")
    return folder / "embedding_model.ckpt"


def check_start(encoder, source, expected):
    """All weights of an encoder become those of another clip length."""
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter)
    report = start_from(encoder, source)
    count = sum(weights.numel() for weights in encoder.parameters())
    assert str(source) in report and f"{count / 1e6:.1f} M weights" in report
    state = expected.state_dict()
    for name, tensor in encoder.state_dict().items():
        if name == "position.table":
            state[name] = resize_positions(state[name], tensor.shape[1])
        torch.testing.assert_close(tensor, state[name])


def test_inference_folder_or_its_weights(tmp_path):
    trained = small_ast(fftp())
    path = save(trained, tmp_path)
    check_start(small_ast(fftp()), path, trained)
    for max_frames in (48, 300):
        encoder = small_ast(fftp(), max_frames)
        check_start(encoder, str(tmp_path), trained)


@pytest.mark.parametrize(
    "stride", ["stride_frames: 5", "stride: [5, 1]", "stride: 5"]
)
def test_positions_of_another_stride_are_interpolated(stride, tmp_path):
    """The yaml of the folder tells the stride."""
    trained = small_ast(fftp(), max_frames=105)
    path = save(trained, tmp_path).with_name("hyperparams.yaml")
    path.write_text(path.read_text().replace("stride: [5, 1]", stride))
    encoder = small_ast(fftp(stride=10), max_frames=85)
    start_from(encoder, tmp_path)
    pairs = trained.position.table[:, :16].unflatten(1, (8, 2)).mean(2)
    torch.testing.assert_close(encoder.position.table, pairs)


def test_published_models(form, published):
    """Square patches become full-frequency ones where the encoder has those."""
    path = published(form)
    load = load_aum if form == "Audio Mamba" else load_ast
    expected, _ = load(path)
    check_start(copy.deepcopy(expected), path, expected)
    if expected.embedding.freq_patches > 1:
        embedding = fftp(expected.n_mels, expected.embed_dim, 16)
        expected = square_to_fftp(expected, embedding)
        check_start(copy.deepcopy(expected), path, expected)


@pytest.mark.parametrize(
    "embedding, encoder, named",
    [
        (fftp(), small_ast(fftp(embed_dim=48)), "embed_dim 24 instead of 48"),
        (fftp(), small_ast(fftp(patch_frames=20)), "patch 400 instead of 800"),
        (fftp(), small_ast(fftp(), depth=3), "depth 2 instead of 3"),
        (fftp(), AuM(40, 24, 2, embedding=fftp()), "AuM .*mixer"),
        # Square patches of other mel bins, and others
        (
            SquarePatchEmbedding(48, 24, 16, 16),
            small_ast(fftp(64)),
            "n_mels 64",
        ),
        (PatchEmbedding(48, 24, (8, 16), (8, 16)), small_ast(fftp(48)), "128"),
    ],
)
def test_other_sizes_are_named_in_one_line(embedding, encoder, named, tmp_path):
    save(small_ast(embedding), tmp_path)
    with pytest.raises(InputError, match=named) as caught:
        start_from(encoder, tmp_path)
    message = str(caught.value)
    assert str(tmp_path) in message and "\n" not in message
    assert ("depth" in message) == ("depth" in named)  # not what agrees


def test_what_tensors_do_not_show(published, tmp_path):
    path = published("AST file")
    for source, heads, rate, named in (
        (path, 4, 16000, f"{path}.*num_heads 1 instead of 4"),
        (path, 1, 8000, f"{path}.*sample_rate 16000 instead of 8000"),
        (tmp_path / "nowhere", 1, 16000, "nowhere"),
        (tmp_path, 1, 16000, "model.s"),
    ):
        encoder = small_ast(fftp(128, 64), heads=heads)
        with pytest.raises(InputError, match=named):
            start_from(encoder, source, sample_rate=rate)


@pytest.mark.parametrize("look_ahead, other", [(None, 4), (4, 0), (2, 7)])
def test_kernels_keep_their_tokens_with_another_look_ahead(
    look_ahead, other, tmp_path
):
    """Both hear the same, of weights that both reach."""
    first, second = (
        ConvNeXt1d(40, 24, 3, fftp(), kernel=7, look_ahead=x).eval()
        for x in (look_ahead, other)
    )
    save(first, tmp_path)
    with open(tmp_path / "hyperparams.yaml", "a") as file:
        file.write(
            f"    look_ahead: {'null' if look_ahead is None else look_ahead}\n"
        )
    for one, two in zip(first.blocks, second.blocks, strict=True):
        size = one.conv.kernel_size[0]
        ahead = [size - 1 - x.conv.padding[0] for x in (one, two)]
        offsets = torch.arange(size) - one.conv.padding[0]
        reached = offsets.abs() <= min(*ahead, size - 1 - max(ahead))
        one.conv.weight.data *= reached
        assert reached.any()
    torch.save(first.state_dict(), tmp_path / "embedding_model.ckpt")
    report = start_from(second, tmp_path)
    assert f"{other} tokens ahead, not {first.look_ahead}" in report
    feats = torch.randn(2, 300, 40)
    torch.testing.assert_close(second(feats), first(feats))
