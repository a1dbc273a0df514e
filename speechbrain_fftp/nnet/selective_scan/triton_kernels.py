"""Triton GPU kernel of the selective scan, and functions its gradient shares.

Each program (one warp) owns 32 channels of one item in one direction, holds
their state in registers and walks along time, so that no array of
``B * D * L * N`` values is ever written. If that gives too few programs, the
kernel runs twice, with a program for each segment of the sequence: first from
zero, to find the state at the end of each segment, then from the state before
it. For the gradient, it saves the state every ``CHUNK`` steps.

With ``TRITON_INTERPRET=1`` in the environment before Triton is imported, the
kernels run on the CPU, slowly, for tests.

Authors
 * The speechbrain_fftp authors 2026
"""

import triton
import triton.language as tl

BLOCK = tl.constexpr(32)  # channels per program, one per thread
CHUNK = tl.constexpr(32)  # steps between the states that the forward saves
UNROLL = tl.constexpr(4)  # steps of the forward whose inputs load together
LOG2E = tl.constexpr(1.4426950408889634)  # exp2 takes fewer instructions


@triton.jit
def find_program(lengths, steps, dim, reverse):
    """Item, item within both directions, channels, number of steps, first step,
    and step direction (1 or -1) of a program.
    """
    blocks = tl.cdiv(dim, BLOCK)
    b = tl.program_id(0) // blocks
    row = tl.program_id(1) * (tl.num_programs(0) // blocks) + b
    d = tl.program_id(0) % blocks * BLOCK + tl.arange(0, BLOCK)
    length = steps
    if lengths is not None:
        length = tl.load(lengths + b).to(tl.int32)
    back = reverse + tl.program_id(1)
    first = (back * (length - 1)).to(tl.int64)
    return b.to(tl.int64), row.to(tl.int64), d, length, first, 1 - 2 * back


@triton.jit
def first_step(ptr, strides, b, d, first, sign):
    """Pointers to the first step, and the stride to the next."""
    ptr += b * strides[0] + d.to(tl.int64) * strides[1] + first * strides[2]
    return ptr, sign * strides[2]


@triton.jit
def first_row(ptr, b, n, first, steps, NP: tl.constexpr):
    """Pointers to the first row (B, C), in the layout of _pack."""
    row = UNROLL + b * (steps + UNROLL) + first
    return ptr + row * (2 * NP) + n


@triton.jit
def load_channels(ptr, d, inside):
    """Loads one value per channel, or zeros without a pointer."""
    values = tl.zeros([BLOCK], tl.float32)
    if ptr is not None:
        values = tl.load(ptr + d, mask=inside, other=0.0).to(tl.float32)
    return values


@triton.jit
def load_steps(
    ptr, stride, left, mask, COUNT: tl.constexpr, CACHE: tl.constexpr
):
    """Loads COUNT steps of a sequence."""
    rows = ()
    for j in tl.static_range(COUNT):
        keep = mask & (j < left)
        row = tl.load(ptr, mask=keep, other=0.0, cache_modifier=CACHE)
        rows = rows + (row,)
        ptr += stride
    return rows


@triton.jit
def load_inputs(u, u_t, x, x_t, z, z_t, k, left, mask):
    """Loads UNROLL steps from step k on of u, x, and z if it is given."""
    us = load_steps(u + k * u_t, u_t, left, mask, UNROLL, "")
    xs = load_steps(x + k * x_t, x_t, left, mask, UNROLL, "")
    zs = us
    if z is not None:
        zs = load_steps(z + k * z_t, z_t, left, mask, UNROLL, "")
    return us, xs, zs


@triton.jit
def step_size(x, bias, live, SOFTPLUS: tl.constexpr):
    """The step size [BLOCK], 0 unless live, and its value before softplus."""
    x = x.to(tl.float32) + bias
    delta = x
    if SOFTPLUS:
        # log(1 + e) = 2 artanh(e / (2 + e)), accurate for the smallest e too
        e = tl.exp2(-LOG2E * tl.abs(x))
        s = e / (2.0 + e)
        q = s * s
        series = 1 / 7 + q * (1 / 9 + q * (1 / 11 + q * (1 / 13)))
        series = 1.0 + q * (1 / 3 + q * (1 / 5 + q * series))
        delta = tl.maximum(x, 0.0) + 2.0 * s * series
    return tl.where(live, delta, 0.0), x


@triton.jit
def advance(h, A, B, u, delta):
    """One step of the recursion.

    A is multiplied by log2(e), which exp2 expects.
    """
    x = delta * u.to(tl.float32)
    return tl.exp2(delta[None, :] * A) * h + x[None, :] * B[:, None]


@triton.jit(do_not_specialize=["dim_vec", "steps", "part", "reverse"])
def forward(
    u, x, z, out, A, BC, D, bias, lengths, last, saved, ends, sums,
    out_s, u_s, x_s, z_s, dim_vec, steps, part, reverse,
    NP: tl.constexpr, SOFTPLUS: tl.constexpr, VEC: tl.constexpr,
):  # fmt: skip
    """Runs the recursion; writes out and last, and saved if it is given.

    A program scans ``part`` steps, starting from ``ends`` and ``sums``. Without
    out, it writes these two: the state after scanning from zero, and the sum of
    the step sizes.
    """
    dim = dim_vec * VEC
    b, row, d, length, first, sign = find_program(lengths, steps, dim, reverse)
    n = tl.arange(0, NP)
    inside = d < dim
    tile = n[:, None] * dim + d[None, :]  # [NP, BLOCK] out of [NP, D]
    mask = inside[None, :]
    segment = tl.program_id(2)
    begin = segment * part
    end = tl.minimum(length, begin + part)
    A += tl.program_id(1) * NP * dim
    A = tl.load(A + tile, mask=mask, other=0.0)
    h = tl.zeros([NP, BLOCK], tl.float32)
    shift, skip = load_channels(bias, d, inside), load_channels(D, d, inside)
    u, u_t = first_step(u, u_s, b, d, first, sign)
    x, x_t = first_step(x, x_s, b, d, first, sign)
    BC = first_row(BC, b, n, first, steps, NP)
    row_t = sign * 2 * NP
    z_t = u_t  # any value: without z, it is not used
    if z is not None:
        z, z_t = first_step(z, z_s, b, d, first, sign)
    if saved is not None:
        saved += row * tl.cdiv(steps, CHUNK) * NP * dim
    if out is None:
        total = tl.zeros([BLOCK], tl.float32)
    else:
        out, out_t = first_step(out, out_s, row, d, first, sign)
        if ends is not None:
            rows = tl.num_programs(0) // tl.cdiv(dim, BLOCK)
            rows *= tl.num_programs(1)
            for i in range(0, segment):
                at = row + i * rows
                total = tl.load(sums + at * dim + d, mask=inside, other=0.0)
                added = tl.load(ends + at * NP * dim + tile, mask=mask)
                h = tl.exp2(total[None, :] * A) * h + added
    k = tl.cast(begin, tl.int64)
    us, xs, zs = load_inputs(u, u_t, x, x_t, z, z_t, k, end - begin, inside)
    at = BC + k * row_t
    B, C = tl.load(at), tl.load(at + NP)
    for i in range(begin // UNROLL, tl.cdiv(end, UNROLL)):
        k = tl.cast(i, tl.int64) * UNROLL
        left = end - i * UNROLL
        if saved is not None:
            if k % CHUNK == 0:
                tl.store(saved + k // CHUNK * NP * dim + tile, h, mask=mask)
        # The next inputs, which are needed later
        us1, xs1, zs1 = load_inputs(
            u, u_t, x, x_t, z, z_t, k + UNROLL, left - UNROLL, inside
        )
        ys = ()
        for j in tl.static_range(UNROLL):
            at += row_t
            B1, C1 = tl.load(at), tl.load(at + NP)
            delta, _ = step_size(xs[j], shift, j < left, SOFTPLUS)
            h = advance(h, A, B, us[j], delta)
            if out is None:
                total += delta
            else:
                y = tl.sum(h * C[:, None], axis=0)
                if D is not None:
                    y += skip * us[j].to(tl.float32)
                if z is not None:
                    gate = zs[j].to(tl.float32)
                    y *= gate / (1.0 + tl.exp2(-LOG2E * gate))
                ys = ys + (y,)
            B, C = B1, C1
        if out is not None:
            # After all loads, which cannot be moved before a store
            to = out + k * out_t
            for j in tl.static_range(UNROLL):
                tl.store(to, ys[j], mask=inside & (j < left))
                to += out_t
        us, xs, zs = us1, xs1, zs1
    if out is None:
        rows = tl.num_programs(0) // tl.cdiv(dim, BLOCK) * tl.num_programs(1)
        row += segment * rows
        tl.store(ends + row * NP * dim + tile, h, mask=mask)
        tl.store(sums + row * dim + d, total, mask=inside)
    elif last is not None:
        mask = mask & (begin < length) & (end == length)
        tl.store(last + row * NP * dim + tile, h, mask=mask)
