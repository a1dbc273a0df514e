"""ONNX translations of torch operators that run fast in ONNX Runtime.

By default, overlapping frames and rows of patches are gathered number by
number, Fourier transforms computed one by one, and attention and Mamba's scan
decomposed. Here, frames are joined from blocks of one shift, rows of patches
are slices, Fourier transforms are one matrix multiplication (with rounding
errors no larger than an FFT's in float32), attention is one operator, and the
scan is a loop of six operators.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import onnx
import onnx_ir
import onnxscript
import torch

# It registers the operator of the scan, for all models
from speechbrain_fftp.nnet.selective_scan import torch_backend  # noqa: F401

OPSET = 23  # the first with attention
op = onnxscript.opset23


def real_fft(frames, size=None, dimension=-1, normalization=None):
    """``torch.fft.rfft`` of the last axis of ``[B, T, N]``, as a matmul.

    The size is at least N.

    Complex numbers are stored in a last axis, ``[B, T, K, 2]``. The file holds
    one period of a cosine and a sine, from which ONNX Runtime computes the
    matrix at loading.
    """
    n_samples = frames.shape[-1]
    size = size or n_samples
    period = np.exp(-2j * np.pi * np.arange(size) / size)
    samples = op.Range(integer(0), integer(n_samples), integer(1))
    frequencies = op.Range(integer(0), integer(size // 2 + 1), integer(1))
    phases = op.Mul(op.Unsqueeze(samples, integers(1)), frequencies)
    phases = op.Mod(phases, integer(size))  # [N, K]
    parts = [
        op.Gather(floats(part), phases) for part in (period.real, period.imag)
    ]
    spectrum = op.MatMul(frames, op.Concat(*parts, axis=1))
    parts = op.Reshape(spectrum, integers(0, 0, 2, -1))
    return op.Transpose(parts, perm=[0, 1, 3, 2])


def unfold(x, dimension, size, step):
    """``torch.Tensor.unfold``, which puts the windows in a new last axis."""
    if len(x.shape) == 2:
        return frames_of(x, size, step)
    if isinstance(x.shape[dimension], int):  # such as mel bins
        starts = range(0, x.shape[dimension] - size + 1, step)
        axis = integers(dimension)
        windows = [
            op.Slice(x, integers(start), integers(start + size), axis)
            for start in starts
        ]
        windows = [op.Unsqueeze(window, axis) for window in windows]
        windows = op.Concat(*windows, axis=dimension)
    else:
        length = op.Squeeze(op.Shape(x, start=dimension, end=dimension + 1))
        end = op.Sub(length, integer(size - 1))
        starts = op.Range(integer(0), end, integer(step))
        offsets = op.Range(integer(0), integer(size), integer(1))
        index = op.Add(op.Unsqueeze(starts, integers(1)), offsets)
        windows = op.Gather(x, index, axis=dimension)
    # [..., N, size, ...] -> [..., N, ..., size]
    order = list(range(len(x.shape) + 1))
    order.append(order.pop(dimension + 1))
    return op.Transpose(windows, perm=order)


def frames_of(wavs, size, step):
    """Frames ``[B, T, size]`` of waveforms ``[B, S]``."""
    n_samples = op.Shape(wavs, start=1, end=2)
    n_frames = op.Div(op.Sub(n_samples, integers(size)), integers(step))
    length = op.Mul(op.Add(n_frames, integers(1)), integers(step))
    n_blocks = -(-size // step)  # rounded up
    wavs = op.Pad(wavs, integers(0, 0, 0, n_blocks * step))
    blocks = []
    for number in range(n_blocks):
        start = integers(number * step)
        block = op.Slice(wavs, start, op.Add(start, length), integers(1))
        blocks.append(op.Reshape(block, integers(0, -1, step)))
    frames = op.Concat(*blocks, axis=2)
    return op.Slice(frames, integers(0), integers(size), integers(2))


def attention(
    query,
    key,
    value,
    attn_mask=None,
    dropout_p=0.0,
    is_causal=False,
    scale=None,
):
    """``scaled_dot_product_attention`` of ``[B, heads, N, D]``.

    The operator is faster with the heads in one axis, ``[B, N, heads * D]``,
    than with an axis of their own.
    """
    n_heads = query.shape[1]
    if attn_mask is not None:  # ONNX does not broadcast it over the queries
        one, n_tokens = integers(1), op.Shape(query, start=2, end=3)
        shape = op.Concat(one, one, n_tokens, one, axis=0)
        attn_mask = op.Expand(attn_mask, shape)
    query, key, value = (
        op.Reshape(op.Transpose(x, perm=[0, 2, 1, 3]), integers(0, 0, -1))
        for x in (query, key, value)
    )
    output, *_ = op.Attention(
        query,
        key,
        value,
        attn_mask,
        q_num_heads=n_heads,
        kv_num_heads=n_heads,
        is_causal=int(is_causal),
        scale=scale,
    )
    output = op.Reshape(output, integers(0, 0, n_heads, -1))
    return op.Transpose(output, perm=[0, 2, 1, 3])


def mamba_recursion(u, delta, B, C, A, reverse):
    """Mamba's scan, see ``selective_scan.torch_backend.recursion``.

    ONNX's Scan takes one step at a time, in constant memory. The directions are
    an axis G. The states before each chunk, which only the gradient needs, are
    the last states instead, with an axis of one chunk.
    """
    # [B, L, X] -> [L, B, X]
    u, delta, B, C = (op.Transpose(x, perm=[1, 0, 2]) for x in (u, delta, B, C))
    n_directions = A.shape[0]
    shape = op.Concat(
        integers(n_directions), op.Shape(u, start=1, end=2), axis=0
    )  # [G, B]
    rates = op.Unsqueeze(A, integers(1))  # [G, N, D] -> [G, 1, N, D]

    def directions(steps, new_axis):
        """From ``[L, B, X]`` to ``[L, G, B, X]`` and an axis of size 1."""
        if n_directions == 2:
            steps = op.Concat(steps, flip(steps), axis=1)
        elif reverse:
            steps = flip(steps)
        sizes = op.Concat(integers(0), shape, integers(-1), axis=0)
        return op.Unsqueeze(op.Reshape(steps, sizes), integers(new_axis))

    sizes = op.Concat(shape, op.Shape(rates, start=2), axis=0)
    last, out = scan_operator()(
        op.Expand(op.Constant(value_float=0.0), sizes),
        directions(delta, -2),
        directions(op.Mul(delta, u), -2),
        directions(B, -1),
        directions(C, -2),
        num_scan_inputs=4,
        body=step_graph(rates),
    )
    # [L, G, B, 1, D] -> [L, G, B, D] -> [L, B, D]
    out = op.Squeeze(out, integers(3))
    if n_directions == 2:
        out, backward = op.Split(out, axis=1, num_outputs=2)
        out = op.Add(out, flip(backward))
    elif reverse:
        out = flip(out)
    out = op.Transpose(op.Squeeze(out, integers(1)), perm=[1, 0, 2])
    return out, last, op.Unsqueeze(last, integers(2))


def flip(steps):
    """Reverses the first axis."""
    last, first = integers(-1), integers(-(2**62))
    return op.Slice(steps, last, first, integers(0), integers(-1))


def scan_operator():
    """ONNX's Scan with one state and one output.

    onnxscript's own operator has no fixed number of outputs.
    """
    schema = onnx.defs.OpSchema
    return onnxscript.values.Op(
        op,
        "Scan",
        schema(
            "Scan",
            "",
            op.version,
            inputs=[
                schema.FormalParameter(
                    "inputs",
                    "T",
                    param_option=schema.FormalParameterOption.Variadic,
                )
            ],
            outputs=[
                schema.FormalParameter(name, "T")
                for name in ("state", "outputs")
            ],
            type_constraints=[("T", ["tensor(float)"], "")],
            attributes=[
                schema.Attribute("body", schema.AttrType.GRAPH),
                schema.Attribute("num_scan_inputs", schema.AttrType.INT),
            ],
        ),
    )


STEP = onnx.parser.parse_graph("""
step (
    float[directions, items, states, width] state,
    float[directions, items, 1, width] delta,
    float[directions, items, 1, width] delta_u,
    float[directions, items, states, 1] B,
    float[directions, items, 1, states] C,
    float[directions, 1, states, width] rates
) => (
    float[directions, items, states, width] next_state,
    float[directions, items, 1, width] output
) {
    exponents = Mul(delta, rates)
    decays = Exp(exponents)
    kept = Mul(decays, state)
    inflow = Mul(delta_u, B)
    next_state = Add(kept, inflow)
    output = MatMul(C, next_state)
}""")


def step_graph(rates):
    """The body of the Scan, with the decay rates as an outer value."""
    graph = onnx_ir.serde.deserialize_graph(STEP)
    argument = graph.inputs.pop()
    onnx_ir.convenience.replace_all_uses_with(argument, rates)
    return graph


def floats(array):
    """A constant array."""
    array = onnx.numpy_helper.from_array(array.astype(np.float32))
    return op.Constant(value=array)


def integer(value):
    """A constant integer."""
    return op.Constant(value_int=value)


def integers(*values):
    """A constant list of integers."""
    return op.Constant(value_ints=list(values))


# For ``torch.onnx.export(custom_translation_table=...)``
OPERATORS = {
    torch.ops.aten.fft_rfft.default: real_fft,
    torch.ops.aten.unfold.default: unfold,
    torch.ops.aten.scaled_dot_product_attention.default: attention,
    torch.ops.selective_scan.recursion.default: mamba_recursion,
}
