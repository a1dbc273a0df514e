"""Tests of what a training logs before it starts.

Authors
 * The speechbrain_fftp authors 2026
"""

from types import SimpleNamespace

import pytest
import torch

from fftp_tag.errors import InputError
from speechbrain.dataio.dataset import DynamicItemDataset
from speechbrain_fftp.lobes.features import DatasetNormalization, KaldiFbank
from speechbrain_fftp.nnet.patching import FFTPEmbedding
from speechbrain_fftp.training import checks

CLIPS = torch.randint(-3000, 3000, (5, 8000), dtype=torch.int16)


@pytest.fixture
def compare():
    """Compares clips of up to 0.5 s with a recipe's settings."""
    rows = {str(n): {"number": n, "duration": "0.25"} for n in range(4)}
    rows["4"] = {"number": 4, "duration": "0.5"}
    dataset = DynamicItemDataset(rows)
    dataset.add_dynamic_item(lambda n: CLIPS[n], "number", "sig")
    dataset.set_output_keys(["id"])

    def compare(patch_frames=48, max_frames=48):
        brain = SimpleNamespace(
            device="cpu",
            modules={
                "compute_features": KaldiFbank(n_mels=16),
                "mean_var_norm": DatasetNormalization(),
            },
            hparams=SimpleNamespace(
                sample_rate=16000,
                max_frames=max_frames,
                embedding=FFTPEmbedding(16, 8, patch_frames),
            ),
        )
        checks.compare_features(brain, {"train": dataset})

    return compare


def test_sizes_that_do_not_fit_the_clips_are_refused(compare):
    """Longer clips than ``max_frames`` would be cut by model.onnx alone."""
    compare()
    with pytest.raises(InputError, match="patch_frames 49"):
        compare(patch_frames=49)
    with pytest.raises(InputError, match="max_frames 47.* 48 .*0.5 s"):
        compare(max_frames=47)
