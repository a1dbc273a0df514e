"""Tests of the convolutional encoder.

Authors
 * The speechbrain_fftp authors 2026
"""

import copy

import pytest
import torch


@pytest.mark.parametrize("pooling", ["mean", "mean+std"])
@pytest.mark.parametrize("is_training", [False, True])
@torch.no_grad()
def test_embeddings_do_not_depend_on_padding(device, pooling, is_training):
    from speechbrain_fftp.lobes.models.ConvNeXt1d import ConvNeXt1d
    from speechbrain_fftp.nnet.stem import ConvStemEmbedding

    embedding = ConvStemEmbedding(16, 24, 11, 4, channels=3)
    encoder = ConvNeXt1d(16, 24, 2, embedding, kernel=3, pooling=pooling)
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    encoder = encoder.to(device).double().train(is_training)
    feats = torch.randn(3, 120, 16, device=device).double()
    counts = torch.tensor([90, 60, 37], device=device)
    expected = encoder(feats[:, :90], counts / 90)
    torch.testing.assert_close(encoder(feats, counts / 120), expected)
    if not is_training:  # then, normalisation is that of the batch
        alone = encoder(feats[2:, :37])
        torch.testing.assert_close(expected[2:], alone)


@torch.no_grad()
def test_a_stem_is_two_convolutions(device):
    from speechbrain_fftp.nnet.stem import ConvStemEmbedding

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


@pytest.mark.parametrize("look_ahead", [0, 1, 4, None])
@torch.no_grad()
def test_tokens_depend_on_as_many_later_ones_as_asked_for(device, look_ahead):
    from speechbrain_fftp.lobes.models.ConvNeXt1d import ConvNeXt1d
    from speechbrain_fftp.nnet.patching import FFTPEmbedding

    encoder = ConvNeXt1d(
        n_mels=16,
        embed_dim=24,
        depth=3,
        embedding=FFTPEmbedding(16, 24, patch_frames=4, stride_frames=4),
        kernel=5,
        look_ahead=look_ahead,
    )
    encoder = encoder.to(device).double()
    bound = 6 if look_ahead is None else look_ahead
    feats = torch.randn(2, 120, 16, device=device).double()
    lengths = torch.tensor([1.0, 0.9])  # 30 and 27 tokens
    tokens = encoder.encode(feats, lengths).tokens
    assert tokens.shape[1] == 30
    other = feats.clone()
    other[:, 80:] = torch.randn(2, 40, 16)  # from token 20 on
    change = (encoder.encode(other, lengths).tokens - tokens).abs().amax(2)
    assert (change[:, : 20 - bound] == 0).all()
    assert (change[:, 20 - bound : 27] > 1e-9).all()


def test_options_that_do_not_suit_the_encoder_are_errors():
    from speechbrain_fftp.lobes.models.ConvNeXt1d import ConvNeXt1d
    from speechbrain_fftp.nnet.patching import SquarePatchEmbedding
    from speechbrain_fftp.nnet.stem import ConvStemEmbedding

    for patch, stride in ((10, 4), (5, 2), (11, 5)):
        with pytest.raises(ValueError, match=f"{patch} and {stride}"):
            ConvStemEmbedding(16, 8, patch, stride, channels=3)
    for options, named in (
        ({"embedding": SquarePatchEmbedding(128, 24)}, "bins"),
        ({"pooling": "cls"}, "cls"),
        ({"look_ahead": 9, "depth": 2, "kernel": 9}, "0..8"),
    ):
        with pytest.raises(ValueError, match=named):
            ConvNeXt1d(128, 24, **options)


@torch.no_grad()
def test_statistics_are_those_of_a_clips_own_tokens(device):
    from speechbrain_fftp.lobes.models.ConvNeXt1d import WideStatistics

    layers = WideStatistics(24, 72).to(device).double().eval()
    tokens = torch.randn(2, 7, 24, dtype=torch.float64, device=device)
    valid = torch.arange(7, device=device) < torch.tensor([[5], [7]]).to(device)
    for clip, own, found in zip(tokens, valid, layers(tokens, valid)):
        wide = torch.nn.functional.leaky_relu(layers.widen(clip[own]))
        wide = wide / (1 + layers.norm.eps) ** 0.5
        std = (wide.var(0, unbiased=False) + layers.norm.eps).sqrt()
        expected = layers.reduce(torch.cat([wide.mean(0), std]))
        torch.testing.assert_close(found[0], expected)
    # The last batch of a training may be a single token
    single = tokens[:1, :1]
    torch.testing.assert_close(layers.train()(single), layers.eval()(single))


class IndexedBatchNorm(torch.nn.BatchNorm1d):
    """Batch normalisation of the valid tokens alone, by indexing."""

    def forward(self, tokens, valid):
        """[B, N, D] -> [B, N, D]"""
        out = torch.zeros_like(tokens)
        out[valid] = super().forward(tokens[valid])
        return out


def results(norm, tokens, valid, weights):
    """Output, gradients and running statistics."""
    tokens = tokens.clone().requires_grad_()
    out = norm(tokens, valid)
    grads = torch.autograd.grad(
        (out * weights).sum(), [tokens, norm.weight, norm.bias]
    )
    return [out.detach(), *grads, *norm.state_dict().values()]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_batch_norm_of_valid_tokens_is_that_of_these_alone(device, dtype):
    from speechbrain_fftp.nnet.normalization import TokenBatchNorm

    torch.manual_seed(0)
    tokens = (3 * torch.randn(4, 9, 5) + 7).to(device, dtype)
    counts = torch.tensor([9, 4, 1, 7], device=device)[:, None]
    valid = torch.arange(9, device=device) < counts
    weights = torch.randn(4, 9, 5, device=device)
    norms = TokenBatchNorm(5).to(device), IndexedBatchNorm(5).to(device)
    for norm in norms:
        norm.weight.data = torch.linspace(0.5, 2, 5, device=device)
    limit = 1e-5 if dtype == torch.float32 else 0.03
    torch.testing.assert_close(
        *(results(norm, tokens, valid, weights) for norm in norms),
        rtol=limit,
        atol=limit,
    )
    ours, theirs = (norm.eval() for norm in norms)
    ours.load_state_dict(theirs.state_dict())
    torch.testing.assert_close(ours(tokens, valid), theirs(tokens, valid))


def work(rank, folder, norm, parts):
    """A process: batch normalisation of its part of the tokens."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2
    )
    norm = copy.deepcopy(norm)  # the processes share its memory
    torch.save(results(norm, *parts[rank]), folder / f"{rank}.pt")
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()  # or its threads abort the process


def test_processes_share_statistics_on_a_cpu(tmp_path):
    """One has padding, the other none; together they do what one process does."""
    from speechbrain_fftp.nnet.normalization import TokenBatchNorm

    torch.manual_seed(0)
    tokens, weights = torch.randn(2, 4, 6, 5)
    valid = torch.ones(4, 6, dtype=torch.bool)
    valid[1, 2:] = False
    whole = results(IndexedBatchNorm(5), tokens, valid, weights)
    parts = [
        (tokens[:2], valid[:2], weights[:2]),
        (tokens[2:], None, weights[2:]),
    ]
    torch.multiprocessing.spawn(work, (tmp_path, TokenBatchNorm(5), parts), 2)
    found = [torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1)]
    out, grad, weight_grad, bias_grad, *state = zip(*found)
    together = [torch.cat(out), torch.cat(grad), sum(weight_grad)]
    together.append(sum(bias_grad))
    for first, second in state:
        torch.testing.assert_close(first, second)
        together.append(first)
    torch.testing.assert_close(together, whole)
