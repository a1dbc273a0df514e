"""Models of a few ONNX operators, for tests without PyTorch.

Each class is a pitch. A frame is the level of each pitch in a patch of samples
at 1000 Hz. Every fifth frame is a prediction.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses

import numpy as np
import onnx.parser
import soundfile as sf
from onnx import helper, numpy_helper

from fftp_tag.model import edit
from fftp_tag.model.info import FrameLevel, ModelInfo, default_rules
from fftp_tag.model.silence import mask_silence

RATE = 1000
PATCH, STEP, FRAME = 100, 50, 10  # samples
LONGEST = 2000
PITCHES = {"Low": 40.0, "Middle": 100.0, "High": 200.0}  # Hz
GAIN = 2.0
INFO = ModelInfo(list(PITCHES), RATE, LONGEST, PATCH, FRAME, token_samples=STEP)
FRAME_LEVEL = FrameLevel(span_samples=PATCH, hop_samples=STEP)


def cosines(n_samples, pitches=PITCHES):
    """A tone of each pitch, ``[K, S]``."""
    time = np.arange(n_samples) / RATE
    return np.cos(2 * np.pi * np.outer(list(pitches.values()), time))


def make_kernels(pitches):
    """Windowed tones of a convolution, ``[K, PATCH]``."""
    window = np.hanning(PATCH)
    return cosines(PATCH, pitches) * window / window.sum()


KERNELS = make_kernels(PITCHES)


GRAPH = """graph (float[batch, samples] wavs) => () {
    size = Shape <start = 1, end = 2> (wavs)
    missing = Sub (patch, size)
    after = Max (missing, zero)
    padding = Concat <axis = 0> (zero, after)
    padded = Pad (wavs, padding, , one)
    channels = Unsqueeze (padded, one)
    heard = Conv <strides = [10]> (channels, kernels)
    of_pitches = Abs (heard)
    levels = Add (of_pitches, in_silence)
    frames = Transpose <perm = [0, 2, 1]> (levels)
    audible = Add (frames, floor)
    features = Log (audible)
    tokens = Slice (frames, zero, last, one, every)
    embeddings = ReduceMean <keepdims = 0> (tokens, one)
    loud = Mul (tokens, gain)
    frame_probabilities = Min (loud, unit)
    mean = Mul (embeddings, gain)
    of_clips = Min (mean, unit)
    of_frames = ReduceMax <keepdims = 0> (frame_probabilities, one)
}"""


def write_model(
    path,
    is_frame_level=False,
    nodes=(),
    pitches=PITCHES,
    thresholds=None,
    merge_gap=None,
    in_silence=0.0,
    **changes,
):
    """Writes a model of clips or a frame-level one; returns its path.

    ``nodes`` come before the model's nodes; ``in_silence`` is what all levels
    are raised by; ``changes`` replace metadata. Silence is masked, as by the
    export.
    """
    info = dataclasses.replace(INFO, labels=list(pitches))
    if is_frame_level:
        info = dataclasses.replace(info, frame_level=FRAME_LEVEL)
    if thresholds is not None:
        rules = default_rules(len(pitches)).replace(thresholds, merge_gap)
        rules = dataclasses.replace(rules, is_learnt=True)
        info = dataclasses.replace(info, rules=rules)
    info = dataclasses.replace(info, **changes)
    n_classes = len(pitches)
    outputs = {
        "embeddings": ["batch", n_classes],
        "tokens": ["batch", "tokens", n_classes],
        "features": ["batch", "frames", n_classes],
    }
    if is_frame_level:
        outputs["frame_probabilities"] = outputs["tokens"]
    if info.labels:
        outputs["probabilities"] = outputs["embeddings"]
    kind = "of_frames" if is_frame_level else "of_clips"
    graph = GRAPH.replace(kind, "probabilities")
    weights = {
        "kernels": make_kernels(pitches)[:, None].astype(np.float32),
        "in_silence": np.float32(in_silence),
        "floor": np.float32(1e-4),
        "gain": np.float32(GAIN),
        "unit": np.float32(1),
        "patch": np.array([PATCH]),
        "zero": np.array([0]),
        "one": np.array([1]),
        "last": np.array([2**40]),
        "every": np.array([STEP // FRAME]),
    }
    nodes = [*nodes, *onnx.parser.parse_graph(graph).node]
    save_model(path, nodes, outputs, weights, info.to_metadata())
    edit.copy_model(path, path, info, lambda graph: mask_silence(graph, info))
    return path


def save_model(path, nodes, outputs, weights, metadata):
    """Writes a graph: outputs are shapes by name, weights are arrays."""
    graph = onnx.parser.parse_graph(
        "graph (float[batch, samples] wavs) => () {}"
    )
    graph.node.extend(nodes)
    for name, shape in outputs.items():
        value = helper.make_tensor_value_info(name, 1, shape)  # of float32
        graph.output.append(value)
    for name, array in weights.items():
        graph.initializer.append(numpy_helper.from_array(np.array(array), name))
    opset = helper.make_opsetid("", 18)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=10)
    edit.write_onnx(model, path, metadata)
    return path


def expected_tokens(wav):
    """The tokens ``[N, K]`` of a model for samples ``[S]``."""
    wav = np.pad(wav, (0, max(PATCH - len(wav), 0)))
    patches = np.lib.stride_tricks.sliding_window_view(wav, PATCH)[::STEP]
    return np.abs(patches @ KERNELS.T)


def sounds(seconds, seed=0):
    """Faint noise with tones that come and go, as float32 ``[S]``."""
    rng = np.random.default_rng(seed)
    n_samples = round(seconds * RATE)
    levels = rng.uniform(0, 1, (len(PITCHES), n_samples // 150 + 1)) ** 3
    wav = (levels.repeat(150, 1)[:, :n_samples] * cosines(n_samples)).sum(0)
    noise = 0.01 * rng.standard_normal(n_samples)
    return (0.3 * wav + noise).astype(np.float32)


def write_clip(path, label, seed):
    """Writes a tone of a class, and fainter ones of others, of up to 5 s."""
    rng = np.random.default_rng(seed)
    n_samples = rng.integers(300, 5000)
    levels = rng.uniform(0.05, 0.35, len(PITCHES))
    if label in PITCHES:
        levels[list(PITCHES).index(label)] += rng.uniform(0, 0.4)
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, levels @ cosines(n_samples), RATE)


def write_clips(folder):
    """Writes seven clips of each class into its folder; returns the folder."""
    for c, label in enumerate(PITCHES):
        for number in range(7):
            write_clip(folder / label / f"{number}.wav", label, 10 * c + number)
    return folder


def clip_path(folder, clip_id):
    """The file of a clip of ``write_clips``."""
    return folder / f"{clip_id.replace('_', '/')}.wav"
