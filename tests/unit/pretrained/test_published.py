"""Tests of published checkpoints as model.onnx; see also test_goldens.py.

Authors
 * The speechbrain_fftp authors 2026
"""

import json

import numpy as np
import pytest
import torch
from published_forms import FORMS, atst_file, random_tensors

from speechbrain_fftp.dataio.errors import InputError
from speechbrain_fftp.datasets.audioset import read_classes
from speechbrain_fftp.onnx.export import ExportError
from speechbrain_fftp.pretrained import convert

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

KNOWN = list(read_classes().values())


@pytest.fixture
def described(monkeypatch):
    """What ``convert`` would export, without exporting it."""
    calls = []

    def export_onnx(path, modules, labels, **options):
        calls.append({"modules": modules, "labels": labels, **options})
        return path

    monkeypatch.setattr(convert, "export_onnx", export_onnx)

    def describe(source, **options):
        convert.convert_checkpoint(source, "model.onnx", **options)
        return calls[-1]

    return describe


def test_classes_without_names_are_those_of_audioset(
    described, tmp_path, shared, caplog
):
    """They are known by their number."""
    strong = shared / "fixtures" / "atst" / "strong_classes.txt"
    form = FORMS["AST file"]
    head = random_tensors({}, {"mlp_head.1": [527, 64]})
    for name, tensors, expected in (
        ("ATST-Frame", atst_file(447), strong.read_text("utf-8").splitlines()),
        ("AST file", {**form.make_tensors(), **head}, KNOWN),
        ("AST file", None, [f"class {number}" for number in range(5)]),
    ):
        caplog.clear()
        path, _ = FORMS[name].write(tmp_path, tensors)
        assert described(path)["labels"] == expected
        assert ("--labels" in caplog.text) == (tensors is None)


def test_short_names_of_audioset_are_completed(described, tmp_path):
    form = FORMS["CED"]
    head = random_tensors({}, {"outputlayer.1": [527, 64]})
    short = {str(n): name.split(",")[0] for n, name in enumerate(KNOWN)}
    assert short["506"] == short["507"] == "Inside"
    for changes, expected in (
        ({}, KNOWN[506]),
        ({"3": "Kazoo"}, "Inside (506)"),
        ({"3": "Inside (506)"}, "Inside (506) (506)"),
    ):
        path, _ = form.write(
            tmp_path / "model",
            {**form.make_tensors(), **head},
            {"id2label": {**short, **changes}},
        )
        labels = described(path)["labels"]
        assert labels[506] == expected and len(set(labels)) == 527


@pytest.mark.parametrize(
    "id2label", [["a"] * 5, {"0": "a"}, dict.fromkeys("01234", "a\nb")]
)
def test_wrong_names_are_refused(described, tmp_path, id2label):
    path, _ = FORMS["CED"].write(tmp_path, config={"id2label": id2label})
    with pytest.raises(InputError, match="config.json"):
        described(path)


def test_the_user_knows_better(described, tmp_path):
    config = {"problem_type": "single_label_classification"}
    path, _ = FORMS["AST folder"].write(tmp_path, config=config)
    by_itself = described(path)
    assert by_itself["single_label"]
    assert by_itself["modules"]["mean_var_norm"].mean == -4.0
    changed = described(
        path, labels=list("abcde"), mean=-1.0, std=2.0, single_label=False
    )
    assert changed["labels"] == list("abcde")
    assert not changed["single_label"]
    normalization = changed["modules"]["mean_var_norm"]
    assert (normalization.mean, normalization.std) == (-1.0, 2.0)
    for labels in ("abcd", "abcda", ["a", "b", "c", "d", " "]):
        with pytest.raises(InputError, match="5 classes|not the name"):
            described(path, labels=list(labels))


def test_a_failed_export_names_the_source(tmp_path, monkeypatch):
    def fail(*args, **options):
        raise ExportError("an operator is missing")

    monkeypatch.setattr(convert, "export_onnx", fail)
    path, _ = FORMS["AuM"].write(tmp_path)
    with pytest.raises(InputError, match="model.pth.*an operator is missing"):
        convert.convert_checkpoint(path, tmp_path / "model.onnx")


@pytest.mark.slow
def test_a_softmax_model_stays_one(tmp_path):
    config = {"problem_type": "single_label_classification"}
    path, _ = FORMS["AST folder"].write(tmp_path, config=config)
    path = convert.convert_checkpoint(path, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(path)
    metadata = session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["single_label"])
    inputs = {
        "wavs": torch.randn(2, 16000).numpy(),
        "wav_lens": np.ones(2, np.float32),
    }
    (probs,) = session.run(["probabilities"], inputs)
    np.testing.assert_allclose(probs.sum(1), np.ones(2), rtol=1e-5)
