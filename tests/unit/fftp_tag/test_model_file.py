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
from fftp_tag.errors import InputError
from fftp_tag.model import edit, session
from fftp_tag.model.info import FrameLevel
from fftp_tag.model.session import Model


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
        edit.write_onnx(proto, model, INFO.to_metadata())
        refused(named)


@pytest.mark.parametrize("size, value", [(10, None), (1, None), (500, 0)])
def test_a_damaged_file_is_not_run(model, size, value):
    """Most would run, and some find other tags."""
    whole = write_model(model).read_bytes()
    Model(model)
    rng = np.random.default_rng(0)
    for _ in range(40):
        damaged = np.frombuffer(whole, np.uint8).copy()
        places = rng.choice(len(whole), size, replace=False)
        if value is not None:  # one after the other
            places = rng.integers(len(whole) - size) + np.arange(size)
        damaged[places] = (
            rng.integers(256, size=size) if value is None else value
        )
        if damaged.tobytes() == whole:
            continue
        model.write_bytes(damaged.tobytes())
        with pytest.raises(InputError, match="model.onnx"):
            Model(model)
    model.write_bytes(whole + b"\0")
    with pytest.raises(InputError, match="model.onnx"):
        Model(model)


def test_what_is_damaged_or_a_strangers_is_not_parsed(model, monkeypatch):
    """ONNX Runtime may have flaws: it gets no file without its checksum."""
    whole = write_model(model).read_bytes()

    def start(*_):
        raise AssertionError("parsed")

    monkeypatch.setattr(session, "start_session", start)
    with pytest.raises(AssertionError, match="parsed"):
        Model(model)
    middle = len(whole) // 2
    for content in (
        whole[:middle] + b"x" + whole[middle + 1 :],
        whole[:middle],
        whole.replace(b"graph_sha256", b"graph_sha255"),
        b"no model",
        b"",
    ):
        model.write_bytes(content)
        with pytest.raises(InputError, match=str(model)):
            Model(model)


def test_damaged_weights_in_a_second_file_are_found(model, tmp_path):
    proto = onnx.load(write_model(model))
    onnx.save(
        proto,
        model,
        save_as_external_data=True,
        location="model.onnx.data",
        size_threshold=1000,
    )
    proto = onnx.load(model, load_external_data=False)
    edit.write_onnx(proto, model, INFO.to_metadata())
    expected = Model(model).probabilities(sounds(1.0)[None])
    copy = tmp_path / "copy.onnx"
    edit.copy_model(model, copy, INFO)
    np.testing.assert_array_equal(
        Model(copy).probabilities(sounds(1.0)[None]), expected
    )
    weights = copy.with_name("copy.onnx.data")
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    with pytest.raises(InputError, match="copy.onnx.data is damaged"):
        Model(copy)
