"""Adds features of clips to the graph of a model.onnx.

Authors
 * The speechbrain_fftp authors 2026
"""

import math
from typing import TYPE_CHECKING, Dict, Set

import numpy as np

from speechbrain_fftp.onnx.graphs import ancestors, names_in

if TYPE_CHECKING:
    import onnx

OUTPUT = "clip_features"
PREFIX = f"{OUTPUT}."  # of the names of added values
N_TOKEN_STATISTICS = 3  # per dimension of the tokens
MAX_BANDS = 64
NOISE_SAMPLES = 2**14
NOISE_DECIBELS = -50  # relative to the peak of a clip

# A clip is centred in the clip length of the encoder's training, or in the
# batch if that is longer. It is padded with faint noise, since encoders that
# were trained without digital silence respond strongly to it.
CENTRE = """
centre (float[batch, samples] wavs, float[batch] wav_lens)
    => (float[batch, padded] centred)
<
    int64[1] zero = {0}, int64[1] one = {1}, int64[1] two = {2},
    int64 first = {0}, int64 step = {1}, float[1] silence = {0},
    float[1] full = {1}
>
{
    size = Shape<start = 1, end = 2>(wavs)
    padded_size = Max(size, model_size)
    real_size = Cast<to = 1>(size)
    real_lens = Mul(wav_lens, real_size)
    rounded_lens = Round(real_lens)
    own_lens = Cast<to = 7>(rounded_lens)
    own_size = Unsqueeze(own_lens, one)

    last = Squeeze(padded_size)
    position = Range(first, last, step)
    missing = Sub(padded_size, own_size)
    own_start = Div(missing, two)
    index = Sub(position, own_start)
    has_begun = GreaterOrEqual(index, zero)
    goes_on = Less(index, own_size)
    is_own = And(has_begun, goes_on)

    last_index = Sub(size, one)
    low_index = Max(index, zero)
    safe_index = Min(low_index, last_index)
    found = GatherElements<axis = 1>(wavs, safe_index)
    own = Where(is_own, found, silence)
    magnitude = Abs(own)
    peak = ReduceMax(magnitude, one)
    n_noise = Shape(noise)
    noise_index = Mod(position, n_noise)
    long_noise = Gather(noise, noise_index)
    faint = Mul(peak, long_noise)
    centred = Where(is_own, found, faint)

    no_lens = Sub(wav_lens, wav_lens)
    centred_lens = Add(no_lens, full)
}
"""

# Mean and standard deviation of values over the frames whose mask is 1
MOMENTS = """
    {name}_frames = ReduceSum({mask}, one)
    {name}_count = Max({name}_frames, at_least)
    {name}_own = Mul({values}, {mask})
    {name}_sum = ReduceSum({name}_own, one)
    {name}_mean = Div({name}_sum, {name}_count)
    {name}_difference = Sub({values}, {name}_mean)
    {name}_own_difference = Mul({name}_difference, {mask})
    {name}_square = Mul({name}_own_difference, {name}_own_difference)
    {name}_square_sum = ReduceSum({name}_square, one)
    {name}_variance = Div({name}_square_sum, {name}_count)
    {name}_std = Sqrt({name}_variance)
"""

# Statistics of tokens are over the padded clip, so that they depend on its
# length; statistics of log-mel bands are over the frames of the clip alone. As
# it is centred, frame t of T is part of it if |2 t + 1 - T| is at most T times
# its fraction of the padded length.
STATISTICS = """
statistics (float[batch, steps, dim] tokens, float[batch, frames, bins] features)
    => (float[batch, size] clip_features)
<
    int64[1] zero = {{0}}, int64[1] one = {{1}}, int64[1] two = {{2}},
    int64[1] minus_two = {{-2}}, int64[1] all = {{9223372036854775807}},
    int64 first = {{0}}, int64 step = {{1}}, float[1] at_least = {{1}}
>
{{
    token_mean = ReduceMean(tokens, one)
    token_difference = Sub(tokens, token_mean)
    token_square = Mul(token_difference, token_difference)
    token_variance = ReduceMean(token_square, one)
    token_std = Sqrt(token_variance)
    token_max = ReduceMax(tokens, one)

    bands = MatMul(features, pooling)
    n_frames = Shape<start = 1, end = 2>(bands)
    n_frames_scalar = Squeeze(n_frames)
    t = Range(first, n_frames_scalar, step)
    t_twice = Mul(t, two)
    t_odd = Add(t_twice, one)
    signed_distance = Sub(t_odd, n_frames)
    distance = Abs(signed_distance)
    distance_in_samples = Mul(distance, padded_size)
    reach = Mul(own_size, n_frames)
    is_near = LessOrEqual(distance_in_samples, reach)
    near = Cast<to = 1>(is_near)
    mask = Unsqueeze(near, two)

{band_moments}
    later = Slice(bands, two, all, one)
    earlier = Slice(bands, zero, minus_two, one)
    later_mask = Slice(mask, two, all, one)
    earlier_mask = Slice(mask, zero, minus_two, one)
    rise = Sub(later, earlier)
    rise_mask = Mul(later_mask, earlier_mask)
{rise_moments}
    rows = Concat<axis = 2>(
        token_mean, token_std, token_max, band_mean, band_std, rise_std
    )
    clip_features = Squeeze(rows, one)
}}
"""


def add_clip_features(
    graph: "onnx.GraphProto", max_samples: int, n_bins: int
) -> None:
    """Adds an output ``clip_features`` ``[B, F]`` to a graph that lacks it.

    The features are the mean, standard deviation and maximum over time of the D
    dimensions of the tokens; and, for at most 64 log-mel bands, the mean, the
    standard deviation, and the standard deviation of the difference between
    frames t and t - 2. Clips shorter than ``max_samples`` are centred and
    padded to this length.

    Arguments
    ---------
    graph : onnx.GraphProto
        The graph of a model with tokens and features.
    max_samples : int
        The maximum clip length that the encoder was trained on.
    n_bins : int
        Number of mel bins of the features.
    """
    from onnx import numpy_helper, parser

    if any(output.name == OUTPUT for output in graph.output):
        return
    replaced = {
        "wavs": f"{PREFIX}centred",
        "wav_lens": f"{PREFIX}centred_lens",
    }
    for node in graph.node:
        node.input[:] = [replaced.get(name, name) for name in node.input]
    statistics = STATISTICS.format(
        band_moments=MOMENTS.format(name="band", values="bands", mask="mask"),
        rise_moments=MOMENTS.format(
            name="rise", values="rise", mask="rise_mask"
        ),
    )
    parts = [parser.parse_graph(text) for text in (CENTRE, statistics)]
    own = {"wavs", "wav_lens", "tokens", "features", OUTPUT}
    for part in parts:
        for node in part.node:
            for names in (node.input, node.output):
                names[:] = [x if x in own else PREFIX + x for x in names]
        for tensor in part.initializer:
            tensor.name = PREFIX + tensor.name
    known = {tensor.name for tensor in parts[0].initializer}
    constants = [*parts[0].initializer]
    constants += [x for x in parts[1].initializer if x.name not in known]
    noise = np.random.default_rng(0).standard_normal(NOISE_SAMPLES)
    noise *= 10 ** (NOISE_DECIBELS / 20)
    arrays: Dict[str, np.ndarray] = {
        "model_size": np.array([max_samples]),
        "noise": noise.astype(np.float32),
        "pooling": band_pooling(n_bins),
    }
    for name, array in arrays.items():
        constants.append(numpy_helper.from_array(array, PREFIX + name))
    nodes = [*parts[0].node, *graph.node, *parts[1].node]
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.extend(constants)
    graph.output.append(parts[1].output[0])


def band_pooling(n_bins: int) -> np.ndarray:
    """The matrix ``[n_bins, bands]`` that averages neighbouring bins."""
    width = math.ceil(n_bins / MAX_BANDS)
    band = np.arange(n_bins) // width
    pooling = (band[:, None] == np.arange(band[-1] + 1)).astype(np.float32)
    return pooling / pooling.sum(0)


def remove_outputs(graph: "onnx.GraphProto", names: Set[str]) -> None:
    """Removes outputs, and nodes and weights that no other output needs."""
    outputs = [output for output in graph.output if output.name not in names]
    needed = {output.name for output in outputs}
    nodes = ancestors(graph, needed)
    needed.update(*map(names_in, nodes))
    for values, kept in ((graph.output, outputs), (graph.node, nodes)):
        del values[:]
        values.extend(kept)
    for values in (graph.initializer, graph.value_info):
        for number in reversed(range(len(values))):
            if values[number].name not in needed:
                del values[number]
