"""Joins an ONNX file of others with what is before and after it.

Authors
 * The speechbrain_fftp authors 2026
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Dict, NamedTuple, Optional, Tuple, Union

import numpy as np

from speechbrain_fftp.dataio.errors import InputError
from speechbrain_fftp.dataio.packages import require
from speechbrain_fftp.onnx.graphs import GraphBuilder

if TYPE_CHECKING:
    import onnx

    from speechbrain_fftp.dataio.model_info import ModelInfo

OPSET = 18  # the first with the operators of this package's graphs
PREFIX = "foreign/"  # of the names of others
# The matrix product of a classifier, also in int8
PRODUCTS = ("Gemm", "MatMul", "MatMulInteger")


class Found(NamedTuple):
    """A file of a known form, and the files that describe it."""

    model: Path
    described_by: Tuple[Path, ...]


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
        Values of the file by name, in its order.

    Raises
    ------
    InputError
        If it cannot be read.
    """

    def __init__(self, path: Path):
        onnx = require("onnx", f"{path} has to be converted once, which")
        self.path = path
        self.graph = onnx.GraphProto(name="joined")
        self.build = GraphBuilder(self.graph, "front_end")
        try:
            model = onnx.load(path)
            opsets = {x.domain: x.version for x in model.opset_import}
            if opsets.get("", OPSET) < OPSET:
                model = onnx.version_converter.convert_version(model, OPSET)
        except Exception as error:  # of protobuf, or of C++
            raise InputError(f"{path} cannot be read: {error}") from error
        weights = {x.name for x in model.graph.initializer}
        self.inputs = {
            x.name: x for x in model.graph.input if x.name not in weights
        }
        self.outputs = {x.name: x for x in model.graph.output}
        self.model = onnx.compose.add_prefix(model, PREFIX)

    def shape(self, name: str) -> Tuple[Optional[int], ...]:
        """The sizes of an input or output; None is free, as the batch has to be.

        Raises
        ------
        InputError
            If there is none of this name.
        """
        value = {**self.inputs, **self.outputs}.get(name)
        if value is None:
            raise InputError(
                f"{self.path} has no {name}: its inputs are "
                f"{', '.join(self.inputs)}, its outputs "
                f"{', '.join(self.outputs)}."
            )
        sizes = value.type.tensor_type.shape.dim
        return tuple(x.dim_value or None for x in sizes)

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
        self.graph.node.extend(self.model.graph.node)
        self.graph.initializer.extend(self.model.graph.initializer)
        self.graph.sparse_initializer.extend(
            self.model.graph.sparse_initializer
        )

    def maker_of(
        self, value: str, operators: Tuple[str, ...]
    ) -> "Optional[onnx.NodeProto]":
        """The nearest node of some operators that a value was computed by.

        On the way through the first inputs that are computed; None without one.
        """
        makers = {
            output: node
            for node in self.graph.node
            for output in node.output
            if node.op_type != "Constant"
        }
        while value in makers:
            node = makers[value]
            if node.op_type in operators:
                return node
            value = next((x for x in node.input if x in makers), "")
        return None

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
        (embedding,) = found.input[:1]
        # In int8, it is quantised before
        for node in self.graph.node:
            if node.op_type == "DynamicQuantizeLinear":
                if embedding in node.output:
                    return node.input[0]
        return embedding

    def save(
        self, path: Union[str, os.PathLike], info: "ModelInfo", **outputs: str
    ) -> None:
        """Writes the model with some values as outputs, by name."""
        from onnx import TensorProto, helper

        n_classes = len(info.labels) or None
        shapes: Dict[str, list] = {
            "probabilities": ["batch", n_classes],
            "embeddings": ["batch", "dim"],
            "tokens": ["batch", "tokens", "dim"],
            "features": ["batch", "frames", "bins"],
        }

        def value(name: str, shape: list) -> "onnx.ValueInfoProto":
            """An input or output of the model."""
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

        self.graph.input.append(value("wavs", ["batch", "samples"]))
        for name, found in outputs.items():
            self.build.Identity(found, name=name)
            self.graph.output.append(value(name, shapes[name]))
        model = helper.make_model(
            self.graph,
            functions=self.model.functions,
            opset_imports=self.model.opset_import,
            ir_version=max(self.model.ir_version, 8),
        )
        helper.set_model_props(model, info.to_metadata())
        Path(path).write_bytes(model.SerializeToString())


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
