"""Tests of the convolutional encoder.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch


@pytest.mark.parametrize("pooling", ["mean", "mean+std"])
@pytest.mark.parametrize("is_training", [False, True])
@torch.no_grad()
def test_embeddings_do_not_depend_on_padding(device, pooling, is_training):
    from speechbrain.lobes.models.ConvNeXt1d import ConvNeXt1d
    from speechbrain.nnet.convolution import ConvStemEmbedding

    embedding = ConvStemEmbedding(16, 24, 11, 4, channels=3)
    encoder = ConvNeXt1d(16, 24, 2, embedding, kernel=3, pooling=pooling)
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    encoder = encoder.to(device).double().train(is_training)
    clips = [torch.randn(n, 16, device=device) for n in (90, 60, 37)]
    clips = [clip.double() for clip in clips]
    lengths = torch.tensor([90, 60, 37], device=device)
    short = torch.nn.utils.rnn.pad_sequence(clips, True)
    long = torch.nn.utils.rnn.pad_sequence(clips, True, torch.nan)
    long = torch.nn.functional.pad(long, (0, 0, 0, 30), value=torch.nan)
    expected = encoder(short, lengths / 90)
    torch.testing.assert_close(encoder(long, lengths / 120), expected)


@torch.no_grad()
def test_a_stem_is_two_convolutions(device):
    from speechbrain.nnet.convolution import ConvStemEmbedding

    embedding = ConvStemEmbedding(16, 8, 11, 4, channels=3).to(device)
    feats = torch.randn(2, 51, 16, device=device)
    maps = feats.transpose(1, 2).unsqueeze(1)
    conv2d = torch.nn.functional.conv2d
    for layer, stride in ((0, (2, 2)), (2, (2, 1))):
        conv = embedding.stem[layer]
        # No padding in time: a token sees the frames of its patch alone
        maps = conv2d(maps, conv.weight, conv.bias, stride, padding=(1, 0))
        maps = maps.relu()
    # A patch of 11 frames is 3 maps of the stem, 4 frames are 2 maps
    # [D, frames * C * F'] -> [D, C, F', frames]
    kernels = embedding.proj.weight.unflatten(1, (3, 3, 4)).permute(0, 2, 3, 1)
    tokens = conv2d(maps, kernels, embedding.proj.bias, (1, 2))
    tokens = tokens.flatten(2).transpose(1, 2)
    torch.testing.assert_close(embedding(feats), tokens)
    assert tokens.shape[1] == embedding.num_patches(51)


def test_patches_that_do_not_suit_the_encoder_are_errors():
    from speechbrain.lobes.models.ConvNeXt1d import ConvNeXt1d
    from speechbrain.nnet.convolution import ConvStemEmbedding
    from speechbrain.nnet.patching import SquarePatchEmbedding

    for patch, stride in ((10, 4), (5, 2), (11, 5)):
        with pytest.raises(ValueError, match=f"{patch} and {stride}"):
            ConvStemEmbedding(16, 8, patch, stride, channels=3)
    with pytest.raises(ValueError, match="bins"):
        ConvNeXt1d(128, 24, embedding=SquarePatchEmbedding(128, 24))


@torch.no_grad()
def test_block_is_a_residual_branch(device):
    from speechbrain.lobes.models.ConvNeXt1d import ConvNeXtBlock

    block = ConvNeXtBlock(8, kernel=3).to(device)
    tokens = torch.randn(2, 10, 8, device=device)
    local = block.conv(tokens.transpose(1, 2)).transpose(1, 2)
    torch.testing.assert_close(block(tokens), tokens + block.mlp(local))


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
    # The last batch of a training may be a single token
    single = tokens[:1, :1]
    torch.testing.assert_close(layers.train()(single), layers.eval()(single))
