"""Triton GPU kernel of the gradient of the selective scan.

It processes the chunks, whose initial states the forward pass saved, from last
to first: it runs the recursion through a chunk once, storing the state every
``GROUP`` steps in a small scratch buffer, then processes the groups from last
to first, with all states of a group in registers.

Authors
 * The speechbrain_fftp authors 2026
"""

import triton
import triton.language as tl

from speechbrain_fftp.nnet.selective_scan.triton_kernels import (
    BLOCK,
    CHUNK,
    LOG2E,
    advance,
    find_program,
    first_row,
    first_step,
    load_channels,
    load_steps,
    step_size,
)

GROUP = tl.constexpr(4)  # steps with states in registers


@triton.jit(do_not_specialize=["dim_vec", "steps", "reverse"])
def backward(
    u, x, z, d_out, du, dx, dz, A, BC, D, bias, lengths, saved, scratch,
    dlast, dA, dBC, dBC_b, dD, dbias,
    d_out_s, out_s, u_s, x_s, z_s, dim_vec, steps, reverse,
    NP: tl.constexpr, SOFTPLUS: tl.constexpr, VEC: tl.constexpr,
):  # fmt: skip
    """Runs the recursion again, from the last chunk to the first, and writes
    the gradients. Adds to dBC; each block of channels has its own part of it,
    unless their distance dBC_b is 0."""
    LN2: tl.constexpr = 0.6931471805599453
    dim = dim_vec * VEC
    b, row, d, length, first, sign = find_program(lengths, steps, dim, reverse)
    n = tl.arange(0, NP)
    inside = d < dim
    tile = n[:, None] * dim + d[None, :]  # [NP, BLOCK] out of [NP, D]
    mask = inside[None, :]
    A += tl.program_id(1) * NP * dim + tile
    shift, skip = load_channels(bias, d, inside), load_channels(D, d, inside)
    u, u_t = first_step(u, u_s, b, d, first, sign)
    x, x_t = first_step(x, x_s, b, d, first, sign)
    d_out, d_out_t = first_step(d_out, d_out_s, b, d, first, sign)
    du, out_t = first_step(du, out_s, row, d, first, sign)
    dx, out_t = first_step(dx, out_s, row, d, first, sign)
    BC = first_row(BC, b, n, first, steps, NP)
    blocks = tl.cdiv(dim, BLOCK)
    block = tl.program_id(0) % blocks + tl.program_id(1) * blocks
    dBC = first_row(dBC + block.to(tl.int64) * dBC_b, b, n, first, steps, NP)
    row_t = sign * 2 * NP
    if z is not None:
        z, z_t = first_step(z, z_s, b, d, first, sign)
        dz, out_t = first_step(dz, out_s, row, d, first, sign)
    saved += row * tl.cdiv(steps, CHUNK) * NP * dim
    scratch += row * (CHUNK // GROUP) * NP * dim
    # Gradients of the state [NP, BLOCK] and of the parameters
    G = tl.zeros([NP, BLOCK], tl.float32)
    if dlast is not None:
        G = tl.load(dlast + row * NP * dim + tile, mask=mask, other=0.0)
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
        left = (length - begin).to(tl.int32)
        us = load_steps(u + begin * u_t, u_t, left, inside, GROUP, "")
        xs = load_steps(x + begin * x_t, x_t, left, inside, GROUP, "")
        for g in range(1, groups):
            k = begin + (g - 1) * GROUP
            # The next inputs, which are needed later
            left1, k1 = left - g * GROUP, k + GROUP
            us1 = load_steps(u + k1 * u_t, u_t, left1, inside, GROUP, "")
            xs1 = load_steps(x + k1 * x_t, x_t, left1, inside, GROUP, "")
            at = BC + k * row_t
            for j in tl.static_range(GROUP):
                delta, _ = step_size(xs[j], shift, True, SOFTPLUS)
                h = advance(h, decay, tl.load(at), us[j], delta)
                at += row_t
            tl.store(scratch + g * NP * dim + tile, h, mask=mask)
            us, xs = us1, xs1
        tl.debug_barrier()
        for g in range(0, groups):
            group = groups - 1 - g
            k = begin + group * GROUP
            left = (length - k).to(tl.int32)
            # The states before each step of the group.
            h = tl.load(scratch + group * NP * dim + tile, mask=mask, other=0.0)
            decay = tl.load(A, mask=mask, other=0.0)
            us = load_steps(u + k * u_t, u_t, left, inside, GROUP, "")
            xs = load_steps(x + k * x_t, x_t, left, inside, GROUP, "")
            douts = load_steps(
                d_out + k * d_out_t, d_out_t, left, inside, GROUP, ""
            )
            if z is not None:
                zs = load_steps(z + k * z_t, z_t, left, inside, GROUP, "")
            hs = (h,)
            at = BC + k * row_t
            for j in tl.static_range(GROUP - 1):
                delta, _ = step_size(xs[j], shift, j < left, SOFTPLUS)
                h = advance(h, decay, tl.load(at), us[j], delta)
                hs = hs + (h,)
                at += row_t
            # The steps from last to first. Their inputs are loaded again: the
            # modifier (the default) keeps the compiler from merging the loads
            # and what follows from them, for which there are no registers.
            decay = tl.load(A, mask=mask, other=0.0, cache_modifier=".ca")
            us = load_steps(u + k * u_t, u_t, left, inside, GROUP, ".ca")
            xs = load_steps(x + k * x_t, x_t, left, inside, GROUP, ".ca")
            for j in tl.static_range(GROUP - 1, -1, -1):
                keep = inside & (j < left)
                at = k * row_t + j * row_t
                B = tl.load(BC + at)[:, None]
                C = tl.load(BC + at + NP)[:, None]
                u_j = us[j].to(tl.float32)
                delta, x_j = step_size(xs[j], shift, j < left, SOFTPLUS)
                added = (delta * u_j)[None, :]
                a = tl.exp2(delta[None, :] * decay)
                kept = a * hs[j]  # the decayed previous state
                h = kept + added * B
                dy = douts[j].to(tl.float32)
                if z is not None:
                    gate = zs[j].to(tl.float32)
                    sigmoid = 1.0 / (1.0 + tl.exp2(-LOG2E * gate))
                    y = tl.sum(h * C, axis=0)
                    if D is not None:
                        y += skip * u_j
                    dgate = dy * y * sigmoid * (1.0 + gate * (1.0 - sigmoid))
                    tl.store(dz + (k + j) * out_t, dgate, mask=keep)
                    dy *= gate * sigmoid
                G += dy[None, :] * C
                dB = tl.sum(G * added, axis=1)
                dC = tl.sum(h * dy[None, :], axis=1)
                tl.atomic_add(dBC + at, dB, mask=j < left, sem="relaxed")
                tl.atomic_add(dBC + at + NP, dC, mask=j < left, sem="relaxed")
                dadded = tl.sum(G * B, axis=0)
                dlog = kept * G
                ddelta = u_j * dadded + LN2 * tl.sum(dlog * decay, axis=0)
                if SOFTPLUS:
                    ddelta = ddelta / (1.0 + tl.exp2(-LOG2E * x_j))
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
    tl.store(dA + row * NP * dim + tile, A_sum, mask=mask)
    if D is not None:
        tl.store(dD + row * dim + d, D_sum, mask=inside)
    if bias is not None:
        tl.store(dbias + row * dim + d, bias_sum, mask=inside)
