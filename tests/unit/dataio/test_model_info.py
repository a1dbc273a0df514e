"""Tests of the description of a model.onnx.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
import json

import numpy as np
import pytest

from speechbrain_fftp.dataio.errors import InputError
from speechbrain_fftp.dataio.model_info import ModelInfo, Steps, default_rules

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
    window_samples=500,
    steps=Steps(first_seconds=0.05, step_samples=50),
    note="Knows little.",
)


def test_metadata_keep_every_value():
    metadata = INFO.to_metadata()
    assert all(isinstance(text, str) for text in metadata.values())
    assert "海" in metadata["labels"]
    found = ModelInfo.from_metadata({**metadata, "onnx.infer": "other"})
    assert found.to_dict() == INFO.to_dict()
    assert found.steps == INFO.steps and found.rules.is_learnt
    # A threshold decides in single precision
    assert found.rules.threshold.dtype == np.float32
    np.testing.assert_array_equal(found.rules.threshold, INFO.rules.threshold)
    plain = dataclasses.replace(INFO, rules=None, steps=None, note=None)
    found = ModelInfo.from_metadata(plain.to_metadata())
    assert found.to_dict() == plain.to_dict()
    assert found.rules is found.steps is found.note is None


WRONG = {
    "labels": ["abc", ["a", "b"], ["a", "b", "a"], ["a", "b", "\x1b[31m"]],
    "sample_rate": [0, 16000.0, "16000", True, [0] * 10**5],
    "max_samples": [0, 10**400, None],
    "min_samples": [0, 2001],
    "frame_samples": [0, float("inf")],
    "single_label": [0, "false"],
    "rules": [3, {}],
    "window_samples": [0, 2001],
    "steps": [
        [0.05, 50],
        *({"first_seconds": x, "step_samples": 50} for x in ("0", -1, 1e9)),
        *({"first_seconds": 0.05, "step_samples": x} for x in (0, 50.0, 2001)),
    ],
    "note": ["", 3, "two\nlines"],
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_values_are_refused(name):
    for value in WRONG[name]:
        texts = {**INFO.to_metadata(), name: json.dumps(value)}
        with pytest.raises(InputError):
            ModelInfo.from_metadata(texts)
    for text in ("", "nothing", "[" * 100000, "9" * 10000):
        with pytest.raises(InputError):
            ModelInfo.from_metadata({**INFO.to_metadata(), name: text})
    texts = INFO.to_metadata()
    del texts[name]
    with pytest.raises(InputError, match=name):
        ModelInfo.from_metadata(texts)


@pytest.mark.parametrize("name", INFO.to_dict()["rules"])
def test_wrong_rules_are_refused(name):
    wrong = [[0.5, 0.5, x] for x in (-0.1, float("nan"), None, 10**400)]
    for value in (*wrong, 0.5, [0.5, 0.5]):
        rules = {**INFO.to_dict()["rules"], name: value}
        texts = {**INFO.to_metadata(), "rules": json.dumps(rules)}
        with pytest.raises(InputError):
            ModelInfo.from_metadata(texts)
