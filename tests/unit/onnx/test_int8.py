"""Tests of weights in int8, against the same weights in float32.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import pytest
import torch

from fftp_tag.cli.main import main
from fftp_tag.errors import InputError

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
from fftp_tag.model.int8 import store_in_int8  # noqa: E402


@pytest.fixture(scope="module")
def models(exported, tmp_path_factory):
    """The files of a model in float32 and in int8, and its encoder."""
    hparams, folder = exported
    path = tmp_path_factory.mktemp("int8") / "int8.onnx"
    store_in_int8(folder / "model.onnx", path)
    return folder / "model.onnx", path, hparams["modules"]["embedding_model"]


def run(path):
    """The metadata of a file, and its outputs for two clips, by name."""
    session = onnxruntime.InferenceSession(path)
    names = [output.name for output in session.get_outputs()]
    wavs = 0.2 * np.random.default_rng(3).standard_normal((2, 16000))
    inputs = {"wavs": wavs.astype(np.float32)}
    outputs = dict(zip(names, session.run(names, inputs)))
    return session.get_modelmeta().custom_metadata_map, outputs


def test_weights_are_those_of_the_encoder_rounded(models):
    """To 7 bits: sums of two products with 8 bits stay below 2**15."""
    _, path, encoder = models
    layers = [x for x in encoder.modules() if isinstance(x, torch.nn.Linear)]
    expected = [layer.weight.detach().T.numpy() for layer in layers]
    graph = onnx.load(path).graph
    arrays = {x.name: onnx.numpy_helper.to_array(x) for x in graph.initializer}
    found = {
        n: a for n, a in arrays.items() if a.dtype == np.int8 and a.ndim == 2
    }
    assert len(found) == len(expected)
    for name, array in found.items():
        assert np.abs(array.astype(int)).max() <= 64
        scale = arrays[name.replace("_quantized", "_scale")]
        errors = [
            np.abs(array * scale - weight).max()
            for weight in expected
            if weight.shape == array.shape
        ]
        assert min(errors) <= 0.51 * scale.max()
    kinds = [node.op_type for node in graph.node]
    assert kinds.count("DynamicQuantizeMatMul") == len(expected)  # the fast one


def test_outputs_change_little_and_features_not(models, tmp_path):
    before, after, _ = models
    (metadata, expected), (found_metadata, found) = run(before), run(after)
    assert found_metadata == metadata
    assert set(found) == set(expected)
    np.testing.assert_array_equal(found["features"], expected["features"])
    change = np.abs(found["probabilities"] - expected["probabilities"]).max()
    assert 0 < change < 0.05
    both = np.corrcoef(found["embeddings"], expected["embeddings"])
    assert both[0, 2] > 0.99
    with pytest.raises(InputError, match=after.name):  # it is in int8 already
        store_in_int8(after, tmp_path / "new.onnx")
    assert not (tmp_path / "new.onnx").exists()


def test_command(models, tmp_path, capsys):
    before, after, _ = models
    output = tmp_path / "small.onnx"
    assert main(["import", str(before), str(output), "--int8"]) == 0
    assert "5 classes" in capsys.readouterr().out
    np.testing.assert_equal(run(output), run(after))
    options = ["--int8", "--labels", "x.txt"]
    assert main(["import", str(before), str(output), *options]) == 1
    assert "--int8 alone" in capsys.readouterr().err
    assert main(["import", str(before), str(before), "--int8"]) == 1
    assert "another output" in capsys.readouterr().err
