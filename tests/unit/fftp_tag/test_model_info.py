"""Tests of the description of a model.onnx.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
import json

import numpy as np
import pytest

from fftp_tag.errors import InputError
from fftp_tag.model.info import FrameLevel, ModelInfo, default_rules

INFO = ModelInfo(
    labels=["Straße", "Bark, dog", "海"],
    sample_rate=1000,
    max_samples=2000,
    min_samples=100,
    frame_samples=10,
    single_label=True,
    rules=dataclasses.replace(
        default_rules(3).replace([0.3, 0.5, 1.0], merge_gap=[0, 1.5, 2]),
        low=np.float32([0.1, 0.2, 0.3]),
        is_learnt=True,
    ),
    token_samples=50,
    frame_level=FrameLevel(span_samples=100, hop_samples=50),
    note="Knows little.",
    credit="It learnt from others.",
)


def test_metadata_keep_every_value():
    metadata = INFO.to_metadata()
    assert all(isinstance(text, str) for text in metadata.values())
    found = ModelInfo.from_metadata({**metadata, "onnx.infer": "other"})
    assert found.to_dict() == INFO.to_dict()
    assert found.frame_level == INFO.frame_level and found.rules.is_learnt
    # A threshold decides in single precision
    assert found.rules.threshold.dtype == np.float32
    plain = dataclasses.replace(INFO, rules=None, frame_level=None, note=None)
    found = ModelInfo.from_metadata(plain.to_metadata())
    assert found.rules is found.frame_level is found.note is None


def test_windows_of_clips():
    info = dataclasses.replace(INFO, frame_level=None, max_samples=3000)
    for seconds, expected in (
        (None, (2000, 2000)),
        (0.3, (300, 300)),
        (0.01, (100, 100)),
        (3.0, (3000, 2000)),
    ):
        assert info.windows(seconds) == expected
    longer = dataclasses.replace(info, max_samples=12000)
    assert longer.windows(12.0) == (12000, 3000)


def test_opensoundscape_reads_the_metadata():
    """As its class ONNXModel does."""
    metadata = INFO.to_metadata()
    assert int(metadata["sample_rate"]) == 1000
    assert float(metadata["sample_duration"]) == 2.0
    assert json.loads(metadata["classes"]) == INFO.labels
    assert metadata["class_outputs_key"] == "probabilities"
    assert metadata["embedding_outputs_key"] == "embeddings"
    encoder = dataclasses.replace(INFO, labels=[], rules=None).to_metadata()
    assert "class_outputs_key" not in encoder


RULES = INFO.to_dict()["rules"]
WRONG = {
    "labels": ["abc", ["a", "b"], ["a", "b", "a"], ["a", "b", "\x1b[31m"]],
    "sample_rate": [0, 16000.0, True],
    "max_samples": [0, None],
    "min_samples": [0, 2001],
    "frame_samples": [0, 2001],
    "single_label": [0],
    "rules": [
        {},
        *({**RULES, "low": [0.5, 0.5, x]} for x in (None, 1.1, float("nan"))),
        *({**RULES, "merge_gap": x} for x in (1, [1, 1], [1, 1, -1])),
    ],
    "token_samples": [0, 2001],
    "frame_level": [
        [100, 50],
        {"span_samples": 0, "hop_samples": 50},
        {"span_samples": 100, "hop_samples": 2001},
    ],
    "note": ["", 3, "two\nlines"],
    "credit": [""],
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_values_are_refused(name):
    texts = INFO.to_metadata()
    for wrong in ("no JSON", *map(json.dumps, WRONG[name])):
        with pytest.raises(InputError):
            ModelInfo.from_metadata({**texts, name: wrong})
    del texts[name]
    with pytest.raises(InputError, match=name):
        ModelInfo.from_metadata(texts)
