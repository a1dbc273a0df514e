"""Finds the sounds of clips, of which several may be heard at once.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import json
import os
import sys

import torch
from huggingface_hub.utils import EntryNotFoundError

from speechbrain.inference.classifiers import EncoderClassifier
from speechbrain.utils.fetching import fetch
from speechbrain_fftp.lobes.tagger import classify, extract_features

SILENCE = 1e-4  # of full scale: the probabilities of quieter clips are 0


class Tagger(EncoderClassifier):
    """A trained model of clips with several labels, or one.

    It loads the folder that ``speechbrain_fftp.utils.inference_folder`` writes,
    whose classifier gives log-probabilities. Padding has no influence on a
    clip. See ``Pretrained`` for its arguments.

    The minimum probability of a tag is 0.5, or that of its label in a file
    ``thresholds.json`` of the folder. Recordings in files are cut into pieces
    if the yaml file has ``pieces``: their ``size`` and ``hop`` in samples, and
    the ``step`` on whose multiples they start. Probabilities of a recording are
    the maximum over its pieces.

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
            The folder, or its name on the Hugging Face hub. With Python files
            other than ``custom.py``, it must be on the disk.
        *args, **kwargs
            See ``Pretrained``.

        Returns
        -------
        Tagger
            The model.
        """
        with _importable(source):
            tagger = super().from_hparams(source, *args, **kwargs)
        options = ("savedir", "local_strategy", "fetch_config")
        given = {name: kwargs[name] for name in options if name in kwargs}
        thresholds = _fetch_thresholds(source, **given)
        if tagger is not None:  # not only downloaded
            tagger.hparams.thresholds = thresholds
        return tagger

    def tag_file(self, path, top_k=None):
        """Finds the tags of a file.

        Arguments
        ---------
        path : str
            The file, of any length, sampling rate and number of channels.
        top_k : int, optional
            See ``tag_batch``.

        Returns
        -------
        list of tuple
            Label and probability of each tag, the most probable first.
        """
        log_probs, *_ = self.classify_file(str(path))
        return self._find_tags(log_probs.exp(), top_k)[0]

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
        return probs, self._find_tags(probs, top_k)

    def _find_tags(self, probs, top_k):
        """The tags of each clip, given its probabilities."""
        labels = self.hparams.label_encoder.ind2lab
        thresholds = getattr(self.hparams, "thresholds", {})
        tags = []
        for row in probs.tolist():
            ranked = sorted(enumerate(row), key=lambda x: -x[1])[:top_k]
            found = [(labels[i], prob) for i, prob in ranked]
            if top_k is None:
                found = [x for x in found if x[1] >= thresholds.get(x[0], 0.5)]
            tags.append(found)
        return tags

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
        is_silent = torch.atleast_2d(wavs).abs().amax(1) < SILENCE
        is_silent = is_silent.unsqueeze(1).to(log_probs.device)
        return self._decide(log_probs.masked_fill(is_silent, -torch.inf))

    def classify_file(self, path, **kwargs):
        """Classifies a file.

        Arguments
        ---------
        path : str
            The file, of any length, sampling rate and number of channels.
        **kwargs : dict
            Arguments of ``load_audio``.

        Returns
        -------
        tuple
            See ``classify_batch``.
        """
        wav = self.load_audio(path, **kwargs)
        found = [self.classify_batch(piece)[0] for piece in self._pieces(wav)]
        return self._decide(torch.cat(found).amax(0, keepdim=True))

    def encode_file(self, path, **kwargs):
        """Encodes a file.

        Arguments
        ---------
        path, **kwargs
            See ``classify_file``.

        Returns
        -------
        torch.Tensor
            The mean ``[1, 1, D]`` of the embeddings of its pieces.
        """
        wav = self.load_audio(path, **kwargs)
        found = [self.encode_batch(piece) for piece in self._pieces(wav)]
        return torch.cat(found).mean(0, keepdim=True)

    def _pieces(self, wav):
        """Yields the pieces of a recording ``[S]``; the last ends with it."""
        pieces = getattr(self.hparams, "pieces", None)
        if pieces is None or len(wav) <= pieces["size"]:
            yield wav
            return
        last = len(wav) - pieces["size"]
        for start in range(0, last, pieces["hop"]):
            yield wav[start : start + pieces["size"]]
        steps = -(-last // pieces["step"])  # rounded up
        yield wav[steps * pieces["step"] :]

    def _decide(self, log_probs):
        """The results of ``classify_batch``."""
        score, index = log_probs.max(1)
        labels = self.hparams.label_encoder.decode_torch(index)
        return log_probs, score, index, labels

    def _features(self, wavs, wav_lens):
        """Normalised features, and their lengths."""
        wavs = torch.atleast_2d(wavs).to(self.device).float()
        return extract_features(self.mods, wavs, wav_lens)


@contextlib.contextmanager
def _importable(source):
    """Makes the Python files of a folder importable, within the block."""
    before = list(sys.path)
    if os.path.isdir(source):
        sys.path.append(str(source))
    try:
        yield
    finally:
        sys.path[:] = before


def _fetch_thresholds(source, **options):
    """The thresholds of a model by label, of which there may be none."""
    try:
        path = fetch("thresholds.json", source, **options)
        text = path.read_text(encoding="utf-8")
    except (EntryNotFoundError, FileNotFoundError, ValueError):
        return {}  # ValueError: from fetch, of an address or an earlier hub
    return json.loads(text)
