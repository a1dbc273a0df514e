"""Features of spans: parts of a recording of one length, a step apart.

``learn`` classifies spans, and ``index`` compares them. Their features are
added to the graph of a model.onnx, so that a recording is encoded once.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fftp_tag.errors import InputError
from fftp_tag.files import PathLike
from fftp_tag.model.edit import copy_model
from fftp_tag.model.foreign.front_end import Fbank, add_energies, add_log
from fftp_tag.model.graphs import GraphBuilder, add_output, ancestors, names_in
from fftp_tag.model.info import FrameLevel
from fftp_tag.model.session import Model
from fftp_tag.model.silence import add_is_heard

if TYPE_CHECKING:
    import onnx

OUTPUT = "spans"
IS_HEARD = "is_heard_span"  # whether a span is not silent, [B, N, 1]
PADDED = "padded_wavs"  # what the encoder gets instead of wavs
NOISE_SAMPLES = 2**14
NOISE_DECIBELS = -50  # relative to the peak of a clip
MAX_BANDS = 64
FEATURES = "features"  # log-mel energies [B, T, F], of most models an output
N_MELS = 64  # where they are not
SURROUNDINGS = 3  # spans in the surroundings that learn looks at
# The features of a span, in their order: statistics of tokens, then of log-mel bands
TOKEN_FEATURES = ("mean", "maximum", "std around")
BAND_FEATURES = ("mean", "std", "std of rises", "mean around", "std around")
RISE_FRAMES = 2  # from a frame to the one that it is compared with
HOPS = 8  # from the start of a span to its end


@dataclasses.dataclass(frozen=True)
class Sizes:
    """The sizes of spans.

    Arguments
    ---------
    token_samples, stride_frames : int
        From one token to the next, in samples and in frames.
    span, span_samples, span_frames : int
        Of a span, in tokens, in samples and in frames.
    around, around_samples, around_frames : int
        Of a span and its surroundings.
    hop : int
        From one span to the next, in tokens.
    n_bins : int
        Mel bins of a frame.
    is_whole : bool
        Whether a clip has one token, whatever its length: then each span is a
        clip of its own.
    """

    token_samples: int
    stride_frames: int
    span: int
    span_samples: int
    span_frames: int
    around: int
    around_samples: int
    around_frames: int
    hop: int
    n_bins: int
    is_whole: bool = False


def make_span_model(
    model: Model, path: PathLike, seconds: float, surroundings: int = 1
) -> Model:
    """Writes and loads a model with features of spans instead of classes.

    A span has whole tokens: as many as fit into ``seconds`` and the maximum
    clip length. The model has a prediction for each span, an eighth of a span
    apart, or a quarter if they are longer than half of the maximum clip length.

    Arguments
    ---------
    model : Model
        A model whose encoder has tokens in time.
    path : str
        The file to write.
    seconds : float
        Length of a span.
    surroundings : int
        The number of spans, itself included, that a span's surroundings are.
        Clips that are shorter are followed by faint noise.

    Raises
    ------
    InputError
        If the encoder has no tokens in time, or the file cannot be written.
    """
    sizes = choose_sizes(model, seconds, surroundings)

    def change(graph: "onnx.GraphProto") -> None:
        """Replaces classes by features of spans."""
        rename_input(graph.node, PADDED, "wavs")  # of learnt classes
        remove_outputs(graph, {"probabilities", "frame_probabilities", OUTPUT})
        if not has_features(model):
            add_features(graph, Fbank(N_MELS, model.sample_rate))
        pad_to_span(graph, sizes)
        add_spans(graph, sizes)

    limits: dict[str, Any] = {}
    if sizes.is_whole:
        limits["min_samples"] = limits["max_samples"] = sizes.span_samples
    info = dataclasses.replace(
        model.info,
        **limits,
        labels=[],
        single_label=False,
        rules=None,
        note=None,
        token_samples=sizes.token_samples,
        frame_level=FrameLevel(
            sizes.span_samples,
            sizes.hop * sizes.token_samples,
            of_clips=True,
        ),
    )
    copy_model(model.path, path, info, change)
    # Recordings are encoded in parallel, each by one thread
    return Model(path, threads=1)


def choose_sizes(model: Model, seconds: float, surroundings: int) -> Sizes:
    """The sizes of spans of a model, see ``make_span_model``."""
    token_samples = model.info.token_samples
    if token_samples is None:
        raise InputError(
            f"{model.path} has an encoder without tokens over time: choose "
            "another model"
        )

    def count(n_samples: int) -> int:
        """The number of whole tokens, at least one."""
        return max(n_samples - model.min_samples, 0) // token_samples + 1

    def length(n_tokens: int) -> int:
        """The number of samples of tokens."""
        return model.min_samples + (n_tokens - 1) * token_samples

    most = count(model.max_samples)
    span = min(count(round(seconds * model.sample_rate)), most)
    is_short = length(span) <= model.max_samples / 2
    wav = np.zeros((1, length(most)), np.float32)
    tokens = model.run(["tokens"], wav)[0]
    n_frames, n_bins = count_features(model, wav.shape[1])
    if tokens.shape[1] == 1 < most:
        n_samples = round(seconds * model.sample_rate)
        n_samples = min(max(n_samples, model.min_samples), model.max_samples)
        span_frames = count_features(model, n_samples)[0]
        # A quarter of a span from one to the next
        stride_frames = max(n_samples // 4 // model.frame_samples, 1)
        return Sizes(
            token_samples=stride_frames * model.frame_samples,
            stride_frames=stride_frames,
            span=1,
            span_samples=n_samples,
            span_frames=span_frames,
            around=1,
            around_samples=n_samples,
            around_frames=span_frames,
            hop=1,
            n_bins=n_bins,
            is_whole=True,
        )
    stride_frames = token_samples // model.frame_samples
    around = min(surroundings * span, most)
    return Sizes(
        token_samples=token_samples,
        span=span,
        span_samples=length(span),
        span_frames=n_frames - (most - span) * stride_frames,
        around=around,
        around_samples=length(around),
        around_frames=n_frames - (most - around) * stride_frames,
        hop=max(span // (HOPS if is_short else HOPS // 2), 1),
        stride_frames=stride_frames,
        n_bins=n_bins,
    )


def has_features(model: Model) -> bool:
    """Whether a model has log-mel energies, as its encoder's input."""
    return FEATURES in [output.name for output in model.session.get_outputs()]


def count_features(model: Model, n_samples: int) -> tuple[int, int]:
    """The number of frames of a clip, and of mel bins of a frame."""
    if has_features(model):
        wav = np.zeros((1, n_samples), np.float32)
        return model.run([FEATURES], wav)[0].shape[1:]
    spectrum = Fbank(N_MELS, model.sample_rate)
    return (n_samples - spectrum.samples(1)) // spectrum.shift + 1, N_MELS


def add_features(graph: "onnx.GraphProto", spectrum: Fbank) -> None:
    """Adds log-mel energies, where the encoder is given samples."""
    build = GraphBuilder(graph, "spectrum")
    energies = add_energies(build, "wavs", spectrum)
    build.Identity(add_log(build, energies), name=FEATURES)
    add_output(graph, FEATURES, "batch", "frames", "bins")


def token_size(model: Model) -> int:
    """The number of dimensions of a model's tokens."""
    patch = np.zeros((1, model.min_samples), np.float32)
    return model.run(["tokens"], patch)[0].shape[2]


class Views(NamedTuple):
    """Features of spans to learn from, as sets of their columns.

    Arguments
    ---------
    encoder : list of numpy.ndarray
        Means of tokens, and means and standard deviations of log-mel bands, within
        the span, which tell best when a sound begins and ends; and all features,
        which tell best what it is.
    spectrum : list of numpy.ndarray
        Those of log-mel bands.
    """

    encoder: list[np.ndarray]
    spectrum: list[np.ndarray]


def make_views(token_size: int, n_features: int) -> Views:
    """The sets of columns of so many features, of tokens of a size."""
    columns = np.arange(n_features)
    n_of_tokens = token_size * len(TOKEN_FEATURES)
    of_tokens, of_bands = columns[:n_of_tokens], columns[n_of_tokens:]
    n_bands = len(of_bands) // len(BAND_FEATURES)
    inside = np.append(of_tokens[:token_size], of_bands[: 2 * n_bands])
    return Views([inside, columns], [of_bands])


def add_spans(graph: "onnx.GraphProto", sizes: Sizes) -> None:
    """Adds the output ``spans`` ``[B, N, F]``: features of N spans.

    The features are the mean and the maximum of the span's tokens, and the
    standard deviation of those of its surroundings, some spans around its middle,
    or the nearest within the clip; then, for at most 64 log-mel bands of the
    span's frames, the mean, the standard deviation, and that of the difference
    between frames t and t - 2; and the mean and the standard deviation of the
    frames of the surroundings. The graph has the outputs tokens and features.
    """
    build = GraphBuilder(graph, OUTPUT)

    # The first token of each span, [N]; the last span ends with the clip, see
    # FrameLevel
    n_samples = build.Shape("wavs", start=1, end=2)
    n_more = build.Max(build.Sub(n_samples, sizes.span_samples), 0)
    last = build.Div(n_more, sizes.token_samples)
    n_hops = build.Div(build.Add(last, sizes.hop - 1), sizes.hop)
    starts = build.Mul(count_up(build, build.Add(n_hops, 1)), sizes.hop)
    starts = build.Min(starts, last)
    start_samples = build.Mul(starts, sizes.token_samples)
    start_samples = build.Unsqueeze(start_samples, 0)
    add_is_heard(build, start_samples, sizes.span_samples, name=IS_HEARD)

    def moments(values: str, starts: str, size: int) -> tuple[str, str]:
        """Mean and standard deviation of values of each span, ``[B, N, K]``.

        Of values ``[B, P, K]``, so many from each of the starts ``[N]``.
        """
        index = count_up(build, build.Shape(values, start=1, end=2))
        offsets = build.Sub(index, build.Unsqueeze(starts, 1))  # [N, P]
        inside = build.And(
            build.GreaterOrEqual(offsets, 0), build.Less(offsets, size)
        )
        weight = build.Div(build.Cast(inside, to=1), np.float32(size))
        centre = build.ReduceMean(values, 1)  # which makes squares small
        centred = build.Sub(values, centre)
        mean = build.MatMul(weight, centred)
        square = build.MatMul(weight, build.Mul(centred, centred))
        variance = build.Sub(square, build.Mul(mean, mean))
        return build.Add(mean, centre), build.Sqrt(build.Relu(variance))

    # The first token of the surroundings of each span
    n_tokens = build.Shape("tokens", start=1, end=2)
    around = build.Sub(starts, (sizes.around - sizes.span) // 2)
    around = build.Min(around, build.Sub(n_tokens, sizes.around))
    around = build.Max(around, 0)

    token_mean, _ = moments("tokens", starts, sizes.span)
    _, around_std = moments("tokens", around, sizes.around)
    over_time = build.Transpose("tokens", perm=[0, 2, 1])
    highest = build.MaxPool(over_time, kernel_shape=[sizes.span])
    highest = build.Transpose(highest, perm=[0, 2, 1])
    highest = build.Gather(highest, starts, axis=1)

    # Of the frames that these tokens cover
    bands = build.MatMul(FEATURES, band_pooling(sizes.n_bins))
    starts = build.Mul(starts, sizes.stride_frames)
    around = build.Mul(around, sizes.stride_frames)
    earlier = build.Pad(bands, np.array([0, RISE_FRAMES, 0, 0, 0, 0]))
    rises = build.Sub(bands, build.Slice(earlier, 0, -RISE_FRAMES, 1))
    n_rises = max(sizes.span_frames - RISE_FRAMES, 1)
    _, rise_std = moments(rises, build.Add(starts, RISE_FRAMES), n_rises)
    build.Concat(
        *(token_mean, highest, around_std),
        *moments(bands, starts, sizes.span_frames),
        rise_std,
        *moments(bands, around, sizes.around_frames),
        axis=2,
        name=OUTPUT,
    )
    add_output(graph, OUTPUT, "batch", "spans", "features")


def pad_to_span(graph: "onnx.GraphProto", sizes: Sizes) -> None:
    """Centres clips that are shorter than a span in one, between faint noise,
    which also follows those that are shorter than a span's surroundings.

    An encoder of clips has learnt sounds with something around them, and one that
    was trained without digital silence responds strongly to it.
    """
    span, around = sizes.span_samples, sizes.around_samples
    encoder = list(graph.node)
    del graph.node[:]
    build = GraphBuilder(graph, "padded")
    n_samples = build.Shape("wavs", start=1, end=2)
    position = count_up(build, build.Max(n_samples, around))  # [S]
    start = build.Div(build.Max(build.Sub(span, n_samples), 0), 2)
    index = build.Sub(position, start)
    is_valid = build.And(
        build.GreaterOrEqual(index, 0), build.Less(index, n_samples)
    )
    last = build.Sub(n_samples, 1)
    index = build.Min(build.Max(index, 0), last)
    wavs = build.Gather("wavs", index, axis=1)
    noise = build.Gather(faint_noise(), build.Mod(position, NOISE_SAMPLES))
    peak = build.ReduceMax(build.Abs("wavs"), 1)  # [B, 1]
    build.Where(is_valid, wavs, build.Mul(peak, noise), name=PADDED)
    rename_input(encoder, "wavs", PADDED)
    graph.node.extend(encoder)


def faint_noise() -> np.ndarray:
    """Noise ``[S]`` for a clip with a peak of 1."""
    noise = np.random.default_rng(0).standard_normal(NOISE_SAMPLES)
    return (10 ** (NOISE_DECIBELS / 20) * noise).astype(np.float32)


def rename_input(
    nodes: Iterable["onnx.NodeProto"], name: str, new_name: str
) -> None:
    """Makes nodes use another value instead of one."""
    for node in nodes:
        node.input[:] = [new_name if x == name else x for x in node.input]


def count_up(build: GraphBuilder, size: str) -> str:
    """The numbers from 0 up to a size, which has one element."""
    return build.Range(np.array(0), build.Squeeze(size), np.array(1))


def band_pooling(n_bins: int) -> np.ndarray:
    """The matrix ``[n_bins, bands]`` that averages neighbouring bins."""
    width = math.ceil(n_bins / MAX_BANDS)
    band = np.arange(n_bins) // width
    pooling = (band[:, None] == np.arange(band[-1] + 1)).astype(np.float32)
    return pooling / pooling.sum(0)


def remove_outputs(graph: "onnx.GraphProto", names: set[str]) -> None:
    """Removes outputs, and nodes and weights that no other output needs."""
    outputs = [output for output in graph.output if output.name not in names]
    needed = {output.name for output in outputs}
    nodes = ancestors(graph, needed)
    needed.update(*map(names_in, nodes), (x.name for x in graph.input))
    for values, kept in ((graph.output, outputs), (graph.node, nodes)):
        del values[:]
        values.extend(kept)
    for values in (graph.initializer, graph.value_info):
        for number in reversed(range(len(values))):
            if values[number].name not in needed:
                del values[number]
