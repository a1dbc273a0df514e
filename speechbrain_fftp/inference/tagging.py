"""Finds the sounds of clips, of which several may be heard at once.

Authors
 * The speechbrain_fftp authors 2026
"""

import sys

import torch

from speechbrain.inference.classifiers import EncoderClassifier
from speechbrain_fftp.lobes.tagger import classify, extract_features


class Tagger(EncoderClassifier):
    """A trained model of clips with several labels, or one.

    It loads the folder that ``speechbrain_fftp.utils.inference_folder`` writes,
    whose classifier gives log-probabilities. Its yaml file may have
    ``thresholds``: the minimum probability of a tag by its label, otherwise
    0.5. Padding has no influence on a clip. See ``Pretrained`` for its arguments.

    Example
    -------
    >>> from speechbrain.dataio.encoder import CategoricalEncoder
    >>> from speechbrain_fftp.lobes.features import (
    ...     DatasetNormalization,
    ...     KaldiFbank,
    ... )
    >>> from speechbrain_fftp.lobes.models.AST import AST
    >>> modules = {
    ...     "compute_features": KaldiFbank(),
    ...     "mean_var_norm": DatasetNormalization(),
    ...     "embedding_model": AST(embed_dim=48, depth=1, num_heads=3),
    ...     "classifier": torch.nn.Sequential(
    ...         torch.nn.Linear(48, 2), torch.nn.LogSigmoid()
    ...     ),
    ... }
    >>> labels = CategoricalEncoder()
    >>> labels.update_from_iterable(["Cat", "Dog"])
    >>> labels.expect_len(2)
    >>> tagger = Tagger(modules, {"label_encoder": labels})
    >>> wavs, wav_lens = torch.rand(2, 16000), torch.tensor([1.0, 0.5])
    >>> probs, tags = tagger.tag_batch(wavs, wav_lens, top_k=1)
    >>> probs.shape, len(tags)
    (torch.Size([2, 2]), 2)
    >>> tagger.encode_batch(wavs, wav_lens).shape
    torch.Size([2, 1, 48])
    """

    @classmethod
    def from_hparams(cls, source, *args, **kwargs):
        """Loads a folder, with the Python files that it may have.

        Arguments
        ---------
        source : str
            The folder, or its name on the Hugging Face hub.
        *args, **kwargs
            See ``Pretrained``.

        Returns
        -------
        Tagger
            The model.
        """
        sys.path.append(str(source))
        return super().from_hparams(source, *args, **kwargs)

    def tag_file(self, path, top_k=None):
        """Finds the tags of a file.

        Arguments
        ---------
        path : str
            The file, of any sampling rate and number of channels.
        top_k : int, optional
            See ``tag_batch``.

        Returns
        -------
        list of tuple
            Label and probability of each tag, the most probable first.
        """
        return self.tag_batch(self.load_audio(str(path)), top_k=top_k)[1][0]

    def tag_batch(self, wavs, wav_lens=None, top_k=None):
        """Finds the tags of clips.

        Arguments
        ---------
        wavs, wav_lens : torch.Tensor
            See ``encode_batch``.
        top_k : int, optional
            The number of tags of each clip; by default, its tags are those
            above their thresholds.

        Returns
        -------
        probs : torch.Tensor
            Probabilities ``[B, C]``.
        tags : list of list of tuple
            Of each clip, see ``tag_file``.
        """
        probs = self.classify_batch(wavs, wav_lens)[0].exp()
        labels = self.hparams.label_encoder.ind2lab
        thresholds = getattr(self.hparams, "thresholds", {})
        tags = []
        for row in probs.tolist():
            ranked = sorted(enumerate(row), key=lambda x: -x[1])[:top_k]
            found = [(labels[i], prob) for i, prob in ranked]
            if top_k is None:
                found = [x for x in found if x[1] >= thresholds.get(x[0], 0.5)]
            tags.append(found)
        return probs, tags

    def encode_batch(self, wavs, wav_lens=None):
        """Encodes clips.

        Arguments
        ---------
        wavs : torch.Tensor
            Waveforms ``[B, S]``, or one ``[S]``, at the model's sampling rate.
        wav_lens : torch.Tensor, optional
            Lengths ``[B]`` relative to S; by default, all are 1.0.

        Returns
        -------
        torch.Tensor
            Embeddings ``[B, 1, D]``. Those of a frame-level model are the means
            of its tokens.
        """
        feats, lens = self._features(wavs, wav_lens)
        encoder = self.mods.embedding_model
        if hasattr(encoder, "encode"):
            return encoder.encode(feats, lens).embedding
        return encoder(feats, lens)

    def classify_batch(self, wavs, wav_lens=None):
        """Classifies clips.

        Arguments
        ---------
        wavs, wav_lens : torch.Tensor
            See ``encode_batch``.

        Returns
        -------
        log_probs : torch.Tensor
            Log-probabilities ``[B, C]``.
        score, index : torch.Tensor
            That of the most probable class, and its number ``[B]``.
        labels : list of str
            Its name.
        """
        feats, lens = self._features(wavs, wav_lens)
        outputs = self.mods.embedding_model(feats, lens)
        log_probs = classify(self.mods.classifier, outputs)
        score, index = log_probs.max(1)
        labels = self.hparams.label_encoder.decode_torch(index)
        return log_probs, score, index, labels

    def classify_file(self, path, **kwargs):
        """Classifies a file.

        Arguments
        ---------
        path : str
            The file, of any sampling rate and number of channels.
        **kwargs : dict
            Arguments of ``load_audio``.

        Returns
        -------
        tuple
            See ``classify_batch``.
        """
        return self.classify_batch(self.load_audio(path, **kwargs))

    def _features(self, wavs, wav_lens):
        """Normalised features, and their lengths."""
        wavs = torch.atleast_2d(wavs).to(self.device).float()
        return extract_features(self.mods, wavs, wav_lens)
