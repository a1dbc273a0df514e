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

    A convolution without padding: bins and frames at the upper and right edge
    that do not fill a patch are dropped. Tokens are ordered frequency-major, as
    in the original AST: token ``f * T' + t`` is the patch in row ``f`` and
    column ``t``. A patch of all mel bins is full-frequency temporal patching
    (arXiv 2508.21243, section III-A), which the last two arguments are for.

    Arguments
    ---------
    n_mels, embed_dim : int
        Number of mel bins F of the input, and of channels D of a token.
    patch : tuple of int
        Frames and bins of a patch.
    stride : tuple of int
        Frames and bins from one patch to the next.
    strides : list of int, optional
        Strides in frames to train for, that of ``stride`` among them; each
        batch in training draws one. The model can then be used with any of
        them.
    stem_channels : int
        Channels of two convolutions of 3 x 3 before the patches, which step 4
        bins and 2 frames in all; 0, as in the paper, for none. A token still
        sees exactly the frames of its patch.

    Raises
    ------
    ValueError
        If a size is not positive, a patch is taller than the spectrogram, there
        are mel bins between the patches, ``strides`` lacks the stride, or
        ``strides`` or ``stem_channels`` come with patches that do not cover
        all mel bins; with ``stem_channels``, if the frames of a patch are not
        odd and at least 7, or a stride is not even.

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

    def __init__(
        self, n_mels, embed_dim, patch, stride, strides=None, stem_channels=0
    ):
        super().__init__()
        for name, sizes in {"patch": patch, "stride": stride}.items():
            if not isinstance(sizes, (list, tuple)) or len(sizes) != 2:
                raise ValueError(
                    f"{name}={sizes} must be two numbers, of frames and bins."
                )
        if min(*patch, *stride, embed_dim) < 1:
            raise ValueError(
                f"patch={patch}, stride={stride} and embed_dim={embed_dim} "
                "must all be positive."
            )
        self.n_mels = n_mels
        self.embed_dim = embed_dim
        self.patch_frames, self.patch_bins = patch
        self.stride_frames, self.stride_bins = stride
        self.strides = strides
        self.stem_channels = stem_channels
        if self.patch_bins > n_mels:
            raise ValueError(
                f"A patch of {self.patch_bins} bins is taller than the "
                f"spectrogram (n_mels={n_mels})."
            )
        if self.patch_bins < min(self.stride_bins, n_mels):
            raise ValueError(
                f"Patches of {self.patch_bins} bins every {self.stride_bins} "
                f"do not cover the mel bins (n_mels={n_mels}): make the stride "
                f"at most {self.patch_bins} bins, or the patch {n_mels} bins."
            )
        if self.patch_bins < n_mels and (strides or stem_channels):
            raise ValueError(
                "strides and stem_channels need patches of all mel bins, not "
                f"of {self.patch_bins} out of {n_mels}."
            )
        if strides is not None and (
            not isinstance(strides, (list, tuple))
            or min(strides, default=0) < 1
            or self.stride_frames not in strides
        ):
            raise ValueError(
                f"strides={strides} must be a list of positive numbers of "
                f"frames, the stride {self.stride_frames} among them."
            )
        self.freq_patches = (n_mels - self.patch_bins) // self.stride_bins + 1
        self.stem = None
        self.stem_stride = 1
        # Weight [D, 1, bins, frames], the layout of published AST weights.
        channels, kernel = 1, (self.patch_bins, self.patch_frames)
        if stem_channels:
            self.stem = self._make_stem()
            self.stem_stride = 2
            for step in strides or [self.stride_frames]:
                self.check_stride(step)
            # What the stem leaves of a patch
            channels = stem_channels
            kernel = ((n_mels + 3) // 4, (self.patch_frames - 5) // 2)
        self.proj = torch.nn.Conv2d(channels, embed_dim, kernel)
        # Random patches, as in AST
        torch.nn.init.xavier_uniform_(self.proj.weight.flatten(1))
        torch.nn.init.zeros_(self.proj.bias)

    def _make_stem(self):
        """Convolutions without padding in time: a token depends on its frames
        alone."""
        if self.patch_frames < 7 or self.patch_frames % 2 == 0:
            raise ValueError(
                f"With stem_channels, a patch of {self.patch_frames} frames "
                "must be odd and at least 7."
            )
        channels = self.stem_channels
        return torch.nn.Sequential(
            torch.nn.Conv2d(1, channels, 3, stride=(2, 2), padding=(1, 0)),
            torch.nn.ReLU(),
            torch.nn.Conv2d(
                channels, channels, 3, stride=(2, 1), padding=(1, 0)
            ),
            torch.nn.ReLU(),
        )

    @property
    def patch(self):
        """Frames and bins of a patch, as a list."""
        return [self.patch_frames, self.patch_bins]

    @property
    def stride(self):
        """Frames and bins from one patch to the next, as a list."""
        return [self.stride_frames, self.stride_bins]

    def draw_stride(self):
        """Draws the stride of the next batch.

        Returns
        -------
        int
            One of ``strides`` in training; else ``stride_frames``.
        """
        if not self.training or not self.strides:
            return self.stride_frames
        return self.strides[int(torch.randint(len(self.strides), ()))]

    def time_patches(self, n_frames, stride_frames=None):
        """Number of patches along time.

        Arguments
        ---------
        n_frames : int or torch.Tensor
            Number of frames of a clip, or of each clip of a batch.
        stride_frames : int, optional
            Frames from one patch to the next, if not the embedding's.

        Returns
        -------
        int or torch.Tensor
            ``floor((T - Tp) / st) + 1``, at least 1, since shorter clips are
            padded to a patch.
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
        return self.freq_patches * self.time_patches(n_frames)

    def forward(self, feats, *, stride_frames=None):
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
        self.check_features(feats)
        stride_frames = stride_frames or self.stride_frames
        self.check_stride(stride_frames)
        missing = self.patch_frames - feats.shape[1]
        if missing > 0:
            feats = torch.nn.functional.pad(feats, (0, 0, 0, missing))
        maps = feats.transpose(1, 2).unsqueeze(1)  # [B, 1, F, T]
        if self.stem is not None:
            maps = self.stem(maps)  # [B, C, F / 4, T / 2]
        # [B, C, F, T] -> [B, D, F', T'] -> [B, F' * T', D]
        patches = torch.nn.functional.conv2d(
            maps,
            self.proj.weight,
            self.proj.bias,
            stride=(self.stride_bins, stride_frames // self.stem_stride),
        )
        return patches.flatten(2).transpose(1, 2)

    def check_features(self, feats):
        """Checks the shape of features.

        Arguments
        ---------
        feats : torch.Tensor
            Features, which should be ``[B, T, n_mels]``.

        Raises
        ------
        ValueError
            If they are not.
        """
        if feats.dim() != 3 or feats.shape[2] != self.n_mels:
            raise ValueError(
                f"Expected features [B, T, {self.n_mels}], but got "
                f"{list(feats.shape)}: the features and the embedding need "
                "the same n_mels."
            )

    def check_stride(self, stride_frames):
        """Checks whether the embedding can be used with another stride.

        Arguments
        ---------
        stride_frames : int
            Frames from one patch to the next.

        Raises
        ------
        ValueError
            If it is not positive or, with a stem, not even.
        """
        if stride_frames < 1:
            raise ValueError(f"A stride must be positive, not {stride_frames}.")
        if stride_frames % self.stem_stride:
            raise ValueError(
                "With stem_channels, strides must be even, not "
                f"{stride_frames}."
            )


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
    strides : list of int, optional
        Strides to train for; see ``PatchEmbedding``.
    stem_channels : int
        Channels of the convolutions before the patches; see
        ``PatchEmbedding``.

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
        super().__init__(
            n_mels,
            embed_dim,
            patch=(patch_frames, n_mels),
            stride=(stride_frames, n_mels),
            strides=strides,
            stem_channels=stem_channels,
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

    stride = None  # a number, not a pair

    def __init__(self, n_mels, embed_dim, patch_size=16, stride=10):
        super().__init__(
            n_mels,
            embed_dim,
            patch=(patch_size, patch_size),
            stride=(stride, stride),
        )
        self.patch_size = patch_size
        self.stride = stride
