"""Tests of the convolutional encoder.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch


def make_encoder(device, pooling="mean+std"):
    """A small ConvNeXt1d in float64 whose weights are not small."""
    from speechbrain.lobes.models.ConvNeXt1d import ConvNeXt1d
    from speechbrain.nnet.convolution import ConvStemEmbedding

    encoder = ConvNeXt1d(
        n_mels=16,
        embed_dim=24,
        depth=2,
        embedding=ConvStemEmbedding(16, 24, 11, 4, channels=3),
        kernel=3,
        pooling=pooling,
    )
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return encoder.to(device).double()


@pytest.mark.parametrize("pooling", ["mean", "mean+std"])
@pytest.mark.parametrize("is_training", [False, True])
@torch.no_grad()
def test_embeddings_do_not_depend_on_padding(device, pooling, is_training):
    encoder = make_encoder(device, pooling).train(is_training)
    frames = (90, 60, 37)
    clips = [
        torch.randn(n, 16, dtype=torch.float64, device=device) for n in frames
    ]
    lengths = torch.tensor(frames, device=device)
    results = []
    for size, fill in ((90, 0.0), (120, torch.nan)):
        batch = torch.full((3, size, 16), fill, dtype=torch.float64)
        batch = batch.to(device)
        for row, clip in zip(batch, clips):
            row[: len(clip)] = clip
        results.append(encoder(batch, lengths / size))
    torch.testing.assert_close(*results)


@torch.no_grad()
def test_a_stem_is_two_convolutions(device):
    from speechbrain.nnet.convolution import ConvStemEmbedding

    embedding = ConvStemEmbedding(16, 8, 11, 4, channels=3).to(device)
    feats = torch.randn(2, 51, 16, device=device)
    maps = feats.transpose(1, 2).unsqueeze(1)
    conv2d = torch.nn.functional.conv2d
    for layer, stride in ((0, (2, 2)), (2, (2, 1))):
        conv = embedding.stem[layer]
        maps = conv2d(maps, conv.weight, conv.bias, stride, padding=(1, 0))
        maps = maps.relu()
    # A patch of 11 frames is 3 maps of the stem, 4 frames are 2 maps
    # [D, frames * C * F'] -> [D, C, F', frames]
    kernels = embedding.proj.weight.unflatten(1, (3, 3, 4)).permute(0, 2, 3, 1)
    tokens = conv2d(maps, kernels, embedding.proj.bias, (1, 2))
    tokens = tokens.flatten(2).transpose(1, 2)
    torch.testing.assert_close(embedding(feats), tokens)
    assert tokens.shape[1] == embedding.num_patches(51)


@torch.no_grad()
def test_block_is_a_residual_branch(device):
    from speechbrain.lobes.models.ConvNeXt1d import ConvNeXtBlock

    block = ConvNeXtBlock(8, kernel=3).to(device)
    tokens = torch.randn(2, 10, 8, device=device)
    local = torch.nn.functional.conv1d(
        tokens.transpose(1, 2),
        block.conv.weight,
        block.conv.bias,
        padding=1,
        groups=8,
    )
    expected = tokens + block.mlp(local.transpose(1, 2))
    torch.testing.assert_close(block(tokens), expected)


@pytest.mark.parametrize("patch, stride", [(7, 2), (25, 10)])
@torch.no_grad()
def test_with_a_stem_a_token_sees_the_frames_of_its_patch(
    device, patch, stride
):
    from speechbrain.nnet.convolution import ConvStemEmbedding

    torch.manual_seed(1)
    embedding = ConvStemEmbedding(16, 8, patch, stride, channels=3).to(device)
    feats = torch.randn(1, 60, 16, device=device)
    tokens = embedding(feats)[0]
    assert len(tokens) == embedding.num_patches(60)
    for start, token in zip(range(0, 60, stride), tokens):
        alone = embedding(feats[:, start : start + patch])[0, 0]
        torch.testing.assert_close(alone, token, rtol=1e-4, atol=1e-4)


def test_patches_that_do_not_suit_a_stem_are_errors():
    from speechbrain.nnet.convolution import ConvStemEmbedding

    for patch, stride in ((10, 4), (5, 2), (11, 5)):
        with pytest.raises(ValueError, match=f"{patch} and {stride}"):
            ConvStemEmbedding(16, 8, patch, stride, channels=3)


@torch.no_grad()
def test_statistics_are_those_of_a_clips_own_tokens(device):
    from speechbrain.lobes.models.ConvNeXt1d import WideStatistics

    layers = WideStatistics(24, 72).to(device).double().eval()
    tokens = torch.randn(2, 7, 24, dtype=torch.float64, device=device)
    valid = torch.arange(7, device=device) < torch.tensor([[5], [7]]).to(device)
    found = layers(tokens, valid)
    for clip, count, embedding in zip(tokens, (5, 7), found):
        wide = torch.nn.functional.leaky_relu(layers.widen(clip[:count]))
        wide = wide / (1 + layers.norm.eps) ** 0.5
        std = (wide.var(0, unbiased=False) + layers.norm.eps).sqrt()
        expected = layers.reduce(torch.cat([wide.mean(0), std]))
        torch.testing.assert_close(embedding[0], expected)


@torch.no_grad()
def test_a_single_token_is_normalised_by_running_statistics(device):
    """The last batch may be a single short clip."""
    from speechbrain.lobes.models.ConvNeXt1d import ConvNeXt1d

    encoder = ConvNeXt1d(embed_dim=16, depth=1, pooling="mean+std").to(device)
    feats = torch.randn(1, 10, 128, device=device)
    found = encoder.train()(feats)
    torch.testing.assert_close(found, encoder.eval()(feats))
    assert encoder.statistics.norm.num_batches_tracked == 0


def test_square_patches_are_an_error():
    from speechbrain.lobes.models.ConvNeXt1d import ConvNeXt1d
    from speechbrain.nnet.patching import SquarePatchEmbedding

    with pytest.raises(ValueError, match="bins"):
        ConvNeXt1d(128, 24, embedding=SquarePatchEmbedding(128, 24))
