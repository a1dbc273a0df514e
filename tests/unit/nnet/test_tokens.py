"""Tests of pooling and of convolutions over tokens.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch

from speechbrain_fftp.nnet.convolution import TokenConvolution
from speechbrain_fftp.nnet.tokens import POOLINGS, pool_tokens


@pytest.mark.parametrize("pooling", POOLINGS)
def test_padding_is_not_pooled(pooling):
    cls, tokens = torch.randn(3, 1, 4), torch.randn(3, 5, 4)
    counts = [5, 2, 1]
    valid = torch.arange(5) < torch.tensor(counts)[:, None]
    found = pool_tokens(pooling, cls, tokens, valid)
    for i, count in enumerate(counts):
        mean = tokens[i, :count].mean(0)
        expected = {"cls": cls[i, 0], "mean": mean}
        expected["cls+mean"] = (cls[i, 0] + mean) / 2
        if pooling == "tokens":
            assert torch.equal(found[i, :count], tokens[i, :count])
            assert not found[i, count:].any()
            continue
        torch.testing.assert_close(found[i, 0], expected[pooling])
    every = pool_tokens(pooling, cls[:1], tokens[:1])
    torch.testing.assert_close(every, found[:1])


@pytest.mark.parametrize("kernel", [3, 9])
def test_convolution_is_a_weighted_sum_of_neighbours(kernel):
    torch.manual_seed(0)
    conv, tokens = TokenConvolution(4, kernel), torch.randn(2, 7, 4)
    counts = [7, 3]
    valid = torch.arange(7) < torch.tensor(counts)[:, None]
    found = conv(tokens, valid)
    for i, count in enumerate(counts):
        for n in range(count):
            expected = conv.bias
            for k in range(kernel):
                other = n + k - kernel // 2
                if 0 <= other < count:
                    weight = conv.weight[:, 0, k]
                    expected = expected + weight * tokens[i, other]
            torch.testing.assert_close(found[i, n], expected)
    torch.testing.assert_close(conv(tokens)[0], found[0])


def test_gradients():
    torch.manual_seed(0)
    conv = TokenConvolution(2, 3).double()
    tokens = torch.randn(2, 4, 2, dtype=torch.double, requires_grad=True)
    valid = torch.tensor([[True] * 4, [True, True, False, False]])
    assert torch.autograd.gradcheck(lambda x: conv(x, valid), tokens)
    found = conv(tokens, valid)[1, :2].sum()
    (grad,) = torch.autograd.grad(found, tokens)
    assert not grad[1, 2:].any() and not grad[0].any()


@pytest.mark.parametrize("kernel", [0, 2])
def test_kernels_that_have_no_middle_are_refused(kernel):
    with pytest.raises(ValueError, match=f"must be odd, not {kernel}"):
        TokenConvolution(4, kernel)
