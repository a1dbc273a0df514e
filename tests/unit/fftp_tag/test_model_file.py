"""Tests that a model.onnx from a stranger is data: wrong ones are one message.

Authors
 * The speechbrain_fftp authors 2026
"""

import os

import numpy as np
import onnx
import pytest
import soundfile as sf
from onnx import helper, numpy_helper
from tiny_onnx import FRAME_LEVEL, INFO, RATE, save_model, sounds, write_model

from fftp_tag.cli.main import main
from fftp_tag.model.info import FrameLevel


@pytest.fixture
def model(tmp_path):
    """The path of a model, which is none yet."""
    return tmp_path / "model.onnx"


@pytest.fixture
def refused(tmp_path, model, capfd):
    """Asserts that the model is refused in one line, which has a text."""
    clip, int8 = tmp_path / "clip.wav", tmp_path / "int8.onnx"
    sf.write(clip, sounds(3.0), RATE)

    def check(named, *options):
        for arguments in (
            ["import", model, int8, "--int8"],
            [clip, "--model", model, *options],
        ):
            code = main(list(map(str, arguments)))
            output, errors = capfd.readouterr()
            assert code == 1, output
            assert errors.startswith(f"fftp-tag: {model}"), errors
            assert errors[:-1].isprintable() and errors[-1] == "\n"
            assert len(errors) < 700
        assert named in errors

    return check


def test_files_that_are_no_model(model, refused):
    refused("no such file")
    os.mkfifo(model)  # opening it would wait for ever
    refused("")
    model.unlink()
    whole = write_model(model).read_bytes()
    for content in (
        b"",
        whole[: len(whole) // 2],
        whole.replace(b"labels", b"\xff" * 6),
    ):
        model.write_bytes(content)
        refused("")
    relu = [helper.make_node("Relu", ["wavs"], ["y"])]
    for metadata, named in (
        ({}, "not a model of this package"),
        ({**INFO.to_metadata(), "labels": 20000 * "["}, "recursion"),
        (INFO.to_metadata(), "probabilities"),
    ):
        save_model(model, relu, {"y": []}, {}, metadata)
        refused(named)


def test_outputs_that_do_not_match_the_metadata(model, refused):
    write_model(model, labels=["A", "B"])
    refused("probabilities of the shape")
    frame_level = FrameLevel(FRAME_LEVEL.span_samples, hop_samples=25)
    write_model(model, is_frame_level=True, frame_level=frame_level)
    refused("frame_probabilities of the shape", "--timeline")
    for values, named in (
        ({"gain": "nan"}, "NaN"),
        ({"gain": 9e9, "unit": 9}, "0..1"),
    ):
        proto = onnx.load(write_model(model))
        for weight in proto.graph.initializer:
            if weight.name in values:
                value = np.float32(values[weight.name])
                weight.CopyFrom(numpy_helper.from_array(value, weight.name))
        onnx.save(proto, model)
        refused(named)
