"""Convolutions before patches.

Authors
 * The speechbrain_fftp authors 2026
"""

import torch

from speechbrain_fftp.nnet.patching import FFTPEmbedding, cut_patches


class ConvStemEmbedding(FFTPEmbedding):
    """Full-frequency temporal patches after two 3x3 convolutions.

    The total stride of the convolutions is 4 bins and 2 frames. They do not pad
    in time, so that a token still sees exactly the frames of its patch. The
    channels and rows of their maps are the bins of the patches.

    Arguments
    ---------
    n_mels, embed_dim : int
        Number of mel bins F of the input, and of channels D of a token.
    patch_frames, stride_frames : int
        Frames per token, an odd number of at least 7; and from one token to the
        next, an even number.
    channels : int
        Number of channels C of both convolutions.

    Raises
    ------
    ValueError
        If ``patch_frames`` or ``stride_frames`` does not fit the convolutions.

    Example
    -------
    >>> embedding = ConvStemEmbedding(128, 192, patch_frames=11, channels=16)
    >>> embedding(torch.rand(2, 1000, 128)).shape
    torch.Size([2, 495, 192])
    """

    def __init__(
        self, n_mels, embed_dim, patch_frames=11, stride_frames=2, channels=16
    ):
        super().__init__(n_mels, embed_dim, patch_frames, stride_frames)
        if patch_frames < 7 or patch_frames % 2 == 0 or stride_frames % 2:
            raise ValueError(
                "Convolutions before patches need an odd patch_frames of at "
                f"least 7 and an even stride_frames, not {patch_frames} and "
                f"{stride_frames}."
            )
        self.stem = torch.nn.Sequential(
            torch.nn.Conv2d(1, channels, 3, stride=(2, 2), padding=(1, 0)),
            torch.nn.ReLU(),
            torch.nn.Conv2d(
                channels, channels, 3, stride=(2, 1), padding=(1, 0)
            ),
            torch.nn.ReLU(),
        )
        # Frames and bins of a patch of the stem's output, and its stride
        bins = channels * ((n_mels + 3) // 4)
        self.map_patch = ((patch_frames - 5) // 2, bins)
        self.map_stride = (stride_frames // 2, bins)
        self.proj = torch.nn.Linear(self.map_patch[0] * bins, embed_dim)

    def forward(self, feats):
        """Embeds a batch of spectrograms.

        Arguments
        ---------
        feats : torch.Tensor
            Features ``[B, T, F]``.

        Returns
        -------
        torch.Tensor
            Tokens ``[B, N, D]``.
        """
        feats = self.check_size(feats)
        # [B, T, F] -> [B, 1, F, T] -> [B, C, F', T'] -> [B, T', C * F']
        maps = self.stem(feats.transpose(1, 2).unsqueeze(1))
        maps = maps.permute(0, 3, 1, 2).flatten(2)
        patches = cut_patches(maps, self.map_patch, self.map_stride)
        return self.proj(patches).flatten(1, 2)
