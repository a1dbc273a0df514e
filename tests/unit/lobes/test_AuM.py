"""Tests of Audio Mamba.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch

from speechbrain_fftp.lobes.models.AuM import AuM
from speechbrain_fftp.nnet.patching import FFTPEmbedding, SquarePatchEmbedding

EMBEDDINGS = {
    "fftp": lambda: FFTPEmbedding(16, 24, 10, 4),
    "stem": lambda: FFTPEmbedding(16, 24, 9, 4, stem_channels=3),
    "square": lambda: SquarePatchEmbedding(16, 24, 8, 8),
}


@pytest.fixture(autouse=True)
def float64():
    """Sums in float32 differ from CPU to CPU."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def make_encoder(kind, form="fo-bi", depth=2, **kwargs):
    """An encoder for up to 60 frames whose weights are not small."""
    torch.manual_seed(3)
    encoder = AuM(
        n_mels=16,
        embed_dim=24,
        depth=depth,
        bidirectional=form,
        embedding=EMBEDDINGS[kind](),
        max_frames=60,
        **kwargs,
    ).eval()
    for name, parameter in encoder.named_parameters():
        if "A_" not in name:
            torch.nn.init.normal_(parameter, std=0.3)
    return encoder


def pad(clips, frames, fill):
    feats = torch.full((len(clips), frames, 16), fill)
    for row, clip in zip(feats, clips):
        row[: len(clip)] = clip
    return feats, torch.tensor([len(clip) / frames for clip in clips])


@pytest.mark.parametrize("kind", EMBEDDINGS)
@pytest.mark.parametrize("form, place", [("fo-bi", 0.5), (False, 1.0)])
def test_class_token_among_the_valid_tokens(monkeypatch, kind, form, place):
    encoder = make_encoder(kind, form, depth=1)
    seen = []
    block = encoder.blocks[0]
    monkeypatch.setattr(
        block, "forward", lambda x, lengths: seen.append((x, lengths)) or x
    )
    clips = [torch.randn(n, 16) for n in (60, 27, 4)]
    encoder(*pad(clips, 60, 0.0))
    batch, lengths = seen.pop()
    for row, clip, length in zip(batch, clips, lengths):
        encoder(clip[None])
        (alone,), no_lengths = seen.pop()
        assert no_lengths is None
        n_tokens = encoder.embedding.num_patches(len(clip))
        assert len(alone) == n_tokens + 1 == length
        middle = int(n_tokens * place)
        torch.testing.assert_close(alone[middle], encoder.cls_token)
        torch.testing.assert_close(row[: len(alone)], alone)


@pytest.mark.parametrize("kind", ["fftp", "stem"])
@pytest.mark.parametrize("sizes", [[1] * 47, [3, 20, 0, 4, 17, 3]])
@torch.no_grad()
def test_a_stream_gives_what_forward_does(sizes, kind):
    encoder = make_encoder(kind, False)
    feats = torch.randn(2, 47, 16)
    state, stop = None, 0
    for size in sizes:
        chunk, stop = feats[:, stop : stop + size], stop + size
        embedding, state = encoder.step(chunk, state)
        expected = encoder(feats[:, :stop])
        torch.testing.assert_close(embedding, expected, rtol=0, atol=1e-4)
        assert state.frames.shape[1] < 10


def test_streams_that_cannot_be():
    with pytest.raises(ValueError, match="pooling='mean'"):
        make_encoder("fftp", False, pooling="mean").step(torch.randn(1, 20, 16))
    with pytest.raises(ValueError, match="bidirectional"):
        make_encoder("fftp", "bi-bi").step(torch.zeros(1, 20, 16))
    with pytest.raises(ValueError, match="mel bins"):
        make_encoder("square", False).step(torch.zeros(1, 20, 16))
    apart = AuM(16, 24, 1, False, FFTPEmbedding(16, 24, 5, 6))
    with pytest.raises(ValueError, match="stride_frames"):
        apart.step(torch.zeros(1, 20, 16))


@torch.no_grad()
def test_residual_stream_in_float32():
    feats = torch.randn(2, 60, 16, generator=torch.manual_seed(0))
    exact = make_encoder("fftp", depth=2)(feats)
    for in_fp32 in (True, False):
        encoder = make_encoder("fftp", depth=2, residual_in_fp32=in_fp32)
        streams, keep = [], lambda _, inputs, out: streams.append(out.dtype)
        for block in encoder.bfloat16().blocks:
            block.register_forward_hook(keep)
        out = encoder(feats.bfloat16()).float()
        assert (out - exact).norm() < 0.2 * exact.norm()
        expected = torch.float32 if in_fp32 else torch.bfloat16
        assert streams == [expected, expected]
