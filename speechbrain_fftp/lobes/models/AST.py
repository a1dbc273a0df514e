"""The Audio Spectrogram Transformer with any patch embedding.

The encoder of https://arxiv.org/abs/2104.01778 (a pre-norm vision transformer
with a class and a distillation token) on full-frequency temporal patches
(https://arxiv.org/abs/2508.21243) or square patches. A clip's embedding does
not depend on the padding of its batch.

Authors
 * The speechbrain_fftp authors 2026
"""

import torch

from speechbrain_fftp.nnet.patching import FFTPEmbedding
from speechbrain_fftp.nnet.position import PositionEmbedding
from speechbrain_fftp.nnet.tokens import (
    POOLINGS,
    EncodedClips,
    embed_clips,
    pool_tokens,
)

CLASS_TOKENS = 2  # the class and the distillation token, which come first


class TransformerBlock(torch.nn.Module):
    """A pre-norm transformer block: self-attention, then an MLP.

    Arguments
    ---------
    embed_dim, num_heads : int
        Number of channels D of a token, and of attention heads.
    mlp_ratio : float
        Width of the MLP's hidden layer, in multiples of ``embed_dim``.
    dropout : float
        Dropout probability of attention weights and of both branches.
    norm_eps : float
        Epsilon of the layer normalisations.

    Raises
    ------
    ValueError
        If heads cannot share the channels equally.

    Example
    -------
    >>> block = TransformerBlock(192, num_heads=3)
    >>> block(torch.rand(2, 198, 192)).shape
    torch.Size([2, 198, 192])
    """

    def __init__(
        self,
        embed_dim,
        num_heads,
        mlp_ratio=4.0,
        dropout=0.0,
        norm_eps=1e-6,
    ):
        super().__init__()
        if num_heads < 1 or embed_dim % num_heads:
            raise ValueError(
                f"embed_dim {embed_dim} is not a multiple of num_heads "
                f"{num_heads}."
            )
        self.num_heads = num_heads
        self.dropout = dropout
        self.norm1 = torch.nn.LayerNorm(embed_dim, eps=norm_eps)
        self.qkv = torch.nn.Linear(embed_dim, 3 * embed_dim)
        self.proj = torch.nn.Linear(embed_dim, embed_dim)
        self.norm2 = torch.nn.LayerNorm(embed_dim, eps=norm_eps)
        self.mlp = torch.nn.Sequential(
            torch.nn.Linear(embed_dim, int(embed_dim * mlp_ratio)),
            torch.nn.GELU(),
            torch.nn.Dropout(dropout),
            torch.nn.Linear(int(embed_dim * mlp_ratio), embed_dim),
            torch.nn.Dropout(dropout),
        )

    def _attention(self, x, mask):
        """Attention over normalised tokens ``[B, N, D]``; see ``forward``."""
        # [B, N, 3 * D] -> three times [B, heads, N, D / heads]
        q, k, v = (
            part.unflatten(2, (self.num_heads, -1)).transpose(1, 2)
            for part in self.qkv(x).chunk(3, 2)
        )
        dropout = self.dropout if self.training else 0.0
        x = torch.nn.functional.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, dropout_p=dropout
        )
        # [B, heads, N, D / heads] -> [B, N, D]
        x = self.proj(x.transpose(1, 2).flatten(2))
        return torch.nn.functional.dropout(x, self.dropout, self.training)

    def forward(self, x, mask=None):
        """Applies the block.

        Arguments
        ---------
        x : torch.Tensor
            Tokens ``[B, N, D]``.
        mask : torch.Tensor, optional
            ``[B, 1, 1, N]``, True where a token may be attended to.

        Returns
        -------
        torch.Tensor
            Tokens ``[B, N, D]``.
        """
        x = x + self._attention(self.norm1(x), mask)
        return x + self.mlp(self.norm2(x))


class AST(torch.nn.Module):
    """Audio Spectrogram Transformer encoder.

    Sizes (width, depth, heads): tiny 192, 12, 3; small 384, 12, 6; base 768,
    12, 12.

    Arguments
    ---------
    n_mels, embed_dim : int
        Number of mel bins F of the features, and of channels D of a token.
    depth, num_heads : int
        Number of transformer blocks, and of attention heads.
    embedding : torch.nn.Module, optional
        A patch embedding of ``speechbrain_fftp.nnet.patching``; by default,
        ``FFTPEmbedding`` with 25 frames every 5.
    max_frames : int
        Maximum clip length in frames, which sets the number of learned
        positions. Longer clips stretch them (see ``PositionEmbedding``).
    mlp_ratio, dropout, norm_eps : float
        See ``TransformerBlock``. In the original AST, ``norm_eps`` is 1e-6.
    pooling : str
        "cls", the class tokens as in the original; "mean", the mean over the
        clip's valid tokens; or "cls+mean", the mean of both.
    mask_padding : bool
        False, as in the original, counts padding as a part of the clip, so that
        ``lengths`` have no influence.

    Raises
    ------
    ValueError
        If the pooling is unknown.

    Example
    -------
    >>> encoder = AST(embed_dim=48, depth=2, num_heads=3)
    >>> feats = torch.rand(2, 1000, 128)
    >>> encoder(feats, torch.tensor([1.0, 0.3])).shape
    torch.Size([2, 1, 48])
    """

    def __init__(
        self,
        n_mels=128,
        embed_dim=768,
        depth=12,
        num_heads=12,
        embedding=None,
        max_frames=1024,
        mlp_ratio=4.0,
        dropout=0.0,
        norm_eps=1e-6,
        pooling="cls",
        mask_padding=True,
    ):
        super().__init__()
        if pooling not in POOLINGS:
            raise ValueError(f"pooling {pooling} must be one of {POOLINGS}.")
        if embedding is None:
            embedding = FFTPEmbedding(n_mels, embed_dim)
        self.n_mels = n_mels
        self.mask_padding = mask_padding
        self.embed_dim = embed_dim
        self.num_heads = num_heads
        self.max_frames = max_frames
        self.pooling = pooling
        self.embedding = embedding
        self.position = PositionEmbedding(
            freq_patches=embedding.freq_patches,
            time_patches=embedding.time_patches(max_frames),
            embed_dim=embed_dim,
        )
        # Including their position embeddings
        self.cls_tokens = torch.nn.Parameter(
            torch.empty(CLASS_TOKENS, embed_dim)
        )
        self.blocks = torch.nn.ModuleList(
            TransformerBlock(
                embed_dim,
                num_heads,
                mlp_ratio=mlp_ratio,
                dropout=dropout,
                norm_eps=norm_eps,
            )
            for _ in range(depth)
        )
        self.norm = torch.nn.LayerNorm(embed_dim, eps=norm_eps)
        # As in the original
        torch.nn.init.trunc_normal_(self.cls_tokens, std=0.02)
        for module in self.blocks.modules():
            if isinstance(module, torch.nn.Linear):
                torch.nn.init.trunc_normal_(module.weight, std=0.02)
                torch.nn.init.zeros_(module.bias)

    def forward(self, feats, lengths=None):
        """Encodes a batch of spectrograms.

        Arguments
        ---------
        feats : torch.Tensor
            Normalised features ``[B, T, F]``.
        lengths : torch.Tensor, optional
            Length ``[B]`` of each clip relative to T. Only its first
            ``round(lengths * T)`` frames are used.

        Returns
        -------
        torch.Tensor
            Embedding ``[B, 1, D]`` of each clip.
        """
        return self.encode(feats, lengths).embedding

    def encode(self, feats, lengths=None):
        """Encodes a batch, with its tokens over time.

        The tokens of square patches are averaged over frequency.

        Arguments
        ---------
        feats, lengths : torch.Tensor
            See ``forward``.

        Returns
        -------
        EncodedClips
            Embeddings, tokens over time, and their mask.
        """
        # [B, T, F] -> [B, F' * T', D]
        tokens, time_patches, valid = embed_clips(
            self.embedding, feats, lengths if self.mask_padding else None
        )
        rows = self.embedding.freq_patches
        n_time_patches = tokens.shape[1] // rows
        tokens = tokens + self.position(n_time_patches, time_patches)
        mask = None
        if valid is not None:
            # [B, T'] -> [B, F' * T'] -> [B, 1, 1, 2 + F' * T']
            mask = valid.repeat(1, rows)
            mask = torch.nn.functional.pad(mask, (CLASS_TOKENS, 0), value=True)
            mask = mask[:, None, None]
        # [B, 2 + F' * T', D]
        cls_tokens = self.cls_tokens.expand(feats.shape[0], -1, -1)
        x = torch.cat([cls_tokens, tokens], 1)
        for block in self.blocks:
            x = block(x, mask)
        x = self.norm(x)
        # [B, 2 + F' * T', D] -> [B, 1, D]
        cls = x[:, :CLASS_TOKENS].mean(1, keepdim=True)
        # [B, 2 + F' * T', D] -> [B, F', T', D] -> [B, T', D]
        patches = (
            x[:, CLASS_TOKENS:].unflatten(1, (rows, n_time_patches)).mean(1)
        )
        embedding = pool_tokens(self.pooling, cls, patches, valid)
        return EncodedClips(embedding, patches, valid)
