"""Tests of weights in int8, against the same weights in float32.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import pytest
import torch

from fftp_tag.cli.main import main

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
from fftp_tag.model.checksum import GRAPH  # noqa: E402
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
    graph = onnx.load(path).graph
    arrays = {x.name: onnx.numpy_helper.to_array(x) for x in graph.initializer}
    found = {
        name.removesuffix("_quantized"): array.astype(int)
        for name, array in arrays.items()
        if array.dtype == np.int8 and array.ndim == 2
    }
    assert len(found) == len(layers)
    for name, array in found.items():
        assert np.abs(array).max() <= 64
        scale = arrays[f"{name}_scale"]
        errors = [
            np.abs(array * scale - layer.weight.detach().T.numpy()).max()
            for layer in layers
            if layer.weight.T.shape == array.shape
        ]
        assert min(errors) <= 0.51 * scale.max()
    kinds = [node.op_type for node in graph.node]
    assert kinds.count("DynamicQuantizeMatMul") == len(layers)  # the fast one


def test_outputs_change_little_and_features_not(models):
    before, after, _ = models
    (metadata, expected), (found_metadata, found) = run(before), run(after)
    assert found_metadata.pop(GRAPH) != metadata.pop(GRAPH)
    assert found_metadata == metadata
    assert set(found) == set(expected)
    np.testing.assert_array_equal(found["features"], expected["features"])
    change = np.abs(found["probabilities"] - expected["probabilities"]).max()
    assert 0 < change < 0.05
    both = np.corrcoef(found["embeddings"], expected["embeddings"])
    assert both[0, 2] > 0.99


def test_weights_alone_leave_a_clip_to_itself(models, tmp_path):
    """Its probabilities do not depend on its company, as with sums in int8."""
    before, in_int8, _ = models
    path = tmp_path / "weights.onnx"
    store_in_int8(before, path, weights_only=True)
    assert path.stat().st_size < 1.1 * in_int8.stat().st_size
    (_, expected), (_, found) = run(before), run(path)
    change = np.abs(found["probabilities"] - expected["probabilities"]).max()
    assert 0 < change < 0.02
    wavs = np.random.default_rng(0).standard_normal((2, 16000))
    wavs = (wavs * [[0.01], [0.5]]).astype(np.float32)

    def difference(path):
        """Between a quiet clip beside a loud one, and alone."""
        session = onnxruntime.InferenceSession(path)
        both, alone = (
            session.run(["embeddings"], {"wavs": x})[0][0]
            for x in (wavs, wavs[:1])
        )
        return np.abs(both - alone).max()

    assert difference(path) < 1e-5 < 1e-3 < difference(in_int8)


def test_command(models, tmp_path, capsys):
    before, after, _ = map(str, models)
    output = tmp_path / "small.onnx"
    assert main(["import", before, str(output), "--int8"]) == 0
    assert "5 classes" in capsys.readouterr().out
    np.testing.assert_equal(run(output), run(after))
    new = tmp_path / "new.onnx"
    for words, named in (
        ([before, str(new), "--labels", "x.txt"], "--int8 alone"),
        ([before, before], "another output"),
        ([after, str(new)], "in int8 already"),
    ):
        assert main(["import", *words, "--int8"]) == 1
        assert named in capsys.readouterr().err
    assert not new.exists()
