"""A simulated GPU: the forward pass never waits for it or copies to it.

So it can be captured in a CUDA graph.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from speechbrain_fftp.augment.specmask import SpecMask
from speechbrain_fftp.augment.waveform import RandomGain, RandomShift
from speechbrain_fftp.lobes.features import DatasetNormalization, KaldiFbank
from speechbrain_fftp.lobes.frame_classifier import FrameClassifier
from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.lobes.models.AuM import AuM
from speechbrain_fftp.lobes.models.ConvNeXt1d import ConvNeXt1d
from speechbrain_fftp.lobes.tagger import Tagger
from speechbrain_fftp.pretrained.ced import make_ced

pytestmark = pytest.mark.skipif(
    not torch.backends.cuda.is_built(), reason="torch is built without CUDA"
)

ENCODERS = {
    "AST": lambda: AST(embed_dim=32, depth=2, num_heads=2),
    "AST tokens": lambda: AST(
        embed_dim=32, depth=1, num_heads=2, pooling="tokens"
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
AUGMENTATIONS = {
    "SpecMask": (lambda: SpecMask(0.2), (500, 128), True),
    "RandomGain": (lambda: RandomGain(6.0), (16000,), False),
    "RandomShift": (lambda: RandomShift(1600), (16000,), True),
}


class OnlyOnTheGPU(TorchDispatchMode):
    """Raises an error for an operation with a tensor elsewhere."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for x in tree_leaves((args, kwargs, result)):
            if isinstance(x, torch.Tensor) and x.device.type != "cuda":
                raise AssertionError(f"{function} of a tensor on {x.device}")
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
        classifier = torch.nn.Linear(32, 5)
        if name.endswith("tokens"):
            classifier = FrameClassifier(32, 5)
        front_end = KaldiFbank(n_mels=encoder.n_mels)
        tagger = Tagger(front_end, DatasetNormalization(), encoder, classifier)
    wavs = on_gpu(2, 16000 * seconds)
    with OnlyOnTheGPU():
        logits = tagger(wavs)
        with torch.no_grad():
            tagger.eval()(wavs)
    assert logits.shape == (2, 5)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_augmentations(name):
    make, shape, has_lengths = AUGMENTATIONS[name]
    module = make().train()
    inputs = on_gpu(3, *shape), on_gpu(3)
    with OnlyOnTheGPU():
        module(*inputs[: 1 + has_lengths])
