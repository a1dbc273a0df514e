"""Tests of models from the Hugging Face Hub, without a hub.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
from huggingface_hub import constants

from speechbrain_fftp.dataio.hub import FILES, find_checkpoint


def test_a_cached_model_is_found_offline(tmp_path, monkeypatch):
    folder = tmp_path / "models--lab--model"
    snapshot = folder / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("0" * 40)
    for name in FILES:
        (snapshot / name).write_text("{}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert find_checkpoint("lab/model") == snapshot
    assert find_checkpoint(snapshot) == snapshot
    # Pickles are not read
    weights = snapshot / "model.safetensors"
    weights.rename(snapshot / "pytorch_model.bin")
    with pytest.raises(ValueError, match="lab/model has no model.safetensors"):
        find_checkpoint("lab/model")
    with pytest.raises(FileNotFoundError, match="lab/other"):
        find_checkpoint("lab/other")
