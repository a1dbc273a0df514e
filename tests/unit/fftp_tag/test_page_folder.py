"""Tests of what ``fftp-tag page`` writes; a browser tests what it does.

Authors
 * The speechbrain_fftp authors 2026
"""

import json

import onnx
import soundfile as sf
from tiny_onnx import INFO, RATE, sounds, write_model

from fftp_tag.cli import page
from fftp_tag.cli.main import main
from fftp_tag.model import edit


def names(folder):
    """All files of a folder, relative to it."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix() for path in files}


def test_the_folder_has_all_that_the_page_needs(tmp_path, capsys):
    """Also an example; but no weights that are in another file."""
    model, target = write_model(tmp_path / "model.onnx"), tmp_path / "page"
    example = tmp_path / "dög & cat.flac"
    example.write_bytes(b"fLaC")
    command = ["page", str(model), str(target), "--example", str(example)]
    assert main(command) == 1 and example.name in capsys.readouterr().err
    sf.write(example, sounds(1.0), RATE)
    assert main(command) == 0
    written = {"model.onnx", "model.json", "page.json"}
    written.add(f"example/{example.name}")
    assert names(target) == names(page.STATIC) | written
    assert (target / "model.onnx").read_bytes() == model.read_bytes()
    copy = target / "example" / example.name
    assert copy.read_bytes() == example.read_bytes()
    about = json.loads((target / "model.json").read_text("utf-8"))
    assert about == page.describe(INFO)
    settings = json.loads((target / "page.json").read_text("utf-8"))
    assert f"onnxruntime-web@{page.VERSION}/" in settings["runtime"]
    assert settings["integrity"] == page.INTEGRITY
    assert settings["example"] == example.name
    proto = onnx.load(model)
    onnx.save(proto, model, save_as_external_data=True, location="weights")
    proto = onnx.load(model, load_external_data=False)
    edit.write_onnx(proto, model, INFO.to_metadata())
    assert main(["page", str(model), str(tmp_path / "new")]) == 1
    assert "model.onnx has its weights" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
