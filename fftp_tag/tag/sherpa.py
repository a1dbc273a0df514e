"""Writes a model.onnx in the form of sherpa-onnx, which computes the features.

Its inputs are ``x``, float32 ``[batch, frames, 80]``, and ``x_lens``, int64
``[batch]``; its output is ``probs``, ``[batch, classes]``. See the audio
tagging of Zipformer in https://github.com/k2-fsa/sherpa-onnx.

sherpa-onnx passes a recording of any length at once: the graph cuts it into
pieces of the maximum clip length, as ``AudioTagger`` does.

Authors
 * The speechbrain_fftp authors 2026
"""

import os
from typing import TYPE_CHECKING, List, Tuple, Union

import numpy as np

from fftp_tag.foreign.front_end import FLOOR, Fbank
from fftp_tag.tag.model import Model
from fftp_tag.tag.spans import PADDED, count_up, remove_outputs
from speechbrain_fftp.dataio.errors import InputError
from speechbrain_fftp.dataio.files import atomic_path
from speechbrain_fftp.dataio.packages import require
from speechbrain_fftp.onnx.graphs import GraphBuilder, ancestors

if TYPE_CHECKING:
    import onnx

# What sherpa-onnx computes for a Zipformer
FBANK = Fbank(80, snip_edges=False, high_freq=-400.0)
RATE, N_MELS = FBANK.sample_rate, FBANK.n_mels
WINDOW, SHIFT = FBANK.size, FBANK.shift  # samples

TOLERANCE = 1e-2  # of features; those of another front end differ by more


def write_for_sherpa(model: Model, path: Union[str, os.PathLike]) -> None:
    """Writes a model in the form of sherpa-onnx.

    Arguments
    ---------
    model : Model
        A model with classes and with the front end of sherpa-onnx.
    path : str
        The file to write.

    Raises
    ------
    InputError
        If the model has another front end or is from ``learn``, or the package
        onnx is missing.
    """
    onnx = require("onnx", "Writing a model")
    proto = onnx.load(model.path)
    if any(PADDED["wavs"] in node.output for node in proto.graph.node):
        raise InputError(
            f"{model.path} is from fftp-tag learn, which adds faint noise to "
            "short clips: sherpa-onnx cannot, give a model from a training"
        )
    check_front_end(model)
    cut_front_end(proto.graph, model)
    del proto.metadata_props[:]
    onnx.helper.set_model_props(proto, {"comment": "audio tagging"})
    with atomic_path(path) as temporary_path:
        onnx.save(proto, temporary_path)


def check_front_end(model: Model) -> None:
    """Raises an InputError if the features are not those of sherpa-onnx."""
    n_samples = min(RATE, model.max_samples)
    wav = 0.1 * np.random.default_rng(0).standard_normal(n_samples)
    expected = kaldi_fbank(wav)
    found = model.run(["features"], wav[None])[0][0, : len(expected)]
    if (
        model.sample_rate != RATE
        or found.shape != expected.shape
        or np.abs(found - expected).max() > TOLERANCE
    ):
        raise InputError(
            f"{model.path} has another front end than sherpa-onnx: train it "
            "with --front_end sherpa --n_mels 80"
        )


def cut_front_end(graph: "onnx.GraphProto", model: Model) -> None:
    """Replaces waveforms by features as the input of a graph, in place."""
    from onnx import TensorProto, helper

    [features] = [
        node.output[0]
        for node in ancestors(graph, {"features"})
        if node.op_type == "Log"
    ]
    remove_outputs(graph, {x.name for x in graph.output} - {"probabilities"})
    # The default of wav_lens, which is a value of the graph from now on
    for number, weight in enumerate(graph.initializer):
        if weight.name == "wav_lens":
            del graph.initializer[number]
            break
    tail = [node for node in graph.node if features not in node.output]
    del graph.node[:]
    build = GraphBuilder(graph, "pieces")
    size, hop = model.info.pieces
    size, hop = (size + SHIFT // 2) // SHIFT, hop // SHIFT
    step = model.hop_samples // SHIFT if model.is_frame_level else 1
    feats, lens = add_pieces(build, size, hop, step)
    n_pieces = build.Shape(feats, start=0, end=1)
    n_frames = build.Shape(feats, start=1, end=2)
    # Samples that are not silent stand for the waveforms, of which the rest of
    # the graph reads sizes and silence only
    shape = build.Concat(n_pieces, build.Mul(n_frames, SHIFT), axis=0)
    build.Expand(np.ones((1, 1), np.float32), shape, name="wavs")
    lens = build.Cast(lens, to=TensorProto.FLOAT)
    longest = build.Cast(n_frames, to=TensorProto.FLOAT)
    build.Div(lens, longest, name="wav_lens")
    shortest = -(-model.min_samples // SHIFT)
    missing = build.Max(build.Sub(shortest, n_frames), 0)
    padding = build.Concat(np.zeros(4, np.int64), missing, 0, axis=0)
    build.Pad(feats, padding, name=features)
    graph.node.extend(tail)
    n_classes = len(model.labels)
    n_clips = build.Shape("x", start=0, end=1)
    shape = build.Concat(n_clips, -1, n_classes, axis=0)
    of_pieces = build.Reshape("probabilities", shape)
    build.ReduceMax(of_pieces, 1, keepdims=0, name="probs")
    for values in (graph.input, graph.output, graph.value_info):
        del values[:]
    value = helper.make_tensor_value_info
    graph.input.extend(
        [
            value("x", TensorProto.FLOAT, ["N", "T", N_MELS]),
            value("x_lens", TensorProto.INT64, ["N"]),
        ]
    )
    graph.output.append(value("probs", TensorProto.FLOAT, ["N", n_classes]))
    remove_outputs(graph, set())  # what only the front end needed


def add_pieces(
    build: GraphBuilder, size: int, hop: int, step: int
) -> Tuple[str, str]:
    """Adds nodes that cut features into pieces, see ``AudioTagger.pieces``.

    Arguments
    ---------
    build : GraphBuilder
        Of a graph with the inputs ``x [N, T, F]`` and ``x_lens [N]``.
    size, hop : int
        Frames of a piece, and from one piece to the next.
    step : int
        All pieces begin at a multiple of this.

    Returns
    -------
    pieces : str
        The name of the pieces ``[N * K, S, F]`` with S up to ``size``.
    lens : str
        The name of their lengths in frames, ``[N * K]``.
    """
    n_frames = build.Shape("x", start=1, end=2)
    more = build.Max(build.Sub(n_frames, size), 0)
    n_pieces = build.Add(build.Div(build.Add(more, hop - 1), hop), 1)
    length = build.Min(n_frames, size)
    # The last piece ends with the clip; it is repeated where there are fewer
    lens = build.Unsqueeze("x_lens", 1)  # [N, 1]
    last = build.Max(build.Sub(lens, length), 0)
    last = build.Mul(build.Div(build.Add(last, step - 1), step), step)
    starts = build.Min(build.Mul(count_up(build, n_pieces), hop), last)
    lens = build.Min(build.Sub(lens, starts), length)  # [N, K]
    index = build.Add(build.Unsqueeze(starts, 2), count_up(build, length))
    index = build.Min(index, build.Sub(n_frames, 1))  # [N, K, S]
    pieces = build.GatherND("x", build.Unsqueeze(index, 3), batch_dims=1)
    shape = build.Concat(-1, length, N_MELS, axis=0)
    return build.Reshape(pieces, shape), build.Reshape(lens, -1)


def kaldi_fbank(wav: np.ndarray) -> np.ndarray:
    """The features ``[T, 80]`` of a waveform ``[S]`` in sherpa-onnx."""
    starts = SHIFT * np.arange((len(wav) + SHIFT // 2) // SHIFT)
    times = starts[:, None] + np.arange(WINDOW) - (WINDOW - SHIFT) // 2
    times = np.where(times < 0, -1 - times, times)
    times = np.where(times < len(wav), times, 2 * len(wav) - 1 - times)
    frames = wav[times] - wav[times].mean(1, keepdims=True)
    frames[:, 1:] -= FBANK.preemphasis * frames[:, :-1].copy()
    # The first factor of the window is 0: that sample has no previous one
    power = np.abs(np.fft.rfft(frames * FBANK.window(), FBANK.n_fft)) ** 2
    return np.log(np.maximum(power[:, :-1] @ FBANK.banks(), FLOOR))


def label_rows(labels: List[str]) -> str:
    """The content of ``class_labels_indices.csv``, as sherpa-onnx reads it.

    Each name is in quotes to the end of its line, whatever it contains; the
    second column is not read.
    """
    rows = [f'{n},,"{label}"\n' for n, label in enumerate(labels)]
    return "".join(["index,mid,display_name\n", *rows])
