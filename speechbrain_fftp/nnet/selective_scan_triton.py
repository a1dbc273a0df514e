"""Mamba's selective scan as Triton GPU kernels, forward and backward.

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

import math

import torch
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
def _forward(
    u, x, z, out, A, BC, D, bias, initial, lengths, last, saved,
    out_s, u_s, x_s, z_s, dim_vec, steps, NP: tl.constexpr,
    SOFTPLUS: tl.constexpr, REVERSE: tl.constexpr, VEC: tl.constexpr,
):  # fmt: skip
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
def _backward(
    u, x, z, dout, du, dx, dz, A, BC, D, bias, lengths, saved, scratch,
    dlast, dA, dBC, dD, dbias, dinitial,
    dout_s, out_s, u_s, x_s, z_s, dim_vec, steps, NP: tl.constexpr,
    SOFTPLUS: tl.constexpr, REVERSE: tl.constexpr, VEC: tl.constexpr,
):  # fmt: skip
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
    dout, dout_t = _at(dout, dout_s, b, d, length, REVERSE)
    du, out_t = _at(du, out_s, b, d, length, REVERSE)
    dx, out_t = _at(dx, out_s, b, d, length, REVERSE)
    BC = _at_row(BC, b, n, length, steps, NP, REVERSE)
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
            douts = _rows(dout + k * dout_t, dout_t, left, inside, GROUP, "")
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


def _like(tensor, lengths, dtype=None):
    # A new [B, D, L] whose channels are adjacent where the given one's are,
    # zero where the kernels do not write since an item is shorter.
    new = torch.empty if lengths is None else torch.zeros
    batch, dim, steps = tensor.shape
    options = {"dtype": dtype or tensor.dtype, "device": tensor.device}
    if tensor.stride(1) <= tensor.stride(2):
        return new(batch, steps, dim, **options).transpose(1, 2)
    return new(batch, dim, steps, **options)


def _to_kernel(tensor, size):
    # [..., D, N] of any type -> [..., NP, D] float32, padded with zeros.
    tensor = tensor.transpose(-1, -2).float()
    missing = size - tensor.shape[-2]
    return torch.nn.functional.pad(tensor, (0, 0, 0, missing)).contiguous()


def _pack(rows, steps):
    # The B and C [B, L, 2, NP] inside of the buffer of them. Kernels also read
    # up to UNROLL rows before and after those of an item: zeros.
    return rows[UNROLL.value :].unflatten(0, (-1, steps + UNROLL.value))[
        :, :steps
    ]


def _launch(kernel, vec, maxnreg, inputs, options, *args):
    # Of a state [NP, BLOCK], a thread holds vec adjacent channels: Triton takes
    # the layout in registers from the widest access to memory that is aligned
    # for any dim_vec. With 1, a thread has all states of one channel and sums
    # over states without exchange; with 4, 4 states of 4 channels, which keeps
    # the exchange short where the backward sums over channels as well.
    u, delta, z = inputs
    batch, dim, steps = u.shape
    strides = [u.stride() if t is None else t.stride() for t in inputs]
    grid = (batch * triton.cdiv(dim, BLOCK.value),)
    with torch.cuda.device_of(u):
        kernel[grid](
            u, delta, z, *args, *strides, dim // vec, steps, *options, vec,
            num_warps=1, maxnreg=maxnreg,
        )  # fmt: skip


class _SelectiveScan(torch.autograd.Function):
    """Connects the kernels to autograd. Arguments as of ``triton_scan``, then
    whether a gradient will be needed."""

    @staticmethod
    def forward(ctx, *args):
        u, delta, A, B, C, D, z, bias, initial, lengths = args[:10]
        softplus, reverse, save = args[10:]
        batch, dim, steps = u.shape
        size = triton.next_power_of_2(A.shape[1])
        rows = UNROLL.value + batch * (steps + UNROLL.value)
        BC = u.new_zeros(rows, 2, size, dtype=torch.float32)
        view = _pack(BC, steps)[..., : A.shape[1]]
        view[:, :, 0] = B.transpose(1, 2)
        view[:, :, 1] = C.transpose(1, 2)
        scaled = _to_kernel(A, size) * math.log2(math.e)
        if initial is not None:
            initial = _to_kernel(initial, size)
        if lengths is not None:
            after = torch.arange(steps, device=u.device) >= lengths[:, None]
            view.masked_fill_(after[:, :, None, None], 0.0)
        out = _like(u, lengths)
        last = u.new_empty(batch, size, dim, dtype=torch.float32)
        saved = None
        if save:
            chunks = triton.cdiv(steps, CHUNK.value)
            saved = last.new_empty(batch, chunks, size, dim)
        _launch(
            _forward, 1, 168, (u, delta, z), (size, softplus, reverse), out,
            scaled, BC, D, bias, initial, lengths, last, saved, out.stride(),
        )  # fmt: skip
        if save:
            ctx.save_for_backward(*args[:10], BC, scaled, saved)
            ctx.options = softplus, reverse
            ctx.set_materialize_grads(False)
        return out, last[:, : A.shape[1]].transpose(1, 2)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, dout, dlast):
        *inputs, BC, scaled, saved = ctx.saved_tensors
        u, delta, A, B, C, D, z, bias, initial, lengths = inputs
        batch, dim, steps = u.shape
        states, size = A.shape[1], BC.shape[2]
        if dout is None:
            dout = u.new_zeros(()).expand_as(u)
        if dlast is not None:
            dlast = _to_kernel(dlast, size)
        du, ddelta = _like(u, lengths), _like(u, lengths, delta.dtype)
        dz = None if z is None else _like(u, lengths, z.dtype)
        dA = saved.new_empty(batch, size, dim)
        dD = None if D is None else saved.new_empty(batch, dim)
        dbias = None if bias is None else saved.new_empty(batch, dim)
        dinitial = None if initial is None else torch.empty_like(dA)
        dBC = torch.zeros_like(BC)
        groups = CHUNK.value // GROUP.value
        scratch = saved.new_empty(batch, groups, size, dim)
        _launch(
            _backward, math.gcd(dim, 4), None, (u, delta, z),
            (size, *ctx.options), dout, du, ddelta, dz, scaled, BC, D, bias,
            lengths, saved, scratch, dlast, dA, dBC, dD, dbias, dinitial,
            dout.stride(), du.stride(),
        )  # fmt: skip
        # [B, L, 2, N] -> [2, B, N, L]
        dB, dC = _pack(dBC, steps)[..., :states].permute(2, 0, 3, 1)
        dA = dA.sum(0)[:states].T.to(A.dtype)
        if D is not None:
            dD = dD.sum(0).to(D.dtype)
        if bias is not None:
            dbias = dbias.sum(0).to(bias.dtype)
        if initial is not None:
            dinitial = dinitial[:, :states].transpose(1, 2).to(initial.dtype)
        dB, dC = dB.to(B.dtype), dC.to(C.dtype)
        return du, ddelta, dA, dB, dC, dD, dz, dbias, dinitial, *[None] * 4


def triton_scan(
    u, delta, A, B, C, D=None, z=None, delta_bias=None, initial_state=None,
    lengths=None, delta_softplus=False, reverse=False,
):  # fmt: skip
    """Selective scan on the GPU.

    ``h_t = exp(delta_t A) h_{t-1} + delta_t B_t u_t`` and
    ``y_t = C_t h_t + D u_t``, times ``silu(z_t)``. Computes in float32 whatever
    the types of the inputs. Differentiable once, in every tensor but
    ``lengths``. The gradients of B and C are summed in no fixed order, so that
    their last bits differ from run to run.

    Arguments
    ---------
    u : torch.Tensor
        Input ``[B, D, L]``, like all others of any strides; transposed from
        ``[B, L, D]`` is the fastest.
    delta : torch.Tensor
        Step sizes ``[B, D, L]``.
    A : torch.Tensor
        State matrix ``[D, N]``, real.
    B : torch.Tensor
        Input projection ``[B, N, L]``.
    C : torch.Tensor
        Output projection ``[B, N, L]``.
    D : torch.Tensor
        Weight ``[D]`` of the input in the output, or None.
    z : torch.Tensor
        Gate ``[B, D, L]``, or None.
    delta_bias : torch.Tensor
        Added to the step sizes, ``[D]``, or None.
    initial_state : torch.Tensor
        State ``[B, D, N]`` before the first step, or None for zeros.
    lengths : torch.Tensor
        Number of steps ``[B]`` of each item, at least 1, or None for L. Later
        positions are ignored, whatever they hold, and give 0.
    delta_softplus : bool
        Whether step sizes pass through a softplus, after the bias.
    reverse : bool
        Whether to run from the last step to the first.

    Returns
    -------
    out : torch.Tensor
        Output ``[B, D, L]`` of the type of ``u``.
    last_state : torch.Tensor
        State ``[B, D, N]`` after the last step taken, float32.

    Example
    -------
    >>> u, delta = torch.rand(2, 1, 8, 5)  # doctest: +SKIP
    >>> B, C = torch.rand(2, 1, 4, 5)  # doctest: +SKIP
    >>> A = -torch.rand(8, 4)  # doctest: +SKIP
    >>> triton_scan(u, delta, A, B, C)[0].shape  # doctest: +SKIP
    torch.Size([1, 8, 5])
    """
    D, delta_bias, lengths = (
        None if tensor is None else tensor.contiguous()
        for tensor in (D, delta_bias, lengths)
    )
    tensors = (u, delta, A, B, C, D, z, delta_bias, initial_state)
    save = torch.is_grad_enabled() and any(
        tensor is not None and tensor.requires_grad for tensor in tensors
    )
    return _SelectiveScan.apply(
        *tensors, lengths, delta_softplus, reverse, save
    )
