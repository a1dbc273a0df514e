"""The encoder of ATST-Frame and Dasheng, whose tokens form a time sequence.

A pre-norm vision transformer without class tokens on full-frequency temporal
patches: ATST-Frame (https://arxiv.org/abs/2306.04186) and Dasheng
(https://arxiv.org/abs/2406.06992) cut 64 mel bins x 4 frames, side by side. A
clip's tokens do not depend on the other clips of its batch or on its padding.

Authors
 * The speechbrain_fftp authors 2026
"""

import torch

from speechbrain_fftp.lobes.models.AST import TransformerBlock, init_linear
from speechbrain_fftp.nnet.patching import FFTPEmbedding
from speechbrain_fftp.nnet.position import PositionEmbedding, resize_positions
from speechbrain_fftp.nnet.tokens import (
    length_mask,
    pool_tokens,
    token_batch_norm,
    trim_padding,
)


class ATST(torch.nn.Module):
    """Transformer of full-frequency tokens without class tokens.

    Clips longer than ``max_frames`` are encoded in chunks of that length, the
    last of which is filled with zeros; the tokens of these are dropped.

    Published sizes (width, depth, heads): ATST-Frame 768, 12, 12; Dasheng base
    768, 12, 12, 0.6B 1280, 32, 16 and 1.2B 1536, 40, 24.

    Arguments
    ---------
    n_mels, embed_dim : int
        Number of mel bins F of the features, and of channels D of a token.
    depth, num_heads : int
        Number of transformer blocks, and of attention heads.
    embedding : torch.nn.Module, optional
        A patch embedding that covers all mel bins; by default,
        ``FFTPEmbedding`` with 4 frames every 4.
    max_frames : int
        Number of frames of a chunk, which sets the number of positions.
    mlp_ratio, dropout, norm_eps : float
        See ``TransformerBlock``.
    pooling : str
        "mean", the mean over the clip's own tokens, or "tokens", all tokens,
        those of padding 0.0, for outputs over time.
    has_bin_norm : bool
        Whether a batch normalisation of the mel bins comes first, as in
        Dasheng.

    Raises
    ------
    ValueError
        If ``embed_dim`` is not a multiple of ``num_heads``, the embedding has
        other sizes or square patches, its patch is longer than ``max_frames``,
        or ``pooling`` is impossible.

    Example
    -------
    >>> encoder = ATST(embed_dim=48, depth=2, num_heads=3)
    >>> feats = torch.rand(2, 1001, 64)
    >>> encoder(feats, torch.tensor([1.0, 0.3])).shape
    torch.Size([2, 250, 48])
    """

    def __init__(
        self,
        n_mels=64,
        embed_dim=768,
        depth=12,
        num_heads=12,
        embedding=None,
        max_frames=1003,
        mlp_ratio=4.0,
        dropout=0.0,
        norm_eps=1e-6,
        pooling="tokens",
        has_bin_norm=False,
    ):
        super().__init__()
        if embedding is None:
            embedding = FFTPEmbedding(n_mels, embed_dim, 4, 4)
        if embedding.freq_patches > 1:
            raise ValueError(
                f"ATST needs patches of all {n_mels} mel bins, not "
                f"{embedding.patch_bins}: FFTPEmbedding."
            )
        self.n_mels = n_mels
        self.embed_dim = embed_dim
        self.depth = depth
        self.num_heads = num_heads
        self.max_frames = max_frames
        self.mlp_ratio = mlp_ratio
        self.dropout = dropout
        self.norm_eps = norm_eps
        self.pooling = pooling
        self.has_bin_norm = has_bin_norm
        self.bin_norm = torch.nn.BatchNorm1d(n_mels) if has_bin_norm else None
        self.embedding = embedding
        self.position = PositionEmbedding(
            freq_patches=1,
            time_patches=embedding.time_patches(max_frames),
            embed_dim=embed_dim,
        )
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
            Features ``[B, T, F]``.
        lengths : torch.Tensor, optional
            Length ``[B]`` of each clip relative to T. Only its first
            ``round(lengths * T)`` frames are used.

        Returns
        -------
        torch.Tensor
            Tokens over time ``[B, T', D]``, or the embedding ``[B, 1, D]`` of
            each clip, see ``pooling``.
        """
        feats, n_frames = trim_padding(feats, lengths)
        B, T, _ = feats.shape
        if self.bin_norm is not None:
            own = None if n_frames is None else length_mask(n_frames, T)
            feats = token_batch_norm(self.bin_norm, feats, own)
        stride = self.embedding.stride_frames
        n_steps = self.embedding.time_patches(T)
        # Time steps of a chunk, and number of chunks
        most = self.embedding.time_patches(self.max_frames)
        size = torch.sym_min(n_steps, most)
        K = (n_steps + size - 1) // size
        # Zeros fill the last chunk; frames that do not fill a patch are cut.
        frames = (K * size - 1) * stride + self.embedding.patch_frames
        feats = torch.nn.functional.pad(feats, (0, 0, 0, frames - T))
        # [B, T, F] -> [B, K * N, D] -> [B * K, N, D]
        x = self.embedding(feats).reshape(B * K, size, -1)
        x = x + resize_positions(self.position.table, most)[:, :size]
        mask = None
        valid = None
        if n_frames is not None:
            counts = self.embedding.time_patches(n_frames)
            valid = length_mask(counts, n_steps)
            # Time steps that are attended to in each chunk: those of the clip
            # if it has one chunk, else all; [B, K] -> [B * K, 1]
            starts = torch.arange(K, device=x.device) * size
            counts = counts[:, None]
            counts = counts.clamp(max=size) * (starts < counts)
            # Without any token to attend to, a softmax would be NaN.
            counts = counts.view(-1, 1).clamp(min=1)
            step = torch.arange(size, device=x.device)
            mask = (step < counts)[:, None, None]
        for block in self.blocks:
            x = block(x, mask)
        # [B * K, N, D] -> [B, K * N, D] -> [B, T', D]
        x = self.norm(x).view(B, K * size, -1)[:, :n_steps]
        return pool_tokens(self.pooling, None, x, valid)
