"""Tests of models from the Hugging Face Hub, without a hub.

Authors
 * The speechbrain_fftp authors 2026
"""

import huggingface_hub
import pytest
from huggingface_hub import constants

from fftp_tag.model.hub import FILES, find_checkpoint


@pytest.fixture
def snapshot(tmp_path):
    """A folder of the cache, with all files of lab/model."""
    folder = tmp_path / "models--lab--model"
    snapshot = folder / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("0" * 40)
    for name in FILES:
        (snapshot / name).write_text("{}")
    return snapshot


def test_ids_and_revisions(snapshot, monkeypatch):
    calls = []

    def snapshot_download(repo_id, revision, allow_patterns):
        huggingface_hub.utils.validate_repo_id(repo_id)
        assert allow_patterns == list(FILES)
        calls.append((repo_id, revision))
        return str(snapshot)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    for name in (snapshot, "lab/model", "lab/model@v1.0"):
        assert find_checkpoint(name) == snapshot
    assert calls == [("lab/model", None), ("lab/model", "v1.0")]
    # Pickles are not read
    (snapshot / "model.safetensors").rename(snapshot / "pytorch_model.bin")
    with pytest.raises(ValueError, match="lab/model has no model.safetensors"):
        find_checkpoint("lab/model")


def test_a_cached_model_is_found_offline(snapshot, tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert find_checkpoint("lab/model") == snapshot
    with pytest.raises(FileNotFoundError, match="lab/other"):
        find_checkpoint("lab/other")
