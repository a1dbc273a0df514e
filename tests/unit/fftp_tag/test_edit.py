"""Tests of copies of a model with other metadata.

Authors
 * The speechbrain_fftp authors 2026
"""

import json

import numpy as np
import onnx
import pytest

from fftp_tag.tag.edit import write_model
from fftp_tag.tag.model import Model

LABELS = ["Straße", "Bark, dog", "海", "D", "E"]
WAVS = np.random.default_rng(0).standard_normal((2, 8000)).astype(np.float32)


def metadata_of(path):
    """The metadata of a file, as text."""
    props = onnx.load(path, load_external_data=False).metadata_props
    return {item.key: item.value for item in props}


def test_other_metadata_stay(tmp_path, onnx_file):
    path = tmp_path / "other.onnx"
    write_model(onnx_file, path, {"labels": LABELS, "thresholds": [0.25] * 5})
    before, after = metadata_of(onnx_file), metadata_of(path)
    assert {name for name in after if after[name] != before[name]} == {
        "labels",
        "thresholds",
    }
    assert after["labels"] == json.dumps(LABELS, ensure_ascii=False)
    model = Model(path)
    assert model.labels == LABELS
    np.testing.assert_array_equal(
        model.probabilities(WAVS), Model(onnx_file).probabilities(WAVS)
    )


def test_a_file_is_written_in_place_or_not_at_all(tmp_path, onnx_file):
    path = tmp_path / "model.onnx"
    path.write_bytes(onnx_file.read_bytes())
    write_model(path, path, {"merge_gap": [1.5] * 5})
    assert Model(path).rules.merge_gap.tolist() == [1.5] * 5
    content = path.read_bytes()

    def fail(graph):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_model(path, path, {"merge_gap": None}, fail)
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_the_graph_can_be_changed(tmp_path, onnx_file):
    def without_probabilities(graph):
        kept = [x for x in graph.output if x.name == "embeddings"]
        del graph.output[:]
        graph.output.extend(kept)

    path = tmp_path / "encoder.onnx"
    write_model(onnx_file, path, {"labels": []}, without_probabilities)
    np.testing.assert_array_equal(
        Model(path).embeddings(WAVS), Model(onnx_file).embeddings(WAVS)
    )


def test_weights_in_a_second_file_are_copied(tmp_path, onnx_file):
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
        write_model(source, path, {"labels": LABELS})
        assert path.with_name(f"{path.name}.data").is_file()
        np.testing.assert_array_equal(Model(path).probabilities(WAVS), expected)
        assert Model(path).labels == LABELS
