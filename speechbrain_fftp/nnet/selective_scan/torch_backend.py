"""The selective scan in torch operations, for any device.

The recursion is one operator, ``selective_scan::recursion``, which compiled and
exported graphs hold as it is. Only the states of one chunk (tens of steps) are
in memory at a time. The forward pass saves the state before each chunk, from
which the backward pass recomputes the states within.

Authors
 * The speechbrain_fftp authors 2026
"""

import math
from typing import Tuple

import torch

from speechbrain_fftp.nnet.tokens import length_mask

# Maximum number of states per step, since torch would split more of them
# between threads, and per chunk, to fit into a CPU's cache
STEP_STATES = 2**15
CHUNK_STATES = 2**19
MIN_CHUNK, MAX_CHUNK = 8, 64  # number of steps of a chunk


def torch_scan(
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
    """Scans with torch operations, on any device.

    Arguments
    ---------
    u, delta, A, B, C, D, z, delta_bias, delta_softplus, lengths, reverse : any
        See ``selective_scan``.

    Returns
    -------
    out : torch.Tensor
        Outputs ``[B, D, L]``.
    last_state : torch.Tensor or None
        ``[B, D, N]``; None for both directions, with A ``[2, D, N]``.

    Example
    -------
    >>> u, delta = torch.rand(2, 4, 6), torch.rand(2, 4, 6)
    >>> B, C = torch.rand(2, 3, 6), torch.rand(2, 3, 6)
    >>> out, last_state = torch_scan(u, delta, -torch.rand(4, 3), B, C)
    >>> out.shape, last_state.shape
    (torch.Size([2, 4, 6]), torch.Size([2, 4, 3]))
    """
    dtype = torch.promote_types(u.dtype, torch.float32)
    with torch.autocast(u.device.type, enabled=False):
        u_out, delta, B, C, z = mask_and_bias(
            u, delta, B, C, z, delta_bias, delta_softplus, lengths
        )
        # [B, X, L] -> [B, L, X], with adjacent channels
        sequences = [
            x.transpose(1, 2).to(dtype).contiguous()
            for x in (u_out, delta, B, C)
        ]
        A = A.mT.to(dtype).contiguous()  # [N, D]
        both = A.dim() == 3
        rates = A if both else A.unsqueeze(0)
        out, last_state, _ = recursion(*sequences, rates, reverse)
        last_state = None if both else last_state[0].transpose(1, 2)
        if both and D is not None:
            D = 2 * D  # in the output of each direction
        out = out.transpose(1, 2)
        if D is not None:
            out = out + D.unsqueeze(1) * u_out.to(dtype)
        if z is not None:
            out = out * torch.nn.functional.silu(z.to(dtype))
        return out.to(u.dtype), last_state


def mask_and_bias(u, delta, B, C, z, delta_bias, delta_softplus, lengths):
    """Sets padding to zero, and applies bias and softplus to delta.

    Steps of size zero leave the state unchanged, and without u and C, outputs
    are zero.

    Arguments
    ---------
    u, delta, B, C, z, delta_bias, delta_softplus, lengths : any
        See ``selective_scan``.

    Returns
    -------
    u, delta, B, C, z : torch.Tensor
        In the same shapes; delta in at least float32; z is None if not given.

    Example
    -------
    >>> u, delta = torch.rand(2, 4, 6), torch.rand(2, 4, 6)
    >>> B, C = torch.rand(2, 3, 6), torch.rand(2, 3, 6)
    >>> _, delta, *_ = mask_and_bias(
    ...     u, delta, B, C, None, None, True, torch.tensor([6, 2])
    ... )
    >>> delta[1, :, 2:].abs().max()
    tensor(0.)
    """
    if lengths is not None:
        # [B, 1, L]
        padding = ~length_mask(lengths, u.shape[2]).unsqueeze(1)
        u, delta, B, C, z = (
            None if x is None else x.masked_fill(padding, 0.0)
            for x in (u, delta, B, C, z)
        )
    delta = delta.to(torch.promote_types(delta.dtype, torch.float32))
    if delta_bias is not None:
        delta = delta + delta_bias.unsqueeze(1)
    if delta_softplus:
        delta = torch.nn.functional.softplus(delta)
    if lengths is not None:
        delta = delta.masked_fill(padding, 0.0)
    return u, delta, B, C, z


@torch.library.custom_op("selective_scan::recursion", mutates_args=())
def recursion(
    u: torch.Tensor,
    delta: torch.Tensor,
    B: torch.Tensor,
    C: torch.Tensor,
    A: torch.Tensor,
    reverse: bool,
) -> Tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The recursion of ``selective_scan``, and its output ``C[t] h[t]``.

    Its gradient is written by hand, since autograd through the loop over the
    steps takes two to three times as long.

    Arguments
    ---------
    u, delta : torch.Tensor
        Inputs and step sizes ``[B, L, D]``.
    B, C : torch.Tensor
        Input and output factors ``[B, L, N]``.
    A : torch.Tensor
        Decay rates ``[1, N, D]``; or ``[2, N, D]``, for a forward and a
        backward recursion, whose outputs are added.
    reverse : bool
        Whether a single recursion is backward.

    Returns
    -------
    out : torch.Tensor
        Outputs ``[B, L, D]``.
    last : torch.Tensor
        The last state of each of G recursions, ``[G, B, N, D]``.
    starts : torch.Tensor
        The state before each of K chunks, ``[G, B, K, N, D]``.

    Example
    -------
    >>> u, delta = torch.rand(2, 6, 4), torch.rand(2, 6, 4)
    >>> B, C = torch.rand(2, 6, 3), torch.rand(2, 6, 3)
    >>> out, last, _ = recursion(u, delta, B, C, -torch.rand(1, 3, 4), False)
    >>> out.shape, last.shape
    (torch.Size([2, 6, 4]), torch.Size([1, 2, 3, 4]))
    """
    n_rows, n_steps = _sizes(u, A)
    outs, lasts, starts = [], [], []
    for rates, is_backward in _directions(A, reverse):
        inputs = [x.flip(1) if is_backward else x for x in (u, delta, B, C)]
        parts = zip(*(x.split(n_rows) for x in inputs))
        results = [_scan_rows(*part, rates, n_steps) for part in parts]
        out, last, start = (torch.cat(tensors) for tensors in zip(*results))
        outs.append(out.flip(1) if is_backward else out)
        lasts.append(last)
        starts.append(start)
    return sum(outs), torch.stack(lasts), torch.stack(starts)


@recursion.register_fake
def _(u, delta, B, C, A, reverse):
    _, n_steps = _sizes(u, A)
    n_chunks = (u.shape[1] + n_steps - 1) // n_steps
    states, dim = A.shape[1:]
    last = u.new_empty(len(A), u.shape[0], states, dim)
    starts = u.new_empty(len(A), u.shape[0], n_chunks, states, dim)
    return torch.empty_like(u), last, starts


@torch.library.custom_op("selective_scan::recursion_gradient", mutates_args=())
def recursion_gradient(
    out_grad: torch.Tensor,
    last_grad: torch.Tensor,
    starts: torch.Tensor,
    u: torch.Tensor,
    delta: torch.Tensor,
    B: torch.Tensor,
    C: torch.Tensor,
    A: torch.Tensor,
    reverse: bool,
) -> Tuple[
    torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor
]:
    """The gradients of ``recursion``.

    Arguments
    ---------
    out_grad, last_grad : torch.Tensor
        Gradients of its outputs.
    starts : torch.Tensor
        Its third output.
    u, delta, B, C, A, reverse : any
        Its inputs.

    Returns
    -------
    u_grad, delta_grad, B_grad, C_grad, A_grad : torch.Tensor
        Gradients of its inputs.
    """
    n_rows, n_steps = _sizes(u, A)
    sums, rates_grads = [0, 0, 0, 0], []
    directions = _directions(A, reverse)
    for (rates, is_backward), last, start in zip(directions, last_grad, starts):
        inputs = (out_grad, u, delta, B, C)
        inputs = [x.flip(1) if is_backward else x for x in inputs]
        inputs = (last, start, *inputs)
        parts = zip(*(x.split(n_rows) for x in inputs))
        results = [_differentiate_rows(*part, rates, n_steps) for part in parts]
        *grads, rates_grad = zip(*results)
        grads = [torch.cat(tensors) for tensors in grads]
        if is_backward:
            grads = [grad.flip(1) for grad in grads]
        sums = [total + grad for total, grad in zip(sums, grads)]
        rates_grads.append(sum(rates_grad))
    return (*sums, torch.stack(rates_grads))


@recursion_gradient.register_fake
def _(out_grad, last_grad, starts, u, delta, B, C, A, reverse):
    return tuple(torch.empty_like(x) for x in (u, delta, B, C, A))


def _save(ctx, inputs, output):
    """Saves tensors for the backward pass."""
    *tensors, ctx.reverse = inputs
    _, last, starts = output
    ctx.save_for_backward(starts, *tensors)
    ctx.last_shape = last.shape
    ctx.set_materialize_grads(False)


def _differentiate(ctx, out_grad, last_grad, _):
    """Gradients of the inputs."""
    starts, u, *tensors = ctx.saved_tensors
    if out_grad is None:
        out_grad = torch.zeros_like(u)
    if last_grad is None:
        last_grad = u.new_zeros(ctx.last_shape)
    with torch.autocast(u.device.type, enabled=False):
        grads = recursion_gradient(
            out_grad.contiguous(), last_grad, starts, u, *tensors, ctx.reverse
        )
    return *grads, None


recursion.register_autograd(_differentiate, setup_context=_save)


def _directions(A, reverse):
    """The decay rates ``[N, D]`` of each direction, and whether it is backward."""
    if len(A) == 2:
        return [(A[0], False), (A[1], True)]
    return [(A[0], reverse)]


def _sizes(u, A):
    """Numbers of rows and of steps that are scanned at a time."""
    n_rows, n_states = u.shape[0], A[0].numel()
    if u.device.type == "cpu":
        n_rows = torch.sym_min(n_rows, max(STEP_STATES // n_states, 1))
    n_steps = CHUNK_STATES // (n_rows * n_states)
    return n_rows, torch.sym_min(torch.sym_max(n_steps, MIN_CHUNK), MAX_CHUNK)


def _scan_rows(u, delta, B, C, A, n_steps):
    """Outputs, last state, and the state before each chunk of some rows."""
    state = u.new_zeros(len(u), *A.shape)
    decay, states = u.new_empty(2, len(u), min(n_steps, u.shape[1]), *A.shape)
    out = torch.empty_like(u)
    starts = []
    for chunk in _chunks(u, n_steps):
        starts.append(state)
        h = _run(u, delta, B, A, chunk, state, decay, states)
        out[:, chunk] = _times(C[:, chunk], h)
        state = h[:, -1].clone()
    return out, state, torch.stack(starts, 1)


def _differentiate_rows(
    last_grad, starts, out_grad, u, delta, B, C, A, n_steps
):
    """Gradients of the inputs of ``_scan_rows``, from last chunk to first."""
    sizes = (len(u), min(n_steps, u.shape[1]), *A.shape)
    decay, states, grads = u.new_empty(3, *sizes)
    u_grad, delta_grad, B_grad, C_grad = (
        torch.empty_like(x) for x in (u, delta, B, C)
    )
    A_grad = torch.zeros_like(A)
    chunks = _chunks(u, n_steps)
    for start, chunk in zip(reversed(starts.unbind(1)), reversed(chunks)):
        u_c, delta_c, g = u[:, chunk], delta[:, chunk], out_grad[:, chunk]
        size = u_c.shape[1]
        h = _run(u, delta, B, A, chunk, start, decay, states)
        a = decay[:, :size]

        # Each state affects the output and, through the decay, the next state
        h_grad = grads[:, :size]
        torch.mul(g.unsqueeze(2), C[:, chunk].unsqueeze(3), out=h_grad)
        h_grad[:, -1] += last_grad
        a_steps, grad_steps = a.unbind(1), h_grad.unbind(1)
        for t in range(size - 1, 0, -1):
            grad_steps[t - 1].addcmul_(a_steps[t], grad_steps[t])
        last_grad = a_steps[0] * grad_steps[0]

        C_grad[:, chunk] = _times(g, h.mT)
        B_grad[:, chunk] = _times(delta_c * u_c, h_grad.mT)
        product_grad = _times(B[:, chunk], h_grad)  # of delta * u
        u_grad[:, chunk] = product_grad * delta_c

        # The gradient of the exponent delta * A, then of both factors
        exponent_grad = a.mul_(h_grad)
        exponent_grad[:, 1:] *= h[:, :-1]
        exponent_grad[:, 0] *= start
        torch.mul(exponent_grad, delta_c.unsqueeze(2), out=h_grad)
        A_grad += h_grad.sum((0, 1))
        delta_grad[:, chunk] = exponent_grad.mul_(A).sum(2)
        delta_grad[:, chunk] += product_grad * u_c
    return u_grad, delta_grad, B_grad, C_grad, A_grad


def _chunks(u, n_steps):
    """The steps of each chunk, as slices."""
    length = u.shape[1]
    return [
        slice(start, min(start + n_steps, length))
        for start in range(0, length, n_steps)
    ]


def _run(u, delta, B, A, chunk, state, decay, states):
    """The states ``[B, T, N, D]`` of a chunk, given the state before it.

    Writes to decay and states, which may be longer than the chunk.
    """
    u, delta, B = u[:, chunk], delta[:, chunk], B[:, chunk]
    decay, states = decay[:, : u.shape[1]], states[:, : u.shape[1]]
    # exp2 is as accurate as exp and takes a third of the time.
    torch.mul(delta.unsqueeze(2), A / math.log(2), out=decay)
    torch.exp2(decay, out=decay)
    torch.mul((delta * u).unsqueeze(2), B.unsqueeze(3), out=states)
    for decay_t, state_t in zip(decay.unbind(1), states.unbind(1)):
        state = torch.addcmul(state_t, decay_t, state, out=state_t)
    return states


def _times(x, states):
    """Vectors ``[B, T, N]`` times matrices ``[B, T, N, D]``: ``[B, T, D]``."""
    # Ten times faster than the transposed matmul
    return (x.unsqueeze(2) @ states).squeeze(2)
