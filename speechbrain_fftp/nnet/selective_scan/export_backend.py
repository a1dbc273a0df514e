"""The selective scan for ``torch.export``, from which ONNX files are made.

Authors
 * The speechbrain_fftp authors 2026
"""

import torch

from speechbrain_fftp.nnet.selective_scan.torch_backend import mask_and_bias


def exportable_scan(
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
    """The scan in one direction, for ``torch.export`` with a dynamic L.

    It becomes ONNX's Scan, which takes one step at a time in constant memory.

    Arguments
    ---------
    u, delta, A, B, C, D, z, delta_bias, delta_softplus, lengths, reverse : any
        Those of ``selective_scan``.

    Returns
    -------
    out : torch.Tensor
        Outputs ``[B, D, L]``.
    last_state : torch.Tensor
        ``[B, D, N]``.

    Example
    -------
    >>> u, delta = torch.rand(2, 4, 6), torch.rand(2, 4, 6)
    >>> B, C = torch.rand(2, 3, 6), torch.rand(2, 3, 6)
    >>> out, last_state = exportable_scan(u, delta, -torch.rand(4, 3), B, C)
    >>> out.shape, last_state.shape
    (torch.Size([2, 4, 6]), torch.Size([2, 4, 3]))
    """
    from torch._higher_order_ops.scan import scan

    if lengths is None:
        lengths = torch.full((u.shape[0],), u.shape[2], device=u.device)
    u, delta, B, C, z = mask_and_bias(
        u, delta, B, C, z, delta_bias, delta_softplus, lengths
    )
    # [B, X, L] -> [L, B, X]
    sequences = [
        x.permute(2, 0, 1).to(A.dtype) for x in (delta, delta * u, B, C)
    ]
    if reverse:
        sequences = [x.flip(0) for x in sequences]
    start = torch.zeros_like(A).expand(u.shape[0], -1, -1).clone()

    def step(state, inputs):
        """One step of the recursion, for all channels."""
        delta, delta_u, B, C = inputs  # [B, D] or [B, N]
        decay = torch.exp(delta.unsqueeze(2) * A)
        state = decay * state + delta_u.unsqueeze(2) * B.unsqueeze(1)
        return state, torch.matmul(state, C.unsqueeze(2)).squeeze(2)

    sequences = [x.contiguous() for x in sequences]
    last_state, out = scan(step, start, sequences)
    if reverse:
        out = out.flip(0)
    out = out.permute(1, 2, 0)
    if D is not None:
        out = out + D.unsqueeze(1) * u
    if z is not None:
        out = out * torch.nn.functional.silu(z)
    return out.to(u.dtype), last_state
