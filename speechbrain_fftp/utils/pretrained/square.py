"""Reuses weights that were trained with square patches for FFTP.

A full-frequency patch of the same frames can compute the mean of a column of
square tokens exactly: its kernel is the mean of the square one at all rows, and
its position the mean of theirs. Blocks, norms and class tokens stay the same.
This answers a question that https://arxiv.org/abs/2508.21243 leaves open.

Authors
 * The speechbrain_fftp authors 2026
"""

import copy

from speechbrain_fftp.nnet.patching import FFTPEmbedding, _check_embedding
from speechbrain_fftp.nnet.position import PositionEmbedding
from speechbrain_fftp.utils.pretrained.tensors import PATCHES, POSITIONS


def square_to_fftp(encoder, embedding):
    """Gives an encoder with square patches full-frequency ones.

    Tokens of patches that are as long as the square ones are the means of their
    columns. Longer ones are the means of all square tokens within them. Shorter
    ones are those of a clip whose frames outside the patch repeat its first and
    last one.

    Arguments
    ---------
    encoder : AST or AuM
        The encoder, which is not changed.
    embedding : FFTPEmbedding
        The new embedding, which gets its weights from the encoder's.

    Returns
    -------
    AST or AuM
        A copy of the encoder with the embedding and its positions.

    Raises
    ------
    ValueError
        If the encoder's patches are not square, or the embedding does not fit.

    Example
    -------
    >>> import torch
    >>> from speechbrain_fftp.lobes.models.AST import AST
    >>> from speechbrain_fftp.nnet.patching import SquarePatchEmbedding
    >>> square = AST(128, 48, 1, 3, SquarePatchEmbedding(128, 48))
    >>> fftp = square_to_fftp(square, FFTPEmbedding(128, 48, 16, 10))
    >>> feats = torch.rand(1, 100, 128)
    >>> tokens = square.embedding(feats).unflatten(1, (12, -1)).mean(1)
    >>> torch.allclose(fftp.embedding(feats), tokens, atol=1e-5)
    True
    """
    old = encoder.embedding
    if old.freq_patches == 1 or not isinstance(embedding, FFTPEmbedding):
        raise ValueError(
            "square_to_fftp turns square patches into full-frequency ones, not "
            f"{type(old).__name__} into {type(embedding).__name__}."
        )
    heads = getattr(encoder, "num_heads", 1)
    sizes = encoder.n_mels, encoder.embed_dim, encoder.max_frames, heads
    _check_embedding(embedding, *sizes)
    new = copy.deepcopy(encoder)
    new.embedding = copy.deepcopy(embedding)
    columns = embedding.time_patches(encoder.max_frames)
    if hasattr(new, "position"):
        new.position = PositionEmbedding(1, columns, encoder.embed_dim)
    state = encoder.state_dict()
    stride = old.stride_frames
    new.load_state_dict(_to_full_frequency(state, embedding, stride))
    return new.train(encoder.training)


def _to_full_frequency(state, embedding, stride):
    """Turns a state dict with square patches into one for an FFTP embedding.

    ``stride`` are the steps of the square patches, in bins and frames. Time
    positions are still those of the square patches' columns.
    """
    square = state[PATCHES]
    width, _, bins, frames = square.shape
    n_mels, wanted = embedding.n_mels, embedding.patch_frames
    rows = range(0, n_mels - bins + 1, stride)
    columns = range(0, max(wanted - frames, 0) + 1, stride)
    kernel = square.new_zeros(width, 1, n_mels, max(wanted, frames))
    # The square tokens that fit in are in the middle of a longer patch.
    left = max(wanted - frames - columns[-1], 0) // 2
    for row in rows:
        for column in columns:
            start = left + column
            kernel[:, :, row : row + bins, start : start + frames] += square
    kernel /= len(rows) * len(columns)
    cut = frames - wanted
    if cut > 0:  # frames outside the patch count for its first and last one
        first, last = cut // 2, cut - cut // 2
        kernel[..., first] += kernel[..., :first].sum(-1)
        kernel[..., -last - 1] += kernel[..., -last:].sum(-1)
        kernel = kernel[..., first : frames - last]
    state = {**state, PATCHES: kernel}
    if POSITIONS in state:
        state[POSITIONS] = state[POSITIONS].mean(0, keepdim=True)
    return state
