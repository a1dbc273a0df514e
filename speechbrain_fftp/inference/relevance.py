"""Which frames of a clip an AST's embedding attends to, by attention rollout.

Attention rollout: https://arxiv.org/abs/2005.00928.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import functools
import math

import numpy as np
import torch

from speechbrain_fftp.lobes.models.AST import AST, CLASS_TOKENS
from speechbrain_fftp.nnet.tokens import pool_tokens


@contextlib.contextmanager
def attention_maps(encoder):
    """Yields a list that collects an AST's attention weights as it runs.

    Each block appends ``[B, N, N]``, the mean over heads; rows sum to 1. Fused
    attention does not return its weights, so they are computed again from
    queries and keys, without dropout and without the mask of a padded batch:
    use eval mode and clips of equal length. Other encoders: TypeError.
    """
    if not isinstance(encoder, AST):
        raise TypeError(
            "Relevance is the attention of class tokens, which "
            f"{type(encoder).__name__} does not have: use an AST."
        )
    maps = []

    def append_weights(block, layer, inputs, output):
        """A forward hook, which gets ``[B, N, 3 * D]``."""
        qkv = output.detach().unflatten(-1, (3, block.num_heads, -1))
        # 2 x [B, heads, N, D / heads]
        q, k = qkv[:, :, :2].permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
        maps.append(scores.softmax(-1).mean(1))

    with contextlib.ExitStack() as hooks:
        for block in encoder.blocks:
            append = functools.partial(append_weights, block)
            hooks.callback(block.qkv.register_forward_hook(append).remove)
        yield maps


def rollout(maps):
    """How much each output token depends on each input token, ``[B, N, N]``.

    The product over blocks of ``(A + I) / 2``, which weights attention A and
    the residual connection equally; rows sum to 1.
    """
    product = identity = torch.eye(maps[0].shape[-1], device=maps[0].device)
    for weights in maps:
        product = (weights.float() + identity) / 2 @ product
    return product


def token_relevance(tagger, wav):
    """How much an AST's embedding depends on each time step of a clip.

    Pools the rollout of the output tokens as the encoder pools these, and sums
    it over the patches of a time step; classes are not told apart. A
    waveform beyond the maximum clip length is processed in equal parts.

    Arguments
    ---------
    tagger : AudioTagger
        One with a ``TorchEngine`` and an AST that classifies clips.
    wav : numpy.ndarray
        Samples ``[S]`` at the model's sampling rate.

    Returns
    -------
    times, relevance : numpy.ndarray
        The centres ``[N]`` of the time steps in seconds and their relevance
        ``[N]``, which sums to 1 minus that of the class tokens over each part.
    """
    engine = tagger.engine
    encoder = engine.mods.embedding_model
    patches = encoder.embedding
    times, relevance = [], []
    start = 0
    n_parts = math.ceil(len(wav) / engine.max_samples)
    for part in torch.as_tensor(wav).chunk(n_parts):
        with torch.no_grad(), attention_maps(encoder) as maps:
            engine.encode_batch(part)
        # [1, 2 + F' * T', 2 + F' * T'] -> [F', T'] -> [T']
        product = rollout(maps)[..., CLASS_TOKENS:]
        cls = product[:, :CLASS_TOKENS].mean(1, keepdim=True)
        steps = pool_tokens(encoder.pooling, cls, product[:, CLASS_TOKENS:])
        steps = steps.view(patches.freq_patches, -1).sum(0).cpu().numpy()
        centres = np.arange(len(steps)) * patches.stride_frames
        centres = centres + patches.patch_frames / 2
        frames = centres * engine.frame_samples
        times.append((start + frames) / engine.sample_rate)
        relevance.append(steps)
        start += len(part)
    return np.concatenate(times), np.concatenate(relevance)
