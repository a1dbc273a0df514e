"""Mamba's depthwise convolution, bias and SiLU as one Triton kernel.

Separate operations would pass over the channels many times; this does once each
way. Each program owns a tile of steps and channels, and loads the steps around
it again, which are in the cache.

Authors
 * The speechbrain_fftp authors 2026
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from speechbrain_fftp.nnet.selective_scan.triton_kernels import LOG2E

STEPS = tl.constexpr(16)  # of a tile
CHANNELS = tl.constexpr(64)  # of a tile


@triton.jit
def _row(ptr, stride, t, at, steps, inside):
    # Some steps of some channels, in float32; 0 where there are none.
    t = t + at
    keep = (t >= 0) & (t < steps)
    tile = tl.load(
        ptr + t[:, None] * stride,
        mask=keep[:, None] & inside[None, :],
        other=0.0,
    )
    return tile.to(tl.float32)


@triton.jit(do_not_specialize=["steps"])
def forward(
    x, weight, bias, out, x_b, x_l, out_b, out_l, steps, dim,
    K: tl.constexpr, REVERSE: tl.constexpr,
):  # fmt: skip
    """Writes silu(bias + the weighted sum of K steps)."""
    SIGN: tl.constexpr = -1 if REVERSE else 1  # the direction of time
    d = tl.program_id(0) * CHANNELS + tl.arange(0, CHANNELS)
    t = tl.program_id(1) * STEPS + tl.arange(0, STEPS)
    b = tl.program_id(2).to(tl.int64)
    inside = d < dim
    x += b * x_b + d[None, :]
    total = tl.zeros([STEPS, CHANNELS], tl.float32)
    total += tl.load(bias + d, mask=inside, other=0.0).to(tl.float32)[None, :]
    for k in tl.static_range(K):
        w = tl.load(weight + d * K + k, mask=inside, other=0.0)
        row = _row(x, x_l, t, SIGN * (k - (K - 1)), steps, inside)
        total += w.to(tl.float32)[None, :] * row
    total = total / (1.0 + tl.exp2(-LOG2E * total))
    keep = (t < steps)[:, None] & inside[None, :]
    out += b * out_b + t[:, None] * out_l + d[None, :]
    tl.store(out, total.to(out.dtype.element_ty), mask=keep)


@triton.jit(do_not_specialize=["steps"])
def backward(
    x, weight, bias, d_out, dx, sums, x_b, x_l, d_out_b, d_out_l, dx_b, dx_l,
    steps, dim, K: tl.constexpr, REVERSE: tl.constexpr,
):  # fmt: skip
    """Writes the gradient of x, and each tile's share of those of weight and
    bias, ``[tiles, K + 1, D]``: the sum over tiles is the same in each run."""
    SIGN: tl.constexpr = -1 if REVERSE else 1  # the direction of time
    d = tl.program_id(0) * CHANNELS + tl.arange(0, CHANNELS)
    t = tl.program_id(1) * STEPS + tl.arange(0, STEPS)
    b = tl.program_id(2).to(tl.int64)
    inside = d < dim
    x += b * x_b + d[None, :]
    d_out += b * d_out_b + d[None, :]
    shift = tl.load(bias + d, mask=inside, other=0.0).to(tl.float32)[None, :]
    weights, rows = (), ()
    for k in tl.static_range(K):
        w = tl.load(weight + d * K + k, mask=inside, other=0.0)
        weights = weights + (w.to(tl.float32)[None, :],)
    for j in tl.static_range(2 * K - 1):
        rows = rows + (_row(x, x_l, t, SIGN * (j - (K - 1)), steps, inside),)
    dx_tile = tl.zeros([STEPS, CHANNELS], tl.float32)
    tile = tl.program_id(2) * tl.num_programs(1) + tl.program_id(1)
    sums += tile.to(tl.int64) * (K + 1) * dim + d
    for j in tl.static_range(K):
        # The gradient before SiLU of the output j steps on, which has this
        # step as its input number K - 1 - j.
        total = tl.zeros([STEPS, CHANNELS], tl.float32) + shift
        for k in tl.static_range(K):
            total += weights[k] * rows[j + k]
        sigmoid = 1.0 / (1.0 + tl.exp2(-LOG2E * total))
        grad = _row(d_out, d_out_l, t, SIGN * j, steps, inside)
        grad *= sigmoid * (1.0 + total * (1.0 - sigmoid))
        dx_tile += weights[K - 1 - j] * grad
        if j == 0:
            for k in tl.static_range(K):
                share = tl.sum(grad * rows[k], axis=0)
                tl.store(sums + k * dim, share, mask=inside)
            tl.store(sums + K * dim, tl.sum(grad, axis=0), mask=inside)
    keep = (t < steps)[:, None] & inside[None, :]
    dx += b * dx_b + t[:, None] * dx_l + d[None, :]
    tl.store(dx, dx_tile.to(dx.dtype.element_ty), mask=keep)


def _grid(x):
    # Tiles of channels, of steps, and items.
    batch, steps, dim = x.shape
    tiles = triton.cdiv(dim, CHANNELS.value), triton.cdiv(steps, STEPS.value)
    return *tiles, batch


@torch.library.custom_op("mamba::convolve", mutates_args=())
def _convolve(x: Tensor, weight: Tensor, bias: Tensor, reverse: bool) -> Tensor:
    """Output ``[B, L, D]`` of x ``[B, L, D]`` and weight ``[D, K]``."""
    out = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    with torch.cuda.device_of(x):
        forward[_grid(x)](
            x, weight, bias, out, x.stride(0), x.stride(1), out.stride(0),
            out.stride(1), x.shape[1], x.shape[2], weight.shape[1], reverse,
        )  # fmt: skip
    return out


@_convolve.register_fake
def _(x, weight, bias, reverse):
    return torch.empty(x.shape, dtype=x.dtype, device=x.device)


@torch.library.custom_op("mamba::convolve_backward", mutates_args=())
def _convolve_backward(
    x: Tensor, weight: Tensor, bias: Tensor, d_out: Tensor, reverse: bool
) -> tuple[Tensor, Tensor]:
    """Gradient of x, and of weight and bias in float32 ``[K + 1, D]``."""
    kernel, (_, tiles, batch) = weight.shape[1], _grid(x)
    dx = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    sums = torch.empty(batch * tiles, kernel + 1, x.shape[2], device=x.device)
    with torch.cuda.device_of(x):
        backward[_grid(x)](
            x, weight, bias, d_out, dx, sums, x.stride(0), x.stride(1),
            d_out.stride(0), d_out.stride(1), dx.stride(0), dx.stride(1),
            x.shape[1], x.shape[2], kernel, reverse,
        )  # fmt: skip
    return dx, sums.sum(0)


@_convolve_backward.register_fake
def _(x, weight, bias, d_out, reverse):
    dx = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    return dx, x.new_empty(weight.shape[1] + 1, x.shape[2], dtype=torch.float32)


def _save(ctx, inputs, output):
    # The inputs of the gradient.
    *tensors, ctx.reverse = inputs
    ctx.save_for_backward(*tensors)


def _differentiate(ctx, d_out):
    # The gradients of x, weight and bias.
    x, weight, bias = ctx.saved_tensors
    if d_out.stride(2) != 1:
        d_out = d_out.contiguous()
    dx, sums = _convolve_backward(x, weight, bias, d_out, ctx.reverse)
    return dx, sums[:-1].T.to(weight.dtype), sums[-1].to(bias.dtype), None


_convolve.register_autograd(_differentiate, setup_context=_save)


def _triton_convolve(x, weight, bias, reverse=False):
    """Causal convolution and SiLU ``[B, L, D]`` of x with zeros before it.

    ``weight`` is that of ``Conv1d``, ``[D, 1, K]``. With ``reverse``, output t
    depends on t and the K - 1 steps after it, with zeros after the last.
    """
    x = x if x.stride(2) == 1 else x.contiguous()
    return _convolve(x, weight.flatten(1).contiguous(), bias, reverse)
