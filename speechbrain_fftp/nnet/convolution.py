"""Convolutions before patch embeddings, and over tokens.

Authors
 * The speechbrain_fftp authors 2026
"""

import torch


class ConvStem(torch.nn.Sequential):
    """Two 3x3 convolutions before full-frequency temporal patches.

    Their total stride is 4 bins and 2 frames. They do not pad in time, so that
    a token still sees exactly the frames of its patch. The channels and rows of
    their maps become the bins of the output.

    Arguments
    ---------
    channels : int
        Number of channels of both convolutions.

    Example
    -------
    >>> from speechbrain_fftp.nnet.patching import FFTPEmbedding
    >>> stem, feats = ConvStem(16), torch.rand(2, 1000, 128)
    >>> stem(feats).shape
    torch.Size([2, 497, 512])
    >>> FFTPEmbedding(128, 192, 11, 10, stem=stem)(feats).shape
    torch.Size([2, 99, 192])
    """

    def __init__(self, channels):
        super().__init__(
            torch.nn.Conv2d(1, channels, 3, stride=(2, 2), padding=(1, 0)),
            torch.nn.ReLU(),
            torch.nn.Conv2d(
                channels, channels, 3, stride=(2, 1), padding=(1, 0)
            ),
            torch.nn.ReLU(),
        )
        self.channels = channels

    def forward(self, feats):
        """Applies the convolutions.

        Arguments
        ---------
        feats : torch.Tensor
            Features ``[B, T, F]``.

        Returns
        -------
        torch.Tensor
            Features ``[B, T', C * F']``.
        """
        # [B, T, F] -> [B, 1, F, T] -> [B, C, F', T'] -> [B, T', C * F']
        maps = super().forward(feats.transpose(1, 2).unsqueeze(1))
        return maps.permute(0, 3, 1, 2).flatten(2)

    def map_size(self, patch, n_mels):
        """Converts the size of a patch to its size after the stem.

        Arguments
        ---------
        patch : tuple of int
            Frames and bins of a patch.
        n_mels : int
            Number of mel bins.

        Returns
        -------
        tuple of int
            Frames and bins in the stem's output.

        Raises
        ------
        ValueError
            If the patch does not cover all mel bins, or its frames are not odd
            and at least 7.
        """
        frames, bins = patch
        if bins != n_mels or frames < 7 or frames % 2 == 0:
            raise ValueError(
                "A stem needs patches of all mel bins and an odd number of "
                f"frames, at least 7, not of {bins} of {n_mels} bins and "
                f"{frames} frames."
            )
        return (frames - 5) // 2, self.channels * ((bins + 3) // 4)

    def map_stride(self, stride):
        """Converts the stride of patches to their stride after the stem.

        Arguments
        ---------
        stride : tuple of int
            Frames and bins from one patch to the next.

        Returns
        -------
        tuple of int
            Frames and bins in the stem's output.

        Raises
        ------
        ValueError
            If the number of frames is odd.
        """
        frames, bins = stride
        if frames % 2:
            raise ValueError(f"A stem needs an even stride, not {frames}.")
        return frames // 2, bins


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
