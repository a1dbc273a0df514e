"""The fixture ``device`` of SpeechBrain's unit tests.

Imports of SpeechBrain in these tests find this package.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch

import speechbrain_fftp

speechbrain_fftp.register()

# Tests that need a checkout of SpeechBrain
collect_ignore = [
    "test_audioset_recipe.py",
    "test_gsc_lengths.py",
    "test_gsc_recipe.py",
    "test_interrupted_checkpoint.py",
    "test_max_grad_norm.py",
    "test_parallel_pytorch.py",
    "test_spectrogram_drop.py",
    "test_sync_batch_norm.py",
]


def pytest_collection_modifyitems(items):
    """Marks the tests of kernels, in a file without marks of this project."""
    for item in items:
        if item.path.name == "test_triton_scan.py":
            item.add_marker("gpu")


@pytest.fixture(
    params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)],
)
def device(request, monkeypatch):
    """The device to test on: each in turn, the second with -m gpu."""
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("there is no GPU")
    # Convolutions with products of 10 bits would not equal those of a CPU
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    return request.param
