"""Pooling, normalisation and depthwise convolution over token sequences.

Authors
 * The speechbrain_fftp authors 2026
"""

import torch

POOLINGS = ("cls", "mean", "cls+mean", "tokens")


def check_embedding(embedding, n_mels, embed_dim, max_frames, num_heads=1):
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


def trim_padding(feats, wav_lens):
    """Removes the padding that all clips share and zeroes the rest.

    Returns features ``[B, T, F]`` with the T of the longest clip, or in
    compiled code as they are, and each clip's number of frames ``[B]``, which
    is None if all are equally long: ``round(wav_lens * T)``, at least one.
    Lengths on the CPU avoid a GPU synchronisation.
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


def embed_clips(embedding, feats, wav_lens):
    """Embeds the frames of each clip, with a stride that the embedding draws.

    Returns tokens ``[B, F' * T', D]`` and the stride; each clip's own number of
    columns ``[B]``, and which columns are its own ``[B, T']``. The latter two
    are None if all clips are equally long.
    """
    feats, n_frames = trim_padding(feats, wav_lens)
    stride = embedding.draw_stride()
    # [B, T, F] -> [B, F' * T', D]
    tokens = embedding(feats, stride)
    if n_frames is None:
        return tokens, stride, None, None
    valid = embedding.time_patches(n_frames, stride)
    columns = tokens.shape[1] // embedding.freq_patches
    own = torch.arange(columns, device=feats.device) < valid[:, None]
    return tokens, stride, valid, own


def token_batch_norm(norm, tokens, valid=None):
    """Applies a ``BatchNorm1d`` with the statistics of clips' own tokens.

    Others, where ``valid`` ``[B, N]`` is False, become 0.0. A single token has
    no statistics: the running ones are used. This is no layer of its own, since
    training on several GPUs puts a ``SyncBatchNorm`` in place.
    """
    if norm.training and valid is not None:
        own = token_batch_norm(norm, tokens[valid].unsqueeze(0))[0]
        return own.new_zeros(tokens.shape).index_put((valid,), own)
    own = tokens.flatten(0, 1)
    if norm.training and len(own) == 1 and type(norm) is torch.nn.BatchNorm1d:
        about = norm.running_mean, norm.running_var, norm.weight, norm.bias
        own = torch.nn.functional.batch_norm(own, *about, eps=norm.eps)
    else:
        own = norm(own)
    if valid is not None:
        own = own.masked_fill(~valid.flatten().unsqueeze(1), 0.0)
    return own.view_as(tokens)


def pool_tokens(pooling, cls, tokens, valid=None):
    """Pools tokens to ``[B, 1, D]``; with "tokens", keeps ``[B, N, D]``.

    ``cls`` is the mean of the class tokens ``[B, 1, D]``, ``tokens`` are the
    others ``[B, N, D]``, and ``valid`` is True for a clip's own ``[B, N]``, by
    default all; with "tokens", those of padding become 0.0.
    """
    if pooling == "cls":
        return cls
    if valid is None:
        valid = tokens.new_ones(tokens.shape[:2])
    weights = valid.to(tokens.dtype).unsqueeze(2)
    if pooling == "tokens":
        return tokens * weights
    mean = (tokens * weights).sum(1, keepdim=True)
    mean = mean / weights.sum(1, keepdim=True)
    return mean if pooling == "mean" else (cls + mean) / 2


def own_tokens(tokens):
    """Mask ``[B, N]`` of a clip's own tokens: those of padding are 0.0."""
    return (tokens != 0).any(2)


def check_pooling(pooling, known=POOLINGS):
    """Raises a ValueError if a kind of pooling is unknown."""
    if pooling not in known:
        raise ValueError(
            f"pooling={pooling!r} must be one of {', '.join(known)}."
        )
