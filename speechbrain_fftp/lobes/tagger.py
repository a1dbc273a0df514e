"""From waveforms to logits: the one path of training, inference and export.

Authors
 * The speechbrain_fftp authors 2026
"""

import torch

from speechbrain_fftp.nnet.tokens import count_valid, length_mask


def augment_clips(augment, wavs, lens):
    """Applies an augmentation of waveforms, such as SpeechBrain's Augmenter.

    In float32, even under autocast, where a convolution such as that of
    ``SpeedPerturb`` would return waveforms of 8 bits of precision.

    Arguments
    ---------
    augment : callable
        Maps waveforms and lengths, both on the same device, to the same.
    wavs : torch.Tensor
        Waveforms ``[B, S]``.
    lens : torch.Tensor or None
        Lengths ``[B]`` relative to S; None if all are 1.0.

    Returns
    -------
    wavs : torch.Tensor
        The augmented waveforms ``[B, S]``.
    lens : torch.Tensor or None
        See ``unequal_lengths``.

    Example
    -------
    >>> wavs, lens = torch.rand(2, 8), torch.tensor([1.0, 0.5])
    >>> augment_clips(lambda wavs, lens: (-wavs, lens), wavs, lens)[1]
    tensor([1.0000, 0.5000])
    """
    there = torch.ones(len(wavs), device=wavs.device)
    if lens is not None:
        there = lens.to(wavs.device, non_blocking=True)
    with torch.autocast(wavs.device.type, enabled=False):
        wavs, augmented = augment(wavs, there)
    if augmented is there:  # known without waiting for a GPU
        return wavs, lens
    return wavs, unequal_lengths(augmented)


def augment_features(augment, feats, lens):
    """Applies an augmentation of features, such as SpeechBrain's Augmenter.

    Lengths stay on the CPU, where ``SpecMask`` draws its masks.

    Arguments
    ---------
    augment : callable
        Maps features and lengths to the same.
    feats : torch.Tensor
        Features ``[B, T, F]``.
    lens : torch.Tensor or None
        Lengths ``[B]`` relative to T, on the CPU; None if all are 1.0.

    Returns
    -------
    feats : torch.Tensor
        The augmented features ``[B, T, F]``.
    lens : torch.Tensor or None
        See ``unequal_lengths``.

    Example
    -------
    >>> from speechbrain.augment.augmenter import Augmenter
    >>> from speechbrain.augment.freq_domain import SpectrogramDrop
    >>> augment = Augmenter(augmentations=[SpectrogramDrop()])
    >>> feats, lens = torch.rand(2, 98, 128), torch.tensor([1.0, 0.5])
    >>> augment_features(augment, feats, lens)[1]
    tensor([1.0000, 0.5000])
    """
    here = torch.ones(len(feats)) if lens is None else lens
    feats, augmented = augment(feats, here)
    return feats, unequal_lengths(augmented)


def unequal_lengths(lengths):
    """Lengths on the CPU, or None if no clip of the batch is shorter.

    Without lengths, encoders mask nothing, and on the CPU, the padding is known
    without waiting for a GPU.

    Arguments
    ---------
    lengths : torch.Tensor
        Lengths ``[B]`` relative to the longest clip.

    Returns
    -------
    torch.Tensor or None
        The lengths.

    Example
    -------
    >>> unequal_lengths(torch.tensor([1.0, 1.0]))
    >>> unequal_lengths(torch.tensor([1.0, 0.5]))
    tensor([1.0000, 0.5000])
    """
    lengths = lengths.cpu()
    return None if bool((lengths == 1).all()) else lengths


def filterbanks(compute_features, wavs, wav_lens=None):
    """Computes features that do not depend on the padding.

    Arguments
    ---------
    compute_features : torch.nn.Module
        Maps waveforms ``[B, S]`` to features ``[B, T, F]``. Without
        ``frame_lens``, as in SpeechBrain's ``Fbank``, features have the
        relative lengths of the waveforms, off by up to a few frames.
    wavs : torch.Tensor
        Waveforms ``[B, S]``.
    wav_lens : torch.Tensor, optional
        Lengths ``[B]`` relative to S; by default, all are 1.0. Lengths on the
        CPU avoid GPU synchronisations.

    Returns
    -------
    feats : torch.Tensor
        Features ``[B, T, F]``.
    lens : torch.Tensor or None
        Lengths ``[B]`` relative to T; None if ``wav_lens`` is None.

    Example
    -------
    >>> from speechbrain_fftp.lobes.features import KaldiFbank
    >>> wavs, wav_lens = torch.rand(2, 16000), torch.tensor([1.0, 0.5])
    >>> filterbanks(KaldiFbank(), wavs, wav_lens)[1]
    tensor([1.0000, 0.4898])
    """
    if wav_lens is None:
        return compute_features(wavs), None
    n_samples = wavs.shape[1]
    counts = count_valid(wav_lens.double(), n_samples)
    counts = counts.to(wavs.device, non_blocking=True)
    wavs = wavs.masked_fill(~length_mask(counts, n_samples), 0.0)
    lens = wav_lens
    if hasattr(compute_features, "frame_lens"):
        lens = compute_features.frame_lens(wav_lens, n_samples)
    return compute_features(wavs), lens


def extract_features(modules, wavs, wav_lens=None):
    """Computes normalised features.

    Arguments
    ---------
    modules : dict or torch.nn.ModuleDict
        ``compute_features``, see ``filterbanks``; and ``mean_var_norm``, which
        normalises features, given their lengths.
    wavs, wav_lens : torch.Tensor
        See ``filterbanks``.

    Returns
    -------
    feats : torch.Tensor
        Features ``[B, T, F]``.
    lens : torch.Tensor or None
        See ``unequal_lengths``.

    Example
    -------
    >>> from speechbrain_fftp.lobes.features import (
    ...     DatasetNormalization,
    ...     KaldiFbank,
    ... )
    >>> modules = {
    ...     "compute_features": KaldiFbank(),
    ...     "mean_var_norm": DatasetNormalization(),
    ... }
    >>> extract_features(modules, torch.rand(2, 16000))[0].shape
    torch.Size([2, 98, 128])
    """
    feats, lens = filterbanks(modules["compute_features"], wavs, wav_lens)
    if lens is not None:  # features may be padded, or as long as each other
        lens = unequal_lengths(lens)
    if lens is None:
        return modules["mean_var_norm"](feats), None
    there = lens.to(feats.device, non_blocking=True)
    feats = modules["mean_var_norm"](feats, there)
    if getattr(modules["mean_var_norm"], "pad_frames", 0):
        return feats, None  # padding is a part of the clip
    return feats, lens


def classify(classifier, embeddings):
    """Classifies a batch of embeddings, in float32 even under autocast.

    Logits of rare classes are near -7, where bfloat16 has steps of 1/32.

    Arguments
    ---------
    classifier : torch.nn.Module
        Maps embeddings ``[B, 1, D]`` to logits ``[B, 1, C]``.
    embeddings : torch.Tensor
        Embeddings ``[B, 1, D]``.

    Returns
    -------
    torch.Tensor
        Logits ``[B, C]``.

    Example
    -------
    >>> classify(torch.nn.Linear(48, 5), torch.rand(2, 1, 48)).shape
    torch.Size([2, 5])
    """
    dtype = torch.promote_types(embeddings.dtype, torch.float32)
    with torch.autocast(embeddings.device.type, enabled=False):
        return classifier(embeddings.to(dtype)).squeeze(1)
