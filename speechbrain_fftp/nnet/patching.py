"""Patch embeddings: from a spectrogram to a sequence of tokens.

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


class _PatchEmbedding(torch.nn.Module):
    """Cuts ``[B, T, F]`` features into patches and projects each to a token.

    A convolution without padding: bins and frames at the upper and right edge
    that do not fill a patch are dropped. Tokens are ordered frequency-major, as
    in the original AST: token ``f * T' + t`` is the patch in row ``f`` and
    column ``t``. ``patch`` and ``stride`` are in bins and in frames.
    """

    strides = None  # several in training, see FFTPEmbedding

    def __init__(self, n_mels, embed_dim, patch, stride):
        super().__init__()
        if min(*patch, *stride, embed_dim) < 1:
            raise ValueError(
                f"patch {patch}, stride {stride} and embed_dim {embed_dim} "
                "must all be positive."
            )
        if patch[0] > n_mels:
            raise ValueError(
                f"A patch of {patch[0]} bins is taller than the spectrogram "
                f"(n_mels={n_mels})."
            )
        self.n_mels = n_mels
        self.embed_dim = embed_dim
        self.patch_bins, self.patch_frames = patch
        self.stride_frames = stride[1]
        self.stem, self.stem_stride = None, 1  # see FFTPEmbedding
        self.freq_patches = (n_mels - patch[0]) // stride[0] + 1
        # Weight [D, 1, bins, frames], the layout of published AST weights.
        self.proj = torch.nn.Conv2d(1, embed_dim, patch, stride)
        self._init_weights()

    def _init_weights(self):
        """Random patches, as in AST."""
        torch.nn.init.xavier_uniform_(self.proj.weight.flatten(1))
        torch.nn.init.zeros_(self.proj.bias)

    def _draw_stride(self):
        """The stride of the next batch: random in training with ``strides``."""
        if not self.training or not self.strides:
            return self.stride_frames
        return self.strides[int(torch.randint(len(self.strides), ()))]

    def _time_patches(self, n_frames, stride_frames=None):
        """Number of patches along time, of a clip or of each clip of a batch.

        ``floor((T - Tp) / st) + 1``, at least 1: shorter clips are padded to a
        patch.
        """
        stride = stride_frames or self.stride_frames
        count = (n_frames - self.patch_frames) // stride + 1
        if isinstance(count, torch.Tensor):
            return count.clamp(min=1)
        return max(count, 1)

    def num_patches(self, n_frames):
        """Number of patches, and therefore tokens, of a clip.

        Arguments
        ---------
        n_frames : int
            Number of frames of the clip.

        Returns
        -------
        int
            Patches along frequency times patches along time.
        """
        return self.freq_patches * self._time_patches(n_frames)

    def forward(self, feats, stride_frames=None):
        """Embeds a batch of spectrograms.

        Arguments
        ---------
        feats : torch.Tensor
            Features ``[B, T, F]``, padded with zeros to at least
            ``patch_frames`` frames.
        stride_frames : int, optional
            Frames from one patch to the next, if not the embedding's.

        Returns
        -------
        torch.Tensor
            Tokens ``[B, N, D]`` with ``N = num_patches(T)``.

        Raises
        ------
        ValueError
            If the input is not ``[B, T, n_mels]``, or a stem's stride is odd.
        """
        self._check(feats)
        missing = self.patch_frames - feats.shape[1]
        if missing > 0:
            feats = torch.nn.functional.pad(feats, (0, 0, 0, missing))
        stride = stride_frames or self.stride_frames
        maps = feats.transpose(1, 2).unsqueeze(1)  # [B, 1, F, T]
        if self.stem is not None:
            self._check_stride(stride)
            maps, stride = self.stem(maps), stride // self.stem_stride
        # [B, C, F, T] -> [B, D, F', T'] -> [B, F' * T', D]
        patches = torch.nn.functional.conv2d(
            maps,
            self.proj.weight,
            self.proj.bias,
            (self.proj.stride[0], stride),
        )
        return patches.flatten(2).transpose(1, 2)

    def _check(self, feats):
        """Raises a ValueError if features are not ``[B, T, n_mels]``."""
        if feats.dim() != 3 or feats.shape[2] != self.n_mels:
            raise ValueError(
                f"Expected features [B, T, {self.n_mels}], but got "
                f"{list(feats.shape)}: the features and the embedding need "
                "the same n_mels."
            )

    def _check_stride(self, stride_frames):
        """Raises a ValueError if a stride is impossible."""
        if stride_frames < 1:
            raise ValueError(f"A stride must be positive, not {stride_frames}.")
        if stride_frames % self.stem_stride:
            raise ValueError(
                "With stem_channels, strides must be even, not "
                f"{stride_frames}."
            )


class FFTPEmbedding(_PatchEmbedding):
    """Full-frequency temporal patches (arXiv 2508.21243, section III-A).

    One convolution with kernel ``(n_mels, patch_frames)`` and stride
    ``(n_mels, stride_frames)``: each token sees the whole spectrum. With
    ``stem_channels``, two convolutions of 3 x 3 come before it, a step of 4
    bins and 2 frames in all; a token still sees exactly its ``patch_frames``.

    Arguments
    ---------
    n_mels, embed_dim : int
        Number of mel bins of the input, and of channels of a token.
    patch_frames : int
        Frames per token. The paper tries 10, 25 and 50.
    stride_frames : int
        Frames from one token to the next. The paper tries 1, 5 and 10.
    strides : list of int, optional
        Strides to train for, with ``stride_frames``; each batch in training
        draws one. The model can then be used with any of them.
    stem_channels : int
        Channels of two convolutions before the patches; 0, as in the paper, for
        none.

    Raises
    ------
    ValueError
        If a size or a stride is not positive, or the latter not in ``strides``;
        with ``stem_channels``, if ``patch_frames`` is not odd and at least 7,
        or a stride not even.

    Example
    -------
    >>> embedding = FFTPEmbedding(128, 192, patch_frames=10, stride_frames=1)
    >>> embedding(torch.rand(2, 1000, 128)).shape
    torch.Size([2, 991, 192])
    >>> embedding(torch.rand(2, 1000, 128), stride_frames=5).shape
    torch.Size([2, 199, 192])
    """

    def __init__(
        self,
        n_mels,
        embed_dim,
        patch_frames=25,
        stride_frames=5,
        strides=None,
        stem_channels=0,
    ):
        patch, stride = (n_mels, patch_frames), (n_mels, stride_frames)
        super().__init__(n_mels, embed_dim, patch, stride)
        if strides is not None and (
            not isinstance(strides, (list, tuple))
            or min(strides, default=0) < 1
            or stride_frames not in strides
        ):
            raise ValueError(
                f"strides={strides} must be a list of positive numbers of "
                f"frames, stride_frames={stride_frames} among them."
            )
        self.strides, self.stem_channels = strides, stem_channels
        if not stem_channels:
            return
        self.stem_stride = 2
        for step in (stride_frames, *(strides or ())):
            self._check_stride(step)
        if patch_frames < 7 or patch_frames % 2 == 0:
            raise ValueError(
                f"With stem_channels, patch_frames={patch_frames} must be odd "
                "and at least 7."
            )
        # No padding in time, so that a token depends on its frames alone.
        self.stem = torch.nn.Sequential(
            torch.nn.Conv2d(1, stem_channels, 3, (2, 2), (1, 0)),
            torch.nn.ReLU(),
            torch.nn.Conv2d(stem_channels, stem_channels, 3, (2, 1), (1, 0)),
            torch.nn.ReLU(),
        )
        patch = (n_mels + 3) // 4, (patch_frames - 5) // 2
        self.proj = torch.nn.Conv2d(stem_channels, embed_dim, patch)
        self._init_weights()


class SquarePatchEmbedding(_PatchEmbedding):
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
        sizes = (patch_size, patch_size), (stride, stride)
        super().__init__(n_mels, embed_dim, *sizes)
        self.patch_size, self.stride = patch_size, stride
