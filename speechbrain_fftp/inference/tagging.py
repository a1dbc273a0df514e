"""Tags for audio files from a trained model.

Authors
 * The speechbrain_fftp authors 2026
"""

import os
from typing import NamedTuple

import ruamel.yaml
import torch
import yaml

from speechbrain.inference.interfaces import Pretrained
from speechbrain_fftp.dataio.audio_files import read_audio, resample
from speechbrain_fftp.utils.weight_files import UNREADABLE

# What damaged settings and labels raise besides.
BAD_SETTINGS = (SyntaxError, yaml.YAMLError, ruamel.yaml.YAMLError)

# Windows of a long file that go through the model at a time.
BLOCK_WINDOWS = 16


class Tag(NamedTuple):
    """A label and how probable the model finds it.

    Example
    -------
    >>> label, probability = Tag("Siren", 0.9)
    """

    label: str
    probability: float


class AudioTagger(Pretrained):
    """Multi-label tagging with a model trained by the recipes.

    ``AudioTagger.from_hparams(source)`` loads the ``inference`` folder of a
    training run, or a model hub's repository that holds one. The yaml in it
    can run code: load models from sources that you trust.

    Arguments
    ---------
    *args : tuple
        Arguments of ``Pretrained``.
    **kwargs : dict
        Arguments of ``Pretrained``.

    Raises
    ------
    ValueError
        If modules or labels are missing, or the labels are damaged.

    Example
    -------
    >>> from speechbrain.dataio.encoder import CategoricalEncoder
    >>> from speechbrain_fftp.lobes.features import (
    ...     DatasetNormalization,
    ...     KaldiFbank,
    ... )
    >>> from speechbrain_fftp.lobes.models.AST import AST
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
    >>> tagger.tag_batch(torch.rand(3, 16000)).shape
    torch.Size([3, 2])
    """

    MODULES_NEEDED = [
        "compute_features",
        "mean_var_norm",
        "embedding_model",
        "classifier",
    ]
    HPARAMS_NEEDED = ["label_encoder", "sample_rate", "max_frames"]

    @classmethod
    def from_hparams(cls, source, *args, **kwargs):
        """Loads a model, see ``Pretrained.from_hparams``.

        Arguments
        ---------
        source : str
            An inference folder, or a model hub's repository that holds one.
        *args : tuple
            Further arguments of ``Pretrained.from_hparams``.
        **kwargs : dict
            Further arguments of ``Pretrained.from_hparams``.

        Returns
        -------
        AudioTagger
            The model.

        Raises
        ------
        FileNotFoundError
            If a file is missing.
        ValueError
            If a file cannot be read, or the parts do not fit together.
        """
        try:
            return super().from_hparams(source, *args, **kwargs)
        except FileNotFoundError:
            raise
        except (OSError, *UNREADABLE, *BAD_SETTINGS) as error:
            raise ValueError(
                f"The model in {source} cannot be loaded. "
                f"{type(error).__name__}: {error}"
            ) from error

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        missing = set(self.MODULES_NEEDED) - set(self.mods)
        if missing:
            raise ValueError(
                "The model's hyperparams.yaml lacks the modules "
                f"{', '.join(sorted(missing))}: it is not a tagging model."
            )
        if len(self.hparams.label_encoder) == 0:
            raise ValueError(
                "The model has no labels: label_encoder.ckpt is missing from "
                "its folder, empty or damaged."
            )
        labels = self.hparams.label_encoder.ind2lab
        if sorted(labels) != list(range(len(labels))):
            raise ValueError(
                "The model's label_encoder.ckpt is damaged: it must number the "
                f"labels from 0 to {len(labels) - 1}, not {sorted(labels)}."
            )
        self.hparams.label_encoder.ignore_len()

    def encode_batch(self, wavs, wav_lens=None):
        """Embeddings of a batch of clips.

        Arguments
        ---------
        wavs : torch.Tensor
            Waveforms ``[B, S]`` or ``[S]`` at the model's sampling rate.
        wav_lens : torch.Tensor, optional
            Lengths ``[B]`` relative to S. An embedding does not depend on how
            far its clip was padded.

        Returns
        -------
        torch.Tensor
            ``[B, 1, D]``.
        """
        wavs = torch.atleast_2d(wavs).to(self.device).float()
        if wav_lens is None:
            wav_lens = torch.ones(len(wavs))
        lens = self.mods.compute_features.frame_lens(
            wav_lens.to(self.device), wavs.shape[1]
        )
        feats = self.mods.compute_features(wavs)
        feats = self.mods.mean_var_norm(feats, lens)
        return self.mods.embedding_model(feats, lens)

    def tag_batch(self, wavs, wav_lens=None):
        """Probabilities of all classes for a batch of clips.

        Arguments
        ---------
        wavs : torch.Tensor
            Waveforms ``[B, S]`` or ``[S]`` at the model's sampling rate.
        wav_lens : torch.Tensor, optional
            Lengths ``[B]`` relative to S.

        Returns
        -------
        torch.Tensor
            ``[B, C]`` in 0..1, each class for itself.
        """
        with torch.inference_mode(), self.inference_ctx:
            embeddings = self.encode_batch(wavs, wav_lens)
            logits = self.mods.classifier(embeddings).squeeze(1)
        return logits.float().sigmoid()

    def tag_file(self, path, top_k=10):
        """The most probable labels of an audio file.

        Any format that soundfile reads, any sampling rate and number of
        channels. A file longer than the model's clips is cut into windows of
        their length, and a label has its highest probability over these.

        Arguments
        ---------
        path : str
            The audio file.
        top_k : int
            How many labels to return.

        Returns
        -------
        list of Tag
            At most ``top_k``, the most probable first.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If it cannot be read as audio, holds no sample or more than can be
            read at once, or holds samples that are not finite; if ``top_k`` is
            not positive; or if the model has not one label per class.
        """
        if top_k < 1:
            raise ValueError(f"top_k={top_k} must be positive.")
        windows, lens = self._windows(self.load_wav(path))
        blocks = zip(windows.split(BLOCK_WINDOWS), lens.split(BLOCK_WINDOWS))
        probs = torch.cat([self.tag_batch(*block) for block in blocks]).amax(0)
        if len(probs) != len(self.hparams.label_encoder):
            raise ValueError(
                f"The model tells {len(probs)} classes apart, but its "
                f"label_encoder.ckpt has {len(self.hparams.label_encoder)} "
                "labels."
            )
        best, classes = probs.topk(min(top_k, len(probs)))
        labels = self.hparams.label_encoder.decode_torch(classes)
        return [Tag(*tag) for tag in zip(labels, best.tolist())]

    def load_wav(self, path):
        """Loads an audio file as the model wants it.

        Arguments
        ---------
        path : str
            The audio file.

        Returns
        -------
        torch.Tensor
            Mono waveform ``[S]`` at the model's sampling rate.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If it cannot be read as audio, holds no sample or more than can be
            read at once, or holds samples that are not finite.
        """
        os.stat(path)  # a missing file has its own error
        try:
            samples, rate, *_ = read_audio(str(path))
        except ValueError as error:
            raise ValueError(f"{path} is not readable audio: {error}")
        samples = resample(samples, rate, self.hparams.sample_rate)
        if len(samples) == 0:
            raise ValueError(f"{path} holds no audio: it has no samples.")
        return torch.from_numpy(samples)

    def _windows(self, wav):
        """Consecutive windows ``[W, S]`` of a waveform, and their lengths."""
        fbank = self.mods.compute_features
        size = fbank.window + (self.hparams.max_frames - 1) * fbank.shift
        parts = wav.split(size)
        if len(parts) > 1 and len(parts[-1]) < fbank.window:
            parts = parts[:-1]  # less than one frame
        lens = torch.tensor([len(p) / len(parts[0]) for p in parts])
        padded = torch.nn.utils.rnn.pad_sequence(parts, batch_first=True)
        return padded, lens

    def forward(self, wavs, wav_lens=None):
        """Same as ``tag_batch``.

        Arguments
        ---------
        wavs : torch.Tensor
            As there.
        wav_lens : torch.Tensor, optional
            As there.

        Returns
        -------
        torch.Tensor
            As there.
        """
        return self.tag_batch(wavs, wav_lens)
