"""Makes the probabilities of silence 0, in the graph of a model.onnx.

Encoders respond to digital silence as they happen to: whatever runs the file
gets 0 for each span without a sample of 1/10,000 of full scale.

Authors
 * The speechbrain_fftp authors 2026
"""

from typing import TYPE_CHECKING

import numpy as np

from fftp_tag.audio.decode import SILENT_BELOW
from fftp_tag.model.graphs import GraphBuilder
from fftp_tag.model.info import ModelInfo

if TYPE_CHECKING:
    import onnx


def mask_silence(graph: "onnx.GraphProto", info: ModelInfo) -> None:
    """Masks the probabilities of a graph: of silent clips, and of predictions.

    A frame-level prediction is silent if the audio is that it is made from.
    """
    build = GraphBuilder(graph, "silence")
    outputs = {output.name for output in graph.output}

    def mask(output: str, is_heard: str) -> None:
        """Makes an output 0 where nothing is heard."""
        build.Where(is_heard, raw(output), np.float32(0), name=output)

    def raw(output: str) -> str:
        """The name of an output that is not masked yet."""
        return f"{output}.raw"

    for output in outputs & {"probabilities", "frame_probabilities"}:
        for node in graph.node:
            for names in (node.input, node.output):
                names[:] = [raw(x) if x == output else x for x in names]
    if "probabilities" in outputs:
        peak = build.ReduceMax(build.Abs("wavs"), 1)
        mask(
            "probabilities",
            build.GreaterOrEqual(peak, np.float32(SILENT_BELOW)),
        )
    if "frame_probabilities" in outputs and info.frame_level is not None:
        shape = build.Shape(raw("frame_probabilities"), start=1, end=2)
        starts = build.Range(np.array(0), build.Squeeze(shape), np.array(1))
        starts = build.Mul(starts, info.frame_level.hop_samples)
        starts = build.Unsqueeze(starts, 0)
        size = info.frame_level.span_samples
        mask("frame_probabilities", add_is_heard(build, starts, size))


def add_is_heard(
    build: GraphBuilder, starts: str, size: int, name: str = ""
) -> str:
    """Adds whether spans of the waveforms are not silent, ``[B, N, 1]``.

    Their first samples are ``[B, N]`` or ``[1, N]``.
    """
    loud = build.GreaterOrEqual(build.Abs("wavs"), np.float32(SILENT_BELOW))
    count = build.CumSum(build.Cast(loud, to=6), 1)  # int32
    count = build.Pad(count, np.array([0, 1, 0, 0]))  # up to each sample
    batch = build.Shape("wavs", start=0, end=1)
    starts = build.Expand(starts, build.Concat(batch, 1, axis=0))
    last = build.Shape("wavs", start=1, end=2)
    before, until = (
        build.GatherElements(count, build.Min(x, last), axis=1)
        for x in (starts, build.Add(starts, size))
    )
    return build.Unsqueeze(build.Greater(until, before), 2, name=name)
