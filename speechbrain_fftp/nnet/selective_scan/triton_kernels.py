"""Triton GPU kernels of the selective scan, forward and backward.

Each program (one warp) owns 32 channels of one item, holds their state in
registers and walks along time, so that no array of ``B * D * L * N`` values is
ever written. For the backward, the forward saves the state every ``CHUNK``
steps. The backward takes these chunks from last to first: it runs the recursion
through a chunk once, noting the state every ``GROUP`` steps in a small scratch
buffer, then takes the groups from last to first, with all the states of a group
in registers.

With ``TRITON_INTERPRET=1`` in the environment before Triton is imported, the
kernels run on the CPU, slowly, for tests.

Authors
 * The speechbrain_fftp authors 2026
"""

import triton
import triton.language as tl

BLOCK = tl.constexpr(32)  # channels per program, one per thread
CHUNK = tl.constexpr(32)  # steps between the states that the forward saves
UNROLL = tl.constexpr(8)  # steps of the forward whose inputs load together
GROUP = tl.constexpr(4)  # steps of the backward with states in registers


@triton.jit
def _at(ptr, strides, b, d, length, REVERSE: tl.constexpr):
    # Pointers to the first step of the recursion, and the stride to the next.
    ptr += b * strides[0] + d.to(tl.int64) * strides[1]
    stride = strides[2]
    if REVERSE:
        ptr += (length - 1).to(tl.int64) * stride
        stride = -stride
    return ptr, stride


@triton.jit
def _at_row(ptr, b, n, length, steps, NP: tl.constexpr, REVERSE: tl.constexpr):
    # The same in the rows (B, C) of all steps, made by _pack.
    row = UNROLL + b * (steps + UNROLL)
    if REVERSE:
        row += length - 1
    return ptr + row * (2 * NP) + n


@triton.jit
def _rows(ptr, stride, left, mask, COUNT: tl.constexpr, CACHE: tl.constexpr):
    # COUNT steps of a sequence.
    rows = ()
    for j in tl.static_range(COUNT):
        keep = mask & (j < left)
        row = tl.load(
            ptr + j * stride, mask=keep, other=0.0, cache_modifier=CACHE
        )
        rows = rows + (row,)
    return rows


@triton.jit
def _step_size(x, bias, live, SOFTPLUS: tl.constexpr):
    # delta [BLOCK], 0 at steps that do not count, and its value before softplus
    x = x.to(tl.float32) + bias
    delta = x
    if SOFTPLUS:
        # log(1 + e) = 2 artanh(e / (2 + e)), accurate for the smallest e too
        e = tl.exp(-tl.abs(x))
        s = e / (2.0 + e)
        q = s * s
        series = 1 / 7 + q * (1 / 9 + q * (1 / 11 + q * (1 / 13)))
        series = 1.0 + q * (1 / 3 + q * (1 / 5 + q * series))
        delta = tl.maximum(x, 0.0) + 2.0 * s * series
    return tl.where(live, delta, 0.0), x


@triton.jit
def _advance(h, A, B, u, delta):
    # One step of the recursion. A is multiplied by log2(e), which exp2 expects.
    x = delta * u.to(tl.float32)
    return tl.exp2(delta[None, :] * A) * h + x[None, :] * B[:, None]


@triton.jit(do_not_specialize=["dim_vec", "steps"])
def forward(
    u, x, z, out, A, BC, D, bias, initial, lengths, last, saved,
    out_s, u_s, x_s, z_s, dim_vec, steps, NP: tl.constexpr,
    SOFTPLUS: tl.constexpr, REVERSE: tl.constexpr, VEC: tl.constexpr,
):  # fmt: skip
    """Runs the recursion; writes out and last, and saved if it is given."""
    dim = dim_vec * VEC
    blocks = tl.cdiv(dim, BLOCK)
    b = (tl.program_id(0) // blocks).to(tl.int64)
    d = tl.program_id(0) % blocks * BLOCK + tl.arange(0, BLOCK)
    n = tl.arange(0, NP)
    inside = d < dim
    tile = n[:, None] * dim + d[None, :]  # [NP, BLOCK] out of [NP, D]
    mask = inside[None, :]
    length = steps
    if lengths is not None:
        length = tl.load(lengths + b).to(tl.int32)
    A = tl.load(A + tile, mask=mask, other=0.0)
    h = tl.zeros([NP, BLOCK], tl.float32)
    if initial is not None:
        h = tl.load(initial + b * NP * dim + tile, mask=mask, other=0.0)
    shift = tl.zeros([BLOCK], tl.float32)
    if bias is not None:
        shift = tl.load(bias + d, mask=inside, other=0.0).to(tl.float32)
    if D is not None:
        skip = tl.load(D + d, mask=inside, other=0.0).to(tl.float32)
    u, u_t = _at(u, u_s, b, d, length, REVERSE)
    x, x_t = _at(x, x_s, b, d, length, REVERSE)
    out, out_t = _at(out, out_s, b, d, length, REVERSE)
    BC = _at_row(BC, b, n, length, steps, NP, REVERSE)
    row_t: tl.constexpr = -2 * NP if REVERSE else 2 * NP
    if z is not None:
        z, z_t = _at(z, z_s, b, d, length, REVERSE)
    if saved is not None:
        saved += b * tl.cdiv(steps, CHUNK) * NP * dim
    for i in range(0, tl.cdiv(length, UNROLL)):
        k = tl.cast(i, tl.int64) * UNROLL
        left = length - i * UNROLL
        if saved is not None:
            if k % CHUNK == 0:
                tl.store(saved + k // CHUNK * NP * dim + tile, h, mask=mask)
        us = _rows(u + k * u_t, u_t, left, inside, UNROLL, "")
        xs = _rows(x + k * x_t, x_t, left, inside, UNROLL, "")
        if z is not None:
            zs = _rows(z + k * z_t, z_t, left, inside, UNROLL, "")
        for j in tl.static_range(UNROLL):
            row = BC + k * row_t + j * row_t
            delta, _ = _step_size(xs[j], shift, j < left, SOFTPLUS)
            h = _advance(h, A, tl.load(row), us[j], delta)
            y = tl.sum(h * tl.load(row + NP)[:, None], axis=0)
            if D is not None:
                y += skip * us[j].to(tl.float32)
            if z is not None:
                gate = zs[j].to(tl.float32)
                y *= gate / (1.0 + tl.exp(-gate))
            tl.store(out + (k + j) * out_t, y, mask=inside & (j < left))
    tl.store(last + b * NP * dim + tile, h, mask=mask)


@triton.jit(do_not_specialize=["dim_vec", "steps"])
def backward(
    u, x, z, d_out, du, dx, dz, A, BC, D, bias, lengths, saved, scratch,
    dlast, dA, dBC, dBC_b, dD, dbias, dinitial,
    d_out_s, out_s, u_s, x_s, z_s, dim_vec, steps, NP: tl.constexpr,
    SOFTPLUS: tl.constexpr, REVERSE: tl.constexpr, VEC: tl.constexpr,
):  # fmt: skip
    """Runs the recursion again, from the last chunk to the first, and writes
    the gradients; adds to dBC, or to a part of it for each block of channels if
    these are dBC_b apart."""
    LN2: tl.constexpr = 0.6931471805599453
    dim = dim_vec * VEC
    blocks = tl.cdiv(dim, BLOCK)
    b = (tl.program_id(0) // blocks).to(tl.int64)
    d = tl.program_id(0) % blocks * BLOCK + tl.arange(0, BLOCK)
    n = tl.arange(0, NP)
    inside = d < dim
    tile = n[:, None] * dim + d[None, :]  # [NP, BLOCK] out of [NP, D]
    mask = inside[None, :]
    length = steps
    if lengths is not None:
        length = tl.load(lengths + b).to(tl.int32)
    A += tile
    shift = tl.zeros([BLOCK], tl.float32)
    if bias is not None:
        shift = tl.load(bias + d, mask=inside, other=0.0).to(tl.float32)
    if D is not None:
        skip = tl.load(D + d, mask=inside, other=0.0).to(tl.float32)
    u, u_t = _at(u, u_s, b, d, length, REVERSE)
    x, x_t = _at(x, x_s, b, d, length, REVERSE)
    d_out, d_out_t = _at(d_out, d_out_s, b, d, length, REVERSE)
    du, out_t = _at(du, out_s, b, d, length, REVERSE)
    dx, out_t = _at(dx, out_s, b, d, length, REVERSE)
    BC = _at_row(BC, b, n, length, steps, NP, REVERSE)
    dBC += (tl.program_id(0) % blocks).to(tl.int64) * dBC_b
    dBC = _at_row(dBC, b, n, length, steps, NP, REVERSE)
    row_t: tl.constexpr = -2 * NP if REVERSE else 2 * NP
    if z is not None:
        z, z_t = _at(z, z_s, b, d, length, REVERSE)
        dz, out_t = _at(dz, out_s, b, d, length, REVERSE)
    saved += b * tl.cdiv(steps, CHUNK) * NP * dim
    scratch += b * (CHUNK // GROUP) * NP * dim
    # Gradients of the state [NP, BLOCK] and of what all steps share.
    G = tl.zeros([NP, BLOCK], tl.float32)
    if dlast is not None:
        G = tl.load(dlast + b * NP * dim + tile, mask=mask, other=0.0)
    A_sum = tl.zeros([NP, BLOCK], tl.float32)
    D_sum = tl.zeros([BLOCK], tl.float32)
    bias_sum = tl.zeros([BLOCK], tl.float32)
    chunks = tl.cdiv(length, CHUNK)
    for i in range(0, chunks):
        chunk = tl.cast(chunks - 1 - i, tl.int64)
        begin = chunk * CHUNK
        groups = tl.cdiv(tl.minimum(length - begin, CHUNK), GROUP).to(tl.int32)
        # The state before each group of the chunk, into the scratch buffer.
        h = tl.load(saved + chunk * NP * dim + tile, mask=mask, other=0.0)
        tl.store(scratch + tile, h, mask=mask)
        decay = tl.load(A, mask=mask, other=0.0)
        for g in range(1, groups):
            k = begin + (g - 1) * GROUP
            us = _rows(u + k * u_t, u_t, GROUP, inside, GROUP, "")
            xs = _rows(x + k * x_t, x_t, GROUP, inside, GROUP, "")
            for j in tl.static_range(GROUP):
                delta, _ = _step_size(xs[j], shift, True, SOFTPLUS)
                B = tl.load(BC + k * row_t + j * row_t)
                h = _advance(h, decay, B, us[j], delta)
            tl.store(scratch + g * NP * dim + tile, h, mask=mask)
        tl.debug_barrier()
        for g in range(0, groups):
            group = groups - 1 - g
            k = begin + group * GROUP
            left = (length - k).to(tl.int32)
            # The states before each step of the group.
            h = tl.load(scratch + group * NP * dim + tile, mask=mask, other=0.0)
            decay = tl.load(A, mask=mask, other=0.0)
            us = _rows(u + k * u_t, u_t, left, inside, GROUP, "")
            xs = _rows(x + k * x_t, x_t, left, inside, GROUP, "")
            hs = (h,)
            for j in tl.static_range(GROUP - 1):
                row = BC + k * row_t + j * row_t
                delta, _ = _step_size(xs[j], shift, j < left, SOFTPLUS)
                h = _advance(h, decay, tl.load(row), us[j], delta)
                hs = hs + (h,)
            # The steps from last to first. Their inputs are loaded again: the
            # modifier (the default) keeps the compiler from merging the loads
            # and what follows from them, for which there are no registers.
            decay = tl.load(A, mask=mask, other=0.0, cache_modifier=".ca")
            us = _rows(u + k * u_t, u_t, left, inside, GROUP, ".ca")
            xs = _rows(x + k * x_t, x_t, left, inside, GROUP, ".ca")
            douts = _rows(d_out + k * d_out_t, d_out_t, left, inside, GROUP, "")
            if z is not None:
                zs = _rows(z + k * z_t, z_t, left, inside, GROUP, "")
            for j in tl.static_range(GROUP - 1, -1, -1):
                keep = inside & (j < left)
                row = k * row_t + j * row_t
                B = tl.load(BC + row)[:, None]
                C = tl.load(BC + row + NP)[:, None]
                u_j = us[j].to(tl.float32)
                delta, x_j = _step_size(xs[j], shift, j < left, SOFTPLUS)
                added = (delta * u_j)[None, :]
                a = tl.exp2(delta[None, :] * decay)
                kept = a * hs[j]  # what the state before leaves in this one
                h = kept + added * B
                dy = douts[j].to(tl.float32)
                if z is not None:
                    gate = zs[j].to(tl.float32)
                    sigmoid = 1.0 / (1.0 + tl.exp(-gate))
                    y = tl.sum(h * C, axis=0)
                    if D is not None:
                        y += skip * u_j
                    dgate = dy * y * sigmoid * (1.0 + gate * (1.0 - sigmoid))
                    tl.store(dz + (k + j) * out_t, dgate, mask=keep)
                    dy *= gate * sigmoid
                G += dy[None, :] * C
                dB = tl.sum(G * added, axis=1)
                dC = tl.sum(h * dy[None, :], axis=1)
                tl.atomic_add(dBC + row, dB, mask=j < left, sem="relaxed")
                tl.atomic_add(dBC + row + NP, dC, mask=j < left, sem="relaxed")
                dadded = tl.sum(G * B, axis=0)
                dlog = kept * G
                ddelta = u_j * dadded + LN2 * tl.sum(dlog * decay, axis=0)
                if SOFTPLUS:
                    ddelta = ddelta / (1.0 + tl.exp(-x_j))
                tl.store(dx + (k + j) * out_t, ddelta, mask=keep)
                du_j = delta * dadded
                if D is not None:
                    du_j += dy * skip
                    D_sum += dy * u_j
                tl.store(du + (k + j) * out_t, du_j, mask=keep)
                if bias is not None:
                    bias_sum += tl.where(keep, ddelta, 0.0)
                A_sum += delta[None, :] * dlog
                G *= a
        tl.debug_barrier()
    tl.store(dA + b * NP * dim + tile, A_sum, mask=mask)
    if D is not None:
        tl.store(dD + b * dim + d, D_sum, mask=inside)
    if bias is not None:
        tl.store(dbias + b * dim + d, bias_sum, mask=inside)
    if dinitial is not None:
        tl.store(dinitial + b * NP * dim + tile, G, mask=mask)
