"""The selective scan in plain torch operations, for any device.

Only the states of one chunk of some tens of steps (``torch_blocks.py``) exist
at a time: the backward pass starts from those at the chunks' boundaries, which
the forward pass keeps, and computes the others again.

Authors
 * The speechbrain_fftp authors 2026
"""

import math
import threading

import torch
from torch.autograd.function import once_differentiable

from speechbrain_fftp.nnet.selective_scan.torch_blocks import _Block, _Gradients

# The number of states per step and per chunk and thread that suit the caches of
# a CPU, and the number of steps per chunk.
STEP_STATES = 2**15 - 1
CHUNK_STATES = 2**19
MAX_CHUNK = 64

_kept = threading.local()


def _torch_scan(inputs, delta_softplus, reverse):
    """Output and last state of ``selective_scan``, on any device."""
    keep = torch.is_grad_enabled() and any(
        x is not None and x.requires_grad for x in inputs
    )
    with torch.autocast(inputs[0].device.type, enabled=False):
        return _Scan.apply(delta_softplus, reverse, keep, *inputs)[:2]


class _Scan(torch.autograd.Function):
    """The scan and its gradient, block by block and chunk by chunk."""

    @staticmethod
    def forward(delta_softplus, reverse, keep, *inputs):
        """The scan, and the states at the chunks' boundaries if ``keep``."""
        u, A, initial_state = inputs[0], inputs[2], inputs[8]
        dtype = torch.promote_types(u.dtype, torch.float32)
        both = A.dim() == 3
        # [P, B, N, D]: the channels of a state are adjacent.
        shape = 1 + both, len(u), *A.mT.shape[-2:]
        state = u.new_zeros(shape, dtype=dtype)
        if initial_state is not None:
            state[0].copy_(initial_state.mT)
        new = u.new_zeros if both else u.new_empty
        shape = len(u), u.shape[2], u.shape[1]
        out = new(shape, dtype=dtype if both else u.dtype).mT
        sizes = _sizes(u, A, keep)
        n_chunks = -(-u.shape[2] // sizes[1])
        # [chunks, P, B, N, D], in the order of the recursion
        kept = state.new_empty(n_chunks if keep else 0, *state.shape)
        for block in _blocks(sizes, keep, delta_softplus, reverse, inputs):
            for i, spans in enumerate(block.chunks):
                if keep:
                    kept[i, :, block.rows] = state[:, block.rows]
                block.read(spans)
                state[:, block.rows] = block.run(state[:, block.rows])
                block.write(out, block.output(gated=True))
        return out.to(u.dtype), state[0].mT, kept

    @staticmethod
    def setup_context(ctx, inputs, output):
        """Saves what the gradient needs."""
        ctx.delta_softplus, ctx.reverse, keep, *tensors = inputs
        ctx.mark_non_differentiable(output[2])
        ctx.set_materialize_grads(False)
        if keep:
            ctx.sizes = _sizes(tensors[0], tensors[2], keep)
            ctx.save_for_backward(*tensors, output[2])

    @staticmethod
    @once_differentiable
    def backward(ctx, out_grad, last_grad, _):
        """The gradients of all inputs, from those of both results."""
        *inputs, kept = ctx.saved_tensors
        if out_grad is None:
            out_grad = inputs[0].new_zeros(()).expand_as(inputs[0])
        state_grad = torch.zeros_like(kept[0])
        if last_grad is not None:
            state_grad[0] = last_grad.mT
        grads = _Gradients(inputs, state_grad)
        about = ctx.delta_softplus, ctx.reverse, inputs
        with torch.autocast(out_grad.device.type, enabled=False):
            for block in _blocks(ctx.sizes, True, *about):
                for i in reversed(range(len(block.chunks))):
                    start = kept[i, :, block.rows]
                    block.read(block.chunks[i])
                    block.run(start)
                    block.backward(out_grad, grads, start)
        return None, None, None, *grads.as_inputs(inputs)


def _sizes(u, A, keep):
    """Number of rows of a block, and number of steps of a chunk.

    As many rows as possible, since each step of a block is one call. But torch
    would split more than STEP_STATES states between threads, which takes longer
    than the step; and more rows make chunks shorter, whose boundary states,
    kept for the gradient, may take at most the memory of 1.5 buffers.
    """
    batch, _, n_steps = u.shape
    states = A.numel()
    if u.device.type != "cpu":
        return batch, min(MAX_CHUNK, n_steps)
    size = CHUNK_STATES * max(torch.get_num_threads(), 2)
    n_rows = STEP_STATES // states
    if keep:
        size //= 2
        limit = 1.5 * (size / states) ** 2 / (batch * n_steps)
        n_rows = min(n_rows, int(limit))
    n_rows = min(max(n_rows, 1), batch)
    chunk = min(max(size // (n_rows * states), 8), MAX_CHUNK)
    return n_rows, min(chunk, n_steps)


def _blocks(sizes, keep, delta_softplus, reverse, inputs):
    """Cuts the batch into blocks of rows."""
    n_rows, chunk = sizes
    u, A = inputs[0], inputs[2]
    buffers = _scratch(u, 3 if keep else 2, n_rows * chunk * A.numel())
    for start in range(0, len(u), n_rows):
        rows = slice(start, min(start + n_rows, len(u)))
        yield _Block(inputs, rows, chunk, buffers, delta_softplus, reverse)


def _scratch(u, *shape):
    """Memory for the decays, states and state gradients of a chunk.

    On a CPU, each thread keeps it between calls: allocating it may take the
    system as long as a short scan.
    """
    dtype = torch.promote_types(u.dtype, torch.float32)
    if u.device.type != "cpu":
        return u.new_empty(shape, dtype=dtype)
    kept, size = vars(_kept).get(dtype), math.prod(shape)
    if kept is None or len(kept) < size:
        with torch.inference_mode(False):
            vars(_kept)[dtype] = kept = torch.empty(size, dtype=dtype)
    return kept[:size].view(shape)
