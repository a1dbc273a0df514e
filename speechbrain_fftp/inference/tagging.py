"""Specifies the inference interface for audio tagging, in which a clip can have
any number of labels.

Authors
 * The speechbrain_fftp authors 2026
"""

from typing import NamedTuple

from speechbrain.inference.interfaces import Pretrained
from speechbrain_fftp.lobes.tagger import classify, extract_features


class Tag(NamedTuple):
    """A label and its probability.

    Arguments
    ---------
    label : str
        The name of a class.
    probability : float
        In 0..1; the probabilities of a clip need not sum to 1.

    Example
    -------
    >>> Tag("Speech", 0.5).label
    'Speech'
    """

    label: str
    probability: float


class ClipTagger(Pretrained):
    """A ready-to-use audio tagger.

    The yaml file defines the modules ``compute_features``, ``mean_var_norm``,
    ``embedding_model`` and ``classifier``, which returns log-probabilities, and
    a ``label_encoder``, as in the AudioSet recipe.

    Arguments
    ---------
    *args, **kwargs : tuple, dict
        See ``Pretrained``.

    Example
    -------
    >>> import torch
    >>> from speechbrain.dataio.encoder import CategoricalEncoder
    >>> from speechbrain_fftp.lobes.features import (
    ...     DatasetNormalization,
    ...     KaldiFbank,
    ... )
    >>> from speechbrain_fftp.lobes.models.AST import AST
    >>> labels = CategoricalEncoder()
    >>> labels.update_from_iterable(["Speech", "Music", "Dog"])
    >>> tagger = ClipTagger(
    ...     modules={
    ...         "compute_features": KaldiFbank(),
    ...         "mean_var_norm": DatasetNormalization(),
    ...         "embedding_model": AST(embed_dim=24, depth=1, num_heads=2),
    ...         "classifier": torch.nn.Sequential(
    ...             torch.nn.Linear(24, 3), torch.nn.LogSigmoid()
    ...         ),
    ...     },
    ...     hparams={"label_encoder": labels, "sample_rate": 16000},
    ... )
    >>> tagger.tag_batch(torch.rand(2, 16000)).shape
    torch.Size([2, 3])
    """

    MODULES_NEEDED = [
        "compute_features",
        "mean_var_norm",
        "embedding_model",
        "classifier",
    ]
    HPARAMS_NEEDED = ["label_encoder"]

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        encoder = self.hparams.label_encoder
        encoder.ignore_len()
        self.labels = [encoder.ind2lab[i] for i in range(len(encoder))]

    def encode_batch(self, wavs, wav_lens=None):
        """Embeds a batch of clips.

        Arguments
        ---------
        wavs : torch.Tensor
            Waveforms ``[B, S]`` at the model's sampling rate.
        wav_lens : torch.Tensor, optional
            Lengths ``[B]`` relative to S; by default, all are 1.0.

        Returns
        -------
        torch.Tensor
            Embeddings ``[B, 1, D]``.
        """
        wavs = wavs.to(self.device).float()
        if wav_lens is not None:
            wav_lens = wav_lens.to(self.device)
        feats, lens = extract_features(self.mods, wavs, wav_lens)
        return self.mods.embedding_model(feats, lens)

    def tag_batch(self, wavs, wav_lens=None):
        """Computes the probability of each class.

        Arguments
        ---------
        wavs : torch.Tensor
            Waveforms ``[B, S]`` at the model's sampling rate.
        wav_lens : torch.Tensor, optional
            Lengths ``[B]`` relative to S; by default, all are 1.0.

        Returns
        -------
        torch.Tensor
            Probabilities ``[B, C]``.
        """
        embeddings = self.encode_batch(wavs, wav_lens)
        return classify(self.mods.classifier, embeddings).exp()

    def tag_file(self, path, top_k=5, threshold=0.0, **kwargs):
        """Tags an audio file.

        Arguments
        ---------
        path : str
            The file.
        top_k : int
            Maximum number of tags.
        threshold : float
            Minimum probability of a tag.
        **kwargs : dict
            Arguments of ``load_audio``.

        Returns
        -------
        list of Tag
            The tags, most probable first.
        """
        wav = self.load_audio(path, **kwargs).unsqueeze(0)
        probs, indices = self.tag_batch(wav)[0].sort(descending=True)
        tags = zip(probs.tolist(), indices.tolist())
        tags = [Tag(self.labels[i], p) for p, i in tags if p >= threshold]
        return tags[:top_k]

    def embed_file(self, path, **kwargs):
        """Embeds an audio file.

        Arguments
        ---------
        path : str
            The file.
        **kwargs : dict
            Arguments of ``load_audio``.

        Returns
        -------
        torch.Tensor
            The embedding ``[D]``.
        """
        wav = self.load_audio(path, **kwargs).unsqueeze(0)
        return self.encode_batch(wav)[0, 0]

    def forward(self, wavs, wav_lens=None):
        """Computes the probability of each class; see ``tag_batch``."""
        return self.tag_batch(wavs, wav_lens)
