"""Tests of finding a model, and of converting a published one once.

Authors
 * The speechbrain_fftp authors 2026
"""

import os
import shutil

import huggingface_hub
import pytest
from tiny_onnx import write_model

from fftp_tag.model.sources import find_or_convert
from speechbrain_fftp.pretrained import convert as conversion


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """The folder of converted models."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "fftp_tag"


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub; returns the folder of the model of all ids there, and the calls."""
    folder, cached, calls = tmp_path / "hub", tmp_path / "0123abc", []
    folder.mkdir()

    def snapshot_download(repo_id, revision, allow_patterns):
        calls.append((repo_id, revision, allow_patterns))
        cached.mkdir(exist_ok=True)
        for path in folder.iterdir():
            if path.name in allow_patterns:
                shutil.copy(path, cached)
        return str(cached)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    return folder, calls


@pytest.fixture
def converted(monkeypatch):
    """Replaces the conversion; returns the sources that were converted."""
    sources = []

    def convert(source, path, **options):
        sources.append(str(source))
        return write_model(path)

    monkeypatch.setattr(conversion, "convert_checkpoint", convert)
    return sources


def test_files_and_folders_that_hold_a_model(tmp_path, converted):
    run = tmp_path / "run"
    (run / "inference").mkdir(parents=True)
    inside = write_model(run / "inference" / "model.onnx")
    for source in (inside, run, str(run), run / "inference"):
        assert find_or_convert(source) == inside
    # That of the folder itself comes first
    own = write_model(run / "model.onnx")
    (run / "config.json").write_text("{}")
    assert find_or_convert(run) == own
    assert not converted


def test_a_checkpoint_is_converted_once(tmp_path, converted, cache):
    """Until it changes."""
    path, folder = tmp_path / "ast.pth", tmp_path / "ced"
    path.write_bytes(b"weights")
    found = find_or_convert(path)
    assert found.parent == cache and found.suffix == ".onnx"
    assert find_or_convert(str(path)) == found
    assert converted == [str(path)]
    os.utime(path, (1, 1))
    assert find_or_convert(path) != found and len(converted) == 2
    # A folder in Hugging Face form
    folder.mkdir()
    for file in ("config.json", "model.safetensors"):
        (folder / file).write_text("{}")
    found = find_or_convert(folder)
    (folder / "README.md").write_text("of no meaning")
    assert find_or_convert(folder) == found and len(converted) == 3
    (folder / "model.safetensors").write_text("{ }")
    assert find_or_convert(folder) != found and len(converted) == 4


def test_a_model_on_the_hub(hub, converted, tmp_path, cache):
    """Of this package: it needs no conversion, and no copy."""
    folder, calls = hub
    write_model(folder / "model.onnx")
    found = find_or_convert("lab/own@v1")
    assert found == tmp_path / "0123abc" / "model.onnx" and found.is_file()
    repo, revision, files = calls.pop()
    assert (repo, revision) == ("lab/own", "v1") and "model.onnx" in files
    assert not [name for name in files if name.endswith(("bin", "pt", "*"))]
    assert not converted and not cache.exists()
