"""The selective scan in torch operations, for any device.

Only the states of one chunk (tens of steps) are in memory at a time. The
forward pass saves the state before each chunk, from which the backward pass
recomputes the states within.

Authors
 * The speechbrain_fftp authors 2026
"""

import math

import torch
from torch.autograd.function import once_differentiable

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
        if A.dim() == 3:
            out, _ = _scan_direction(sequences, A[0])
            backward, _ = _scan_direction(sequences, A[1], reverse=True)
            out, last_state = out + backward, None
            D = None if D is None else 2 * D  # in the output of each direction
        else:
            out, last_state = _scan_direction(sequences, A, reverse)
        out = out.transpose(1, 2)
        if D is not None:
            out = out + D.unsqueeze(1) * u_out
        if z is not None:
            out = out * torch.nn.functional.silu(z)
        if lengths is not None:
            out = out.masked_fill(padding_mask(lengths, u), 0.0)
        return out.to(u.dtype), last_state


@torch.library.custom_op(
    "selective_scan::exported",
    mutates_args=(),
    schema="(Tensor u, Tensor delta, Tensor A, Tensor B, Tensor C, Tensor? D, "
    "Tensor? z, Tensor? delta_bias, bool delta_softplus, Tensor? lengths, "
    "bool reverse) -> Tensor",
)
def exported_scan(
    u, delta, A, B, C, D, z, delta_bias, delta_softplus, lengths, reverse
):
    """The output of ``torch_scan``, as one operator of an exported graph.

    Arguments
    ---------
    u, delta, A, B, C, D, z, delta_bias, delta_softplus, lengths, reverse : any
        See ``selective_scan``.

    Returns
    -------
    torch.Tensor
        Outputs ``[B, D, L]``.

    Example
    -------
    >>> u, delta = torch.rand(2, 4, 6), torch.rand(2, 4, 6)
    >>> B, C = torch.rand(2, 3, 6), torch.rand(2, 3, 6)
    >>> options = (None, None, None, True, None, False)
    >>> exported_scan(u, delta, -torch.rand(4, 3), B, C, *options).shape
    torch.Size([2, 4, 6])
    """
    out, _ = torch_scan(
        u, delta, A, B, C, D, z, delta_bias, delta_softplus, lengths, reverse
    )
    return out.contiguous()


@exported_scan.register_fake
def _exported_shape(u, *others):
    """An empty tensor with the shape of the output."""
    return torch.empty_like(u, memory_format=torch.contiguous_format)


def padding_mask(lengths, u):
    """Finds the steps beyond the end of each item.

    Arguments
    ---------
    lengths : torch.Tensor
        Number of steps ``[B]``.
    u : torch.Tensor
        The input of the scan, ``[B, D, L]``.

    Returns
    -------
    torch.Tensor
        True for these steps, ``[B, 1, L]``.

    Example
    -------
    >>> padding_mask(torch.tensor([1, 3]), torch.rand(2, 4, 3))[:, 0].tolist()
    [[False, True, True], [False, False, False]]
    """
    steps = torch.arange(u.shape[2], device=u.device)
    return (steps >= lengths.unsqueeze(1)).unsqueeze(1)


def mask_and_bias(u, delta, B, C, z, delta_bias, delta_softplus, lengths):
    """Sets padding to zero, and applies bias and softplus to delta.

    Steps of size zero leave the state unchanged.

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
        padding = padding_mask(lengths, u)
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


def _scan_direction(sequences, A, reverse=False):
    """Outputs ``[B, L, D]`` and last states ``[B, D, N]`` of one direction."""
    if reverse:
        sequences = [x.flip(1) for x in sequences]
    u = sequences[0]
    state = u.new_zeros(len(u), *A.shape)  # [B, N, D]
    # Without gradients, skip autograd, which takes a tenth of a short scan
    scan = LinearScan.forward
    if torch.is_grad_enabled():
        scan = LinearScan.apply
    n_rows = len(u)
    if u.device.type == "cpu":
        n_rows = max(STEP_STATES // A.numel(), 1)
    results = [
        scan(*rows, A, start)
        for *rows, start in zip(
            *(x.split(n_rows) for x in sequences), state.split(n_rows)
        )
    ]
    out = torch.cat([result[0] for result in results])
    last_state = torch.cat([result[1] for result in results])
    if reverse:
        out = out.flip(1)
    return out, last_state.transpose(1, 2)


class LinearScan(torch.autograd.Function):
    """``h[t] = exp(delta[t] A) h[t-1] + delta[t] B[t] u[t]``, then ``C[t] h[t]``.

    Shapes: u and delta ``[B, L, D]``, B and C ``[B, L, N]``, A ``[N, D]``,
    state ``[B, N, D]``. Its gradient is written by hand, since autograd through
    the loop over the steps takes two to three times as long.

    Example
    -------
    >>> u, delta = torch.rand(2, 6, 4), torch.rand(2, 6, 4)
    >>> B, C = torch.rand(2, 6, 3), torch.rand(2, 6, 3)
    >>> A, state = -torch.rand(3, 4), torch.zeros(2, 3, 4)
    >>> LinearScan.apply(u, delta, B, C, A, state)[0].shape
    torch.Size([2, 6, 4])
    """

    @staticmethod
    def forward(u, delta, B, C, A, state):
        """Outputs, the last state, and the state before each chunk."""
        chunks = _chunks(u, A)
        decay, states = u.new_empty(2, *_chunk_shape(u, A))
        out = torch.empty_like(u)
        starts = []
        for chunk in chunks:
            starts.append(state)
            h = _run(u, delta, B, A, chunk, state, decay, states)
            out[:, chunk] = _times(C[:, chunk], h)
            state = h[:, -1].clone()
        return out, state, torch.stack(starts)

    @staticmethod
    def setup_context(ctx, inputs, output):
        """Saves tensors for the backward pass."""
        u, delta, B, C, A, _ = inputs
        starts = output[2]
        ctx.mark_non_differentiable(starts)
        ctx.save_for_backward(u, delta, B, C, A, starts)

    @staticmethod
    @once_differentiable
    def backward(ctx, out_grad, last_grad, _):
        """Gradients of the inputs."""
        with torch.autocast(out_grad.device.type, enabled=False):
            return _gradients(out_grad, last_grad, *ctx.saved_tensors)


def _gradients(out_grad, last_grad, u, delta, B, C, A, starts):
    """Gradients of the inputs of ``LinearScan``, from last chunk to first."""
    decay, states, grads = u.new_empty(3, *_chunk_shape(u, A))
    u_grad, delta_grad, B_grad, C_grad = (
        torch.empty_like(x) for x in (u, delta, B, C)
    )
    A_grad = torch.zeros_like(A)
    chunks = _chunks(u, A)
    for start, chunk in zip(reversed(starts.unbind()), reversed(chunks)):
        u_c, delta_c, g = u[:, chunk], delta[:, chunk], out_grad[:, chunk]
        n_steps = u_c.shape[1]
        h = _run(u, delta, B, A, chunk, start, decay, states)
        a = decay[:, :n_steps]

        # Each state affects the output and, through the decay, the next state
        h_grad = grads[:, :n_steps]
        torch.mul(g.unsqueeze(2), C[:, chunk].unsqueeze(3), out=h_grad)
        h_grad[:, -1] += last_grad
        a_steps, grad_steps = a.unbind(1), h_grad.unbind(1)
        for t in range(n_steps - 1, 0, -1):
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
    return u_grad, delta_grad, B_grad, C_grad, A_grad, last_grad


def _chunk_shape(u, A):
    """Shape ``[B, T, N, D]`` of the states of the longest chunk."""
    n_steps = CHUNK_STATES // (len(u) * A.numel())
    n_steps = min(max(n_steps, MIN_CHUNK), MAX_CHUNK, u.shape[1])
    return len(u), n_steps, *A.shape


def _chunks(u, A):
    """The steps of each chunk, as slices."""
    n_steps = _chunk_shape(u, A)[1]
    return [
        slice(start, min(start + n_steps, u.shape[1]))
        for start in range(0, u.shape[1], n_steps)
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
