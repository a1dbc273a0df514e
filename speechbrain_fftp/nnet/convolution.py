"""Depthwise convolutions over token sequences.

Authors
 * The speechbrain_fftp authors 2026
"""

import importlib.util

import torch

HAS_CAUSAL_CONV1D = importlib.util.find_spec("causal_conv1d") is not None
CAUSAL_CONV1D_KERNELS = (2, 3, 4)  # the sizes that the package has


def depthwise_conv(tokens, weight, bias, padding=0):
    """Convolves each channel of a token sequence with its own kernel.

    Arguments
    ---------
    tokens : torch.Tensor
        Tokens ``[B, N, D]``.
    weight, bias : torch.Tensor
        Those of a depthwise ``torch.nn.Conv1d``, ``[D, 1, K]`` and ``[D]``.
    padding : int
        Zeros before the first and after the last token.

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
    options = {"bias": bias, "groups": tokens.shape[2]}
    if tokens.is_cuda:
        # [B, N, D] -> [B, D, N] -> [B, N, D]
        out = torch.nn.functional.conv1d(
            tokens.transpose(1, 2), weight, padding=padding, **options
        )
        return out.transpose(1, 2)
    # On a CPU, the same with the channels last in memory is faster.
    maps = tokens.unsqueeze(1).permute(0, 3, 1, 2)  # [B, D, 1, N]
    out = torch.nn.functional.conv2d(
        maps, weight.unsqueeze(2), padding=(0, padding), **options
    )
    return out.permute(0, 2, 3, 1).squeeze(1)


def causal_conv_silu(tokens, conv, reverse=False):
    """Mamba's convolution: causal, with zeros before the first token, and SiLU.

    On a GPU, the package causal_conv1d computes it where it is installed.

    Arguments
    ---------
    tokens : torch.Tensor
        Tokens ``[B, N, D]``.
    conv : torch.nn.Conv1d
        A depthwise convolution.
    reverse : bool
        Whether an output depends on the tokens after it instead, with zeros
        after the last one.

    Returns
    -------
    torch.Tensor
        ``[B, N, D]``.

    Example
    -------
    >>> conv = torch.nn.Conv1d(8, 8, 4, groups=8)
    >>> causal_conv_silu(torch.rand(2, 10, 8), conv).shape
    torch.Size([2, 10, 8])
    """
    kernel = conv.kernel_size[0]
    if (
        tokens.is_cuda
        and HAS_CAUSAL_CONV1D
        and kernel in CAUSAL_CONV1D_KERNELS
        and tokens.dtype != torch.float64
    ):
        from causal_conv1d import causal_conv1d_fn

        tokens = tokens.flip(1) if reverse else tokens
        out = causal_conv1d_fn(
            tokens.transpose(1, 2),
            conv.weight.squeeze(1),
            conv.bias,
            activation="silu",
        ).transpose(1, 2)
        return out.flip(1) if reverse else out
    padding = (0, 0, 0, kernel - 1) if reverse else (0, 0, kernel - 1, 0)
    tokens = torch.nn.functional.pad(tokens, padding)
    weight = conv.weight.flip(2) if reverse else conv.weight
    out = depthwise_conv(tokens, weight, conv.bias)
    return torch.nn.functional.silu(out)


class TokenConvolution(torch.nn.Conv1d):
    """A depthwise convolution over a clip's own tokens.

    It adds local positional information, as the conditional
    positions of https://arxiv.org/abs/2102.10882 do.

    Arguments
    ---------
    embed_dim : int
        Number of channels D of a token.
    kernel : int
        Tokens that an output depends on, an odd number.

    Raises
    ------
    ValueError
        If the kernel is not odd.

    Example
    -------
    >>> TokenConvolution(192, kernel=9)(torch.rand(2, 196, 192)).shape
    torch.Size([2, 196, 192])
    """

    def __init__(self, embed_dim, kernel):
        if kernel < 1 or kernel % 2 == 0:
            raise ValueError(f"The kernel must be odd, not {kernel}.")
        super().__init__(
            embed_dim, embed_dim, kernel, padding=kernel // 2, groups=embed_dim
        )

    def forward(self, tokens, valid=None):
        """Applies the convolution.

        Arguments
        ---------
        tokens : torch.Tensor
            Tokens ``[B, N, D]``, in the order of time.
        valid : torch.Tensor, optional
            True for a clip's own tokens ``[B, N]``; others are not read.

        Returns
        -------
        torch.Tensor
            Tokens ``[B, N, D]``.
        """
        if valid is not None:
            tokens = tokens * valid.unsqueeze(2)
        return depthwise_conv(
            tokens, self.weight, self.bias, padding=self.padding[0]
        )
