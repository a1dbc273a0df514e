"""Models with random weights, whose speed the benchmarks measure.

Authors
 * The speechbrain_fftp authors 2026
"""

import torch

from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain_fftp.inference import AudioTagger
from speechbrain_fftp.inference.torch_engine import TorchEngine
from speechbrain_fftp.lobes.features import DatasetNormalization, KaldiFbank
from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.nnet.patching import FFTPEmbedding
from speechbrain_fftp.pretrained.ced import make_ced
from speechbrain_fftp.pretrained.mel_decibels import MelDecibels

CLASSES = 527
# Width, depth, heads.
SIZES = {
    "AST-tiny": (192, 12, 3),
    "AST-base": (768, 12, 12),
    "smoke": (64, 1, 1),
}


def make_modules(size):
    """The modules of an AST with patches of 50 frames every 10."""
    width, depth, heads = SIZES[size]
    torch.manual_seed(0)
    embedding = FFTPEmbedding(128, width, patch_frames=50, stride_frames=10)
    return {
        "compute_features": KaldiFbank(),
        "mean_var_norm": DatasetNormalization(),
        "embedding_model": AST(128, width, depth, heads, embedding=embedding),
        "classifier": torch.nn.Linear(width, CLASSES),
    }


def make_labels():
    """A label encoder with as many classes as AudioSet."""
    labels = CategoricalEncoder()
    labels.update_from_iterable(f"class {i}" for i in range(CLASSES))
    return labels


def make_tagger(size, **modules):
    """A model with random weights, or with the modules given.

    It uses the number of threads that is set now, whatever its size is.
    """
    hparams = {"sample_rate": 16000, "max_frames": 1024}
    hparams["label_encoder"] = make_labels()
    modules = {**make_modules(size), **modules}
    threads = torch.get_num_threads()
    return AudioTagger(TorchEngine(modules, hparams, threads=threads))


def make_ced_tagger():
    """A CED-tiny with random weights."""
    return make_tagger(
        "AST-tiny",
        compute_features=MelDecibels(),
        mean_var_norm=DatasetNormalization(0.0, 0.5),
        embedding_model=make_ced().eval(),
    )


def read_wav(path):
    """A file as a waveform ``[S]`` at 16 kHz."""
    return torch.from_numpy(make_tagger("smoke").load_wav(path))
