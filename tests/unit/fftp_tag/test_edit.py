"""Tests of copies of a model with other metadata.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses

import numpy as np
import onnx
import pytest

from fftp_tag.tag.edit import copy_model
from fftp_tag.tag.model import Model

WAVS = np.random.default_rng(0).standard_normal((2, 8000)).astype(np.float32)


@pytest.fixture
def info(onnx_file):
    """Other metadata for the tiny model."""
    labels = ["Straße", "Bark, dog", "海", "D", "E"]
    return dataclasses.replace(Model(onnx_file).info, labels=labels)


def test_a_file_is_written_in_place_or_not_at_all(tmp_path, onnx_file, info):
    path = tmp_path / "model.onnx"
    path.write_bytes(onnx_file.read_bytes())
    copy_model(path, path, info)
    assert Model(path).info.to_dict() == info.to_dict()
    np.testing.assert_array_equal(
        Model(path).probabilities(WAVS), Model(onnx_file).probabilities(WAVS)
    )
    content = path.read_bytes()

    def fail(graph):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        copy_model(path, path, Model(onnx_file).info, fail)
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_weights_in_a_second_file_are_copied(tmp_path, onnx_file, info):
    source = tmp_path / "model.onnx"
    onnx.save(
        onnx.load(onnx_file),
        source,
        save_as_external_data=True,
        location="model.onnx.data",
    )
    expected = Model(onnx_file).probabilities(WAVS)
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "folder" / "my.onnx", source):
        copy_model(source, path, info)
        assert path.with_name(f"{path.name}.data").is_file()
        np.testing.assert_array_equal(Model(path).probabilities(WAVS), expected)
        assert Model(path).labels == info.labels
