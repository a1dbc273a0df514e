"""Adds a state to the graph of a model.onnx, for streams.

With it, the graph has one more input, ``state`` ``[batch, channels, tokens]``,
and one more output, ``next_state`` of the same shape: what its convolutions over
time read before the first token. A stream runs it on consecutive samples:

* The state of the first run is zeros, with which the outputs are those of the
  graph without a state.
* Of ``frame_probabilities``, all but the last ``look_ahead`` ones are those of the
  whole recording. The last ones are, too, if the recording ends there.
* The next run begins with the first of these, ``hop_samples`` for each prediction
  that is final, and gets ``next_state``.

Authors
 * The speechbrain_fftp authors 2026
"""

from typing import TYPE_CHECKING

import numpy as np

from fftp_tag.errors import InputError
from fftp_tag.model.graphs import GraphBuilder, add_output

if TYPE_CHECKING:
    import onnx

STATE, NEXT_STATE = "state", "next_state"


def add_state(graph: "onnx.GraphProto", look_ahead: int) -> None:
    """Adds the state to a graph, in place, by its depthwise convolutions.

    ``look_ahead`` is that of its ``FrameLevel``; an InputError is raised if the
    graph has another one.
    """
    from onnx import TensorProto, helper

    convs = [node for node in graph.node if is_over_time(node)]
    kernels = [attributes(node)["kernel_shape"].ints[1] for node in convs]
    pads = [attributes(node)["pads"].ints[1] for node in convs]
    found = sum(kernels) - sum(pads) - len(convs)
    if not convs or found != look_ahead:
        raise InputError(
            f"a look-ahead of {look_ahead} tokens is in the metadata of a model, "
            f"and one of {found} in its convolutions: train or import it again"
        )
    shape = "batch", attributes(convs[0])["group"].i, sum(pads)
    graph.input.append(
        helper.make_tensor_value_info(STATE, TensorProto.FLOAT, shape)
    )
    nodes = [*graph.node]
    del graph.node[:]
    build = GraphBuilder(graph, "with_state")
    later: list[str] = []
    for node in nodes:
        if is_over_time(node):
            size, begin = pads[len(later)], sum(pads[: len(later)])
            past = build.Slice(
                STATE,
                np.array([begin]),
                np.array([begin + size]),
                np.array([2]),
            )
            past = build.Unsqueeze(past, np.array([2]))  # [B, D, 1, size]
            n_final = build.Shape(node.input[0], start=3, end=4)
            n_final = build.Max(build.Sub(n_final, look_ahead), 0)
            node.input[0] = build.Concat(past, node.input[0], axis=3)
            end = build.Add(n_final, size)
            after = build.Slice(node.input[0], n_final, end, np.array([3]))
            later.append(build.Squeeze(after, np.array([2])))
            attributes(node)["pads"].ints[1] = 0
        graph.node.append(node)
    build.Concat(*later, axis=2, name=NEXT_STATE)
    add_output(graph, NEXT_STATE, *shape)


def is_over_time(node: "onnx.NodeProto") -> bool:
    """Whether a node is a depthwise convolution over tokens ``[B, D, 1, N]``."""
    return (
        node.op_type == "Conv"
        and attributes(node)["group"].i > 1
        and attributes(node)["kernel_shape"].ints[0] == 1
    )


def attributes(node: "onnx.NodeProto") -> dict[str, "onnx.AttributeProto"]:
    """The attributes of a node by name."""
    return {attribute.name: attribute for attribute in node.attribute}
