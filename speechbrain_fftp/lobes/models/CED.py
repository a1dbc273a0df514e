"""CED, an encoder that mean-pools square patches without a class token.

https://arxiv.org/abs/2308.11957: a pre-norm vision transformer on 16x16 patches
of 64 mel bins in decibels. A batch normalisation replaces the data set's
statistics, and positions of time and of frequency are added up. A clip's
embedding does not depend on the other clips of its batch or on its padding.

Authors
 * The speechbrain_fftp authors 2026
"""

import torch

from speechbrain_fftp.lobes.models.AST import TransformerBlock, init_linear
from speechbrain_fftp.nnet.patching import SquarePatchEmbedding
from speechbrain_fftp.nnet.tokens import (
    length_mask,
    token_batch_norm,
    trim_padding,
)


class CED(torch.nn.Module):
    """Encoder of consistent ensemble distillation.

    Clips longer than ``max_frames`` are encoded in chunks of that length, the
    last of which is filled with zeros. The embedding is the mean over the
    tokens of all chunks, including those of the zeros.

    Published sizes (width, depth, heads): tiny 192, 12, 3; mini 256, 12, 4;
    small 384, 12, 6; base 768, 12, 12.

    Arguments
    ---------
    n_mels, embed_dim : int
        Number of mel bins F of the features, and of channels D of a token.
    depth, num_heads : int
        Number of transformer blocks, and of attention heads.
    max_frames : int
        Number of frames of a chunk.
    mlp_ratio, dropout, norm_eps : float
        See ``TransformerBlock``.

    Raises
    ------
    ValueError
        If ``embed_dim`` is not a multiple of ``num_heads``, or a patch does not
        fit ``n_mels`` and ``max_frames``.

    Example
    -------
    >>> encoder = CED(embed_dim=48, depth=2, num_heads=3)
    >>> feats = torch.rand(2, 1200, 64)
    >>> encoder(feats, torch.tensor([1.0, 0.3])).shape
    torch.Size([2, 1, 48])
    """

    def __init__(
        self,
        n_mels=64,
        embed_dim=192,
        depth=12,
        num_heads=3,
        max_frames=1012,
        mlp_ratio=4.0,
        dropout=0.0,
        norm_eps=1e-6,
    ):
        super().__init__()
        embedding = SquarePatchEmbedding(n_mels, embed_dim, 16, 16)
        self.n_mels = n_mels
        self.embed_dim = embed_dim
        self.depth = depth
        self.num_heads = num_heads
        self.max_frames = max_frames
        self.mlp_ratio = mlp_ratio
        self.dropout = dropout
        self.norm_eps = norm_eps
        self.bin_norm = torch.nn.BatchNorm1d(n_mels)
        self.embedding = embedding
        rows = embedding.freq_patches
        n_steps = max_frames // 16
        positions = 0.02 * torch.randn(rows + n_steps, embed_dim)
        self.freq_positions = torch.nn.Parameter(positions[:rows].clone())
        self.time_positions = torch.nn.Parameter(positions[rows:].clone())
        self.blocks = torch.nn.ModuleList(
            TransformerBlock(embed_dim, num_heads, mlp_ratio, dropout, norm_eps)
            for _ in range(depth)
        )
        self.norm = torch.nn.LayerNorm(embed_dim, eps=norm_eps)
        init_linear(self.blocks)

    def forward(self, feats, lengths=None):
        """Encodes a batch of spectrograms.

        Arguments
        ---------
        feats : torch.Tensor
            Features ``[B, T, F]`` in decibels.
        lengths : torch.Tensor, optional
            Length ``[B]`` of each clip relative to T. Only its first
            ``round(lengths * T)`` frames are used.

        Returns
        -------
        torch.Tensor
            Embedding ``[B, 1, D]`` of each clip.
        """
        feats, n_frames = trim_padding(feats, lengths)
        B, T, F = feats.shape
        if n_frames is None and torch.compiler.is_compiling():
            n_frames = torch.full((B,), T, device=feats.device)
        valid = None if n_frames is None else length_mask(n_frames, T)
        feats = token_batch_norm(self.bin_norm, feats, valid)
        size = torch.sym_min(T, self.max_frames)
        K = (T + size - 1) // size
        # [B, T, F] -> [B, K * size, F] -> [B * K, size, F] -> [B * K, N, D]
        feats = torch.nn.functional.pad(feats, (0, 0, 0, K * size - T))
        x = self.embedding(feats.view(B * K, size, F))
        rows = self.embedding.freq_patches
        n_steps = x.shape[1] // rows
        # [F', 1, D] + [T', D] -> [F' * T', D]
        time_positions = self.time_positions[:n_steps]
        positions = self.freq_positions[:, None] + time_positions
        x = x + positions.flatten(0, 1)
        mask = None
        weights = x.new_ones(B, 1, K * x.shape[1])
        if n_frames is not None:
            # Time steps of each chunk that the clip has, [B, K] -> [B * K, 1]
            counts = self.embedding.time_patches(n_frames.clamp(max=size))
            starts = torch.arange(K, device=x.device) * size
            counts = counts[:, None] * (starts < n_frames[:, None])
            counts = counts.view(-1, 1)
            step = torch.arange(n_steps, device=x.device).repeat(rows)
            weights = (step < counts).view_as(weights).to(x.dtype)
            # Without any token to attend to, a softmax would be NaN.
            mask = (step < counts.clamp(min=1))[:, None, None]
        for block in self.blocks:
            x = block(x, mask)
        # [B * K, N, D] -> [B, K * N, D] -> [B, 1, D]
        x = self.norm(x).view(B, weights.shape[2], -1)
        return (weights / weights.sum(2, keepdim=True)) @ x
