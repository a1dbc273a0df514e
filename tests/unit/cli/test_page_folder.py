"""Tests of what ``fftp-tag page`` writes; a browser tests what it does.

Authors
 * The speechbrain_fftp authors 2026
"""

import base64
import hashlib
import json
from pathlib import Path

import pytest

from speechbrain_fftp.cli import page
from speechbrain_fftp.cli.main import main
from speechbrain_fftp.inference import AudioTagger

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

ROOT = Path(__file__).resolve().parents[3]
METADATA = {
    "labels": ["Müsik", "Bark, dog"],
    "sample_rate": 16000,
    "max_samples": 20000,
    "min_samples": 1840,
    "frame_samples": 160,
    "single_label": False,
    "thresholds": None,
    "steps": None,
}


def write_model(path, metadata):
    """A model that returns its input, with metadata."""
    wavs, probs = (
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 2])
        for name in ("wavs", "probabilities")
    )
    node = onnx.helper.make_node("Identity", ["wavs"], ["probabilities"])
    graph = onnx.helper.make_graph([node], "graph", [wavs], [probs])
    model = onnx.helper.make_model(
        graph,
        ir_version=10,
        opset_imports=[onnx.helper.make_opsetid("", 18)],
    )
    texts = {name: json.dumps(value) for name, value in metadata.items()}
    onnx.helper.set_model_props(model, texts)
    onnx.save(model, path)
    return path


@pytest.fixture
def model(tmp_path):
    return write_model(tmp_path / "model.onnx", METADATA)


def write_runtime(folder, version=page.VERSION):
    """An installation of the runtime, with other contents."""
    package = folder / "onnxruntime-web"
    (package / "dist").mkdir(parents=True)
    about = {"name": "onnxruntime-web", "version": version}
    (package / "package.json").write_text(json.dumps(about))
    for name in page.INTEGRITY:
        (package / "dist" / name).write_text(f"content of {name}")
    return package


def names(folder):
    """All files of a folder, relative to it."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix() for path in files}


def test_the_folder_has_all_that_the_page_needs(model, tmp_path, capsys):
    target = tmp_path / "page"
    assert main(["page", str(model), str(target)]) == 0
    assert str(target) in capsys.readouterr().out
    static = names(page.STATIC)
    assert {"index.html", "page.js", "worker.js", "style.css"} <= static
    written = {"model.onnx", "model.json", "runtime.json"}
    assert names(target) == static | written
    assert (target / "model.onnx").read_bytes() == model.read_bytes()
    about = json.loads((target / "model.json").read_text("utf-8"))
    assert about == METADATA
    runtime = json.loads((target / "runtime.json").read_text())
    assert runtime["folder"].startswith("https://")
    assert f"onnxruntime-web@{page.VERSION}/" in runtime["folder"]
    assert runtime["integrity"] == page.INTEGRITY


def test_an_inference_folder_is_exported(exported, tmp_path):
    pytest.importorskip("onnxscript")
    target = tmp_path / "page"
    assert main(["page", str(exported[1]), str(target)]) == 0
    tagger = AudioTagger.from_pretrained(exported[1])
    about = json.loads((target / "model.json").read_text("utf-8"))
    assert about["labels"] == tagger.labels


@pytest.mark.parametrize("inside", ["", "onnxruntime-web"])
def test_the_runtime_is_copied(model, tmp_path, inside):
    write_runtime(tmp_path / "node_modules")
    source = tmp_path / "node_modules" / inside
    target = tmp_path / "page"
    options = ["--runtime", str(source)]
    assert main(["page", str(model), str(target), *options]) == 0
    runtime = json.loads((target / "runtime.json").read_text())
    for name in page.INTEGRITY:
        copied = target / runtime["folder"] / name
        assert copied.read_text() == f"content of {name}"


def test_what_is_wrong_is_named_and_nothing_written(model, tmp_path, capsys):
    target = tmp_path / "page"
    old = write_runtime(tmp_path / "old", version="1.2.3")
    empty = tmp_path / "empty"
    empty.mkdir()
    bare = write_model(tmp_path / "bare.onnx", {"labels": ["A", "B"]})
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"not a model")
    for arguments, text in (
        ([model, target, "--runtime", old], "1.2.3"),
        (
            [model, target, "--runtime", empty],
            f"{empty} has no onnxruntime-web",
        ),
        ([bare, target], "sample_rate"),
        ([broken, target], "broken.onnx"),
        ([tmp_path / "no.onnx", target], "no.onnx"),
        ([tmp_path / "no", target], f"there is no {tmp_path / 'no'}"),
    ):
        before = set(tmp_path.iterdir())
        assert main(["page", *map(str, arguments)]) == 1
        assert text in capsys.readouterr().err
        assert set(tmp_path.iterdir()) == before


def test_a_folder_in_use_is_kept(model, tmp_path, capsys):
    target = tmp_path / "page"
    target.mkdir()
    (target / "diary.txt").write_text("mine")
    for path in (target, target / "diary.txt"):
        with pytest.raises(SystemExit, match="2"):
            main(["page", str(model), str(path)])
        assert f"{path} is not empty" in capsys.readouterr().err
    assert names(target) == {"diary.txt"}


def test_the_hashes_are_those_of_the_package():
    if not (ROOT / "node_modules" / page.PACKAGE).is_dir():
        pytest.skip("npm install has not been run")
    dist = page.find_runtime(ROOT / "node_modules")
    for name, integrity in page.INTEGRITY.items():
        digest = hashlib.sha384((dist / name).read_bytes()).digest()
        assert integrity == f"sha384-{base64.b64encode(digest).decode()}"
