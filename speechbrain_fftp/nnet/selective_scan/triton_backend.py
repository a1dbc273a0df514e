"""Mamba's selective scan on a GPU: launches the Triton kernels under autograd.

Authors
 * The speechbrain_fftp authors 2026
"""

import math

import torch
import triton

from speechbrain_fftp.nnet.selective_scan.triton_gradient import GROUP, backward
from speechbrain_fftp.nnet.selective_scan.triton_kernels import (
    BLOCK,
    CHUNK,
    UNROLL,
    forward,
)

CONTIGUOUS = torch.contiguous_format
# First arguments of both operators
INPUTS = (
    "Tensor u, Tensor delta, Tensor A, Tensor B, Tensor C, Tensor? D, "
    "Tensor? z, Tensor? bias, Tensor? lengths"
)
# Number of programs, of one warp each, that keep a multiprocessor busy: with
# fewer, the forward pass scans segments of the sequence in parallel. That is
# about twice the work, so it needs at least three segments.
PROGRAMS = 8
MIN_SEGMENTS = 3
# Registers per thread, the best on an H100: fewer let more programs run at
# once, but spill
FORWARD_REGISTERS = 168
BACKWARD_REGISTERS = 224


def _like(tensor, lengths, dtype=None, directions=1):
    # A new tensor [B, D, L] with the layout of the given one; zeros if kernels
    # skip padding. For both directions, [2 * B, D, L].
    new = torch.empty if lengths is None else torch.zeros
    batch, dim, steps = tensor.shape
    batch *= directions
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
    # View [B, L, 2, NP] of B and C in their buffer. Kernels also read up to
    # UNROLL rows before and after an item, which are zero.
    return rows[UNROLL.value :].unflatten(0, (-1, steps + UNROLL.value))[
        :, :steps
    ]


def _add(tensor, directions):
    # Sum over both directions
    if tensor is None or directions == 1:
        return tensor
    forward, backward = tensor.chunk(2)
    return forward + backward


def _segment(u, directions):
    # Number of steps per program of the forward kernel
    batch, dim, steps = u.shape
    processors = 1  # of the interpreter
    if u.is_cuda:
        properties = torch.cuda.get_device_properties(u.device)
        processors = properties.multi_processor_count
    programs = batch * directions * triton.cdiv(dim, BLOCK.value)
    chunks = triton.cdiv(steps, CHUNK.value)
    segments = max(PROGRAMS * processors // programs, 1)
    part = triton.cdiv(chunks, segments)
    if triton.cdiv(chunks, part) < MIN_SEGMENTS:
        part = chunks
    return part * CHUNK.value


def launch(kernel, grid, u, delta, z, vec, maxnreg, **arguments):
    """Launches a kernel for all channels of a batch.

    Arguments
    ---------
    kernel : triton.JITFunction
        The kernel.
    grid : tuple of int
        Number of programs along further dimensions.
    u, delta, z : torch.Tensor
        Inputs of the scan, ``[B, D, L]``.
    vec : int
        Number of adjacent channels that a thread holds.
    maxnreg : int
        Maximum number of registers per thread.
    **arguments : dict
        Further arguments of the kernel.
    """
    # Of a state [NP, BLOCK], a thread holds vec adjacent channels: Triton takes
    # the layout in registers from the widest access to memory that is aligned
    # for any dim_vec. With 1, a thread has all states of one channel and sums
    # over states without exchange; with 4, 4 states of 4 channels, which keeps
    # the exchange short where the backward sums over channels as well.
    batch, dim, steps = u.shape
    programs = batch * triton.cdiv(dim, BLOCK.value)
    with torch.cuda.device_of(u):
        kernel[(programs, *grid)](
            u=u,
            x=delta,
            z=z,
            u_s=u.stride(),
            x_s=delta.stride(),
            z_s=u.stride() if z is None else z.stride(),
            dim_vec=dim // vec,
            steps=steps,
            VEC=vec,
            num_warps=1,
            maxnreg=maxnreg,
            **arguments,
        )


@torch.library.custom_op(
    "selective_scan::forward",
    mutates_args=(),
    schema=f"({INPUTS}, bool softplus, bool reverse, bool save) -> "
    "(Tensor, Tensor, Tensor, Tensor, Tensor)",
)
def scan_forward(
    u, delta, A, B, C, D, z, bias, lengths, softplus, reverse, save
):
    """Output, last state ``[B, NP, D]``, and tensors for the gradient.

    These are B and C and A in the kernels' layout and, with ``save``, the state
    before each chunk ``[B, chunks, NP, D]``. With A ``[2, D, N]``, there are
    2 B states, the forward direction's first.
    """
    steps, states, directions = u.shape[2], A.shape[-1], A.dim() - 1
    last, BC, scaled, saved = _empty_results(u, A, save)
    out = _like(u, lengths, directions=directions)
    size = BC.shape[2]
    BC.zero_()
    view = _pack(BC, steps)[..., :states]
    view[:, :, 0] = B.transpose(1, 2)
    view[:, :, 1] = C.transpose(1, 2)
    scaled.copy_(_to_kernel(A, size)).mul_(math.log2(math.e))
    if lengths is not None:
        after = torch.arange(steps, device=u.device) >= lengths[:, None]
        view.masked_fill_(after[:, :, None, None], 0.0)
    part = _segment(u, directions)
    segments = triton.cdiv(steps, part)
    ends = sums = None
    arguments = {
        "vec": 1,
        "maxnreg": FORWARD_REGISTERS,
        "u": u,
        "delta": delta,
        "A": scaled,
        "BC": BC,
        "bias": bias,
        "lengths": lengths,
        "out_s": out.stride(),
        "part": part,
        "reverse": int(reverse),
        "NP": size,
        "SOFTPLUS": softplus,
    }
    if segments > 1:
        ends = last.new_empty(segments - 1, *last.shape)
        sums = last.new_empty(segments - 1, len(last), last.shape[2])
        launch(
            forward,
            grid=(directions, segments - 1),
            z=None,
            out=None,
            D=None,
            last=None,
            saved=None,
            ends=ends,
            sums=sums,
            **arguments,
        )
    launch(
        forward,
        grid=(directions, segments),
        z=z,
        out=out,
        D=D,
        last=last,
        saved=saved if save else None,
        ends=ends,
        sums=sums,
        **arguments,
    )
    return _add(out, directions), last, BC, scaled, saved


def _empty_results(u, A, save):
    # Empty tensors like those that scan_forward returns after the output
    batch, dim, steps = u.shape
    *_, states = A.shape
    size = triton.next_power_of_2(states)
    options = {"dtype": torch.float32, "device": u.device}
    rows = UNROLL.value + batch * (steps + UNROLL.value)
    chunks = triton.cdiv(steps, CHUNK.value) if save else 0
    batch *= A.dim() - 1
    return (
        torch.empty(batch, size, dim, **options),
        torch.empty(rows, 2, size, **options),
        torch.empty(*A.shape[:-2], size, dim, **options),
        torch.empty(batch, chunks, size, dim, **options),
    )


@scan_forward.register_fake
def _(u, delta, A, B, C, D, z, bias, lengths, softplus, reverse, save):
    return _like(u, lengths), *_empty_results(u, A, save)


def _save(ctx, inputs, output):
    # Saves tensors for the gradient; see scan_forward
    *tensors, softplus, reverse, _ = inputs
    ctx.save_for_backward(*tensors, *output[2:])
    ctx.options = softplus, reverse
    ctx.set_materialize_grads(False)


def _differentiate(ctx, d_out, dlast, *_):
    # Gradients of all inputs from the gradients of output and last state
    *inputs, BC, scaled, saved = ctx.saved_tensors
    if d_out is None:
        d_out = inputs[0].new_zeros(()).expand_as(inputs[0])
    if dlast is not None:
        dlast = dlast.contiguous()
    grads = scan_backward(
        *inputs, BC, scaled, saved, d_out, dlast, *ctx.options
    )
    grads = (None if x is None else grad for x, grad in zip(inputs[:-1], grads))
    return *grads, None, None, None, None


scan_forward.register_autograd(_differentiate, setup_context=_save)


@torch.library.custom_op(
    "selective_scan::backward",
    mutates_args=(),
    schema=f"({INPUTS}, Tensor BC, Tensor scaled, Tensor saved, Tensor d_out, "
    "Tensor? dlast, bool softplus, bool reverse) -> Tensor[]",
)
def scan_backward(
    u, delta, A, B, C, D, z, bias, lengths, BC, scaled, saved, d_out, dlast,
    softplus, reverse,
):  # fmt: skip
    """Gradients of all inputs but the lengths; empty for those not given."""
    batch, dim, steps = u.shape
    states, size, directions = A.shape[-1], BC.shape[2], A.dim() - 1
    du, ddelta, dz = (
        None if x is None else _like(u, lengths, x.dtype, directions)
        for x in (u, delta, z)
    )
    items = batch * directions
    dA = saved.new_empty(items, size, dim)
    dD = None if D is None else saved.new_empty(items, dim)
    dbias = None if bias is None else saved.new_empty(items, dim)
    # Atomic sums in any order, or else one sum per block of channels
    in_order = torch.are_deterministic_algorithms_enabled()
    parts = directions * triton.cdiv(dim, BLOCK.value) if in_order else 1
    dBC = BC.new_zeros(parts, *BC.shape)
    groups = CHUNK.value // GROUP.value
    scratch = saved.new_empty(items, groups, size, dim)
    launch(
        backward,
        grid=(directions,),
        u=u,
        delta=delta,
        z=z,
        vec=math.gcd(dim, 4),
        maxnreg=BACKWARD_REGISTERS,
        d_out=d_out,
        du=du,
        dx=ddelta,
        dz=dz,
        A=scaled,
        BC=BC,
        D=D,
        bias=bias,
        lengths=lengths,
        saved=saved,
        scratch=scratch,
        dlast=dlast,
        dA=dA,
        dBC=dBC,
        dBC_b=BC.numel() if in_order else 0,
        dD=dD,
        dbias=dbias,
        d_out_s=d_out.stride(),
        out_s=du.stride(),
        reverse=int(reverse),
        NP=size,
        SOFTPLUS=softplus,
    )
    # [B, L, 2, N] -> twice [B, N, L]
    dB, dC = _pack(dBC.sum(0), steps)[..., :states].unbind(2)
    dB, dC = (  # copies: outputs must not share memory
        rows.to(x.dtype, copy=True, memory_format=CONTIGUOUS).transpose(1, 2)
        for rows, x in ((dB, B), (dC, C))
    )
    dA = dA.unflatten(0, (-1, batch)).sum(1)[:, :states].mT.to(A.dtype)
    dA = dA.reshape(A.shape)
    if D is not None:
        dD = dD.sum(0).to(D.dtype)
    if bias is not None:
        dbias = dbias.sum(0).to(bias.dtype)
    du, ddelta, dz = (_add(x, directions) for x in (du, ddelta, dz))
    grads = du, ddelta, dA, dB, dC, dD, dz, dbias
    return [u.new_empty(0) if grad is None else grad for grad in grads]


@scan_backward.register_fake
def _(u, delta, A, B, C, D, z, bias, lengths, *_):
    steps = [
        u.new_empty(0) if x is None else _like(u, lengths, x.dtype)
        for x in (u, delta, z)
    ]
    shape = B.shape[0], B.shape[2], B.shape[1]
    rows = [x.new_empty(shape).transpose(1, 2) for x in (B, C)]
    rest = [
        u.new_empty(0) if x is None else x.new_empty(x.shape)
        for x in (A, D, bias)
    ]
    (du, ddelta, dz), (dA, dD, dbias) = steps, rest
    return [du, ddelta, dA, *rows, dD, dz, dbias]


def triton_scan(
    u,
    delta,
    A,
    B,
    C,
    D=None,
    z=None,
    delta_bias=None,
    delta_softplus=False,
    lengths=None,
    reverse=False,
):
    """Scans a sequence on a GPU.

    Computed in float32, and differentiable once, by autograd but not by
    ``torch.func``. The gradients of B and C are summed in no fixed order, so
    their last bits may differ from run to run, unless
    ``torch.use_deterministic_algorithms`` is set.

    Arguments
    ---------
    u, delta, A, B, C, D, z, delta_bias : torch.Tensor
        See ``selective_scan``.
    delta_softplus : bool
        See ``selective_scan``.
    lengths : torch.Tensor, optional
        See ``selective_scan``.
    reverse : bool
        See ``selective_scan``.

    Returns
    -------
    output : torch.Tensor
        ``[B, D, L]``.
    last_state : torch.Tensor
        ``[B, D, N]``.

    Example
    -------
    >>> device = "cuda" if torch.cuda.is_available() else "meta"
    >>> u, delta = torch.rand(2, 2, 4, 6, device=device)
    >>> B, C = torch.rand(2, 2, 3, 6, device=device)
    >>> A = -torch.rand(4, 3, device=device)
    >>> output, last_state = triton_scan(u, delta, A, B, C)
    >>> output.shape, last_state.shape
    (torch.Size([2, 4, 6]), torch.Size([2, 4, 3]))
    """
    inputs = [u, delta, A, B, C, D, z, delta_bias, lengths]
    # The kernels take the strides of three dimensions only.
    inputs = [
        x.contiguous() if x is not None and x.dim() == 1 else x for x in inputs
    ]
    save = torch.is_grad_enabled() and any(
        x is not None and x.requires_grad for x in inputs
    )
    out, last, *_ = scan_forward(*inputs, delta_softplus, reverse, save)
    return out, last[:, : A.shape[-1]].transpose(1, 2)
