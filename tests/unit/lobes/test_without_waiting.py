"""A simulated GPU: no part of a training step before backward waits for it.

A forward pass copies nothing to it either, so it can be captured in a CUDA graph.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from speechbrain_fftp.augment.mixup import Mixup
from speechbrain_fftp.augment.specmask import SpecMask
from speechbrain_fftp.augment.waveform import RandomGain, RandomShift
from speechbrain_fftp.lobes.features import DatasetNormalization, KaldiFbank
from speechbrain_fftp.lobes.frame_classifier import FrameClassifier, FrameTagger
from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.lobes.models.AuM import AuM
from speechbrain_fftp.lobes.models.ConvNeXt1d import ConvNeXt1d
from speechbrain_fftp.lobes.tagger import (
    classify,
    extract_features,
    tag_waveforms,
)
from speechbrain_fftp.pretrained.ced import make_ced

pytestmark = pytest.mark.skipif(
    not torch.backends.cuda.is_built(), reason="torch is built without CUDA"
)

ENCODERS = {
    "AST": lambda: AST(embed_dim=32, depth=2, num_heads=2),
    "AST frames": lambda: FrameTagger(
        AST(embed_dim=32, depth=1, num_heads=2), FrameClassifier(32, 5)
    ),
    "AuM fo-bi": lambda: AuM(embed_dim=32, depth=2),
    "AuM bi-bi": lambda: AuM(embed_dim=32, depth=2, bidirectional="bi-bi"),
    "AuM mean": lambda: AuM(embed_dim=32, depth=1, pooling="mean"),
    "ConvNeXt1d": lambda: ConvNeXt1d(embed_dim=32, depth=2),
    "ConvNeXt1d statistics": lambda: ConvNeXt1d(
        embed_dim=32, depth=2, pooling="mean+std"
    ),
    "CED": lambda: make_ced(embed_dim=32, depth=1, num_heads=2),
}


class OnlyOnTheGPU(TorchDispatchMode):
    """Raises an error for an operation with a tensor elsewhere."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for x in tree_leaves((args, kwargs, result)):
            if isinstance(x, torch.Tensor) and x.device.type != "cuda":
                raise AssertionError(f"{function} of a tensor on {x.device}")
        return result


class NeverWaits(TorchDispatchMode):
    """Raises an error for an operation that takes a result off the GPU."""

    def __init__(self):
        super().__init__()
        self.launches = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        is_on_gpu = [
            [x.is_cuda for x in tree_leaves(values) if torch.is_tensor(x)]
            for values in ((args, kwargs), result)
        ]
        if any(is_on_gpu[0]) and not all(is_on_gpu[1]):
            raise AssertionError(f"{function} waits for the GPU")
        if any(is_on_gpu[1]) and not function.is_view:
            self.launches += 1
        return result


def on_gpu(*shape):
    return torch.empty(shape, device="cuda")


@pytest.fixture(autouse=True)
def simulated_gpu():
    with FakeTensorMode():
        yield


@pytest.mark.parametrize("name", ENCODERS)
def test_from_waveform_to_logits(name):
    seconds = 12  # longer than the positions
    with torch.device("cuda"):
        encoder = ENCODERS[name]()
        modules = torch.nn.ModuleDict(
            {
                "compute_features": KaldiFbank(
                    n_mels=64 if "CED" in name else 128
                ),
                "mean_var_norm": DatasetNormalization(),
                "embedding_model": encoder,
                "classifier": torch.nn.Linear(32, 5),
            }
        )
        if "frames" in name:
            modules["classifier"] = torch.nn.Identity()
    wavs = on_gpu(2, 16000 * seconds)
    with OnlyOnTheGPU():
        logits = tag_waveforms(modules, wavs)
        with torch.no_grad():
            tag_waveforms(modules.eval(), wavs)
    assert logits.shape == (2, 5)


@pytest.mark.parametrize("name", ENCODERS)
def test_lengths_on_the_cpu_make_no_encoder_wait(name):
    with torch.device("cuda"):
        encoder = ENCODERS[name]().eval()
    n_mels = 64 if "CED" in name else 128
    with torch.no_grad(), NeverWaits():
        encoder(on_gpu(2, 1200, n_mels), torch.tensor([1.0, 0.5]))


@pytest.mark.parametrize("augment", [RandomGain(6.0), RandomShift(1600)])
def test_augmentations_of_waveforms(augment):
    inputs = (on_gpu(3, 16000), on_gpu(3))
    with OnlyOnTheGPU():
        augment(*inputs[: 1 + isinstance(augment, RandomShift)])


@pytest.mark.parametrize("lens", [None, (1.0, 0.5, 0.25)])
def test_a_training_step(lens):
    """Mixup and SpecMask draw on the CPU, where the lengths are, too.

    Outside encoder and optimiser, that leaves few kernels to launch.
    """
    if lens is not None:
        lens = torch.tensor(lens)
    with torch.device("cuda"):
        modules = {
            "compute_features": KaldiFbank(),
            "mean_var_norm": DatasetNormalization(),
        }
        classifier = torch.nn.Linear(128, 5)
    targets = on_gpu(3, 5)
    with NeverWaits() as step:
        wavs, lens, mix = Mixup(0.5)(on_gpu(3, 160000), lens)
        feats, lens = extract_features(modules, wavs, lens)
        feats = SpecMask(0.2)(feats, lens)
        logits = classify(classifier, feats.mean(1, keepdim=True))
        torch.nn.functional.binary_cross_entropy_with_logits(
            logits, mix(targets)
        )
    assert step.launches < (40 if lens is None else 50)
