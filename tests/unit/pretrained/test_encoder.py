"""Tests of the encoder of CED, ATST-Frame and Dasheng.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch

from speechbrain_fftp.nnet.patching import FFTPEmbedding, SquarePatchEmbedding
from speechbrain_fftp.pretrained.encoder import ChunkedTransformer

# Shorter than a patch, of a few, and of several chunks of 84 frames
FRAMES = (233, 3, 8, 37, 84, 85, 168, 1)
poolings = pytest.mark.parametrize("pooling", ["mean", "chunks"])


def make_encoder(pooling):
    """An encoder in float64 whose weights and statistics are not small.

    As CED, with square patches, if "chunks" are pooled.
    """
    torch.manual_seed(3)
    embedding = FFTPEmbedding(32, 24, 4, 4)
    if pooling == "chunks":
        embedding = SquarePatchEmbedding(32, 24, 16, 16)
    encoder = ChunkedTransformer(
        n_mels=32,
        embed_dim=24,
        depth=2,
        num_heads=3,
        embedding=embedding,
        max_frames=84,
        pooling=pooling,
        has_bin_norm=True,
    )
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    encoder.bin_norm.weight.data += 1.0
    torch.nn.init.normal_(encoder.bin_norm.running_mean)
    torch.nn.init.uniform_(encoder.bin_norm.running_var, 0.5, 2.0)
    return encoder.double().eval()


def random_clips(*frames):
    return [torch.randn(n, 32, dtype=torch.float64) for n in frames]


def pad(clips, frames, value):
    """A batch of clips, and their relative lengths."""
    feats = clips[0].new_full((len(clips), frames, 32), value)
    for row, clip in zip(feats, clips):
        row[: len(clip)] = clip
    return feats, torch.tensor([len(clip) / frames for clip in clips])


@poolings
@pytest.mark.parametrize("value", [50.0, float("nan")])
@torch.no_grad()
def test_neither_padding_nor_other_clips_matter(pooling, value):
    encoder = make_encoder(pooling)
    clips = random_clips(*FRAMES)
    _, *together = encoder.encode(*pad(clips, 333, value))
    for clip, row, valid in zip(clips, *together):
        alone = encoder.encode(clip[None])
        alone = alone.tokens[alone.valid]
        torch.testing.assert_close(row[valid], alone, rtol=0, atol=1e-6)


@poolings
@pytest.mark.parametrize("frames", [85, 87, 88, 168, 169, 233])
@torch.no_grad()
def test_long_clips_are_chunks_filled_with_zeros(pooling, frames):
    """The zeros are those of normalised features."""
    encoder = make_encoder(pooling)
    norm = encoder.bin_norm
    scale = torch.sqrt(norm.running_var + norm.eps) / norm.weight
    zero = norm.running_mean - norm.bias * scale
    (clip,) = random_clips(frames)
    filled = torch.cat([clip, zero.expand(-frames % 84, 32)])
    chunks = [encoder.encode(chunk[None])[1] for chunk in filled.split(84)]
    tokens = torch.cat(chunks, 1)
    if pooling == "mean":  # without the tokens of zeros
        tokens = tokens[:, : frames // 4]
    expected = tokens.mean(1, keepdim=True)
    torch.testing.assert_close(encoder(clip[None]), expected)


@poolings
def test_statistics_of_bins_are_those_of_the_clips(pooling):
    """And by them the clips are normalised in training."""
    encoder, frozen = make_encoder(pooling).train(), make_encoder(pooling)
    clips = [3 * clip + 5 for clip in random_clips(60, 20, 37)]
    feats, lengths = pad(clips, 80, 1e6)
    norm = torch.nn.BatchNorm1d(32).double()
    norm.load_state_dict(encoder.bin_norm.state_dict())
    both = torch.cat(clips)
    norm(both)
    found = encoder(feats, lengths)
    torch.testing.assert_close(encoder.bin_norm.state_dict(), norm.state_dict())
    frozen.bin_norm.running_mean = both.mean(0)
    frozen.bin_norm.running_var = both.var(0, unbiased=False)
    torch.testing.assert_close(found, frozen(feats, lengths))
