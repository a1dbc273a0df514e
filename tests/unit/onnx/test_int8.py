"""Tests of weights in int8, against the same weights in float32.

Authors
 * The speechbrain_fftp authors 2026
"""

import collections
import json

import numpy as np
import pytest
import torch
from small_models import make_model

from fftp_tag.cli.main import main
from speechbrain_fftp.dataio.errors import InputError
from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.nnet.patching import SquarePatchEmbedding
from speechbrain_fftp.onnx.graphs import ancestors

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
from speechbrain_fftp.onnx.int8 import store_in_int8  # noqa: E402

# Multiplications in one block of a transformer: qkv, proj and two of the MLP
WEIGHTS = ("qkv", "proj", "mlp.0", "mlp.3")


@pytest.fixture(scope="module")
def models(exported, tmp_path_factory):
    """The files of a model in float32 and in int8, and its encoder."""
    hparams, folder = exported
    path = tmp_path_factory.mktemp("int8") / "int8.onnx"
    store_in_int8(folder / "model.onnx", path)
    return folder / "model.onnx", path, hparams["modules"]["embedding_model"]


def run(path, wavs):
    """The outputs of a file, by name."""
    session = onnxruntime.InferenceSession(path)
    names = [output.name for output in session.get_outputs()]
    lens = np.ones(len(wavs), np.float32)
    return dict(
        zip(names, session.run(names, {"wavs": wavs, "wav_lens": lens}))
    )


def noise():
    """Two clips of a second."""
    generator = torch.Generator().manual_seed(3)
    return 0.2 * torch.randn(2, 16000, generator=generator).numpy()


def test_weights_are_those_of_the_encoder_rounded(models):
    """To 7 bits: sums of two products with 8 bits stay below 2**15."""
    _, path, encoder = models
    state = encoder.state_dict()
    names = ["embedding.proj.weight"] + [
        f"blocks.{number}.{name}.weight"
        for number in range(len(encoder.blocks))
        for name in WEIGHTS
    ]
    expected = [state[name].T.numpy() for name in names]
    arrays = {
        x.name: onnx.numpy_helper.to_array(x)
        for x in onnx.load(path).graph.initializer
    }
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


@pytest.mark.parametrize("patches", ["FFTP", "square"])
def test_patches_are_in_int8_and_features_in_float32(models, patches, tmp_path):
    """One multiplication in float32 each for the spectra and the mel bands."""
    before, after, encoder = models
    n_blocks = len(encoder.blocks)
    if patches == "square":
        n_blocks, before, after = 1, tmp_path / "a.onnx", tmp_path / "b.onnx"
        embedding = SquarePatchEmbedding(40, 24, patch_size=16, stride=10)
        encoder = AST(40, 24, n_blocks, 2, embedding, max_frames=128)
        make_model(before, encoder.eval())
        store_in_int8(before, after)
    graph = onnx.load(after).graph
    kinds = collections.Counter(
        node.op_type
        for node in ancestors(graph, {"embeddings"})
        if "MatMul" in node.op_type
    )
    assert kinds == {
        "MatMul": 2,
        "DynamicQuantizeMatMul": 1 + n_blocks * len(WEIGHTS),
    }
    shapes = [x.dims for x in graph.initializer]
    assert list(encoder.embedding.proj.weight.T.shape) in shapes
    ours, theirs = run(after, noise()), run(before, noise())
    assert set(ours) == set(theirs)
    np.testing.assert_array_equal(ours["features"], theirs["features"])
    change = np.abs(ours["probabilities"] - theirs["probabilities"]).max()
    assert 0 < change < 0.05
    assert np.corrcoef(ours["embeddings"], theirs["embeddings"])[0, 2] > 0.99


def test_metadata_are_kept_and_a_model_is_stored_once(models, tmp_path):
    texts = [
        onnxruntime.InferenceSession(path).get_modelmeta().custom_metadata_map
        for path in models[:2]
    ]
    assert texts[0] == texts[1] and json.loads(texts[1]["labels"])
    with pytest.raises(InputError, match=models[1].name):
        store_in_int8(models[1], tmp_path / "new.onnx")
    assert not (tmp_path / "new.onnx").exists()


def test_command(models, tmp_path, capsys):
    before, after, _ = models
    output = tmp_path / "small.onnx"
    assert main(["import", str(before), str(output), "--int8"]) == 0
    assert "5 classes" in capsys.readouterr().out
    expected, found = run(after, noise()), run(output, noise())
    np.testing.assert_array_equal(
        found["probabilities"], expected["probabilities"]
    )
    for target, options, word in (
        (output, [], "model.onnx already"),
        (output, ["--int8", "--labels", "x.txt"], "--int8 alone"),
        (before, ["--int8"], "another output"),
    ):
        assert main(["import", str(before), str(target), *options]) == 1
        assert word in capsys.readouterr().err
