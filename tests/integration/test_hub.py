"""Tests of models from the Hugging Face Hub, without a hub.

Authors
 * The speechbrain_fftp authors 2026
"""

import huggingface_hub
import pytest
from huggingface_hub import constants

from fftp_tag.model.hub import FILES, find_checkpoint


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """Replaces snapshot_download; returns the folder and the calls."""
    folder, calls = tmp_path / "0123abc", []
    folder.mkdir()
    for name in FILES:
        (folder / name).write_text("{}")

    def snapshot_download(repo_id, **options):
        huggingface_hub.utils.validate_repo_id(repo_id)
        calls.append((repo_id, options))
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    return folder, calls


def test_ids_and_revisions(hub):
    folder, calls = hub
    assert find_checkpoint(folder) == folder and not calls
    assert find_checkpoint("lab/model") == folder
    assert find_checkpoint("lab/model@v1.0") == folder
    for call, revision in zip(calls, (None, "v1.0")):
        options = {"revision": revision, "allow_patterns": list(FILES)}
        assert call == ("lab/model", options)
    # Pickles are not read
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ValueError, match="lab/model has no model.safetensors"):
        find_checkpoint("lab/model")


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
    with pytest.raises(FileNotFoundError, match="lab/other"):
        find_checkpoint("lab/other")
