"""Joins an ONNX file of others with what is before and after it.

Authors
 * The speechbrain_fftp authors 2026
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fftp_tag.errors import InputError
from fftp_tag.files import PathLike
from fftp_tag.model.edit import write_onnx
from fftp_tag.model.graphs import GraphBuilder, add_output
from fftp_tag.model.silence import mask_silence

if TYPE_CHECKING:
    import onnx

    from fftp_tag.model.info import ModelInfo

OPSET = 18  # the first with the operators of this package's graphs
PREFIX = "foreign/"  # of the names of others
LARGE = 2**12  # bytes of weights that an operator's version cannot depend on
PRODUCTS = ("Gemm", "MatMul")  # the matrix product of a classifier
Shape = tuple[int | None, ...]
# On the hub: an ONNX file, and JSON files that describe model and front end
FILES = ("onnx/model.onnx", "model.onnx")
CONFIG, SETTINGS = "config.json", "preprocessor_config.json"


class ForeignFile(NamedTuple):
    """A file of a known form of others."""

    model: Path
    described_by: tuple[Path, ...]
    # Writes a model.onnx: write(found, path)
    write: Callable[["ForeignFile", str], None]


class JoinedModel:
    """A graph from waveforms ``[B, S]`` to the outputs of a ``model.onnx``.

    ``run`` adds the graph of others to it, once; what ``build`` adds before and
    after that is the front end, and the outputs by name.

    Arguments
    ---------
    path : Path
        The file of others.

    Attributes
    ----------
    inputs, outputs : dict
        Shapes by name, in the file's order.

    Raises
    ------
    InputError
        If it cannot be read.
    """

    def __init__(self, path: Path):
        import onnx
        from google.protobuf.message import DecodeError
        from onnx.checker import ValidationError
        from onnx.version_converter import ConvertError

        self.path = path
        try:
            model = to_opset(onnx.load(path))
        except (
            ConvertError,
            DecodeError,
            OSError,
            RuntimeError,
            ValidationError,  # such as weights in another folder
            ValueError,
        ) as error:
            raise InputError(f"{path} cannot be read: {error}") from error
        self.model, self.graph = model, model.graph
        weights = {x.name for x in self.graph.initializer}
        inputs = [x for x in self.graph.input if x.name not in weights]
        self.inputs = {x.name: get_shape(x) for x in inputs}
        self.outputs = {x.name: get_shape(x) for x in self.graph.output}
        # Weights stay where they are: others' models are large
        onnx.compose.add_prefix_graph(self.graph, PREFIX, inplace=True)
        self.nodes = list(self.graph.node)
        for values in (
            self.graph.node,
            self.graph.input,
            self.graph.output,
            self.graph.value_info,
        ):
            del values[:]
        self.build = GraphBuilder(self.graph, "front_end")

    def shape(self, name: str) -> Shape:
        """The sizes of an input or output; None is free, as the batch has to be.

        Raises
        ------
        InputError
            If there is none of this name.
        """
        values = {**self.inputs, **self.outputs}
        if name not in values:
            raise InputError(
                f"{self.path} has no {name}: its inputs are "
                f"{', '.join(self.inputs)}, its outputs "
                f"{', '.join(self.outputs)}."
            )
        return values[name]

    def run(self, **values: str) -> None:
        """Adds the graph of others on some values, by the names of its inputs."""
        if set(values) != set(self.inputs):
            raise InputError(
                f"{self.path} has the inputs {', '.join(self.inputs)} instead "
                f"of {', '.join(values)}."
            )
        for name, value in values.items():
            if self.shape(name)[:1] not in ((), (None,)):
                raise InputError(
                    f"{self.path} takes {self.shape(name)[0]} clips at a time: "
                    "export it with a batch of any size."
                )
            self.build.Identity(value, name=PREFIX + name)
        self.graph.node.extend(self.nodes)

    def maker_of(
        self, value: str, operators: tuple[str, ...]
    ) -> "onnx.NodeProto | None":
        """The nearest node of some operators that a value was computed by.

        On the way through the first inputs that are computed; None without one.
        """
        makers = {
            output: node
            for node in self.nodes
            for output in node.output
            if node.op_type != "Constant"
        }
        while value in makers:
            node = makers[value]
            if node.op_type in operators:
                return node
            value = next((x for x in node.input if x in makers), "")
        return None

    def are_probabilities(self, output: str) -> bool:
        """Whether an output is computed by a sigmoid or softmax."""
        return any(
            PREFIX + output in node.output
            and node.op_type in ("Sigmoid", "Softmax")
            for node in self.nodes
        )

    def embedding_of(self, output: str) -> str:
        """What the classifier is given that computes an output.

        Raises
        ------
        InputError
            If the output is not computed by a linear classifier.
        """
        found = self.maker_of(PREFIX + output, PRODUCTS)
        if found is None:
            raise InputError(f"{self.path}: {output} has no linear classifier.")
        return found.input[0]

    def save(self, path: PathLike, info: "ModelInfo", **outputs: str) -> None:
        """Writes the model with some values as outputs, by name."""
        from onnx import TensorProto, helper

        n_classes = len(info.labels) or None
        shapes: dict[str, list] = {
            "probabilities": ["batch", n_classes],
            "embeddings": ["batch", "dim"],
            "tokens": ["batch", "tokens", "dim"],
            "features": ["batch", "frames", "bins"],
        }
        wavs = helper.make_tensor_value_info(
            "wavs", TensorProto.FLOAT, ["batch", "samples"]
        )
        self.graph.input.append(wavs)
        for name, found in outputs.items():
            self.build.Identity(found, name=name)
            add_output(self.graph, name, *shapes[name])
        mask_silence(self.graph, info)
        write_onnx(self.model, path, info.to_metadata())


def find_config(path: Path) -> tuple[Path | None, Path | None]:
    """The ONNX file that is a path, or in a folder, and its config.json."""
    folder, model = path, path
    if path.is_dir():
        inside = [path / name for name in FILES if (path / name).is_file()]
        if not inside:
            return None, None
        model = inside[0]
    else:
        folder = (
            path.parent.parent if path.parent.name == "onnx" else path.parent
        )
    config = folder / CONFIG
    return model, config if config.is_file() else None


def read_number(
    described_by: PathLike,
    given: dict[str, Any],
    key: str,
    low: float,
    high: float,
    default: float | None = None,
) -> Any:
    """A number in the JSON file of a model, as it is in the file.

    It has to be whole if ``low`` is.

    Raises
    ------
    InputError
        If it is missing without a default, or not from ``low`` to ``high``.
    """
    value: Any = given.get(key, default)
    kinds = (int,) if isinstance(low, int) else (int, float)
    is_number = isinstance(value, kinds) and not isinstance(value, bool)
    if not is_number or not low <= value <= high:  # also if it is NaN
        kind = "whole number" if isinstance(low, int) else "number"
        raise InputError(
            f"{described_by}: {key} is {value!r}, not a {kind} from {low:g} to "
            f"{high:g}."
        )
    return value


def to_opset(model: "onnx.ModelProto") -> "onnx.ModelProto":
    """The model in ``OPSET`` or a later one.

    Large weights are inputs meanwhile: else, memory would be seven times them.
    """
    from onnx import helper, version_converter

    versions = {x.domain: x.version for x in model.opset_import}
    if versions.get("", OPSET) >= OPSET:
        return model
    weights = list(model.graph.initializer)
    large = [x for x in weights if len(x.raw_data) > LARGE]
    del model.graph.initializer[:]
    model.graph.initializer.extend(
        x for x in weights if len(x.raw_data) <= LARGE
    )
    inputs = {x.name for x in model.graph.input}
    added = {x.name for x in large} - inputs
    model.graph.input.extend(
        helper.make_tensor_value_info(x.name, x.data_type, x.dims)
        for x in large
        if x.name in added
    )
    model = version_converter.convert_version(model, OPSET)
    kept = [x for x in model.graph.input if x.name not in added]
    del model.graph.input[:]
    model.graph.input.extend(kept)
    model.graph.initializer.extend(large)
    return model


def get_shape(value: "onnx.ValueInfoProto") -> Shape:
    """The sizes of a value; None is free."""
    sizes = value.type.tensor_type.shape.dim
    return tuple(size.dim_value or None for size in sizes)


def add_padding(build: GraphBuilder, wavs: str, n_samples: int) -> str:
    """Adds zeros after waveforms that are shorter than so many samples."""
    missing = build.Sub(n_samples, build.Shape(wavs, start=1, end=2))
    zeros = np.zeros(3, int)
    pads = build.Concat(zeros, build.Max(missing, 0), axis=0)
    return build.Pad(wavs, pads)


def add_activation(build: GraphBuilder, logits: str, name: str) -> str:
    """Adds probabilities: of ``sigmoid``, ``softmax``, or ``none`` if they are."""
    if name == "sigmoid":
        return build.Sigmoid(logits)
    return build.Softmax(logits, axis=-1) if name == "softmax" else logits
