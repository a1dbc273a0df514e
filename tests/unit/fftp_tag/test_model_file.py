"""Tests that a model.onnx from a stranger is data: wrong ones are one message.

Authors
 * The speechbrain_fftp authors 2026
"""

import os
import subprocess
import sys

import numpy as np
import onnx
import pytest
import soundfile as sf
from onnx import TensorProto, helper, numpy_helper
from tiny_onnx import METADATA, RATE, STEPS, save_model, sounds, write_model

from fftp_tag.cli.main import main
from fftp_tag.tag.events import Rules
from fftp_tag.tag.model import MAX_SECONDS, Model
from speechbrain_fftp.dataio.errors import InputError


@pytest.fixture(autouse=True)
def clip(tmp_path):
    path = tmp_path / "clip.wav"
    sf.write(path, sounds(3.0), RATE)
    return path


@pytest.fixture
def model(tmp_path):
    """The path of a model, which is none yet."""
    return tmp_path / "model.onnx"


@pytest.fixture
def refused(clip, model, capfd):
    """Asserts that the model is refused in one line; returns the line."""

    def check(*results):
        for options in results or ([], ["--timeline"]):
            code = main([str(clip), "--model", str(model), *options])
            output, errors = capfd.readouterr()
            assert code == 1, output
            assert errors.startswith(f"fftp-tag: {model}"), errors
            assert errors.index("\n") == len(errors) - 1
            assert errors[:-1].isprintable() and len(errors) < 700
        return errors

    return check


def test_a_model_is_what_its_file_says(model):
    write_model(
        model,
        has_steps=True,
        single_label=True,
        thresholds=[0.3, 0.5, 1],
        merge_gap=[0, 1.5, 2],
    )
    found = Model(model)
    assert found.path == str(model) and found.has_steps and found.single_label
    assert found.labels == METADATA["labels"] and found.rules.is_learnt
    for name in ("sample_rate", "max_samples", "min_samples", "frame_samples"):
        assert getattr(found, name) == METADATA[name]
    assert found.metadata["steps"] == STEPS
    assert found.rules.threshold.dtype == np.float32
    np.testing.assert_array_equal(
        found.rules.threshold, np.float32([0.3, 0.5, 1])
    )
    np.testing.assert_array_equal(found.rules.merge_gap, [0, 1.5, 2])
    np.testing.assert_array_equal(found.rules.min_duration, [0, 0, 0])
    np.testing.assert_allclose(found.step_times(199), [0.05, 0.1])
    rules = Model(write_model(model)).rules
    assert isinstance(rules, Rules) and not rules.is_learnt
    np.testing.assert_array_equal(rules.threshold, [0.5, 0.5, 0.5])


def test_metadata_of_other_programs_are_ignored(model):
    write_model(model)
    proto = onnx.load(model)
    helper.set_model_props(
        proto,
        {
            **{x.key: x.value for x in proto.metadata_props},
            "onnx.infer": "onnxruntime.quant",
        },
    )
    onnx.save(proto, model)
    assert "onnx.infer" not in Model(model).metadata


def test_files_that_are_no_model(model, refused):
    for content in (b"", b"hello world\n" * 9, b"\0\0\0\0ORTM" + bytes(99)):
        model.write_bytes(content)
        refused()
    model.unlink()
    assert "no such file" in refused()
    whole = write_model(model).read_bytes()
    for size in (len(whole) // 2, len(whole) - 5):
        model.write_bytes(whole[:size])
        refused()
    sf.write(model, np.zeros(8000), RATE, format="WAV")
    refused()


def test_other_onnx_models(model, refused):
    save_model(
        model, [helper.make_node("Relu", ["wavs"], ["y"])], {"y": []}, {}, {}
    )
    assert "labels" in refused()
    nodes = [helper.make_node("Relu", ["wavs"], ["probabilities"])]
    save_model(model, nodes, {"probabilities": [1, 3]}, {}, METADATA)
    refused()


@pytest.mark.parametrize("name", METADATA)
def test_missing_metadata_are_named(model, refused, name):
    write_model(model)
    proto = onnx.load(model)
    texts = {x.key: x.value for x in proto.metadata_props}
    del texts[name]
    helper.set_model_props(proto, texts)
    onnx.save(proto, model)
    assert name in refused()


WRONG = [
    *[("labels", x) for x in ("abc", {"a": 1, "b": 2, "c": 3}, 3, None)],
    *[("labels", ["a", "b", x]) for x in ("a", "", "  ", 1, None, ["c"])],
    *[("labels", ["a", "b", x]) for x in ("c\n", "\x1b[31m", "\ud800", "\0")],
    ("labels", ["a", "b"]),
    ("labels", list("abcd")),
    ("labels", list(map(str, range(100001)))),
    *[
        (name, value)
        for name in ("sample_rate", "max_samples", "min_samples")
        for value in (-1, 0, 10**12, 10**400, 1000.0, "1000", True, None, [9])
    ],
    ("max_samples", MAX_SECONDS * RATE + 1),
    ("sample_rate", 999),
    ("sample_rate", [0] * 10**5),
    ("sample_rate", "9" * 10**5),
    ("min_samples", METADATA["max_samples"] + 1),
    ("frame_samples", 0),
    ("frame_samples", float("inf")),
    ("single_label", 0),
    ("single_label", "false"),
    *[
        ("thresholds", x)
        for x in (0.5, "111", {"0.1": 1, "0.2": 2, "0.3": 3}, [0.5, 0.5], [])
    ],
    *[
        (name, [0.5, 0.5, value])
        for name in ("thresholds", "low", "high", "merge_gap", "min_duration")
        for value in (float("nan"), -0.1, 1e9, "0.5", True, None, [0.5])
    ],
    ("merge_gap", [float("inf")] * 3),
    *[("note", x) for x in ("", " ", 3, ["note"], "\x1b[31m", "two\nlines")],
    *[("steps", x) for x in (True, 3, "steps", [], {}, [0.1, 50])],
    *[
        ("steps", {**STEPS, "first_seconds": x})
        for x in ("0.1", None, -1, float("nan"), 1e9)
    ],
    *[
        ("steps", {**STEPS, "step_samples": x})
        for x in ("50", None, 0, -1, 50.0, 10**12)
    ],
]


@pytest.mark.parametrize(
    "name, value", WRONG, ids=[f"{n}-{str(v)[:20]!a}" for n, v in WRONG]
)
def test_metadata_of_the_wrong_kind(model, refused, name, value):
    write_model(model, has_steps=name == "steps", **{name: value})
    refused()


@pytest.mark.parametrize(
    "text",
    ["", "[", "nothing", "[" * 100000, "9" * 10000, '{"a"', "\x1b[31m"],
    ids=lambda text: ascii(text[:9]),
)
def test_metadata_that_are_no_json(model, refused, text):
    write_model(model)
    proto = onnx.load(model)
    for entry in proto.metadata_props:
        if entry.key == "thresholds":
            entry.value = text
    onnx.save(proto, model)
    refused()


@pytest.mark.parametrize(
    "old, new",
    [(b"Middle", b"\xff\xfe\xfd\xff\xfe\xfd"), (b"wavs", b"\xff" * 4)],
)
def test_names_that_are_no_text(model, refused, old, new):
    content = write_model(model).read_bytes()
    model.write_bytes(content.replace(old, new))
    refused()


def edit_graph(path, edit):
    """Changes the graph of a file."""
    proto = onnx.load(path)
    edit(proto.graph)
    path.write_bytes(proto.SerializeToString())


@pytest.mark.parametrize("has_steps", [False, True])
def test_other_outputs_than_the_metadata_say(model, refused, has_steps):
    """In what the file declares."""

    def make_text(graph):
        kind = TensorProto.STRING
        graph.node[-1].output[0] = "numbers"
        graph.node.append(
            helper.make_node("Cast", ["numbers"], ["probabilities"], to=kind)
        )
        graph.output[0].type.tensor_type.elem_type = kind

    def drop(graph):
        del graph.output[0]

    def rename(graph):
        graph.output[0].name = "loud"

    def more_inputs(graph):
        more = helper.make_tensor_value_info("more", TensorProto.FLOAT, [1])
        graph.input.append(more)

    for edit in (make_text, drop, rename, more_inputs):
        write_model(model, has_steps)
        edit_graph(model, edit)
        refused()


def test_other_time_steps_than_the_metadata_say(model, refused):
    steps = {**STEPS, "step_samples": 25}
    write_model(model, has_steps=True, steps=steps)
    assert "frame_probabilities of the shape" in refused(["--timeline"])


@pytest.mark.parametrize("has_steps", [False, True])
def test_other_classes_than_the_file_says(model, refused, has_steps):
    """As many more as there are clips: what it returns is known then."""
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


def test_weights_that_are_no_numbers(model, refused):
    write_model(model)

    def make_nan(graph):
        for weight in graph.initializer:
            if weight.name == "kernels":
                value = numpy_helper.to_array(weight) * np.float32("nan")
                weight.CopyFrom(numpy_helper.from_array(value, "kernels"))

    edit_graph(model, make_nan)
    assert "NaN" in refused()


@pytest.mark.parametrize("domain", ["evil.corp", "", "com.microsoft"])
def test_operators_that_do_not_exist(model, refused, domain):
    name = "Evil\x1b[31m\nname"
    node = helper.make_node(name, ["wavs"], ["y"], domain=domain)
    write_model(model, nodes=[node])
    proto = onnx.load(model)
    if domain:
        proto.opset_import.append(helper.make_opsetid(domain, 1))
    model.write_bytes(proto.SerializeToString())
    refused()


def outside(location, **more):
    """A tensor of 4 numbers in another file."""
    tensor = TensorProto(
        name="outside",
        data_type=TensorProto.FLOAT,
        dims=[4],
        data_location=TensorProto.EXTERNAL,
    )
    for key, value in {"location": location, **more}.items():
        tensor.external_data.add(key=key, value=value)
    return tensor


@pytest.mark.parametrize(
    "location",
    [
        "{folder}/secret",
        "../secret",
        "inside/../../secret",
        "link",
        "file://{folder}/secret",
        "../fifo",
        "/dev/zero",
        "",
        ".",
    ],
)
@pytest.mark.parametrize("place", ["initializer", "constant", "branch"])
def test_no_other_file_is_read(tmp_path, model, refused, location, place):
    """Weights may be in a second file, but only beside the model."""
    secret = np.float32([1, 2, 3, 4])
    (tmp_path / "secret").write_bytes(secret.tobytes())
    os.mkfifo(tmp_path / "fifo")  # opening it would wait for ever
    folder = tmp_path / "model.onnx.d"
    folder.mkdir()
    (folder / "link").symlink_to("../secret")
    tensor = outside(location.format(folder=tmp_path))

    def read_it(graph):
        if place == "initializer":
            graph.initializer.append(tensor)
        elif place == "constant":
            node = helper.make_node("Constant", [], ["outside"], value=tensor)
            graph.node.insert(0, node)
        else:
            value = helper.make_tensor_value_info("read", 1, [4])
            node = helper.make_node("Identity", ["outside"], ["read"])
            branch = helper.make_graph([node], "branch", [], [value], [tensor])
            yes = numpy_helper.from_array(np.array(True))
            graph.node.insert(
                0, helper.make_node("Constant", [], ["yes"], value=yes)
            )
            branches = {"then_branch": branch, "else_branch": branch}
            graph.node.insert(
                1, helper.make_node("If", ["yes"], ["outside"], **branches)
            )
        graph.output.append(helper.make_tensor_value_info("outside", 1, [4]))

    inside = write_model(folder / "model.onnx")
    edit_graph(inside, read_it)
    with pytest.raises(InputError, match="model.onnx"):
        Model(inside).run(["outside"], np.zeros((1, 200)))
    model.symlink_to(inside)
    refused()


def test_weights_beside_the_model_are_read(model):
    (model.parent / "model.onnx.data").write_bytes(np.float32([1, 2, 3, 4]))

    def add(graph):
        graph.initializer.append(outside("model.onnx.data"))
        graph.output.append(helper.make_tensor_value_info("outside", 1, [4]))

    write_model(model)
    edit_graph(model, add)
    found = Model(model).run(["outside"], np.zeros((1, 200)))
    np.testing.assert_array_equal(found, [[1, 2, 3, 4]])
    (model.parent / "model.onnx.data").unlink()
    with pytest.raises(InputError, match="model.onnx"):
        Model(model)


@pytest.mark.parametrize(
    "tensor",
    [
        TensorProto(name="huge", data_type=1, dims=[2**40], raw_data=bytes(16)),
        TensorProto(name="huge", data_type=1, dims=[2**62] * 2),
        TensorProto(name="huge", data_type=1, dims=[-4], raw_data=bytes(16)),
        outside("model.onnx", length="99999999999"),
        outside("model.onnx", offset="99999999999"),
    ],
    ids=["tera", "overflow", "negative", "length", "offset"],
)
def test_tensors_of_absurd_sizes(model, refused, tensor):
    write_model(model)
    tensor.name = "huge"

    def use(graph):
        graph.initializer.append(tensor)
        graph.node.append(helper.make_node("Abs", ["huge"], ["more"]))
        graph.output.append(helper.make_tensor_value_info("more", 1, ["size"]))

    edit_graph(model, use)
    refused()


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (4 * 2**30, 4 * 2**30))
from fftp_tag.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("size", [2**36, 2**40])
@pytest.mark.parametrize("when", ["load", "run"])
def test_memory_that_there_is_not(model, clip, size, when):
    """In a process that may use 4 GB, so that the machine is safe."""
    make = helper.make_node
    shape = numpy_helper.from_array(np.array([size]))
    nodes = [
        make("Constant", [], ["dims"], value=shape),
        make("ConstantOfShape", ["dims"], ["zeros"]),
        make("ReduceMax", ["zeros"], ["quiet"], keepdims=0),
        make("Add", ["wavs", "quiet"], ["louder"]),
    ]
    if when == "run":  # of a size that depends on the input
        nodes[:1] = [
            make("Size", ["wav_lens"], ["batch"]),
            make("Constant", [], ["factor"], value=shape),
            make("Mul", ["batch", "factor"], ["dims"]),
        ]
    write_model(model, nodes=nodes)

    def listen(graph):
        for node in graph.node:
            if node.op_type == "Pad":
                node.input[0] = "louder"

    edit_graph(model, listen)
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(clip), "--model", str(model)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith(f"fftp-tag: {model}"), done.stderr
    assert done.stderr.count("\n") == 1


def test_arguments_of_a_model(model):
    write_model(model)
    for options, word in (
        ({"threads": 0}, "threads"),
        ({"device": "tpu"}, "tpu"),
        ({"device": "cuda:-1"}, "cuda:-1"),
    ):
        with pytest.raises(InputError, match=word):
            Model(model, **options)
    with pytest.raises(FileNotFoundError, match="none.onnx"):
        Model("none.onnx")
    with pytest.raises(FileNotFoundError):
        Model(model.parent)
    wavs = sounds(2.0)[None]
    one, two = (Model(model, threads=threads) for threads in (1, 2))
    np.testing.assert_allclose(
        one.probabilities(wavs), two.probabilities(wavs), atol=1e-6
    )


def test_a_gpu_that_cannot_be_used(model, monkeypatch):
    """Instead of the processor in its place, without a word."""
    import onnxruntime

    write_model(model)
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
