"""A simulated GPU: no part of a training step before backward waits for it.

Without lengths, an encoder's forward pass copies nothing to it either, so it
can be captured in a CUDA graph.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch
from recipe_brains import OF_LABELS, make_batch, make_brain
from torch._subclasses.fake_tensor import FakeTensorMode, unset_fake_temporarily
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from speechbrain.dataio.batch import PaddedData
from speechbrain_fftp import core
from speechbrain_fftp.lobes import tagger

# The demo is for CPUs, with SpeechBrain's Augmenter
YAMLS = [name for name in OF_LABELS if name != "demo.yaml"]
LENGTHS = ((1.0, 1.0, 1.0), (1.0, 0.9, 0.6))

pytestmark = [
    pytest.mark.skipif(
        not torch.backends.cuda.is_built(), reason="torch is built without CUDA"
    ),
    pytest.mark.skipif(
        torch.__version__ < "2.9", reason="PyTorch 2.8 aborts in the simulation"
    ),
]


class Watch(TorchDispatchMode):
    """Raises an error for some operations.

    These are operations that take a result off the GPU, and copies to it for
    which Python waits; in an encoder without lengths, all that have to do with
    the CPU.
    """

    def __init__(self):
        super().__init__()
        self.is_strict = False

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        inputs, outputs = (
            [x.is_cuda for x in tree_leaves(values) if torch.is_tensor(x)]
            for values in ((args, kwargs), result)
        )
        if any(inputs) and not all(outputs):
            raise AssertionError(f"{function} waits for the GPU")
        if any(outputs) and not all(inputs) and "copy" in function.__name__:
            # The third argument of ``copy_``
            is_asynchronous = (kwargs or {}).get("non_blocking", args[2:3])
            if is_asynchronous not in (True, (True,)):
                raise AssertionError(f"Python waits for {function}")
        if self.is_strict and not all(inputs + outputs):
            raise AssertionError(f"{function} of a tensor on the CPU")
        return result

    def follow(self, encoder):
        """Is strict in an encoder's next forward pass without lengths."""

        def enter(module, args):
            self.is_strict = args[1] is None
            entered.remove()

        def leave(module, args, result):
            self.is_strict = False
            left.remove()

        entered = encoder.register_forward_pre_hook(enter)
        left = encoder.register_forward_hook(leave)


def on_gpu(*shape):
    return torch.empty(shape, device="cuda")


@pytest.fixture(autouse=True)
def simulated_gpu():
    with FakeTensorMode():
        yield


@pytest.mark.parametrize("yaml", YAMLS)
def test_the_step_of_a_recipe(yaml, tmp_path, monkeypatch):
    """From the loader to the optimiser, for clips of equal lengths and others.

    The backward pass is left out: PyTorch's engine needs a real GPU.
    """
    for name in ("manual_seed_all", "manual_seed"):
        monkeypatch.setattr(torch.cuda, name, lambda seed: None)
    with unset_fake_temporarily():
        brain = make_brain(yaml, tmp_path)
        batches = [make_batch(brain, lengths) for lengths in LENGTHS]
    for module in brain.modules.values():
        simulate(module)
    if hasattr(brain.hparams, "speed_perturb"):
        speed = brain.hparams.speed_perturb
        for resampler in speed.resamplers:
            simulate(resampler)
        # A simulated random number has no value
        monkeypatch.setattr(
            speed, "forward", lambda x: speed.resamplers[0](x.to(speed.device))
        )
    brain.device = "cuda"
    brain.on_fit_start()

    def backward(loss):
        for weight in brain.modules.parameters():
            weight.grad = torch.empty_like(weight)

    monkeypatch.setattr(torch.Tensor, "backward", backward)
    # A simulated GPU has no pinned memory, no events, nor values to read
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor)
    monkeypatch.setattr(core, "start_copy", lambda loss: lambda: 1.0)
    brain.last_step = len(batches) + 1
    for brain.step, batch in enumerate(batches, 1):
        lengths = LENGTHS[brain.step - 1]
        simulate_batch(batch)
        lens = None if min(lengths) == 1 else torch.tensor(lengths)
        for names in (vars(tagger), brain.compute_forward.__globals__):
            # Lengths that are simulated have no values
            monkeypatch.setitem(names, "unequal_lengths", lambda _, x=lens: x)
        with Watch() as watch:
            watch.follow(brain.modules.embedding_model)
            loss = brain.fit_batch(batch)
            average = brain.update_average(loss, brain.avg_train_loss)
        # The first loss is read at once, the second later
        assert loss.is_cuda and average == 2 - brain.step


def simulate_batch(batch):
    """Replaces the tensors of a batch by simulated ones, which can be moved."""
    names = ("sig", "targets", "frame_targets", "known")
    names = [name for name in names if hasattr(batch, name)]
    for name in names:
        item = getattr(batch, name)
        data = torch.empty(item.data.shape, dtype=item.data.dtype)
        setattr(batch, name, PaddedData(data, item.lengths))

    def to(device, non_blocking):
        """As that of a ``PaddedBatch``."""
        for name in names:
            item = getattr(batch, name)
            data = item.data.to(device, non_blocking=non_blocking)
            setattr(batch, name, PaddedData(data, item.lengths))
        return batch

    batch.to = to


def simulate(module):
    """Replaces all tensors of a module by simulated ones on the GPU."""
    for part in module.modules():
        for tensors in (part._parameters, part._buffers):
            for name, tensor in tensors.items():
                if tensor is None:
                    continue
                there = on_gpu(*tensor.shape).to(tensor.dtype)
                if isinstance(tensor, torch.nn.Parameter):
                    there = torch.nn.Parameter(there)
                tensors[name] = there
