"""Mamba's selective scan on a GPU: launches the Triton kernels, for autograd.

Authors
 * The speechbrain_fftp authors 2026
"""

import math

import torch
import triton

from speechbrain_fftp.nnet.selective_scan.triton_kernels import (
    BLOCK,
    CHUNK,
    GROUP,
    UNROLL,
    backward,
    forward,
)


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
    """Connects the kernels to autograd."""

    @staticmethod
    def forward(ctx, softplus, reverse, save, *inputs):
        """Output and last state; keeps what the gradient needs if ``save``."""
        u, delta, A, B, C, D, z, bias, initial, lengths = inputs
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
            forward, 1, 168, (u, delta, z), (size, softplus, reverse), out,
            scaled, BC, D, bias, initial, lengths, last, saved, out.stride(),
        )  # fmt: skip
        if save:
            ctx.save_for_backward(*inputs, BC, scaled, saved)
            ctx.options = softplus, reverse
            ctx.set_materialize_grads(False)
        return out, last[:, : A.shape[1]].transpose(1, 2)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, d_out, dlast):
        """The gradients of all tensors, from those of both results."""
        *inputs, BC, scaled, saved = ctx.saved_tensors
        u, delta, A, B, C, D, z, bias, initial, lengths = inputs
        batch, dim, steps = u.shape
        states, size = A.shape[1], BC.shape[2]
        if d_out is None:
            d_out = u.new_zeros(()).expand_as(u)
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
            backward, math.gcd(dim, 4), None, (u, delta, z),
            (size, *ctx.options), d_out, du, ddelta, dz, scaled, BC, D, bias,
            lengths, saved, scratch, dlast, dA, dBC, dD, dbias, dinitial,
            d_out.stride(), du.stride(),
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
        grads = du, ddelta, dA, dB, dC, dD, dz, dbias, dinitial
        return None, None, None, *grads, None


def _triton_scan(inputs, delta_softplus, reverse):
    """Output and last state of ``selective_scan``, on a GPU.

    Computed in float32, and differentiable once, by autograd but not by
    ``torch.func``. The gradients of B and C are summed in no fixed order, so
    that their last bits differ from run to run.
    """
    # The kernels take the strides of three dimensions only.
    inputs = [
        x.contiguous() if x is not None and x.dim() == 1 else x for x in inputs
    ]
    save = torch.is_grad_enabled() and any(
        x is not None and x.requires_grad for x in inputs
    )
    return _SelectiveScan.apply(delta_softplus, reverse, save, *inputs)
