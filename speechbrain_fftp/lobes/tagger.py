"""From waveforms to logits: the one path of training, inference and export.

Authors
 * The speechbrain_fftp authors 2026
"""

import torch

from speechbrain_fftp.nnet.tokens import length_mask


class Tagger(torch.nn.Module):
    """Features, normalisation, encoder and classifier in sequence.

    Training calls ``features``, ``embedding_model`` and ``classify``, with
    augmentation in between.

    Arguments
    ---------
    compute_features : torch.nn.Module
        Maps waveforms ``[B, S]``, and their lengths, to features ``[B, T, F]``.
        A module without ``frame_lens``, such as SpeechBrain's ``Fbank``, gets
        no lengths; the features then have the relative lengths of the
        waveforms, which are off by up to a few frames.
    mean_var_norm : torch.nn.Module
        Normalises features, given their lengths.
    embedding_model : torch.nn.Module
        The encoder: maps features and lengths to ``[B, 1, D]``.
    classifier : torch.nn.Module
        Maps embeddings ``[B, 1, D]`` to logits ``[B, 1, C]``.

    Example
    -------
    >>> from speechbrain_fftp.lobes.features import (
    ...     DatasetNormalization,
    ...     KaldiFbank,
    ... )
    >>> from speechbrain_fftp.lobes.models.AST import AST
    >>> tagger = Tagger(
    ...     compute_features=KaldiFbank(),
    ...     mean_var_norm=DatasetNormalization(),
    ...     embedding_model=AST(embed_dim=48, depth=1, num_heads=3),
    ...     classifier=torch.nn.Linear(48, 5),
    ... )
    >>> tagger(torch.rand(2, 16000), torch.tensor([1.0, 0.4])).shape
    torch.Size([2, 5])
    """

    def __init__(
        self, compute_features, mean_var_norm, embedding_model, classifier
    ):
        super().__init__()
        self.compute_features = compute_features
        self.mean_var_norm = mean_var_norm
        self.embedding_model = embedding_model
        self.classifier = classifier

    def features(self, wavs, wav_lens=None):
        """Computes normalised features, which do not depend on the padding.

        Arguments
        ---------
        wavs : torch.Tensor
            Waveforms ``[B, S]``.
        wav_lens : torch.Tensor, optional
            Lengths ``[B]`` relative to S; by default, all are 1.0.

        Returns
        -------
        feats : torch.Tensor
            Features ``[B, T, F]``.
        lens : torch.Tensor or None
            Lengths ``[B]`` relative to T; None if ``wav_lens`` is None.
        """
        feats, lens = self.filterbanks(wavs, wav_lens)
        return self.mean_var_norm(feats, lens), lens

    def filterbanks(self, wavs, wav_lens=None):
        """Computes features before their normalisation.

        Arguments
        ---------
        wavs, wav_lens : torch.Tensor
            See ``features``.

        Returns
        -------
        feats, lens : torch.Tensor
            See ``features``.
        """
        if wav_lens is None:
            return self.compute_features(wavs), None
        n_samples = wavs.shape[1]
        lengths = (wav_lens.double() * n_samples).round()
        wavs = wavs.masked_fill(~length_mask(lengths, n_samples), 0.0)
        if hasattr(self.compute_features, "frame_lens"):
            lens = self.compute_features.frame_lens(wav_lens, n_samples)
            return self.compute_features(wavs, wav_lens), lens
        return self.compute_features(wavs), wav_lens

    def classify(self, embeddings):
        """Classifies a batch of embeddings.

        Arguments
        ---------
        embeddings : torch.Tensor
            Embeddings ``[B, 1, D]``.

        Returns
        -------
        torch.Tensor
            Logits ``[B, C]`` in float32.
        """
        return self.classifier(embeddings).squeeze(1).float()

    def forward(self, wavs, wav_lens=None):
        """Maps waveforms to logits.

        Arguments
        ---------
        wavs : torch.Tensor
            Waveforms ``[B, S]``.
        wav_lens : torch.Tensor, optional
            Lengths ``[B]`` relative to S.

        Returns
        -------
        torch.Tensor
            Logits ``[B, C]`` in float32.
        """
        feats, lens = self.features(wavs, wav_lens)
        return self.classify(self.embedding_model(feats, lens))
