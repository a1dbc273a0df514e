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

from fftp_tag.model.frames import add_fourier_matrices, add_frames

# It registers the operator of the scan, for all models
from speechbrain_fftp.nnet.selective_scan import torch_backend  # noqa: F401

OPSET = 23  # the first with attention


class Operators:
    """ONNX's operators, with inputs as those of ``GraphBuilder``: ``op.Add(x, 1)``."""

    def __getattr__(self, name):
        operator = getattr(onnxscript.opset23, name)

        def add(*inputs, **attributes):
            """Adds a node to the graph that is traced."""
            return operator(*map(constant, inputs), **attributes)

        return add


def constant(value):
    """An input of an operator; numbers become arrays of one element."""
    if value is None or isinstance(value, onnx_ir.Value):
        return value
    array = value if isinstance(value, np.ndarray) else np.array([value])
    return onnxscript.opset23.Constant(
        value=onnx.numpy_helper.from_array(array)
    )


op = Operators()


def real_fft(frames, size=None, dimension=-1, normalization=None):
    """``torch.fft.rfft`` of the last axis of ``[B, T, N]``, as a matmul.

    The size is at least N.

    Complex numbers are stored in a last axis, ``[B, T, K, 2]``.
    """
    n_samples = frames.shape[-1]
    size = size or n_samples
    matrices = add_fourier_matrices(op, n_samples, size, size // 2 + 1)
    spectrum = op.MatMul(frames, op.Concat(*matrices, axis=1))
    parts = op.Reshape(spectrum, np.array([0, 0, 2, -1]))
    return op.Transpose(parts, perm=[0, 1, 3, 2])


def unfold(x, dimension, size, step):
    """``torch.Tensor.unfold``, which puts the windows in a new last axis."""
    if len(x.shape) == 2:
        return add_frames(op, x, size, step)
    if isinstance(x.shape[dimension], int):  # such as mel bins
        starts = range(0, x.shape[dimension] - size + 1, step)
        windows = [
            op.Unsqueeze(op.Slice(x, start, start + size, dimension), dimension)
            for start in starts
        ]
        windows = op.Concat(*windows, axis=dimension)
    else:
        length = op.Squeeze(op.Shape(x, start=dimension, end=dimension + 1))
        end = op.Sub(length, np.array(size - 1))
        starts = op.Range(np.array(0), end, np.array(step))
        offsets = op.Range(np.array(0), np.array(size), np.array(1))
        index = op.Add(op.Unsqueeze(starts, 1), offsets)
        windows = op.Gather(x, index, axis=dimension)
    # [..., N, size, ...] -> [..., N, ..., size]
    order = list(range(len(x.shape) + 1))
    order.append(order.pop(dimension + 1))
    return op.Transpose(windows, perm=order)


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
        shape = op.Concat(1, 1, op.Shape(query, start=2, end=3), 1, axis=0)
        attn_mask = op.Expand(attn_mask, shape)
    query, key, value = (
        op.Reshape(op.Transpose(x, perm=[0, 2, 1, 3]), np.array([0, 0, -1]))
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
    output = op.Reshape(output, np.array([0, 0, n_heads, -1]))
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
        n_directions, op.Shape(u, start=1, end=2), axis=0
    )  # [G, B]
    rates = op.Unsqueeze(A, 1)  # [G, N, D] -> [G, 1, N, D]

    def directions(steps, new_axis):
        """From ``[L, B, X]`` to ``[L, G, B, X]`` and an axis of size 1."""
        if n_directions == 2:
            steps = op.Concat(steps, flip(steps), axis=1)
        elif reverse:
            steps = flip(steps)
        sizes = op.Concat(0, shape, -1, axis=0)
        return op.Unsqueeze(op.Reshape(steps, sizes), new_axis)

    sizes = op.Concat(shape, op.Shape(rates, start=2), axis=0)
    last, out = scan_operator()(
        op.Expand(np.float32(0), sizes),
        directions(delta, -2),
        directions(op.Mul(delta, u), -2),
        directions(B, -1),
        directions(C, -2),
        num_scan_inputs=4,
        body=step_graph(rates),
    )
    # [L, G, B, 1, D] -> [L, G, B, D] -> [L, B, D]
    out = op.Squeeze(out, 3)
    if n_directions == 2:
        out, backward = op.Split(out, axis=1, num_outputs=2)
        out = op.Add(out, flip(backward))
    elif reverse:
        out = flip(out)
    out = op.Transpose(op.Squeeze(out, 1), perm=[1, 0, 2])
    return out, last, op.Unsqueeze(last, 2)


def flip(steps):
    """Reverses the first axis."""
    return op.Slice(steps, -1, -(2**62), 0, -1)


def scan_operator():
    """ONNX's Scan with one state and one output.

    onnxscript's own operator has no fixed number of outputs.
    """
    schema = onnx.defs.OpSchema
    return onnxscript.values.Op(
        onnxscript.opset23,
        "Scan",
        schema(
            "Scan",
            "",
            OPSET,
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


# For ``torch.onnx.export(custom_translation_table=...)``
OPERATORS = {
    torch.ops.aten.fft_rfft.default: real_fft,
    torch.ops.aten.unfold.default: unfold,
    torch.ops.aten.scaled_dot_product_attention.default: attention,
    torch.ops.selective_scan.recursion.default: mamba_recursion,
}
