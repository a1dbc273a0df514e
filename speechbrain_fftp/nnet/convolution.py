"""Convolutions over tokens.

Authors
 * The speechbrain_fftp authors 2026
"""

import torch


def depthwise_conv(tokens, weight, bias, padding=0):
    """Convolves each channel of a token sequence with its own kernel.

    Arguments
    ---------
    tokens : torch.Tensor
        Tokens ``[B, N, D]``.
    weight, bias : torch.Tensor
        Of a depthwise ``torch.nn.Conv1d``, ``[D, 1, K]`` and ``[D]``.
    padding : int
        Number of zeros before the first and after the last token.

    Returns
    -------
    torch.Tensor
        ``[B, N + 2 * padding - K + 1, D]``.

    Example
    -------
    >>> conv = torch.nn.Conv1d(8, 8, 3, groups=8)
    >>> depthwise_conv(torch.rand(2, 10, 8), conv.weight, conv.bias).shape
    torch.Size([2, 8, 8])
    """
    # With channels last, a 2-D convolution is faster than an equal 1-D one
    maps = tokens.unsqueeze(1).permute(0, 3, 1, 2)  # [B, D, 1, N]
    out = torch.nn.functional.conv2d(
        maps,
        weight.unsqueeze(2),
        bias,
        padding=(0, padding),
        groups=tokens.shape[2],
    )
    return out.permute(0, 2, 3, 1).squeeze(1)
