"""Tests of finding a model, and of converting a published one once.

Authors
 * The speechbrain_fftp authors 2026
"""

import os
import shutil
import sys

import huggingface_hub
import pytest
from foreign_models import LABELS, write_sherpa
from tiny_onnx import write_model

from fftp_tag.cli.main import main
from fftp_tag.errors import InputError
from fftp_tag.model.session import Model
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


def test_a_model_of_others_on_the_hub(hub, converted, tmp_path, cache):
    """It is joined with its front end once; then there is no need for a hub."""
    folder, calls = hub
    write_sherpa(folder)
    found = find_or_convert("lab/ced")
    assert found.parent == cache and Model(found).labels == LABELS
    assert find_or_convert("lab/ced") == found and len(calls) == 1
    own = tmp_path / "own.onnx"
    assert main(["import", "lab/ced", str(own)]) == 0
    assert Model(own).labels == LABELS and not converted


def test_a_hub_that_cannot_be_reached(monkeypatch, cache, capsys):
    def fail(*args, **options):
        raise OSError("no\nconnection")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    assert main(["clip.wav", "--model", "owner/name"]) == 1
    start, error = capsys.readouterr().err.splitlines()
    assert "owner/name" in start and "converted once" in start
    assert "owner/name" in error and "no connection" in error
    assert not cache.exists()


def test_without_torch_nothing_is_converted(tmp_path, monkeypatch):
    path = tmp_path / "ast.pth"
    path.write_bytes(b"weights")
    monkeypatch.delitem(sys.modules, "speechbrain_fftp.pretrained.convert")
    monkeypatch.delattr("speechbrain_fftp.pretrained.convert")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(InputError, match=f"{path} .*needs torch"):
        find_or_convert(path)
