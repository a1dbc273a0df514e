"""The arithmetic of the selective scan in torch, for one chunk at a time.

What the steps of a chunk can share is computed for all of them at once, as
``[B, T, N, D]``; what remains for each step is one multiply-add over
``[B, N, D]``. A scan in both directions is one of twice as many rows: the
second half has the steps of the first from last to first.

Authors
 * The speechbrain_fftp authors 2026
"""

import math

import torch


class _Buffers:
    """Memory for the decays, states and state gradients of a chunk."""

    def __init__(self, memory):
        self.memory, self.shape = memory, None

    def of_shape(self, *shape):
        """The buffers ``[B, T, N, D]``, and per-step views of the first two.

        Making the view of a step takes as long as the arithmetic on it: they
        are kept, but for those of a gradient, since torch.func needs new ones.
        """
        if shape == self.shape:
            return self.views
        # torch.func does not let a view of memory from outside be changed in
        # place, but a slice of one.
        memory = self.memory[: math.prod(shape)].view(shape[0], -1)
        buffers = memory[:, :].view(shape)
        views = buffers, [x.unbind(1) for x in buffers[:2]]
        if len(buffers) == 2:
            self.shape, self.views = shape, views
        return views


class _Block:
    """Some rows of the batch, and the current chunk of their steps."""

    def __init__(self, inputs, rows, sizes, buffers, delta_softplus, reverse):
        u, delta, A, B, C, D, z, delta_bias, _, lengths = inputs
        n_steps = u.shape[2]
        _, chunk, self.n_buffers = sizes
        self.rows, self.n_rows, self.buffers = rows, len(u[rows]), buffers
        self.delta_softplus, self.reverse = delta_softplus, reverse
        self.dtype = torch.promote_types(u.dtype, torch.float32)
        self.inputs = (u, delta, B, C, z)
        self.A = A.mT.to(self.dtype).contiguous()  # [N, D]
        self.both = A.dim() == 3
        if self.both:  # [2, N, D] -> [2 B, 1, N, D]
            A = self.A.unsqueeze(1).expand(-1, self.n_rows, -1, -1)
            self.A = A.flatten(0, 1).unsqueeze(1)
            self.n_rows *= 2
            D = None if D is None else 2 * D  # in the output of each direction
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

    def read(self, span):
        """Reads the inputs of a chunk."""
        self.span = span
        shape = self.n_rows, span.stop - span.start, *self.A.shape[-2:]
        buffers, steps = self.buffers.of_shape(self.n_buffers, *shape)
        self.decay, self.states, *self.states_grad = buffers
        # Of each step, in the order of the recursion
        order = slice(None, None, -1 if self.reverse else 1)
        self.decay_steps, self.states_steps = (x[order] for x in steps)
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
        if self.both:
            self.delta, self.delta_u, self.B, self.C = (
                torch.cat((x, x.flip(1)))
                for x in (self.delta, self.delta_u, self.B, self.C)
            )

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
        """Runs the recursion from a state ``[B, N, D]``; returns the last."""
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
        if self.both:
            forward, backward = out.chunk(2)
            out = forward + backward.flip(1)
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
        """Gradients in the order of the inputs; autograd converts dtypes."""
        start = None if inputs[8] is None else self.state.transpose(1, 2)
        u, delta, A, B, C = self.u, self.delta, self.A.t(), self.B, self.C
        return u, delta, A, B, C, self.D, self.z, self.bias, start, None


def _times(x, states):
    """Vectors ``[B, T, N]`` times matrices ``[B, T, N, D]``: ``[B, T, D]``."""
    # Ten times faster than the transposed product, columns on the right.
    return (x.unsqueeze(2) @ states).squeeze(2)
