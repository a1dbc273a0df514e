"""Patch embeddings: from a spectrogram to a sequence of tokens.

* ``PatchEmbedding``, patches of any size;
* ``FFTPEmbedding``, full-frequency temporal patching
  (https://arxiv.org/abs/2508.21243): each token covers all mel bins of a few
  frames, so that tokens form a time sequence;
* ``SquarePatchEmbedding``, the 16x16 patches of the Audio Spectrogram
  Transformer (https://arxiv.org/abs/2104.01778, stride 10) and of Audio Mamba
  (https://arxiv.org/abs/2406.03344, stride 16).

Authors
 * The speechbrain_fftp authors 2026
"""

import torch


class PatchEmbedding(torch.nn.Module):
    """Cuts a spectrogram into patches and projects each to a token.

    Each patch is flattened, frame by frame, and a linear layer maps it to a
    token. This equals a convolution without padding, but is up to 40 times as
    fast. Bins and frames at the upper and right edge that do not fill a patch
    are dropped. Tokens are ordered frequency-major, as in the original AST:
    token ``f * T' + t`` is the patch in row ``f`` and column ``t``. A patch of
    all mel bins is full-frequency temporal patching (arXiv 2508.21243, section
    III-A).

    Arguments
    ---------
    n_mels, embed_dim : int
        Number of mel bins F of the input, and of channels D of a token.
    patch : tuple of int
        Frames and bins of a patch.
    stride : tuple of int
        Frames and bins from one patch to the next.

    Raises
    ------
    ValueError
        If a patch or stride is below 1, or a patch is taller than the
        spectrogram.

    Example
    -------
    >>> feats = torch.rand(2, 1000, 128)
    >>> embedding = PatchEmbedding(128, 192, patch=(16, 16), stride=(10, 10))
    >>> embedding(feats).shape
    torch.Size([2, 1188, 192])
    >>> embedding = PatchEmbedding(128, 192, patch=(25, 128), stride=(5, 128))
    >>> embedding(feats).shape
    torch.Size([2, 196, 192])
    """

    def __init__(self, n_mels, embed_dim, patch, stride):
        super().__init__()
        self.n_mels = n_mels
        self.embed_dim = embed_dim
        self.patch_frames, self.patch_bins = patch
        self.stride_frames, self.stride_bins = stride
        if min(*patch, *stride) < 1:
            raise ValueError(
                f"A patch of {self.patch_frames} frames and {self.patch_bins} "
                f"bins every {self.stride_frames} frames and "
                f"{self.stride_bins} bins: patch_frames, stride_frames and the "
                "others must be at least 1."
            )
        if self.patch_bins > n_mels:
            raise ValueError(
                f"A patch of {self.patch_bins} bins is taller than the "
                f"spectrogram (n_mels={n_mels})."
            )
        self.freq_patches = (n_mels - self.patch_bins) // self.stride_bins + 1
        # PyTorch's default weights, as in AST, whose convolution has the same
        self.proj = torch.nn.Linear(
            self.patch_frames * self.patch_bins, embed_dim
        )

    def time_patches(self, n_frames):
        """Number of patches along time.

        Arguments
        ---------
        n_frames : int or torch.Tensor
            Number of frames of a clip, or of each clip of a batch.

        Returns
        -------
        int or torch.Tensor
            ``floor((T - Tp) / st) + 1``, at least 1, since shorter clips are
            padded to a patch.
        """
        count = (n_frames - self.patch_frames) // self.stride_frames + 1
        if isinstance(count, torch.Tensor):
            return count.clamp(min=1)
        return max(count, 1)

    def num_patches(self, n_frames):
        """Number of patches (and so of tokens) of a clip.

        Arguments
        ---------
        n_frames : int
            Number of frames of the clip.

        Returns
        -------
        int
            Patches along frequency times patches along time.
        """
        return self.freq_patches * self.time_patches(n_frames)

    def forward(self, feats):
        """Embeds a batch of spectrograms.

        Arguments
        ---------
        feats : torch.Tensor
            Features ``[B, T, F]``, padded with zeros to at least
            ``patch_frames`` frames.

        Returns
        -------
        torch.Tensor
            Tokens ``[B, N, D]`` with ``N = num_patches(T)``.

        Raises
        ------
        ValueError
            If the input does not have ``n_mels`` bins.
        """
        patches = cut_patches(
            self.check_size(feats),
            (self.patch_frames, self.patch_bins),
            (self.stride_frames, self.stride_bins),
        )
        # [B, F', T', frames * bins] -> [B, F' * T', D]
        return self.proj(patches).flatten(1, 2)

    def check_size(self, feats):
        """Checks the number of bins, and pads short clips to one patch.

        Arguments
        ---------
        feats : torch.Tensor
            Features ``[B, T, F]``.

        Returns
        -------
        torch.Tensor
            Features of at least ``patch_frames`` frames.

        Raises
        ------
        ValueError
            If the input does not have ``n_mels`` bins.
        """
        if feats.shape[2] != self.n_mels:
            raise ValueError(
                f"Expected features [B, T, {self.n_mels}], but got "
                f"{list(feats.shape)}: the features and the embedding need "
                "the same n_mels."
            )
        missing = self.patch_frames - feats.shape[1]
        if missing > 0:
            feats = torch.nn.functional.pad(feats, (0, 0, 0, missing))
        return feats


def cut_patches(feats, patch, stride):
    """Cuts features into flat patches.

    Arguments
    ---------
    feats : torch.Tensor
        Features ``[B, T, F]``.
    patch, stride : tuple of int
        Frames and bins of a patch, and from one patch to the next.

    Returns
    -------
    torch.Tensor
        Patches ``[B, F', T', frames * bins]``.

    Example
    -------
    >>> cut_patches(torch.rand(2, 100, 16), (10, 8), (5, 8)).shape
    torch.Size([2, 2, 19, 80])
    """
    # [B, T, F] -> rows of patches [B, F', T, bins]
    rows = feats.unfold(2, patch[1], stride[1]).transpose(1, 2)
    # -> patches [B, F', T', bins, frames] -> [B, F', T', frames, bins]
    patches = rows.unfold(2, patch[0], stride[0]).transpose(3, 4)
    return patches.flatten(3)


class FFTPEmbedding(PatchEmbedding):
    """Full-frequency temporal patches: each token sees the whole spectrum.

    ``PatchEmbedding`` with patches of all mel bins.

    Arguments
    ---------
    n_mels, embed_dim : int
        Number of mel bins of the input, and of channels of a token.
    patch_frames : int
        Frames per token. The paper tries 10, 25 and 50.
    stride_frames : int
        Frames from one token to the next. The paper tries 1, 5 and 10.

    Example
    -------
    >>> embedding = FFTPEmbedding(128, 192, patch_frames=10, stride_frames=1)
    >>> embedding(torch.rand(2, 1000, 128)).shape
    torch.Size([2, 991, 192])
    """

    def __init__(self, n_mels, embed_dim, patch_frames=25, stride_frames=5):
        super().__init__(
            n_mels,
            embed_dim,
            patch=(patch_frames, n_mels),
            stride=(stride_frames, n_mels),
        )


class SquarePatchEmbedding(PatchEmbedding):
    """Square patches, the baseline that FFTP is compared with.

    Arguments
    ---------
    n_mels, embed_dim : int
        Number of mel bins of the input, and of channels of a token.
    patch_size : int
        Bins and frames per token.
    stride : int
        Bins and frames from one token to the next: 10 for AST, 16 for AuM.

    Example
    -------
    >>> embedding = SquarePatchEmbedding(128, 192, patch_size=16, stride=10)
    >>> embedding(torch.rand(2, 1024, 128)).shape
    torch.Size([2, 1212, 192])
    """

    def __init__(self, n_mels, embed_dim, patch_size=16, stride=10):
        super().__init__(
            n_mels,
            embed_dim,
            patch=(patch_size, patch_size),
            stride=(stride, stride),
        )
