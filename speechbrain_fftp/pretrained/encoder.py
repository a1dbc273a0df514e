"""The encoder of CED, ATST-Frame and Dasheng.

A pre-norm vision transformer without class tokens: CED
(https://arxiv.org/abs/2308.11957) on square patches, ATST-Frame
(https://arxiv.org/abs/2306.04186) and Dasheng
(https://arxiv.org/abs/2406.06992) on full-frequency temporal patches, whose
tokens form a time sequence.

Authors
 * The speechbrain_fftp authors 2026
"""

import torch

from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.nnet.normalization import TokenBatchNorm
from speechbrain_fftp.nnet.tokens import (
    EncodedClips,
    count_valid,
    length_mask,
    mean_token,
)


class ChunkedTransformer(AST):
    """An AST without class tokens that encodes long clips in chunks.

    Clips longer than ``max_frames`` are encoded in chunks of that length; the
    last chunk is padded with zeros. A clip's embedding does not depend on the
    other clips of its batch or on its padding.

    Arguments
    ---------
    *args, **kwargs
        See ``AST``. If clips are longer than ``max_frames``, patches must not
        overlap in time.
    pooling : str
        "mean", the mean over the clip's own tokens; or "chunks", the mean over
        all tokens of its chunks, including padding with zeros, as in CED.
    has_bin_norm : bool
        Whether to apply batch normalisation to the mel bins first, as in CED
        and Dasheng.
    """

    def __init__(self, *args, pooling="mean", has_bin_norm=False, **kwargs):
        super().__init__(*args, **kwargs)
        self.pooling = pooling
        del self.cls_tokens
        self.bin_norm = None
        if has_bin_norm:
            self.bin_norm = TokenBatchNorm(self.n_mels)

    def encode(self, feats, lengths=None):
        """Encodes a batch, with its tokens over time; see ``AST``.

        With ``pooling="chunks"``, a clip's own tokens are all those of its
        chunks.
        """
        B, T, F = feats.shape
        own = None
        n_frames = torch.full((B,), T, device=feats.device)
        if lengths is not None:
            n_frames = count_valid(lengths, T)
            n_frames = n_frames.to(feats.device, non_blocking=True)
            own = length_mask(n_frames, T)
            feats = feats.masked_fill(~own.unsqueeze(2), 0.0)
        if self.bin_norm is not None:
            feats = self.bin_norm(feats, own)
        # [B, T, F] -> K chunks [B * K, size, F] -> [B * K, F' * T', D]
        size = torch.sym_min(T, self.max_frames)
        K = (T + size - 1) // size
        feats = torch.nn.functional.pad(feats, (0, 0, 0, K * size - T))
        x = self.embedding(feats.view(B * K, size, F))
        rows = self.embedding.freq_patches
        n_time_patches = x.shape[1] // rows
        x = x + self.position.table[:, :n_time_patches].flatten(0, 1)
        # A clip's frames in each chunk: zeros that fill its last chunk are
        # attended to, padding of the batch is not.
        starts = torch.arange(K, device=x.device) * size
        in_chunk = starts < n_frames[:, None]  # [B, K]
        own_frames = n_frames.clamp(max=size)[:, None] * in_chunk
        counts = self.embedding.time_patches(own_frames)  # at least 1
        attended = length_mask(counts.flatten(), n_time_patches)  # [B * K, T']
        mask = attended.repeat(1, rows)[:, None, None]
        for block in self.blocks:
            x = block(x, mask)
        # [B * K, F' * T', D] -> [B * K, T', D] -> [B, K * T', D]
        x = self.norm(x).unflatten(1, (rows, n_time_patches)).mean(1)
        x = x.reshape(B, K * n_time_patches, -1)
        if self.pooling == "chunks":
            valid = attended.view(B, K, n_time_patches) & in_chunk[:, :, None]
            valid = valid.flatten(1)
        else:
            n_tokens = self.embedding.time_patches(T)
            x = x[:, :n_tokens]
            valid = length_mask(self.embedding.time_patches(n_frames), n_tokens)
        return EncodedClips(mean_token(x, valid), x, valid)
