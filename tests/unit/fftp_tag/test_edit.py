"""Tests of copies of a model with other metadata.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses

import numpy as np
import pytest
from tiny_onnx import INFO, sounds, write_model

from fftp_tag.model.edit import copy_model
from fftp_tag.model.session import Model


def test_a_file_is_written_in_place_or_not_at_all(tmp_path):
    model, wavs = write_model(tmp_path / "model.onnx"), sounds(1.5)[None]
    other = dataclasses.replace(INFO, labels=["Straße", "Bark, dog", "海"])
    expected = Model(model).probabilities(wavs)
    copy_model(model, model, other)
    assert Model(model).info.to_dict() == other.to_dict()
    np.testing.assert_array_equal(Model(model).probabilities(wavs), expected)
    content = model.read_bytes()

    def fail(graph):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        copy_model(model, model, INFO, fail)
    assert model.read_bytes() == content
    assert list(tmp_path.iterdir()) == [model]
