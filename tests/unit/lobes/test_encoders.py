"""What all encoders have in common.

Authors
 * The speechbrain_fftp authors 2026
"""

import inspect

import pytest
import torch

from speechbrain.nnet.containers import LengthsCapableSequential
from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.lobes.models.ATST import ATST
from speechbrain_fftp.lobes.models.AuM import AuM
from speechbrain_fftp.lobes.models.CED import CED
from speechbrain_fftp.lobes.models.ConvNeXt1d import ConvNeXt1d
from speechbrain_fftp.nnet.patching import (
    FFTPEmbedding,
    PatchEmbedding,
    SquarePatchEmbedding,
)
from speechbrain_fftp.nnet.tokens import POOLINGS

SIZES = {"n_mels": 16, "embed_dim": 24, "depth": 2, "max_frames": 60}
EMBEDDINGS = {
    "fftp": lambda: FFTPEmbedding(16, 24, 10, 4),
    "stem": lambda: FFTPEmbedding(16, 24, 9, 4, stem_channels=3),
    "square": lambda: SquarePatchEmbedding(16, 24, 8, 5),
    "wide": lambda: PatchEmbedding(16, 24, patch=(6, 8), stride=(4, 8)),
}
ENCODERS = {
    "AST": (AST, "fftp", {"num_heads": 3}),
    "AST square": (AST, "square", {"num_heads": 3}),
    "AST wide": (AST, "wide", {"num_heads": 3, "pooling": "mean"}),
    "AST local": (
        AST,
        "stem",
        {"num_heads": 3, "pooling": "cls+mean", "conv_kernel": 3},
    ),
    "AuM fo-bi": (AuM, "fftp", {}),
    "AuM fo-bi square": (AuM, "square", {"pooling": "cls+mean"}),
    "AuM bi-bi": (AuM, "square", {"bidirectional": "bi-bi"}),
    "AuM forward": (AuM, "stem", {"bidirectional": False}),
    "ConvNeXt1d": (ConvNeXt1d, "fftp", {"kernel": 3}),
    "ConvNeXt1d mean+std": (
        ConvNeXt1d,
        "stem",
        {"kernel": 3, "pooling": "mean+std"},
    ),
    "CED": (CED, None, {"num_heads": 3, "n_mels": 32}),
    "ATST": (ATST, "fftp", {"num_heads": 3, "pooling": "mean"}),
    "ATST Dasheng": (
        ATST,
        "stem",
        {"num_heads": 3, "pooling": "mean", "has_bin_norm": True},
    ),
}
every_encoder = pytest.mark.parametrize("name", ENCODERS)
# Shorter than a patch, of odd lengths, and longer than max_frames
LENGTHS = (90, 3, 8, 10, 11, 37, 60, 61, 1)


def make_encoder(name, **options):
    """An encoder in float64 whose weights are not small."""
    torch.manual_seed(3)
    cls, embedding, arguments = ENCODERS[name]
    arguments = {**SIZES, **arguments, **options}
    if embedding is not None:
        arguments["embedding"] = EMBEDDINGS[embedding]()
    encoder = cls(**arguments).double().eval()
    for key, parameter in encoder.named_parameters():
        if "A_" not in key:
            torch.nn.init.normal_(parameter, std=0.3)
    return encoder


def random_feats(encoder, *sizes):
    return torch.randn(*sizes, encoder.n_mels, dtype=torch.float64)


def pad(clips, frames, fill):
    feats = clips[0].new_full((len(clips), frames, clips[0].shape[1]), fill)
    for row, clip in zip(feats, clips):
        row[: len(clip)] = clip
    return feats, torch.tensor([len(clip) / frames for clip in clips])


@every_encoder
@pytest.mark.parametrize("fill", [50.0, float("nan")])
@torch.no_grad()
def test_embedding_depends_on_neither_padding_nor_other_clips(name, fill):
    encoder = make_encoder(name)
    clips = [random_feats(encoder, n) for n in LENGTHS]
    alone = torch.cat([encoder(clip[None]) for clip in clips])
    assert alone.shape == (len(clips), 1, 24) and alone.isfinite().all()
    for frames in (90, 333):
        out = encoder(*pad(clips, frames, fill))
        torch.testing.assert_close(out, alone, rtol=0, atol=1e-6)
    out = encoder(*pad(clips[1:4], 40, fill))
    torch.testing.assert_close(out, alone[1:4], rtol=0, atol=1e-6)


@every_encoder
@torch.no_grad()
def test_lengths_arrive_through_containers_of_speechbrain(name):
    encoder = make_encoder(name)
    feats, lengths = random_feats(encoder, 2, 40), torch.tensor([1.0, 0.5])
    expected = encoder(feats, lengths)
    chain = LengthsCapableSequential(torch.nn.Identity(), encoder)
    torch.testing.assert_close(chain(feats, lengths), expected, rtol=0, atol=0)
    former = encoder(feats, wav_lens=lengths)
    torch.testing.assert_close(former, expected, rtol=0, atol=0)


@every_encoder
@torch.no_grad()
def test_without_lengths_all_clips_are_equally_long(name):
    encoder = make_encoder(name)
    feats = random_feats(encoder, 3, 40)
    whole = encoder(feats)
    torch.testing.assert_close(encoder(feats, torch.ones(3)), whole)
    padded = torch.cat([feats, torch.full_like(feats, torch.nan)], 1)
    half = encoder(padded, torch.full((3,), 0.5))
    torch.testing.assert_close(half, whole)
    lens = torch.tensor([1.0, 1.0, 0.5])
    assert (encoder(feats, lens)[2] - whole[2]).abs().max() > 0.01


@every_encoder
@pytest.mark.parametrize("lens", [None, torch.tensor([1.0, 0.4])])
def test_gradient_reaches_every_parameter_and_no_padding(name, lens):
    encoder = make_encoder(name).train()
    feats = random_feats(encoder, 2, 60).requires_grad_()
    out = encoder(feats, lens)
    (out * torch.randn_like(out)).sum().backward()
    for key, parameter in encoder.named_parameters():
        assert parameter.grad.isfinite().all(), key
        assert parameter.grad.any(), key
    assert feats.grad[1, :24].any()
    if lens is not None:
        assert not feats.grad[1, 24:].any()


@every_encoder
@torch.no_grad()
def test_a_state_dict_holds_all_weights(name):
    encoder = make_encoder(name)
    feats = random_feats(encoder, 2, 60)
    torch.manual_seed(4)
    cls, embedding, arguments = ENCODERS[name]
    arguments = {**SIZES, **arguments}
    if embedding is not None:
        arguments["embedding"] = EMBEDDINGS[embedding]()
    other = cls(**arguments).double().eval()
    assert not torch.equal(other(feats), encoder(feats))
    other.load_state_dict(encoder.state_dict())
    assert torch.equal(other(feats), encoder(feats))


@pytest.mark.parametrize("name", ["AST", "AST square", "AuM fo-bi", "ATST"])
@torch.no_grad()
def test_weights_of_another_clip_length_load(name):
    encoder, longer = make_encoder(name), make_encoder(name, max_frames=120)
    longer.load_state_dict(encoder.state_dict())
    old, new = encoder.position.table, longer.position.table
    assert new.shape[1] == longer.embedding.time_patches(120) > old.shape[1]
    torch.testing.assert_close(new[:, [0, -1]], old[:, [0, -1]])


@pytest.mark.parametrize("name", ["AST", "ConvNeXt1d", "CED", "ATST"])
def test_dropout_acts_in_train_mode_only(name):
    encoder, plain = make_encoder(name, dropout=0.5), make_encoder(name)
    feats = random_feats(encoder, 2, 60)
    torch.testing.assert_close(encoder(feats), plain(feats))
    encoder.train()
    assert (encoder(feats) - encoder(feats)).abs().max() > 1e-2


@pytest.mark.parametrize(
    "name", [name for name in ENCODERS if name.startswith(("AST", "AuM"))]
)
@torch.no_grad()
def test_pooled_tokens_are_each_clips_own_in_the_order_of_time(name):
    encoders = {p: make_encoder(name, pooling=p) for p in POOLINGS}
    encoder = encoders["tokens"]
    feats, lens = random_feats(encoder, 2, 60), torch.tensor([1.0, 0.5])
    pooled = {p: e(feats, lens) for p, e in encoders.items()}
    both = (pooled["cls"] + pooled["mean"]) / 2
    torch.testing.assert_close(pooled["cls+mean"], both)
    outputs = []
    encoder.blocks[-1].register_forward_hook(
        lambda module, inputs, output: outputs.append(output)
    )
    rows = encoder.embedding.freq_patches
    for i, clip in enumerate((feats[:1], feats[1:, :30])):
        tokens = encoder(clip)[0]
        count = encoder.embedding.time_patches(clip.shape[1])
        assert len(tokens) == count
        assert rows * count == encoder.embedding.num_patches(clip.shape[1])
        padded = pooled["tokens"][i]
        torch.testing.assert_close(padded[:count], tokens)
        assert not padded[count:].any()
        torch.testing.assert_close(tokens.mean(0), pooled["mean"][i, 0])
        # The last block's output without class tokens
        last = outputs[-1][0]
        if isinstance(encoder, AST):
            last = last[2:]
        else:
            middle = rows * count // (2 if encoder.bidirectional else 1)
            last = torch.cat([last[:middle], last[middle + 1 :]])
        expected = encoder.norm(last.view(rows, count, -1)).mean(0)
        torch.testing.assert_close(tokens, expected)


@pytest.mark.parametrize(
    "make, named",
    [
        (lambda: AST(embed_dim=50, num_heads=4), "num_heads=4"),
        (lambda: AST(depth=1, max_frames=24), "max_frames=24"),
        (lambda: CED(depth=1, n_mels=15), "n_mels=15"),
        (lambda: ATST(depth=1, max_frames=3), "max_frames=3"),
        (lambda: ATST(16, 24, 1, 3, EMBEDDINGS["square"]()), "16 mel bins"),
        (lambda: AST(20, 24, 1, 3, EMBEDDINGS["fftp"]()), "n_mels=16"),
        (lambda: AuM(16, 48, 1, "fo-bi", EMBEDDINGS["fftp"]()), "embed_dim=24"),
        (lambda: AuM(depth=1, bidirectional="both"), "'both'"),
        (lambda: AST(depth=1, pooling="max"), "pooling='max'"),
        (lambda: ConvNeXt1d(depth=1, pooling="cls"), "pooling='cls'"),
        (lambda: ConvNeXt1d(depth=1, kernel=4), "4"),
        (
            lambda: AST(16, 24, 1, 3, EMBEDDINGS["square"](), conv_kernel=3),
            "conv_kernel=3",
        ),
        (lambda: ConvNeXt1d(16, 24, 1, EMBEDDINGS["square"]()), "16 mel bins"),
    ],
)
def test_arguments_that_do_not_fit_are_an_error(make, named):
    with pytest.raises(ValueError, match=named):
        make()


@every_encoder
def test_arguments_are_attributes(name):
    """So that config.json can describe an encoder."""
    cls, _, arguments = ENCODERS[name]
    encoder = make_encoder(name)
    for key, parameter in inspect.signature(cls).parameters.items():
        if key != "embedding":
            expected = {**SIZES, **arguments}.get(key, parameter.default)
            assert getattr(encoder, key) == expected
