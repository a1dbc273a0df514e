"""Kaldi's filterbanks against golden tensors of torchaudio.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import pytest
import torch

from speechbrain_fftp.lobes.features import KaldiFbank


@pytest.mark.parametrize(
    "name", ["chirp_1s", "voice_2s", "word_1s", "cello_2s"]
)
def test_equals_golden_tensors(shared, name):
    golden = np.load(shared / "fixtures" / "fbank" / f"{name}.npz")
    feats = KaldiFbank()(torch.from_numpy(golden["wav"])[None])[0].numpy()
    assert feats.shape == golden["fbank"].shape
    np.testing.assert_allclose(feats, golden["fbank"], rtol=0, atol=1e-3)
