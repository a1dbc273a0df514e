"""The arithmetic of the selective scan in torch, for one chunk at a time.

What the steps of a chunk can share is computed for all of them at once, as
``[P, B, T, N, D]``; what remains for each step is one multiply-add over
``[P, B, N, D]``. There are P = 1 or 2 directions: the first takes the chunks
from the first step on, the second takes their mirror images from the last step
on. Inputs and outputs of a chunk are ``[K, B, T, X]``, in the order of time: K
is 2 where the directions are at different steps.

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
        self.both = A.dim() == 3
        A = A if self.both else A.unsqueeze(0)
        # [P, 1, 1, N, D]
        self.A = A.mT.to(self.dtype).contiguous()[:, None, None]
        # exp2 is as accurate as exp and takes a third of the time.
        self.A_base_2 = self.A / math.log(2)
        self.D = None if D is None else D.to(self.dtype)
        self.bias = None if delta_bias is None else delta_bias.to(self.dtype)
        self.lengths = None if lengths is None else lengths[rows]
        self.shortest = n_steps if lengths is None else int(self.lengths.min())
        # The steps of each chunk, K slices.
        self.chunks = []
        for start in range(0, n_steps, chunk):
            span = slice(start, min(start + chunk, n_steps))
            mirrored = slice(n_steps - span.stop, n_steps - span.start)
            pair = self.both and mirrored != span
            self.chunks.append((span, mirrored) if pair else (span,))
        if reverse:
            self.chunks.reverse()
        self.n_steps = None  # of the buffers

    def read(self, spans):
        """Reads the inputs of a chunk."""
        self.spans, span = spans, spans[0]
        self.weight = len(self.A) // len(spans)  # of D: once per direction
        if span.stop - span.start != self.n_steps:
            self.reshape_buffers(span.stop - span.start)
        self.padding = None
        if max(span.stop for span in spans) > self.shortest:
            device = self.lengths.device
            steps = [
                torch.arange(span.start, span.stop, device=device)
                for span in spans
            ]
            after = torch.stack(steps)[:, None] >= self.lengths[:, None]
            self.padding = after[..., None]
        self.u, self.raw, B, C, self.z = (
            None if x is None else self.slice(x) for x in self.inputs
        )
        if self.bias is not None:
            self.raw = self.raw + self.bias
        self.delta = self.raw
        if self.delta_softplus:
            self.delta = torch.nn.functional.softplus(self.raw)
        if self.padding is not None:
            self.delta = self.delta.masked_fill(self.padding, 0.0)
        self.steps = self.in_order(self.delta)
        self.added = self.in_order(self.delta * self.u)
        self.B, self.C = self.in_order(B), self.in_order(C)

    def reshape_buffers(self, n_steps):
        """Makes views of the buffers for chunks of ``n_steps`` steps."""
        self.n_steps = n_steps
        directions, _, _, *shape = self.A.shape
        shape = directions, self.n_rows, n_steps, *shape
        self.decay, self.states, *self.states_grad = self.buffers[
            :, : math.prod(shape)
        ].view(-1, *shape)
        # Views of each step, in the order of the recursion, made only once:
        # making one takes as long as the arithmetic on it.
        order = slice(None, None, -1 if self.reverse else 1)
        self.decay_steps = self.decay.unbind(2)[order]
        self.states_steps = self.states.unbind(2)[order]

    def slice(self, x):
        """A chunk of an input, ``[B, X, L]`` -> ``[K, B, T, X]``."""
        parts = [x[self.rows, :, span].transpose(1, 2) for span in self.spans]
        x = torch.stack(parts) if len(parts) > 1 else parts[0].unsqueeze(0)
        x = x.to(self.dtype)
        if self.padding is not None:
            return x.masked_fill(self.padding, 0.0)
        return x if x.stride(3) == 1 else x.contiguous()

    def in_order(self, x):
        """``[K, B, T, X]`` -> ``[P, B, T, X]``, the second direction flipped."""
        return torch.stack((x[0], x[-1].flip(1))) if self.both else x

    def in_time(self, x):
        """``[P, B, T, X]`` -> ``[K, B, T, X]``; adds what is at the same steps."""
        if not self.both:
            return x
        x = x[0], x[1].flip(1)
        return torch.stack(x) if len(self.spans) > 1 else (x[0] + x[1])[None]

    def write(self, target, chunk):
        """Writes ``[K, B, T, X]`` to where ``slice`` reads it.

        With two directions, adds it to what the other one may have written.
        """
        if self.padding is not None:
            chunk = chunk.masked_fill(self.padding, 0.0)
        for span, part in zip(self.spans, chunk.transpose(2, 3)):
            if self.both:
                target[self.rows, :, span] += part
            else:
                target[self.rows, :, span] = part

    def run(self, state):
        """Runs the recursion from ``[P, B, N, D]``; returns the last state."""
        torch.mul(self.steps.unsqueeze(3), self.A_base_2, out=self.decay)
        torch.exp2(self.decay, out=self.decay)
        torch.mul(self.added.unsqueeze(3), self.B.unsqueeze(4), out=self.states)
        for decay, new in zip(self.decay_steps, self.states_steps):
            state = torch.addcmul(new, decay, state, out=new)
        return state

    def output(self, gated):
        """The output ``[K, B, T, D]``, before or after the gate, if any."""
        out = self.in_time(_times(self.C, self.states))
        if self.D is not None:
            out.addcmul_(self.u, self.D, value=self.weight)
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
        in_order = self.in_order(grad)
        torch.mul(in_order.unsqueeze(3), self.C.unsqueeze(4), out=states_grad)
        last, *before = states_grad.unbind(2)[:: 1 if self.reverse else -1]
        last += grads.state[:, self.rows]
        for new, decay in zip(before, self.decay_steps[::-1]):
            last = torch.addcmul(new, decay, last, out=new)
        grads.state[:, self.rows] = last * self.decay_steps[0]

        C_grad = _times(in_order, self.states.mT)
        self.write(grads.C, self.in_time(C_grad))
        B_grad = _times(self.added, states_grad.mT)
        self.write(grads.B, self.in_time(B_grad))
        product_grad = self.in_time(_times(self.B, states_grad))
        u_grad = product_grad * self.delta
        if self.D is not None:
            u_grad.addcmul_(grad, self.D, value=self.weight)
            grads.D += (grad * self.u).sum((0, 1, 2)) * self.weight
        self.write(grads.u, u_grad)

        # The gradient of the exponent delta * A, then of both factors.
        before, after = slice(None, -1), slice(1, None)
        if self.reverse:
            before, after = after, before
        exponent_grad = self.decay.mul_(states_grad)
        exponent_grad[:, :, after] *= self.states[:, :, before]
        exponent_grad[:, :, -1 if self.reverse else 0] *= start
        torch.mul(exponent_grad, self.steps.unsqueeze(3), out=states_grad)
        grads.A += states_grad.sum((1, 2))
        delta_grad = self.in_time(exponent_grad.mul_(self.A).sum(3))
        delta_grad.addcmul_(product_grad, self.u)
        if self.delta_softplus:
            delta_grad *= self.raw.sigmoid()
        if self.padding is not None:
            delta_grad.masked_fill_(self.padding, 0.0)
        if self.bias is not None:
            grads.bias += delta_grad.sum((0, 1, 2))
        self.write(grads.delta, delta_grad)


class _Gradients:
    """Gradients of all inputs, and of the state at the current chunk."""

    def __init__(self, inputs, state):
        u, delta, A, B, C, D, z, delta_bias, _, _ = inputs
        self.state = state  # [P, B, N, D], as the states are
        self.u, self.delta, self.B, self.C, self.z = (
            None if x is None else _empty_sum(x, A.dim() == 3)
            for x in (u, delta, B, C, z)
        )
        self.A = state.new_zeros(len(state), *A.mT.shape[-2:])
        self.D, self.bias = (
            None if x is None else state.new_zeros(x.shape)
            for x in (D, delta_bias)
        )

    def as_inputs(self, inputs):
        """The gradients in the order of the inputs; autograd converts dtypes."""
        start = None if inputs[8] is None else self.state[0].mT
        u, delta, A, B, C = self.u, self.delta, self.A.mT, self.B, self.C
        A = A if inputs[2].dim() == 3 else A[0]
        return u, delta, A, B, C, self.D, self.z, self.bias, start, None


def _empty_sum(x, both):
    """Memory for what ``write`` writes: where it adds, wide and zero."""
    if not both:
        return torch.empty_like(x)
    dtype = torch.promote_types(x.dtype, torch.float32)
    return torch.zeros_like(x, dtype=dtype)


def _times(x, states):
    """Vectors ``[P, B, T, N]`` times matrices ``[P, B, T, N, D]``."""
    # Ten times faster than the transposed product, columns on the right.
    return (x.unsqueeze(3) @ states).squeeze(3)
