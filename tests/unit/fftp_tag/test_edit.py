"""Tests of copies of a model with other metadata.

Authors
 * The speechbrain_fftp authors 2026
"""

import copy
import dataclasses

import numpy as np
import onnx
import pytest
from tiny_onnx import INFO, write_model

from fftp_tag.model.edit import copy_model, model_digest
from fftp_tag.model.session import Model

WAVS = np.random.default_rng(0).standard_normal((2, 1500)).astype(np.float32)
OTHER = dataclasses.replace(INFO, labels=["Straße", "Bark, dog", "海"])


@pytest.fixture
def model(tmp_path):
    return write_model(tmp_path / "model.onnx")


def test_a_file_is_written_in_place_or_not_at_all(tmp_path, model):
    expected = Model(model).probabilities(WAVS)
    copy_model(model, model, OTHER)
    assert Model(model).info.to_dict() == OTHER.to_dict()
    np.testing.assert_array_equal(Model(model).probabilities(WAVS), expected)
    content = model.read_bytes()

    def fail(graph):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        copy_model(model, model, INFO, fail)
    assert model.read_bytes() == content
    assert list(tmp_path.iterdir()) == [model]


def test_a_digest_covers_weights_in_a_second_file(tmp_path, model):
    proto = onnx.load(model)
    digests = []
    for gain, location in ((1, None), (1, "a"), (2, "a"), (1, "a")):
        weight = next(x for x in proto.graph.initializer if x.name == "gain")
        weight.CopyFrom(onnx.numpy_helper.from_array(np.float32(gain), "gain"))
        (tmp_path / "a").unlink(missing_ok=True)  # it would grow
        onnx.save(
            copy.deepcopy(proto),
            model,
            save_as_external_data=location is not None,
            location=location,
            size_threshold=0,
        )
        digests.append(model_digest(model))
    assert len(set(digests)) == 3 and digests[1] == digests[3]


def test_weights_in_a_second_file_are_copied(tmp_path, model):
    expected = Model(model).probabilities(WAVS)
    proto, name = onnx.load(model), "model.onnx.data"
    onnx.save(proto, model, save_as_external_data=True, location=name)
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "folder" / "my.onnx", model):
        copy_model(model, path, OTHER)
        assert path.with_name(f"{path.name}.data").is_file()
        np.testing.assert_array_equal(Model(path).probabilities(WAVS), expected)
        assert Model(path).labels == OTHER.labels
