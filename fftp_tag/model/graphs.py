"""Helpers for ONNX graphs.

Authors
 * The speechbrain_fftp authors 2026
"""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import onnx


class GraphBuilder:
    """Adds nodes to a graph: ``build.Add(x, y)`` returns the name of a value.

    Arguments
    ---------
    graph : onnx.GraphProto
        Nodes are appended to it.
    prefix : str
        Of the names of values.
    """

    def __init__(self, graph: "onnx.GraphProto", prefix: str):
        self.graph = graph
        self.prefix = prefix
        self.count = 0

    def __getattr__(self, operator: str) -> Callable[..., str]:
        return functools.partial(self.add, operator)

    def add(
        self, operator: str, *inputs: Any, name: str = "", **attributes: Any
    ) -> str:
        """Adds a node; inputs are names of values, numbers or arrays."""
        from onnx import helper

        names = [x if isinstance(x, str) else self.constant(x) for x in inputs]
        output = name or self.new_name()
        node = helper.make_node(operator, names, [output], **attributes)
        self.graph.node.append(node)
        return output

    def constant(self, value: Any) -> str:
        """Adds a constant; numbers become arrays of one element."""
        from onnx import numpy_helper

        name = self.new_name()
        array = value if isinstance(value, np.ndarray) else np.array([value])
        tensor = numpy_helper.from_array(array, name)
        self.graph.initializer.append(tensor)
        return name

    def new_name(self) -> str:
        """The name of the next value."""
        self.count += 1
        return f"{self.prefix}.{self.count}"


def add_output(
    graph: "onnx.GraphProto", name: str, *shape: str | int | None
) -> None:
    """Makes a value of a graph an output, of float32."""
    from onnx import TensorProto, helper

    graph.output.append(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    )


def ancestors(
    graph: "onnx.GraphProto", outputs: set[str]
) -> list["onnx.NodeProto"]:
    """The nodes on which some outputs depend, in the graph's order."""
    needed, nodes = set(outputs), []
    for node in reversed(graph.node):
        if not needed.isdisjoint(node.output):
            needed |= names_in(node)
            nodes.append(node)
    return nodes[::-1]


def names_in(node: "onnx.NodeProto") -> set[str]:
    """Names of the values that a node uses, in its branches and loops too."""
    names = set(node.input)
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            names.update(output.name for output in graph.output)
            for inner in graph.node:
                names |= names_in(inner)
    return names - {""}
