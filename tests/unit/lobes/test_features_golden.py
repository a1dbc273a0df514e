"""Tests of the front ends against golden tensors of published models.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import pytest
import torch

from speechbrain_fftp.lobes.features import KaldiFbank, MelDecibels


@pytest.mark.parametrize(
    "name", ["chirp_1s", "voice_2s", "word_1s", "cello_2s"]
)
def test_equals_golden_tensors(shared, name):
    golden = np.load(shared / "fixtures" / "fbank" / f"{name}.npz")
    feats = KaldiFbank()(torch.from_numpy(golden["wav"])[None])[0].numpy()
    assert feats.shape == golden["fbank"].shape
    np.testing.assert_allclose(feats, golden["fbank"], rtol=0, atol=1e-3)


@pytest.mark.parametrize(
    "name, clip", [("ced_a", "full"), ("ced_a", "short"), ("ced_b", "short")]
)
def test_decibels_equal_golden_tensors(shared, name, clip):
    golden = np.load(shared / "fixtures" / "ced" / f"{name}_io.npz")
    wav = golden["wav"][slice(*golden[f"{clip}_at"])] / np.float32(32768)
    levels = MelDecibels()(torch.from_numpy(wav)[None])[0].numpy()
    expected = golden[f"{clip}_features"].T
    np.testing.assert_allclose(levels, expected, rtol=0, atol=3e-3)
    assert expected.min() in (levels.min(), pytest.approx(levels.min()))
