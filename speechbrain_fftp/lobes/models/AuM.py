"""Audio Mamba (AuM) with any patch embedding.

The encoder of https://arxiv.org/abs/2406.03344 (a stack of bidirectional Mamba
blocks with a class token in the middle) on full-frequency temporal patches
(https://arxiv.org/abs/2508.21243) or square patches. A clip's embedding does
not depend on the padding of its batch.

Authors
 * The speechbrain_fftp authors 2026
"""

import math

import torch

from speechbrain_fftp.nnet.mamba import MambaBlock
from speechbrain_fftp.nnet.patching import FFTPEmbedding
from speechbrain_fftp.nnet.position import PositionEmbedding
from speechbrain_fftp.nnet.tokens import (
    POOLINGS,
    EncodedClips,
    embed_clips,
    pool_tokens,
)


class AuM(torch.nn.Module):
    """Audio Mamba encoder.

    Sizes (width, depth): tiny 192, 24; small 384, 24; base 768, 24. The class
    token is in the middle of a clip's valid tokens.

    Arguments
    ---------
    n_mels, embed_dim : int
        Number of mel bins F of the features, and of channels D of a token.
    depth : int
        Number of blocks.
    bidirectional : str
        "fo-bi" or "bi-bi"; see ``Mamba``.
    embedding : torch.nn.Module, optional
        A patch embedding of ``speechbrain_fftp.nnet.patching``, whose weights
        are drawn again; by default, ``FFTPEmbedding`` with 25 frames every 5.
    max_frames : int
        Maximum clip length in frames, which sets the number of learned
        positions. Longer clips stretch them (see ``PositionEmbedding``).
    d_state, d_conv, expand : int
        Sizes of the blocks; see ``Mamba``.
    scan : str
        The scan's backend; see ``selective_scan``.
    norm_eps : float
        Epsilon of the normalisations.
    pooling : str
        "cls" as in the original, "mean" or "cls+mean"; see ``AST``.
    mask_padding : bool
        See ``AST``.

    Raises
    ------
    ValueError
        If the pooling is unknown.

    Example
    -------
    >>> encoder = AuM(embed_dim=32, depth=2)
    >>> feats = torch.rand(2, 1000, 128)
    >>> encoder(feats, torch.tensor([1.0, 0.3])).shape
    torch.Size([2, 1, 32])
    """

    def __init__(
        self,
        n_mels=128,
        embed_dim=768,
        depth=24,
        bidirectional="fo-bi",
        embedding=None,
        max_frames=1024,
        d_state=16,
        d_conv=4,
        expand=2,
        norm_eps=1e-5,
        pooling="cls",
        scan="auto",
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
        self.max_frames = max_frames
        self.pooling = pooling
        self.embedding = embedding
        self.position = PositionEmbedding(
            freq_patches=embedding.freq_patches,
            time_patches=embedding.time_patches(max_frames),
            embed_dim=embed_dim,
        )
        self.cls_token = torch.nn.Parameter(torch.empty(embed_dim))
        self.blocks = torch.nn.ModuleList(
            MambaBlock(
                embed_dim,
                norm_eps,
                bidirectional=bidirectional,
                d_state=d_state,
                d_conv=d_conv,
                expand=expand,
                scan=scan,
            )
            for _ in range(depth)
        )
        self.norm = torch.nn.RMSNorm(embed_dim, eps=norm_eps)
        # As in the original: LeCun's normal distribution, cut at two standard
        # deviations, which leaves 0.8796 of one
        patches = embedding.proj
        std = patches.in_features**-0.5 / 0.8796
        torch.nn.init.trunc_normal_(patches.weight, 0, std, -2 * std, 2 * std)
        torch.nn.init.zeros_(patches.bias)
        torch.nn.init.trunc_normal_(self.cls_token, std=0.02)
        for block in self.blocks:  # smaller outputs in deeper stacks
            block.mixer.out_proj.weight.data /= math.sqrt(depth)

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
        B, N, D = tokens.shape
        rows = self.embedding.freq_patches
        n_time_patches = N // rows
        tokens = tokens + self.position(n_time_patches, time_patches)
        is_valid = valid
        if valid is None:
            is_valid = tokens.new_ones(1, n_time_patches, dtype=torch.bool)
        slots, middle = find_slots(is_valid.repeat(1, rows))
        slots = slots.unsqueeze(2).expand(B, N, D)
        middle = middle.unsqueeze(2).expand(B, 1, D)
        cls_token = self.cls_token.to(tokens.dtype).expand(B, 1, D)
        # [B, F' * T', D] -> [B, F' * T' + 1, D]
        x = tokens.new_zeros(B, N + 1, D).scatter(1, slots, tokens)
        x = x.scatter(1, middle, cls_token)
        # The residual stream is in at least float32, as in the original
        x = x.to(torch.promote_types(x.dtype, torch.float32))
        counts = None if valid is None else time_patches * rows + 1
        for block in self.blocks:
            x = block(x, counts)
        x = self.norm(x.to(self.norm.weight.dtype))
        cls = x.gather(1, middle)  # [B, 1, D]
        # [B, F' * T' + 1, D] -> [B, F' * T', D] -> [B, F', T', D] -> [B, T', D]
        patches = (
            x.gather(1, slots).unflatten(1, (rows, n_time_patches)).mean(1)
        )
        embedding = pool_tokens(self.pooling, cls, patches, valid)
        return EncodedClips(embedding, patches, valid)


def find_slots(is_valid):
    """Moves padding behind a clip's valid tokens and the class token.

    Tokens are frequency-major, so each row of patches ends with padding.

    Arguments
    ---------
    is_valid : torch.Tensor
        True for a clip's valid tokens ``[B, N]``.

    Returns
    -------
    slots : torch.Tensor
        The new index of each token, ``[B, N]``.
    middle : torch.Tensor
        The index of the class token, ``[B, 1]``.

    Example
    -------
    >>> find_slots(torch.tensor([[True, False, True, True]]))
    (tensor([[0, 4, 2, 3]]), tensor([[1]]))
    """
    count = is_valid.sum(1, keepdim=True)
    middle = count // 2
    slots = torch.where(
        is_valid, is_valid.cumsum(1) - 1, count + (~is_valid).cumsum(1) - 1
    )
    return slots + (slots >= middle), middle
