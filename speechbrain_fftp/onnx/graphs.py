"""Helpers for ONNX graphs.

Authors
 * The speechbrain_fftp authors 2026
"""

from typing import TYPE_CHECKING, List, Set

if TYPE_CHECKING:
    import onnx


def ancestors(
    graph: "onnx.GraphProto", outputs: Set[str]
) -> List["onnx.NodeProto"]:
    """The nodes on which some outputs depend, in the graph's order."""
    needed, nodes = set(outputs), []
    for node in reversed(graph.node):
        if not needed.isdisjoint(node.output):
            needed |= names_in(node)
            nodes.append(node)
    return nodes[::-1]


def names_in(node: "onnx.NodeProto") -> Set[str]:
    """Names of the values that a node uses, in its branches and loops too."""
    names = set(node.input)
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            names.update(output.name for output in graph.output)
            for inner in graph.node:
                names |= names_in(inner)
    return names - {""}
