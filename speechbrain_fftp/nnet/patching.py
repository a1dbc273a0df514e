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


class PatchEmbedding(torch.nn.Module):
    """Cuts ``[B, T, F]`` features into patches and projects each to a token.

    A convolution without padding: bins and frames at the upper and right edge
    that do not fill a patch are dropped. Tokens are ordered frequency-major, as
    in the original AST: token ``f * T' + t`` is the patch in row ``f`` and
    column ``t``.

    Arguments
    ---------
    n_mels, embed_dim : int
        Number of mel bins F of the input, and of channels D of a token.
    patch, stride : tuple of int
        Size of a patch, and steps to the next one, in bins and in frames.

    Raises
    ------
    ValueError
        If a size is not positive or a patch is taller than the spectrogram.

    Example
    -------
    >>> embedding = PatchEmbedding(128, 192, patch=(128, 25), stride=(128, 5))
    >>> embedding(torch.rand(2, 1000, 128)).shape
    torch.Size([2, 196, 192])
    >>> embedding.num_patches(1000)
    196
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
        self.patch_frames = patch[1]
        self.freq_patches = (n_mels - patch[0]) // stride[0] + 1
        # Weight [D, 1, bins, frames], the layout of published AST weights.
        self.proj = torch.nn.Conv2d(1, embed_dim, patch, stride)
        torch.nn.init.xavier_uniform_(self.proj.weight.view(embed_dim, -1))
        torch.nn.init.zeros_(self.proj.bias)

    @property
    def stride_frames(self):
        """Frames from one patch to the next, an int."""
        return self.proj.stride[1]

    def draw_stride(self):
        """The stride of the next batch: always the same here.

        Returns
        -------
        int
            Frames from one patch to the next.
        """
        return self.stride_frames

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
            ``floor((T - Tp) / st) + 1``, at least 1: shorter clips are padded
            to a patch.
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
            If the input is not ``[B, T, n_mels]``.
        """
        self._check(feats)
        missing = self.patch_frames - feats.shape[1]
        if missing > 0:
            feats = torch.nn.functional.pad(feats, (0, 0, 0, missing))
        stride = self.proj.stride[0], stride_frames or self.stride_frames
        # [B, T, F] -> [B, 1, F, T] -> [B, D, F', T'] -> [B, F' * T', D]
        patches = torch.nn.functional.conv2d(
            feats.transpose(1, 2).unsqueeze(1),
            self.proj.weight,
            self.proj.bias,
            stride,
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


class FFTPEmbedding(PatchEmbedding):
    """Full-frequency temporal patches (arXiv 2508.21243, section III-A).

    One convolution with kernel ``(n_mels, patch_frames)`` and stride
    ``(n_mels, stride_frames)``: each token sees the whole spectrum.

    Arguments
    ---------
    n_mels, embed_dim : int
        Number of mel bins of the input, and of channels of a token.
    patch_frames : int
        Frames per token. The paper tries 10, 25 and 50.
    stride_frames : int
        Frames from one token to the next. The paper tries 1, 5 and 10.
    strides : list of int, optional
        Strides to train for, of which each batch in training draws one. The
        model can then be used with any of them.

    Raises
    ------
    ValueError
        If a size or a stride is not positive.

    Example
    -------
    >>> embedding = FFTPEmbedding(128, 192, patch_frames=10, stride_frames=1)
    >>> embedding(torch.rand(2, 1000, 128)).shape
    torch.Size([2, 991, 192])
    >>> embedding(torch.rand(2, 1000, 128), stride_frames=5).shape
    torch.Size([2, 199, 192])
    """

    def __init__(
        self, n_mels, embed_dim, patch_frames=25, stride_frames=5, strides=None
    ):
        patch, stride = (n_mels, patch_frames), (n_mels, stride_frames)
        super().__init__(n_mels, embed_dim, patch, stride)
        if strides is not None and (
            not isinstance(strides, (list, tuple))
            or min(strides, default=0) < 1
        ):
            raise ValueError(
                f"strides={strides} must be a list of positive numbers of "
                "frames, such as [5, 10]."
            )
        self.strides = strides

    def draw_stride(self):
        """The stride of the next batch: random in training with ``strides``.

        Returns
        -------
        int
            Frames from one patch to the next.
        """
        if not self.training or not self.strides:
            return self.stride_frames
        return self.strides[int(torch.randint(len(self.strides), ()))]


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
        sizes = (patch_size, patch_size), (stride, stride)
        super().__init__(n_mels, embed_dim, *sizes)
        self.patch_size, self.stride = patch_size, stride


def _check_embedding(embedding, n_mels, embed_dim, max_frames, num_heads=1):
    """Raises a ValueError if a patch embedding does not fit an encoder."""
    if num_heads < 1 or embed_dim % num_heads:
        raise ValueError(
            f"embed_dim={embed_dim} must be a multiple of "
            f"num_heads={num_heads}, which must be positive."
        )
    if (embedding.n_mels, embedding.embed_dim) != (n_mels, embed_dim):
        raise ValueError(
            f"The embedding has n_mels={embedding.n_mels} and "
            f"embed_dim={embedding.embed_dim}, but the encoder has "
            f"n_mels={n_mels} and embed_dim={embed_dim}."
        )
    if embedding.patch_frames > max_frames:
        raise ValueError(
            f"A patch of {embedding.patch_frames} frames is longer than "
            f"the longest clip, max_frames={max_frames}: make patch_frames "
            "smaller or max_frames larger."
        )


def _trim_padding(feats, wav_lens):
    """Removes the padding that all clips share and zeroes the rest.

    Returns features ``[B, T, F]`` with the T of the longest clip, or in compiled
    code as they are, and each clip's number of frames ``[B]``, which is None if
    all are equally long: ``round(wav_lens * T)``, at least one. Lengths on a CPU
    spare a GPU the wait for its own.
    """
    if wav_lens is None:
        return feats, None
    n_frames = (wav_lens * feats.shape[1]).round().long().clamp(min=1)
    # One compiled or exported graph serves all lengths: it masks all padding.
    if not torch.compiler.is_compiling():
        longest = int(n_frames.max())
        feats = feats[:, :longest]
        if int(n_frames.min()) == longest:
            return feats, None
    n_frames = n_frames.to(feats.device, non_blocking=True)
    frames = torch.arange(feats.shape[1], device=feats.device)
    padding = frames[None, :, None] >= n_frames[:, None, None]
    return feats.masked_fill(padding, 0.0), n_frames
