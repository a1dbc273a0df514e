"""The selective scan in plain torch operations, for any device.

Only the states of one chunk of some tens of steps (``torch_blocks.py``) exist
at a time: the backward pass starts from those at the chunks' boundaries, which
the forward pass keeps, and computes the others again.

Authors
 * The speechbrain_fftp authors 2026
"""

import threading

import torch
from torch.autograd.function import once_differentiable

from speechbrain_fftp.nnet.selective_scan.torch_blocks import (
    _Block,
    _Buffers,
    _Gradients,
)

# The number of states per step and per chunk and thread that suit the caches of
# a CPU, the number of steps per chunk, and the number of states of a scan whose
# directions share their steps.
STEP_STATES = 2**15 - 1
CHUNK_STATES = 2**19
MAX_CHUNK = 64
BOTH_STATES = 2**21

_kept = threading.local()


def _torch_scan(inputs, delta_softplus, reverse):
    """Output and last state of ``selective_scan``, on any device."""
    grad = torch.is_grad_enabled()
    keep = grad and any(x is not None and x.requires_grad for x in inputs)
    u, A = inputs[0], inputs[2]
    # Autograd's own work would be a tenth of a short scan.
    scan = _Scan.apply if grad else _Scan.forward
    if A.dim() == 3:
        step_states = len(u) * A.numel()
        states = step_states * u.shape[2]
        if grad or step_states > STEP_STATES or states > BOTH_STATES:
            return _in_turn(_torch_scan, inputs, delta_softplus)
        scan = _both_directions
    with torch.autocast(u.device.type, enabled=False):
        return scan(delta_softplus, reverse, keep, *inputs)[:2]


def _in_turn(scan, inputs, delta_softplus):
    """A scan in both directions, one after the other."""
    forward, backward = (
        scan((*inputs[:2], A, *inputs[3:]), delta_softplus, reverse)[0]
        for A, reverse in zip(inputs[2], (False, True))
    )
    return forward + backward, None


def _both_directions(delta_softplus, reverse, keep, *inputs):
    """A scan in both directions, in one loop over the steps of one chunk."""
    u, A = inputs[0], inputs[2]
    sizes = len(u), u.shape[2], 2
    (block,) = _blocks(sizes, delta_softplus, reverse, inputs)
    block.read(*block.spans)
    block.run(u.new_zeros(block.n_rows, *A.mT.shape[1:], dtype=block.dtype))
    out = torch.empty_like(u)
    block.write(out, block.output(gated=True))
    return out, None


class _Scan(torch.autograd.Function):
    """The scan and its gradient, block by block and chunk by chunk."""

    @staticmethod
    def forward(delta_softplus, reverse, keep, *inputs):
        """The scan, and the states at the chunks' boundaries if ``keep``."""
        u, A, initial_state = inputs[0], inputs[2], inputs[8]
        dtype = torch.promote_types(u.dtype, torch.float32)
        # [B, N, D]: the channels of a state are adjacent.
        state = u.new_zeros(len(u), *A.shape[::-1], dtype=dtype)
        if initial_state is not None:
            state.copy_(initial_state.transpose(1, 2))
        out = u.new_empty(len(u), u.shape[2], u.shape[1]).transpose(1, 2)
        sizes = _sizes(u, A, keep)
        n_chunks = -(-u.shape[2] // sizes[1])
        # [chunks, B, N, D], in the order of the recursion
        kept = state.new_empty(n_chunks if keep else 0, *state.shape)
        for block in _blocks(sizes, delta_softplus, reverse, inputs):
            for i, span in enumerate(block.spans):
                if keep:
                    kept[i, block.rows] = state[block.rows]
                block.read(span)
                state[block.rows] = block.run(state[block.rows])
                block.write(out, block.output(gated=True))
        return out, state.transpose(1, 2), kept

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
        if last_grad is None:
            last_grad = torch.zeros_like(kept[0]).transpose(1, 2)
        grads = _Gradients(inputs, last_grad)
        about = ctx.delta_softplus, ctx.reverse, inputs
        with torch.autocast(out_grad.device.type, enabled=False):
            for block in _blocks(ctx.sizes, *about):
                for i in reversed(range(len(block.spans))):
                    start = kept[i, block.rows]
                    block.read(block.spans[i])
                    block.run(start)
                    block.backward(out_grad, grads, start)
        return None, None, None, *grads.as_inputs(inputs)


def _sizes(u, A, keep):
    """Number of rows of a block, of steps of a chunk, and of buffers.

    As many rows as possible, since each step of a block is one call. But torch
    would split more than STEP_STATES states between threads, which takes longer
    than the step; and more rows make chunks shorter, whose boundary states,
    kept for the gradient, may take at most the memory of 1.5 buffers.
    """
    batch, _, n_steps = u.shape
    states = A.numel()
    if u.device.type != "cpu":
        return batch, min(MAX_CHUNK, n_steps), 2 + keep
    size = CHUNK_STATES * max(torch.get_num_threads(), 2)
    n_rows = STEP_STATES // states
    if keep:
        size //= 2
        limit = 1.5 * (size / states) ** 2 / (batch * n_steps)
        n_rows = min(n_rows, int(limit))
    n_rows = min(max(n_rows, 1), batch)
    chunk = min(max(size // (n_rows * states), 8), MAX_CHUNK)
    return n_rows, min(chunk, n_steps), 2 + keep


def _blocks(sizes, delta_softplus, reverse, inputs):
    """Cuts the batch into blocks of rows."""
    n_rows, chunk, n_buffers = sizes
    u, A = inputs[0], inputs[2]
    buffers = _scratch(u, n_buffers * n_rows * chunk * A.numel())
    for start in range(0, len(u), n_rows):
        rows = slice(start, min(start + n_rows, len(u)))
        yield _Block(inputs, rows, sizes, buffers, delta_softplus, reverse)


def _scratch(u, size):
    """Memory for the decays, states and state gradients of a chunk.

    On a CPU, each thread keeps it between calls: allocating it may take the
    system as long as a short scan.
    """
    dtype = torch.promote_types(u.dtype, torch.float32)
    if u.device.type != "cpu":
        return _Buffers(u.new_empty(size, dtype=dtype))
    kept = vars(_kept).get(dtype)
    if kept is None or len(kept.memory) < size:
        with torch.inference_mode(False):
            kept = _Buffers(torch.empty(size, dtype=dtype))
        vars(_kept)[dtype] = kept
    return kept
