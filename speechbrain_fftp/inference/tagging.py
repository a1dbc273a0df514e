"""Tags for audio files from a trained model.

Authors
 * The speechbrain_fftp authors 2026
"""

import os

import ruamel.yaml
import torch
import yaml

from speechbrain.inference.interfaces import Pretrained
from speechbrain.utils.logger import get_logger
from speechbrain_fftp.dataio.audio import read_audio, resample
from speechbrain_fftp.inference.file_tagging import FileTagging
from speechbrain_fftp.inference.folder import load_folder
from speechbrain_fftp.inference.packed_linear import pack_linear
from speechbrain_fftp.utils.pretrained.tensors import LOADING_ERRORS

logger = get_logger(__name__)

# What damaged settings and labels raise besides.
BAD_SETTINGS = (SyntaxError, yaml.YAMLError, ruamel.yaml.YAMLError)


def cpu_has_bf16():
    """Whether the CPU has instructions for bfloat16.

    Returns
    -------
    bool
        True for AVX512-BF16 and for AMX.

    Example
    -------
    >>> cpu_has_bf16() in (True, False)
    True
    """
    avx512 = torch.cpu._is_avx512_bf16_supported()
    return avx512 or torch.cpu._is_amx_tile_supported()


class AudioTagger(FileTagging, Pretrained):
    """Multi-label tagging with a model trained by the recipes.

    ``AudioTagger.from_pretrained(folder)`` loads the ``inference`` folder of a
    training run as data: nothing in the folder is run. ``from_hparams`` loads
    any such folder, or a model hub's repository that holds one, by its yaml,
    which can run code: load models from sources that you trust.

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
    >>> tagger.labels
    ['Speech', 'Music']
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
        except (OSError, *LOADING_ERRORS, *BAD_SETTINGS) as error:
            raise ValueError(
                f"The model in {source} cannot be loaded. "
                f"{type(error).__name__}: {error}"
            ) from error

    @classmethod
    def from_pretrained(cls, folder, device="cpu", precision="fp32"):
        """Loads a model from data alone: nothing in its folder is run.

        Read are config.json, model.safetensors and labels.csv, which
        ``export_inference`` writes. A hyperparams.yaml beside them is not.

        Arguments
        ---------
        folder : str
            An inference folder.
        device : str
            Where to run the model: cpu, cuda:0, ...
        precision : str
            ``fp32``, or ``bf16`` for speed on processors that have
            instructions for bfloat16; on others there is a warning.

        Returns
        -------
        AudioTagger
            The model.

        Raises
        ------
        FileNotFoundError
            If a file is missing.
        ValueError
            If a file cannot be read, or the parts do not fit together; or if
            there is no such device or precision.
        """
        if precision not in ("fp32", "bf16"):
            raise ValueError(f"precision is {precision!r}, not fp32 or bf16")
        modules, hparams = load_folder(folder)
        try:
            device = str(torch.device(device))
            options = {"device": device, "precision": precision}
            tagger = cls(modules, hparams, run_opts=options)
        except LOADING_ERRORS as error:
            raise ValueError(
                f"The model in {folder} cannot run on {device}. "
                f"{type(error).__name__}: {error}"
            ) from error
        if precision == "bf16" and device == "cpu" and not cpu_has_bf16():
            logger.warning(
                "This CPU has no instructions for bfloat16 (AVX512-BF16 or "
                "AMX): precision='fp32' is faster."
            )
        return tagger

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
        if self.precision == "fp32":
            pack_linear(self.mods)

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
            ``[B, C]`` in 0..1, see ``probabilities``.
        """
        with torch.inference_mode(), self.inference_ctx:
            embeddings = self.encode_batch(wavs, wav_lens)
            logits = self.mods.classifier(embeddings).squeeze(1)
        return self.probabilities(logits.float())

    def probabilities(self, logits):
        """Probabilities of classes, from what the classifier gives.

        Arguments
        ---------
        logits : torch.Tensor
            ``[..., C]``.

        Returns
        -------
        torch.Tensor
            ``[..., C]``: of each class for itself or, with a model that knows
            one class per clip (``single_label`` in its yaml), such that they
            sum up to 1.
        """
        if getattr(self.hparams, "single_label", False):
            return logits.softmax(-1)
        return logits.sigmoid()

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
