"""Tests that a model.onnx from a stranger is data: wrong ones are one message.

Authors
 * The speechbrain_fftp authors 2026
"""

import os

import numpy as np
import onnx
import pytest
import soundfile as sf
from onnx import TensorProto, helper, numpy_helper
from tiny_onnx import (
    INFO,
    RATE,
    STEPS,
    expected_clip,
    expected_steps,
    save_model,
    sounds,
    write_model,
)

from fftp_tag.cli.main import main
from fftp_tag.tag.model import Model
from speechbrain_fftp.dataio.errors import InputError
from speechbrain_fftp.dataio.model_info import Steps


@pytest.fixture
def model(tmp_path):
    """The path of a model, which is none yet."""
    return tmp_path / "model.onnx"


@pytest.fixture
def refused(tmp_path, model, capfd):
    """Asserts that the model is refused in one line; returns the line."""
    clip = tmp_path / "clip.wav"
    sf.write(clip, sounds(3.0), RATE)

    def check(*options):
        code = main([str(clip), "--model", str(model), *options])
        output, errors = capfd.readouterr()
        assert code == 1, output
        assert errors.startswith(f"fftp-tag: {model}"), errors
        assert errors.index("\n") == len(errors) - 1
        assert errors[:-1].isprintable() and len(errors) < 700
        return errors

    return check


def edit_graph(path, edit):
    """Changes the graph of a file."""
    proto = onnx.load(path)
    edit(proto.graph)
    path.write_bytes(proto.SerializeToString())


def test_a_model_is_what_its_file_says(model):
    write_model(model, has_steps=True, thresholds=[0.3, 0.5, 1])
    found = Model(model)
    assert found.path == str(model) and found.has_steps
    assert found.labels == INFO.labels and found.rules.is_learnt
    assert found.rules.high.tolist() == np.float32([0.3, 0.5, 1]).tolist()
    wav = sounds(0.7)
    [steps] = found.step_probabilities(wav[None])[1]
    np.testing.assert_allclose(steps, expected_steps(wav), atol=1e-6)
    times = found.step_times(len(wav))
    np.testing.assert_allclose(times, 0.05 + 0.05 * np.arange(len(steps)))
    for threads in (1, 2):
        found = Model(write_model(model), threads=threads)
        assert not found.rules.is_learnt and not found.has_steps
        [probs] = found.probabilities(wav[None])
        np.testing.assert_allclose(probs, expected_clip(wav), atol=1e-6)


def test_files_that_are_no_model(model, refused):
    for content in (b"", b"hello world\n" * 9, b"\0\0\0\0ORTM" + bytes(99)):
        model.write_bytes(content)
        refused()
    model.unlink()
    assert "no such file" in refused()
    whole = write_model(model).read_bytes()
    model.write_bytes(whole[: len(whole) // 2])
    refused()
    model.write_bytes(whole.replace(b"labels", b"\xff" * 6))
    refused()
    relu = [helper.make_node("Relu", ["wavs"], ["y"])]
    save_model(model, relu, {"y": []}, {}, {})
    assert "labels" in refused()
    save_model(model, relu, {"y": []}, {}, INFO.to_metadata())
    assert "probabilities" in refused()


@pytest.mark.parametrize("has_steps", [False, True])
def test_classes_that_the_file_does_not_have(model, refused, has_steps):
    """As many more as there are clips, which the file need not declare."""
    nodes = [
        helper.make_node("Shape", ["wav_lens"], ["batch"]),
        helper.make_node("Add", ["batch", "one"], ["times"]),
        helper.make_node("Concat", ["one", "times"], ["repeats"], axis=0),
        helper.make_node("Tile", ["few", "repeats"], ["probabilities"]),
    ]

    def more_classes(graph):
        graph.node[-1].output[0] = "few"
        graph.node.extend(nodes)

    write_model(model, has_steps)
    edit_graph(model, more_classes)
    assert "probabilities of the shape" in refused()
    steps = Steps(STEPS.first_seconds, step_samples=25)
    write_model(model, has_steps=True, steps=steps)
    assert "frame_probabilities of the shape" in refused("--timeline")


def test_weights_that_are_no_numbers(model, refused):
    write_model(model)

    def make_nan(graph):
        for weight in graph.initializer:
            if weight.name == "kernels":
                value = numpy_helper.to_array(weight) * np.float32("nan")
                weight.CopyFrom(numpy_helper.from_array(value, "kernels"))

    edit_graph(model, make_nan)
    assert "NaN" in refused()


@pytest.mark.parametrize("domain", ["evil.corp", ""])
def test_operators_that_do_not_exist(model, refused, domain):
    name = "Evil\x1b[31m\nname"
    node = helper.make_node(name, ["wavs"], ["y"], domain=domain)
    write_model(model, nodes=[node])
    proto = onnx.load(model)
    if domain:
        proto.opset_import.append(helper.make_opsetid(domain, 1))
    model.write_bytes(proto.SerializeToString())
    refused()


def outside(location):
    """A tensor of 4 numbers in another file."""
    tensor = TensorProto(
        name="outside",
        data_type=TensorProto.FLOAT,
        dims=[4],
        data_location=TensorProto.EXTERNAL,
    )
    tensor.external_data.add(key="location", value=location)
    return tensor


def add_outside(path, location):
    """Writes a model with an output that is read from another file."""

    def read_it(graph):
        graph.initializer.append(outside(location))
        graph.output.append(helper.make_tensor_value_info("outside", 1, [4]))

    write_model(path)
    edit_graph(path, read_it)


@pytest.mark.parametrize(
    "location",
    ["{folder}/secret", "../secret", "link", "../fifo", "/dev/zero", ""],
)
def test_no_other_file_is_read(tmp_path, model, refused, location):
    """Weights may be in a second file, but only beside the model."""
    secret = np.float32([1, 2, 3, 4])
    (tmp_path / "secret").write_bytes(secret.tobytes())
    os.mkfifo(tmp_path / "fifo")  # opening it would wait for ever
    folder = tmp_path / "model.onnx.d"
    folder.mkdir()
    (folder / "link").symlink_to("../secret")
    add_outside(folder / "model.onnx", location.format(folder=tmp_path))
    with pytest.raises(InputError, match="model.onnx"):
        Model(folder / "model.onnx").run(["outside"], np.zeros((1, 200)))
    model.symlink_to(folder / "model.onnx")
    refused()


def test_weights_beside_the_model_are_read(model):
    (model.parent / "model.onnx.data").write_bytes(np.float32([1, 2, 3, 4]))
    add_outside(model, "model.onnx.data")
    found = Model(model).run(["outside"], np.zeros((1, 200)))
    np.testing.assert_array_equal(found, [[1, 2, 3, 4]])
    (model.parent / "model.onnx.data").unlink()
    with pytest.raises(InputError, match="model.onnx"):
        Model(model)


def test_memory_that_there_is_not(model, refused):
    """Of a size that is known when the model runs: 4 PB."""
    make = helper.make_node
    shape = numpy_helper.from_array(np.array([2**50]))
    nodes = [
        make("Size", ["wav_lens"], ["batch"]),
        make("Constant", [], ["factor"], value=shape),
        make("Mul", ["batch", "factor"], ["dims"]),
        make("ConstantOfShape", ["dims"], ["zeros"]),
        make("ReduceMax", ["zeros"], ["quiet"], keepdims=0),
        make("Add", ["wavs", "quiet"], ["louder"]),
    ]
    write_model(model, nodes=nodes)

    def listen(graph):
        for node in graph.node:
            if node.op_type == "Pad":
                node.input[0] = "louder"

    edit_graph(model, listen)
    refused()


def test_devices_that_cannot_be_used(model, monkeypatch):
    """An error, instead of the processor in place of a GPU."""
    import onnxruntime

    write_model(model)
    with pytest.raises(InputError, match="tpu"):
        Model(model, device="tpu")
    cpu, cuda = "CPUExecutionProvider", "CUDAExecutionProvider"
    for available, word in (
        ([cpu], "onnxruntime-gpu"),
        ([cuda, cpu], "driver"),
    ):
        monkeypatch.setattr(
            onnxruntime, "get_available_providers", lambda x=available: x
        )
        with pytest.raises(InputError, match=f"cuda.*{word}"):
            Model(model, device="cuda:0")
