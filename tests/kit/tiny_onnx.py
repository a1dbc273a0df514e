"""Models of a few ONNX operators, for tests without PyTorch.

Each class is a pitch. A frame is the level of each pitch in a patch of samples
at 1000 Hz. Every fifth frame is a prediction.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses

import numpy as np
import onnx
import soundfile as sf
from onnx import helper, numpy_helper

from fftp_tag.model.edit import copy_model
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
    own = {
        "labels": list(pitches),
        "frame_level": FRAME_LEVEL if is_frame_level else None,
    }
    if thresholds is not None:
        rules = default_rules(len(pitches)).replace(thresholds, merge_gap)
        own["rules"] = dataclasses.replace(rules, is_learnt=True)
    info = dataclasses.replace(INFO, **{**own, **changes})
    names = ["embeddings", "tokens", "features"]
    if is_frame_level:
        names.insert(1, "frame_probabilities")
    if info.labels:
        names.insert(0, "probabilities")
    node = helper.make_node
    body = [
        node("Shape", ["wavs"], ["size"], start=1, end=2),
        node("Sub", ["patch", "size"], ["missing"]),
        node("Max", ["missing", "zero"], ["after"]),
        node("Concat", ["zero", "after"], ["padding"], axis=0),
        node("Pad", ["wavs", "padding", "", "one"], ["padded"]),
        node("Unsqueeze", ["padded", "one"], ["channels"]),
        node("Conv", ["channels", "kernels"], ["heard"], strides=[FRAME]),
        node("Abs", ["heard"], ["of_pitches"]),
        node("Add", ["of_pitches", "in_silence"], ["levels"]),
        node("Transpose", ["levels"], ["frames"], perm=[0, 2, 1]),
        node("Add", ["frames", "floor"], ["audible"]),
        node("Log", ["audible"], ["features"]),
        node("Slice", ["frames", "zero", "last", "one", "every"], ["tokens"]),
        node("ReduceMean", ["tokens", "one"], ["embeddings"], keepdims=0),
        node("Mul", ["tokens", "gain"], ["loud"]),
        node("Min", ["loud", "unit"], ["frame_probabilities"]),
        node("Mul", ["embeddings", "gain"], ["mean"]),
    ]
    if is_frame_level:
        inputs, operator = ["frame_probabilities", "one"], "ReduceMax"
        body.append(node(operator, inputs, ["probabilities"], keepdims=0))
    else:
        body.append(node("Min", ["mean", "unit"], ["probabilities"]))
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
    n_classes = len(pitches)
    shapes = {
        "probabilities": ["batch", n_classes],
        "embeddings": ["batch", n_classes],
        "frame_probabilities": ["batch", "tokens", n_classes],
        "tokens": ["batch", "tokens", n_classes],
        "features": ["batch", "frames", n_classes],
    }
    save_model(
        path,
        [*nodes, *body],
        {name: shapes[name] for name in names},
        weights,
        info.to_metadata(),
    )
    copy_model(path, path, info, lambda graph: mask_silence(graph, info))
    return path


def save_model(path, nodes, outputs, weights, metadata):
    """Writes a graph: outputs are shapes by name, weights are arrays."""
    float32 = onnx.TensorProto.FLOAT

    def value(name, shape):
        return helper.make_tensor_value_info(name, float32, shape)

    graph = helper.make_graph(
        nodes,
        "graph",
        [value("wavs", ["batch", "samples"])],
        [value(*output) for output in outputs.items()],
        [numpy_helper.from_array(np.array(x), n) for n, x in weights.items()],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10
    )
    helper.set_model_props(model, metadata)
    path.write_bytes(model.SerializeToString())
    return path


def expected_tokens(wav):
    """The tokens ``[N, K]`` of a model for samples ``[S]``."""
    wav = np.pad(wav, (0, max(PATCH - len(wav), 0)))
    patches = np.lib.stride_tricks.sliding_window_view(wav, PATCH)[::STEP]
    return np.abs(patches @ KERNELS.T)


def expected_steps(wav):
    """Frame-level probabilities ``[N, K]`` of samples ``[S]``."""
    return np.minimum(GAIN * expected_tokens(wav), 1)


def expected_clip(wav):
    """Probabilities ``[K]`` of samples ``[S]``, by the model of clips."""
    return np.minimum(GAIN * expected_tokens(wav).mean(0), 1)


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
