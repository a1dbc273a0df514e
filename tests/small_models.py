"""Small models that several tests of inference share.

Authors
 * The speechbrain_fftp authors 2026
"""

import torch

from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain_fftp.inference import AudioTagger
from speechbrain_fftp.inference.torch_engine import TorchEngine
from speechbrain_fftp.lobes.features import DatasetNormalization, KaldiFbank

# Of the model of the fixture ``exported``
RATE = 16000
CLIP = 400 + 127 * 160  # samples of the model's 128 frames


def make_tagger(
    encoder,
    n_classes,
    features=None,
    rate=RATE,
    max_frames=1024,
    classifier=None,
):
    """A tagger with this encoder and as many classes, A, B, ..."""
    labels = CategoricalEncoder()
    labels.update_from_iterable("ABCDEFG"[:n_classes])
    width = getattr(encoder, "embed_dim", None)
    linear = torch.nn.Linear(width or 1, n_classes)
    modules = {
        "compute_features": features or KaldiFbank(),
        "mean_var_norm": DatasetNormalization(),
        "embedding_model": encoder,
        "classifier": classifier or (linear if width else torch.nn.Identity()),
    }
    hparams = {"label_encoder": labels, "sample_rate": rate}
    engine = TorchEngine(modules, {**hparams, "max_frames": max_frames})
    return AudioTagger(engine)


class Samples(torch.nn.Module):
    """Frames of one sample each."""

    window, shift = 25, 10

    def forward(self, wavs):
        return wavs.unsqueeze(2)


def hear_levels(encoder, max_frames):
    """A tagger of the levels of samples, at 1000 Hz, with three classes."""
    sizes = {"rate": 1000, "max_frames": max_frames}
    tagger = make_tagger(encoder, 3, Samples(), **sizes)
    norm = tagger.engine.mods.mean_var_norm
    norm.mean, norm.std = 0, 0.5
    return tagger
