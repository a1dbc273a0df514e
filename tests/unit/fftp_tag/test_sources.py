"""Tests of finding a model, and of converting a published one once.

Authors
 * The speechbrain_fftp authors 2026
"""

import logging
import os
import sys

import pytest
from tiny_onnx import write_model

from fftp_tag import AudioTagger
from fftp_tag.cli.main import main
from fftp_tag.tag.sources import find_or_convert
from speechbrain_fftp.dataio.errors import InputError
from speechbrain_fftp.pretrained import convert as conversion


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """The folder of converted models."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "fftp_tag"


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
    (run / "hyperparams.yaml").write_text("a: !apply:none []")
    assert find_or_convert(inside) == inside
    for source in (run, str(run), run / "inference"):
        assert find_or_convert(source) == inside
    assert len(AudioTagger.from_pretrained(str(run)).labels) == 3
    # That of the folder itself comes first
    own = write_model(run / "model.onnx")
    (run / "config.json").write_text("{}")
    assert find_or_convert(run) == own
    assert not converted


def test_a_checkpoint_is_converted_once(tmp_path, converted, cache, caplog):
    """Until it changes."""
    caplog.set_level(logging.INFO)
    path, folder = tmp_path / "ast.pth", tmp_path / "ced"
    path.write_bytes(b"weights")
    found = find_or_convert(path)
    assert found.parent == cache and found.suffix == ".onnx"
    assert find_or_convert(str(path)) == found
    assert converted == [str(path)]
    assert [str(path) in x.getMessage() for x in caplog.records] == [True]
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


def test_hub_ids_have_a_name_each(converted):
    ids = ["a/b", "a/b@v1", "a/b@refs/pr/1", "a/b--c"]
    found = [find_or_convert(source) for source in ids + ids]
    assert len(set(found)) == 4 and converted == ids


@pytest.mark.parametrize("name", ["none.onnx", "a/b/none", ""])
def test_missing_models_are_named(tmp_path, converted, name, capsys):
    source = str(tmp_path / name)
    assert main(["clip.wav", "--model", source]) == 1
    assert capsys.readouterr().err.count(source) == 1
    assert not converted


def test_a_hub_that_cannot_be_reached(monkeypatch, cache, capsys):
    import huggingface_hub

    def fail(*args, **options):
        raise OSError("no\nconnection")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    assert main(["clip.wav", "--model", "owner/name"]) == 1
    start, error = capsys.readouterr().err.splitlines()
    assert "owner/name" in start and "converted once" in start
    assert "owner/name" in error and "no connection" in error
    assert not list(cache.iterdir())


@pytest.mark.parametrize("source", ["ast.pth", "owner/name"])
def test_without_torch_nothing_is_converted(tmp_path, monkeypatch, source):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ast.pth").write_bytes(b"weights")
    monkeypatch.delitem(sys.modules, "speechbrain_fftp.pretrained.convert")
    monkeypatch.delattr("speechbrain_fftp.pretrained.convert")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(InputError, match=f"{source} .*needs torch"):
        find_or_convert(source)
