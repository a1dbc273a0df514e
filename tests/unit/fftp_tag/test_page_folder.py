"""Tests of what ``fftp-tag page`` writes; a browser tests what it does.

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import errno
import json
import os
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from tiny_onnx import INFO, write_model

from fftp_tag.cli import page
from fftp_tag.cli.main import main
from speechbrain_fftp.dataio.errors import InputError


@pytest.fixture
def model(tmp_path):
    """A model of clips."""
    return write_model(tmp_path / "model.onnx")


def write(*arguments):
    """Runs the verb."""
    parser = argparse.ArgumentParser()
    page.add_arguments(parser)
    page.run(parser.parse_args(list(map(str, arguments))))


def names(folder):
    """All files of a folder, relative to it."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix() for path in files}


def test_the_folder_has_all_that_the_page_needs(model, tmp_path):
    target = tmp_path / "page"
    write(model, target)
    written = {"model.onnx", "model.json", "page.json"}
    assert names(target) == names(page.STATIC) | written
    assert (target / "model.onnx").read_bytes() == model.read_bytes()
    about = json.loads((target / "model.json").read_text("utf-8"))
    assert about == INFO.to_page()
    settings = json.loads((target / "page.json").read_text())
    assert f"onnxruntime-web@{page.VERSION}/" in settings["runtime"]
    assert settings["integrity"] == page.INTEGRITY
    assert settings["example"] is None


@pytest.mark.parametrize("settings", [None, "{}", "[]", "{", 5000 * "["])
def test_a_folder_of_others_stays_as_it_is(model, tmp_path, settings):
    """Also one with a page.json of another program."""
    (tmp_path / "example").mkdir()
    (tmp_path / "example" / "a.wav").touch()
    if settings is not None:
        (tmp_path / "page.json").write_text(settings)
    before = names(tmp_path)
    with pytest.raises(InputError, match="FOLDER"):
        write(model, tmp_path)
    assert names(tmp_path) == before


def test_a_page_is_updated(model, tmp_path):
    """Files of others stay, an example goes if it is not given again."""
    target, example = tmp_path / "page", tmp_path / "dög & cat.flac"
    with pytest.raises(FileNotFoundError, match="cat.flac"):
        write(model, target, "--example", example)
    assert not target.exists()
    example.write_bytes(b"fLaC")
    write(model, target, "--example", example)
    settings = json.loads((target / "page.json").read_text("utf-8"))
    assert settings["example"] == example.name
    assert (target / "example" / example.name).read_bytes() == b"fLaC"
    before = names(target)
    (target / "CNAME").touch()
    (target / "page.js").write_text("of an earlier version")
    write(target / "model.onnx", target)
    assert names(target) == before - {f"example/{example.name}"} | {"CNAME"}
    copied = (target / "page.js").read_bytes()
    assert copied == (page.STATIC / "page.js").read_bytes()


@pytest.mark.parametrize("n_moved", range(4))
def test_a_run_that_was_killed(model, tmp_path, monkeypatch, n_moved):
    """Leaves a page as it was, or what the next run makes a page of."""
    target = tmp_path / "page"
    moved = []

    def move(source, path, replace=os.replace):
        """Is the last call before the end."""
        if Path(source).parent.name == page.UNFINISHED:
            if len(moved) == n_moved:
                raise KeyboardInterrupt
            moved.append(path)
        replace(source, path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", move)
        patch.setattr(shutil, "rmtree", lambda *_, **__: None)
        with pytest.raises(KeyboardInterrupt):
            write(model, target)
    assert (target / page.UNFINISHED / "page.js").exists()
    write(model, target)
    assert names(target) >= names(page.STATIC)
    assert not (target / page.UNFINISHED).exists()


def test_a_full_disk(model, tmp_path, monkeypatch, capsys):
    target = tmp_path / "page"

    def copy(source, path):
        """Fails as shutil does."""
        raise OSError(errno.ENOSPC, "No space left", source, None, path)

    monkeypatch.setattr(shutil, "copyfile", copy)
    assert main(["page", str(model), str(target)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert str(target) in line and "No space left" in line
    assert not target.exists()


def test_what_a_page_cannot_use(model, tmp_path):
    """Weights that are damaged or in another file, another runtime."""
    folder, package = tmp_path / "page", tmp_path / page.PACKAGE
    runtime = [folder, "--runtime", tmp_path]
    with pytest.raises(FileNotFoundError, match="npm install"):
        write(model, *runtime)
    package.mkdir()
    (package / "package.json").write_text('{"version": "1.0.0"}')
    with pytest.raises(InputError, match=page.VERSION):
        write(model, *runtime)
    proto = onnx.load(model)
    onnx.save(proto, model, save_as_external_data=True, location="weights")
    with pytest.raises(InputError, match="model.onnx has its weights"):
        write(model, folder)
    gain = next(x for x in proto.graph.initializer if x.name == "gain")
    gain.CopyFrom(onnx.numpy_helper.from_array(np.float32(np.nan), "gain"))
    onnx.save(proto, model)
    with pytest.raises(InputError, match="model.onnx returns NaN"):
        write(model, folder)
    assert not folder.exists()
