"""Audio Mamba (AuM) with any patch embedding.

The encoder of https://arxiv.org/abs/2406.03344 (a stack of bidirectional Mamba
blocks with a class token in the middle) on full-frequency temporal patches
(https://arxiv.org/abs/2508.21243) or square ones, for whole clips or streams. A
clip's embedding does not depend on the padding of its batch.

Authors
 * The speechbrain_fftp authors 2026
"""

import math
from typing import NamedTuple

import torch

from speechbrain_fftp.nnet.mamba import MambaBlock
from speechbrain_fftp.nnet.patching import FFTPEmbedding
from speechbrain_fftp.nnet.position import PositionEmbedding, init_truncated
from speechbrain_fftp.nnet.tokens import (
    check_embedding,
    check_pooling,
    embed_clips,
    pool_tokens,
)


class StreamState(NamedTuple):
    """State of a stream between two calls of ``AuM.step``, of constant size.

    Arguments
    ---------
    frames : torch.Tensor
        Frames ``[B, T, F]`` that the next tokens still need.
    blocks : list
        State of each block.

    Example
    -------
    >>> encoder = AuM(embed_dim=32, depth=2, bidirectional=False)
    >>> _, state = encoder.step(torch.rand(1, 58, 128))
    >>> state.frames.shape, len(state.blocks)
    (torch.Size([1, 23, 128]), 2)
    """

    frames: torch.Tensor
    blocks: list


class AuM(torch.nn.Module):
    """Audio Mamba encoder.

    Sizes (width, depth): tiny 192, 24; small 384, 24; base 768, 24.
    Bidirectional encoders have learned positions and put the class token in the
    middle of a clip's tokens. With ``bidirectional=False`` it comes last, after
    all tokens, and there are no positions, so that a stream may be endless.

    Arguments
    ---------
    n_mels, embed_dim : int
        Number of mel bins F of the features, and of channels D of a token.
    depth : int
        Number of blocks.
    bidirectional : str or bool
        "fo-bi", "bi-bi" or False; see ``Mamba``.
    embedding : torch.nn.Module, optional
        A patch embedding of ``speechbrain_fftp.nnet.patching``; by default,
        ``FFTPEmbedding`` with 25 frames every 5.
    max_frames : int
        Maximum clip length in frames, which sets the number of learned
        positions. Longer clips stretch them (see ``PositionEmbedding``).
    d_state, d_conv, expand : int
        Sizes of the blocks; see ``Mamba``.
    dt_rank : int, optional
        Rank of the projection of step sizes; see ``Mamba``.
    residual_in_fp32 : bool
        Whether the residual stream is float32 even if the weights are not.
    norm_eps : float
        Epsilon of the normalisations.
    backend : str
        Backend of ``selective_scan``.
    pooling : str
        "cls" as in the original, "mean", "cls+mean" or "tokens"; see ``AST``.

    Raises
    ------
    ValueError
        If the embedding has other sizes, its patch is longer than
        ``max_frames``, or ``bidirectional`` or ``pooling`` is unknown.

    Example
    -------
    >>> encoder = AuM(embed_dim=32, depth=2)
    >>> feats = torch.rand(2, 1000, 128)
    >>> encoder(feats, torch.tensor([1.0, 0.3])).shape
    torch.Size([2, 1, 32])

    Streaming, a tenth of a second at a time:

    >>> encoder = AuM(embed_dim=32, depth=2, bidirectional=False)
    >>> state = None
    >>> for chunk in feats[:, :50].split(10, dim=1):
    ...     embedding, state = encoder.step(chunk, state)
    >>> torch.allclose(embedding, encoder(feats[:, :50]), atol=1e-4)
    True
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
        dt_rank=None,
        residual_in_fp32=True,
        norm_eps=1e-5,
        backend="auto",
        pooling="cls",
    ):
        super().__init__()
        check_pooling(pooling)
        if embedding is None:
            embedding = FFTPEmbedding(n_mels, embed_dim)
        check_embedding(embedding, n_mels, embed_dim, max_frames)
        self.n_mels = n_mels
        self.embed_dim = embed_dim
        self.depth = depth
        self.bidirectional = bidirectional
        self.max_frames = max_frames
        self.backend = backend
        self.d_state = d_state
        self.d_conv = d_conv
        self.expand = expand
        self.dt_rank = dt_rank
        self.residual_in_fp32 = residual_in_fp32
        self.norm_eps = norm_eps
        self.pooling = pooling
        self.embedding = embedding
        if bidirectional:
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
                dt_rank=dt_rank,
                backend=backend,
            )
            for _ in range(depth)
        )
        self.norm = torch.nn.RMSNorm(embed_dim, eps=norm_eps)
        init_truncated(self.cls_token)
        for block in self.blocks:  # smaller outputs in deeper stacks
            block.mixer.out_proj.weight.data /= math.sqrt(depth)

    def forward(self, feats, lengths=None, wav_lens=None):
        """Encodes a batch of spectrograms.

        Arguments
        ---------
        feats : torch.Tensor
            Normalised features ``[B, T, F]``.
        lengths : torch.Tensor, optional
            Length ``[B]`` of each clip relative to T. Only its first
            ``round(lengths * T)`` frames are used.
        wav_lens : torch.Tensor, optional
            Former name of ``lengths``.

        Returns
        -------
        torch.Tensor
            Embedding ``[B, 1, D]`` of each clip, or its tokens over time
            ``[B, T', D]``, see ``pooling``.
        """
        if lengths is None:
            lengths = wav_lens
        # [B, T, F] -> [B, F' * T', D]
        clips = embed_clips(self.embedding, feats, lengths)
        tokens = clips.tokens
        if self.bidirectional:
            known = self.embedding.time_patches(
                self.max_frames, clips.stride_frames
            )
            tokens = tokens + self.position(
                clips.n_steps, clips.step_counts, known
            )
        x, lengths, place = self._add_cls_token(
            tokens, clips.step_counts, clips.n_steps
        )
        x = self._residual(x)
        for block in self.blocks:
            x = block(x, lengths)
        x = x.to(self.norm.weight.dtype)
        # [B, 1 + N, D] -> [B, 1, D]: the class token of each clip
        index = place.view(-1, 1, 1).expand(x.shape[0], 1, x.shape[2])
        cls = x.gather(1, index)
        if self.pooling == "cls":
            return self.norm(cls)
        # [B, 1 + N, D] -> [B, F', T', D] -> [B, T', D]
        tokens = self._take_tokens(x, place, clips.step_counts, clips.n_steps)
        steps = self.norm(tokens).mean(1)
        return pool_tokens(self.pooling, self.norm(cls), steps, clips.valid)

    def _add_cls_token(self, tokens, step_counts, n_steps):
        """Adds the class token to each clip's own tokens, which come first.

        Returns the tokens ``[B, 1 + N, D]``, each clip's number of them ``[B]``
        or None, and the index of the class token, ``[1]`` or ``[B]``.
        """
        batch, n_tokens, width = tokens.shape
        cls_token = self.cls_token.expand(batch, 1, width)
        if step_counts is None:
            middle = n_tokens // 2 if self.bidirectional else n_tokens
            first, last = tokens.split((middle, n_tokens - middle), 1)
            place = torch.full((1,), middle, device=tokens.device)
            return torch.cat([first, cls_token, last], 1), None, place
        counts = step_counts * self.embedding.freq_patches
        place = counts // 2 if self.bidirectional else counts
        # The clip's own token in each slot: those after the class token are
        # shifted by one.
        slots = torch.arange(n_tokens + 1, device=tokens.device)
        token = slots - (slots > place.unsqueeze(1)).long()
        # Tokens are frequency-major: padding comes after each row of patches.
        rows = token // step_counts.unsqueeze(1)
        steps = token % step_counts.unsqueeze(1)
        index = 1 + (rows * n_steps + steps).clamp(max=n_tokens - 1)
        # The class token is the first input.
        index = index.masked_fill(slots == place.unsqueeze(1), 0)
        x = torch.cat([cls_token, tokens], 1)
        x = x.gather(1, index.unsqueeze(2).expand(-1, -1, width))
        return x, counts + 1, place

    def _take_tokens(self, x, place, step_counts, n_steps):
        """Undoes ``_add_cls_token``: ``[B, F', T', D]``, padding last."""
        n_rows = self.embedding.freq_patches
        rows = torch.arange(n_rows, device=x.device).unsqueeze(1)
        steps = torch.arange(n_steps, device=x.device)
        if step_counts is None:
            slots = (rows * n_steps + steps).unsqueeze(0)
        else:
            slots = rows * step_counts.view(-1, 1, 1) + steps
        slots = slots + (slots >= place.view(-1, 1, 1)).long()
        index = slots.clamp(max=x.shape[1] - 1).flatten(1).unsqueeze(2)
        tokens = x.gather(1, index.expand(x.shape[0], -1, x.shape[2]))
        return tokens.unflatten(1, (n_rows, n_steps))

    def step(self, feats, state=None):
        """Encodes the next frames of a stream, any number at a time.

        Time and memory of a call depend on its number of frames, not on the
        length of the stream.

        Arguments
        ---------
        feats : torch.Tensor
            The next frames ``[B, T, F]``, normalised.
        state : StreamState, optional
            State returned by the previous call; None at the start.

        Returns
        -------
        embedding : torch.Tensor
            ``[B, 1, D]``: the output of ``forward`` for all frames so far.
        state : StreamState
            State for the next call.

        Raises
        ------
        ValueError
            If the encoder is bidirectional or pools tokens, patches are square,
            or the stride is longer than a patch.
        """
        embedding = self.embedding
        if self.pooling != "cls":
            raise ValueError(
                f"An encoder with pooling={self.pooling!r} cannot run as a "
                'stream: build it with pooling="cls".'
            )
        if (
            embedding.freq_patches > 1
            or embedding.stride_frames > embedding.patch_frames
        ):
            raise ValueError(
                "A stream needs patches that cover all mel bins and all "
                "frames: FFTPEmbedding with stride_frames <= patch_frames."
            )
        blocks = [None] * len(self.blocks) if state is None else state.blocks
        if state is not None:
            feats = torch.cat([state.frames, feats], 1)
        tail = self.cls_token.expand(feats.shape[0], 1, -1)
        if feats.shape[1] >= embedding.patch_frames:
            tokens = embedding(feats)
            feats = feats[:, tokens.shape[1] * embedding.stride_frames :]
            _, blocks = self._run(tokens, blocks)
        elif state is None or blocks[0] is None:
            # Less than one token: pad to one, as forward does.
            tail = torch.cat([embedding(feats), tail], 1)
        x, _ = self._run(tail, blocks)
        x = self.norm(x[:, -1:].to(self.norm.weight.dtype))
        return x, StreamState(feats, blocks)

    def _run(self, x, states):
        """Runs all blocks from their states; returns the new states."""
        x = self._residual(x)
        states = list(states)
        for i, block in enumerate(self.blocks):
            x, states[i] = block.step(x, states[i])
        return x, states

    def _residual(self, x):
        """The residual stream, in float32 with ``residual_in_fp32``."""
        if not self.residual_in_fp32:
            return x
        return x.to(torch.promote_types(x.dtype, torch.float32))
