"""Tags for audio files from a trained model.

Authors
 * The speechbrain_fftp authors 2026
"""

from typing import NamedTuple

import torch

from speechbrain.dataio import audio_io
from speechbrain.dataio.preprocess import AudioNormalizer
from speechbrain.inference.interfaces import Pretrained

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
                "its folder, or empty."
            )
        self.hparams.label_encoder.ignore_len()
        rate = self.hparams.sample_rate
        self.audio_normalizer = AudioNormalizer(sample_rate=rate)

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
            If it cannot be read as audio, holds no sample, or holds samples
            that are not finite; or if ``top_k`` is not positive.
        """
        if top_k < 1:
            raise ValueError(f"top_k={top_k} must be positive.")
        windows, lens = self._windows(self.load_wav(path))
        blocks = zip(windows.split(BLOCK_WINDOWS), lens.split(BLOCK_WINDOWS))
        probs = torch.cat([self.tag_batch(*block) for block in blocks]).amax(0)
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
            If it cannot be read as audio, holds no sample, or holds samples
            that are not finite.
        """
        open(path, "rb").close()  # a missing file has its own error
        try:
            wav, rate = audio_io.load(str(path), channels_first=False)
        except RuntimeError as error:
            raise ValueError(f"{path} is not readable audio: {error}")
        if wav.numel() == 0:
            raise ValueError(f"{path} holds no audio: it has no samples.")
        if not wav.isfinite().all():
            raise ValueError(
                f"{path} holds samples that are not finite (NaN or infinity): "
                "it was written wrongly."
            )
        return self.audio_normalizer(wav, rate)

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
        """Same as ``tag_batch``."""
        return self.tag_batch(wavs, wav_lens)
