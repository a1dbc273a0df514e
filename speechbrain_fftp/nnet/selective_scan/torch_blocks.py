"""The arithmetic of the selective scan in torch, for one chunk at a time.

What the steps of a chunk can share is computed for all of them at once, as
``[B, T, N, D]``; what remains for each step is one multiply-add over
``[B, N, D]``.

Authors
 * The speechbrain_fftp authors 2026
"""

import math

import torch


class _Block:
    """Some rows of the batch, and the current chunk of their steps."""

    def __init__(self, inputs, rows, chunk, buffers, delta_softplus, reverse):
        u, delta, A, B, C, D, z, delta_bias, _, lengths = inputs
        n_steps = u.shape[2]
        self.rows, self.n_rows, self.buffers = rows, len(u[rows]), buffers
        self.delta_softplus, self.reverse = delta_softplus, reverse
        self.dtype = torch.promote_types(u.dtype, torch.float32)
        self.inputs = (u, delta, B, C, z)
        self.A = A.t().to(self.dtype).contiguous()  # [N, D]
        # exp2 is as accurate as exp and takes a third of the time.
        self.A_base_2 = self.A / math.log(2)
        self.D = None if D is None else D.to(self.dtype)
        self.bias = None if delta_bias is None else delta_bias.to(self.dtype)
        self.lengths = None if lengths is None else lengths[rows]
        self.shortest = n_steps if lengths is None else int(self.lengths.min())
        self.spans = [
            slice(start, min(start + chunk, n_steps))
            for start in range(0, n_steps, chunk)
        ]
        if reverse:
            self.spans.reverse()
        self.n_steps = None  # of the buffers

    def read(self, span):
        """Reads the inputs of a chunk."""
        self.span = span
        if span.stop - span.start != self.n_steps:
            self.reshape_buffers(span.stop - span.start)
        self.padding = None
        if span.stop > self.shortest:
            device = self.lengths.device
            steps = torch.arange(span.start, span.stop, device=device)
            self.padding = (steps >= self.lengths[:, None])[:, :, None]
        self.u, self.raw, self.B, self.C, self.z = (
            None if x is None else self.slice(x) for x in self.inputs
        )
        if self.bias is not None:
            self.raw = self.raw + self.bias
        self.delta = self.raw
        if self.delta_softplus:
            self.delta = torch.nn.functional.softplus(self.raw)
        if self.padding is not None:
            self.delta = self.delta.masked_fill(self.padding, 0.0)
        self.delta_u = self.delta * self.u

    def reshape_buffers(self, n_steps):
        """Makes views of the buffers for chunks of ``n_steps`` steps."""
        self.n_steps = n_steps
        size = self.n_rows * n_steps * self.A.numel()
        self.decay, self.states, *self.states_grad = self.buffers[
            :, :size
        ].view(-1, self.n_rows, n_steps, *self.A.shape)
        # Views of each step, in the order of the recursion, made only once:
        # making one takes as long as the arithmetic on it.
        order = slice(None, None, -1 if self.reverse else 1)
        self.decay_steps = self.decay.unbind(1)[order]
        self.states_steps = self.states.unbind(1)[order]

    def slice(self, x):
        """A chunk of an input, ``[B, X, L]`` -> ``[B, T, X]``."""
        x = x[self.rows, :, self.span].transpose(1, 2).to(self.dtype)
        if self.padding is not None:
            return x.masked_fill(self.padding, 0.0)
        return x if x.stride(2) == 1 else x.contiguous()

    def write(self, target, chunk):
        """Writes ``[B, T, X]`` to where ``slice`` reads it."""
        if self.padding is not None:
            chunk = chunk.masked_fill(self.padding, 0.0)
        target[self.rows, :, self.span] = chunk.transpose(1, 2)

    def run(self, state):
        """Runs the recursion from a state ``[B, N, D]``; returns the last state."""
        torch.mul(self.delta.unsqueeze(2), self.A_base_2, out=self.decay)
        torch.exp2(self.decay, out=self.decay)
        torch.mul(
            self.delta_u.unsqueeze(2), self.B.unsqueeze(3), out=self.states
        )
        for decay, new in zip(self.decay_steps, self.states_steps):
            state = torch.addcmul(new, decay, state, out=new)
        return state

    def output(self, gated):
        """The output ``[B, T, D]``, before or after the gate, if any."""
        out = _times(self.C, self.states)
        if self.D is not None:
            out.addcmul_(self.u, self.D)
        if gated and self.z is not None:
            out.mul_(torch.nn.functional.silu(self.z))
        return out

    def backward(self, out_grad, grads, start):
        """Adds the gradients of a chunk that ``run`` computed from start."""
        grad = self.slice(out_grad)
        if self.z is not None:
            gate = self.z.sigmoid()
            slope = gate * (1 + self.z * (1 - gate))
            output = self.output(gated=False)
            self.write(grads.z, output.mul_(grad).mul_(slope))
            grad = grad * gate.mul_(self.z)

        # The gradient of each state, from last to first: each one reaches the
        # state before it through the decay between them.
        (states_grad,) = self.states_grad
        torch.mul(grad.unsqueeze(2), self.C.unsqueeze(3), out=states_grad)
        last, *before = states_grad.unbind(1)[:: 1 if self.reverse else -1]
        last += grads.state[self.rows]
        for new, decay in zip(before, self.decay_steps[::-1]):
            last = torch.addcmul(new, decay, last, out=new)
        grads.state[self.rows] = last * self.decay_steps[0]

        self.write(grads.C, _times(grad, self.states.mT))
        self.write(grads.B, _times(self.delta_u, states_grad.mT))
        product_grad = _times(self.B, states_grad)
        u_grad = product_grad * self.delta
        if self.D is not None:
            u_grad.addcmul_(grad, self.D)
            grads.D += (grad * self.u).sum((0, 1))
        self.write(grads.u, u_grad)

        # The gradient of the exponent delta * A, then of both factors.
        before, after = slice(None, -1), slice(1, None)
        if self.reverse:
            before, after = after, before
        exponent_grad = self.decay.mul_(states_grad)
        exponent_grad[:, after] *= self.states[:, before]
        exponent_grad[:, -1 if self.reverse else 0] *= start
        torch.mul(exponent_grad, self.delta.unsqueeze(2), out=states_grad)
        grads.A += states_grad.sum((0, 1))
        delta_grad = exponent_grad.mul_(self.A).sum(2)
        delta_grad.addcmul_(product_grad, self.u)
        if self.delta_softplus:
            delta_grad *= self.raw.sigmoid()
        if self.padding is not None:
            delta_grad.masked_fill_(self.padding, 0.0)
        if self.bias is not None:
            grads.bias += delta_grad.sum((0, 1))
        self.write(grads.delta, delta_grad)


class _Gradients:
    """Gradients of all inputs, and of the state at the current chunk."""

    def __init__(self, inputs, last_grad):
        u, delta, A, B, C, D, z, delta_bias, _, _ = inputs
        self.u, self.delta, self.B, self.C, self.z = (
            None if x is None else torch.empty_like(x)
            for x in (u, delta, B, C, z)
        )
        # [B, N, D], as the states are
        self.state = last_grad.transpose(1, 2).clone(
            memory_format=torch.contiguous_format
        )
        self.A, self.D, self.bias = (
            None if x is None else self.state.new_zeros(x.shape[::-1])
            for x in (A, D, delta_bias)
        )

    def as_inputs(self, inputs):
        """The gradients in the order of the inputs; autograd converts dtypes."""
        start = None if inputs[8] is None else self.state.transpose(1, 2)
        u, delta, A, B, C = self.u, self.delta, self.A.t(), self.B, self.C
        return u, delta, A, B, C, self.D, self.z, self.bias, start, None


def _times(x, states):
    """Vectors ``[B, T, N]`` times matrices ``[B, T, N, D]``: ``[B, T, D]``."""
    # Ten times faster than the transposed product, columns on the right.
    return (x.unsqueeze(2) @ states).squeeze(2)
