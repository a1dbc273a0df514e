"""Tests of what a training logs before it starts.

Authors
 * The speechbrain_fftp authors 2026
"""

import logging
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch

from speechbrain.dataio.dataset import DynamicItemDataset
from speechbrain_fftp.lobes.features import DatasetNormalization, KaldiFbank
from speechbrain_fftp.nnet.patching import FFTPEmbedding
from speechbrain_fftp.training import checks

CLIPS = torch.randint(-3000, 3000, (5, 8000), dtype=torch.int16)


@pytest.fixture
def datasets():
    rows = {str(n): {"number": n, "duration": "0.25"} for n in range(4)}
    rows["4"] = {"number": 4, "duration": "0.5"}  # in seconds
    dataset = DynamicItemDataset(rows)
    dataset.add_dynamic_item(lambda n: CLIPS[n], "number", "sig")
    dataset.set_output_keys(["id"])
    return {"train": dataset}


def make_brain(norm):
    modules = {
        "compute_features": KaldiFbank(n_mels=16),
        "mean_var_norm": norm,
    }
    return SimpleNamespace(
        modules=modules,
        hparams=SimpleNamespace(sample_rate=16000, max_frames=48),
        device="cpu",
    )


@pytest.mark.parametrize("offset, level", [(0.0, "INFO"), (9.0, "WARNING")])
def test_features_beside_those_of_the_yaml(offset, level, datasets, caplog):
    feats = KaldiFbank(n_mels=16)(CLIPS / 32768)
    mean, std = feats.mean().item(), feats.std().item()
    norm = DatasetNormalization(mean=mean + offset, std=std)
    with caplog.at_level(logging.INFO):
        checks.compare_features(make_brain(norm), datasets)
    (record,) = caplog.records
    assert record.levelname == level
    for value in (mean, std, mean + offset):
        assert f"{value:.2f}" in record.getMessage()


def test_a_patch_longer_than_every_clip_is_refused(datasets):
    brain = make_brain(DatasetNormalization())
    for patch_frames, is_refused in ((48, False), (49, True)):
        brain.hparams.embedding = FFTPEmbedding(16, 8, patch_frames)
        with pytest.raises(SystemExit) if is_refused else nullcontext() as stop:
            checks.compare_features(brain, datasets)
    assert "patch_frames" in stop.value.code


def test_clips_longer_than_the_model_are_refused(datasets):
    """Which model.onnx would cut, though the training does not."""
    brain = make_brain(DatasetNormalization())
    checks.compare_features(brain, datasets)
    brain.hparams.max_frames = 47
    with pytest.raises(SystemExit, match="max_frames 47.* 48 .*0.5 s"):
        checks.compare_features(brain, datasets)
