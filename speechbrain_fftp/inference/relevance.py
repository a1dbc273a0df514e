"""Which moments of a clip an Audio Spectrogram Transformer draws from.

By attention rollout, https://arxiv.org/abs/2005.00928.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import math

import torch

from speechbrain_fftp.inference.windows import frame_size
from speechbrain_fftp.lobes.models.AST import AST


def _check_attention(encoder):
    """Raises an error if an encoder is no AST."""
    if not isinstance(encoder, AST):
        raise TypeError(
            f"Relevance is read off attention, which only an AST has; "
            f"{type(encoder).__name__} has none."
        )


@contextlib.contextmanager
def attention_maps(encoder):
    """Collects the attention weights of an AST while it encodes clips.

    The encoder runs as ever. Its fused attention does not give the weights, so
    that ``softmax(Q K^T / sqrt(d))`` is computed a second time from what its
    ``qkv`` layers put out. That is without dropout and without the mask of a
    padded batch: encode one clip at a time, in eval mode.

    Arguments
    ---------
    encoder : AST
        The encoder.

    Yields
    ------
    list of torch.Tensor
        One ``[B, N, N]`` per block, the mean over heads, appended as the
        blocks run; each row sums to 1.

    Example
    -------
    >>> encoder = AST(embed_dim=48, depth=2, num_heads=3).eval()
    >>> with attention_maps(encoder) as maps:
    ...     _ = encoder(torch.rand(1, 100, 128))
    >>> [tuple(weights.shape) for weights in maps]
    [(1, 18, 18), (1, 18, 18)]
    """
    _check_attention(encoder)
    maps = []

    def keep(block):
        """A hook that appends the block's weights."""

        def hook(layer, inputs, output):
            """Computes the weights from ``[B, N, 3 * D]``."""
            parts = output.detach().unflatten(-1, (3, block.num_heads, -1))
            # 2 x [B, heads, N, D / heads]
            q, k = parts[:, :, :2].permute(2, 0, 3, 1, 4)
            scores = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
            maps.append(scores.softmax(-1).mean(1))

        return hook

    handles = [b.qkv.register_forward_hook(keep(b)) for b in encoder.blocks]
    try:
        yield maps
    finally:
        for handle in handles:
            handle.remove()


def rollout(maps):
    """What the output tokens draw from each input token, by attention rollout.

    The product over blocks of ``(A + I) / 2``: the attention weights and the
    residual path, in equal parts.

    Arguments
    ---------
    maps : list of torch.Tensor
        Attention weights ``[B, N, N]`` of each block, the first block first.

    Returns
    -------
    torch.Tensor
        ``[B, N, N]``; row ``i`` sums to 1 and belongs to output token ``i``.

    Example
    -------
    >>> attention = torch.tensor([[[0.0, 1.0], [0.0, 1.0]]])
    >>> rollout([attention, attention])
    tensor([[[0.2500, 0.7500],
             [0.0000, 1.0000]]])
    """
    identity = torch.eye(maps[0].shape[-1], device=maps[0].device)
    product = identity
    for weights in maps:
        product = (weights.float() + identity) / 2 @ product
    return product


def token_relevance(tagger, wav):
    """How much an AST's embedding draws from each moment of a clip.

    Attention rollout's rows of the two class tokens, whose mean is the
    embedding, averaged. Square patches of the same time are summed. It is a
    property of the embedding, not of one class.

    Arguments
    ---------
    tagger : AudioTagger
        A tagger with an AST.
    wav : torch.Tensor
        Waveform ``[S]`` at its sampling rate. Longer than the model's clips,
        it goes through in equal parts that are not.

    Returns
    -------
    times : torch.Tensor
        Middle ``[N]`` of each token, in seconds.
    relevance : torch.Tensor
        ``[N]``, at least 0. The sum over a part is less than 1 by what the
        class tokens keep to themselves.

    Raises
    ------
    TypeError
        If the model is no AST: Audio Mamba has no attention.

    Example
    -------
    >>> from speechbrain.dataio.encoder import CategoricalEncoder
    >>> from speechbrain_fftp.inference.tagging import AudioTagger
    >>> from speechbrain_fftp.lobes.features import (
    ...     DatasetNormalization,
    ...     KaldiFbank,
    ... )
    >>> labels = CategoricalEncoder()
    >>> labels.update_from_iterable(["Speech", "Music"])
    >>> modules = {
    ...     "compute_features": KaldiFbank(),
    ...     "mean_var_norm": DatasetNormalization(),
    ...     "embedding_model": AST(embed_dim=48, depth=1, num_heads=3),
    ...     "classifier": torch.nn.Linear(48, 2),
    ... }
    >>> hparams = {
    ...     "label_encoder": labels,
    ...     "sample_rate": 16000,
    ...     "max_frames": 1024,
    ... }
    >>> tagger = AudioTagger(modules, hparams)
    >>> times, relevance = token_relevance(tagger, torch.rand(16000))
    >>> times.shape, relevance.shape
    (torch.Size([15]), torch.Size([15]))
    """
    encoder, fbank = tagger.mods.embedding_model, tagger.mods.compute_features
    _check_attention(encoder)
    rate, rows = tagger.hparams.sample_rate, encoder.embedding.freq_patches
    size = tagger.num_samples(tagger.hparams.max_frames)
    times, relevance, start = [], [], 0
    for part in wav.chunk(math.ceil(len(wav) / size)):
        with torch.no_grad(), attention_maps(encoder) as maps:
            tagger.encode_batch(part)
        drawn = rollout(maps)[0, :2, 2:].mean(0).view(rows, -1).sum(0).cpu()
        middles = (
            torch.arange(len(drawn)) * encoder.embedding.stride_frames
            + encoder.embedding.patch_frames / 2
        )
        times.append((start + middles * frame_size(fbank)[1]) / rate)
        relevance.append(drawn)
        start += len(part)
    return torch.cat(times), torch.cat(relevance)
