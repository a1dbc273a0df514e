"""Mamba's selective scan: a linear recurrence with input-dependent factors.

Signature and shapes follow ``selective_scan_fn`` of
https://github.com/state-spaces/mamba (https://arxiv.org/abs/2312.00752,
section 3). Added are items of different lengths, a backward direction without
flipped copies, both directions at once, and an initial state.

Authors
 * The speechbrain_fftp authors 2026
"""

import importlib.util
import os

import torch

from speechbrain_fftp.nnet.selective_scan.torch_backend import (
    _in_turn,
    _torch_scan,
)

HINTS = {
    "triton": "the package triton: pip install triton",
    "mamba_ssm": "that package, and a CUDA compiler to build it: pip install "
    "mamba-ssm --no-build-isolation",
}
INSTALLED = {name: importlib.util.find_spec(name) is not None for name in HINTS}
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"


def selective_scan(
    u,
    delta,
    A,
    B,
    C,
    D=None,
    z=None,
    delta_bias=None,
    delta_softplus=False,
    return_last_state=False,
    backend="auto",
    lengths=None,
    reverse=False,
    initial_state=None,
):
    """Scans a sequence: ``h[t] = exp(delta[t] A) h[t-1] + delta[t] B[t] u[t]``.

    The output is ``y[t] = (C[t] h[t] + D u[t]) * silu(z[t])``. It is computed
    in at least float32, whatever the dtypes of the inputs, and is
    differentiable with respect to all of them.

    Arguments
    ---------
    u : torch.Tensor
        Input ``[B, D, L]`` of any strides; transposed views of ``[B, L, D]``
        are fastest.
    delta : torch.Tensor
        Step sizes ``[B, D, L]``.
    A : torch.Tensor
        Decay rates ``[D, N]``, real and negative; or ``[2, D, N]``, for a scan
        in both directions, whose outputs are added.
    B, C : torch.Tensor
        Input and output factors ``[B, N, L]``.
    D : torch.Tensor, optional
        Weights ``[D]`` of the input in the output.
    z : torch.Tensor, optional
        Gate ``[B, D, L]``.
    delta_bias : torch.Tensor, optional
        Bias ``[D]`` of the step sizes.
    delta_softplus : bool
        Whether softplus is applied to the step sizes after the bias.
    return_last_state : bool
        Whether the last state is returned too.
    backend : str
        "torch" (any device), "triton" (CUDA, or any under Triton's
        interpreter), "mamba_ssm" (CUDA, where that package is installed), or
        "auto": "torch" on a CPU, otherwise the first of "mamba_ssm", "triton"
        and "torch" that is installed and supports the arguments.
    lengths : torch.Tensor, optional
        Number of steps ``[B]`` of each item, at least 1. Steps beyond it are
        ignored, and their outputs are zero.
    reverse : bool
        Whether the recursion runs from an item's last step to its first;
        outputs stay at their steps.
    initial_state : torch.Tensor, optional
        State ``[B, D, N]`` before the first step; zero by default.

    Returns
    -------
    out : torch.Tensor
        ``[B, D, L]``, of u's dtype.
    last_state : torch.Tensor
        With ``return_last_state``, the state ``[B, D, N]`` after the last step
        of the recursion: float32, or float64 if u is.

    Raises
    ------
    ValueError
        If shapes disagree, a tensor is empty, A is complex, the backend is
        unknown or does not support the arguments, or a scan in both directions
        has ``reverse``, ``initial_state`` or ``return_last_state``.
    ImportError
        If the backend is not installed.

    Example
    -------
    >>> u, delta = torch.randn(2, 6, 100), torch.rand(2, 6, 100)
    >>> B, C = torch.randn(2, 4, 100), torch.randn(2, 4, 100)
    >>> selective_scan(u, delta, -torch.rand(6, 4), B, C).shape
    torch.Size([2, 6, 100])

    In both directions:

    >>> A = -torch.rand(2, 6, 4)
    >>> out = selective_scan(u, delta, A, B, C)
    >>> forward = selective_scan(u, delta, A[0], B, C)
    >>> backward = selective_scan(u, delta, A[1], B, C, reverse=True)
    >>> torch.allclose(out, forward + backward, atol=1e-4)
    True
    """
    inputs = (u, delta, A, B, C, D, z, delta_bias, initial_state, lengths)
    _check(*inputs)
    one_direction = reverse or return_last_state or initial_state is not None
    if A.dim() == 3 and one_direction:
        raise ValueError(
            f"A {list(A.shape)} asks for both directions, which cannot be "
            "combined with reverse, initial_state or return_last_state."
        )
    backend = _find_backend(backend, u, initial_state)
    scan = _scan
    if torch.compiler.is_dynamo_compiling():
        if backend != "triton":  # break the graph
            scan = torch.compiler.disable(_scan)
    elif torch.compiler.is_compiling():  # torch.export
        scan = _exportable_scan
    out, last_state = scan(inputs, delta_softplus, reverse, backend)
    return (out, last_state) if return_last_state else out


def _check(u, delta, A, B, C, D, z, delta_bias, initial_state, lengths):
    """Raises a ValueError if shapes disagree."""
    if u.dim() != 3 or u.numel() == 0:
        raise ValueError(
            f"u must be [B, D, L] and not empty, but is {list(u.shape)}."
        )
    if A.dim() not in (2, 3) or A.is_complex():
        raise ValueError(
            "A must be real and [D, N] or [2, D, N], but is "
            f"{A.dtype} {list(A.shape)}."
        )
    batch, width, steps = u.shape
    states = A.shape[-1]
    expected = {
        "delta": (delta, (batch, width, steps)),
        "A": (A, (2, width, states)[3 - A.dim() :]),
        "B": (B, (batch, states, steps)),
        "C": (C, (batch, states, steps)),
        "D": (D, (width,)),
        "z": (z, (batch, width, steps)),
        "delta_bias": (delta_bias, (width,)),
        "lengths": (lengths, (batch,)),
        "initial_state": (initial_state, (batch, width, states)),
    }
    for name, (tensor, shape) in expected.items():
        if tensor is not None and tensor.shape != shape:
            raise ValueError(
                f"{name} must be {list(shape)} for u {list(u.shape)} and A "
                f"{list(A.shape)}, but is {list(tensor.shape)}."
            )


def _find_backend(backend, u, initial_state=None):
    """The name of the backend to use; an error if it cannot be used."""
    on_cuda = u.device.type == "cuda"
    if backend == "auto":
        if not on_cuda or u.dtype == torch.float64:
            return "torch"
        if initial_state is None and INSTALLED["mamba_ssm"]:
            return "mamba_ssm"
        return "triton" if INSTALLED["triton"] else "torch"
    if backend == "torch":
        return backend
    if backend not in HINTS:
        raise ValueError(
            f"There is no backend {backend!r}: choose 'auto', 'torch', "
            "'triton' or 'mamba_ssm'."
        )
    if u.dtype == torch.float64:
        raise ValueError(
            f"backend={backend!r} computes in float32, but u is float64: use "
            "backend='torch'."
        )
    if not INSTALLED[backend]:
        raise ImportError(f"backend={backend!r} needs {HINTS[backend]}")
    if backend == "mamba_ssm" and initial_state is not None:
        raise ValueError(
            "backend='mamba_ssm' cannot start from an initial_state: use "
            "backend='triton' or 'torch'."
        )
    if backend == "triton" and not (on_cuda or INTERPRETED):
        raise ValueError(
            f"backend='triton' needs tensors on a GPU, but u is on {u.device}: "
            "use backend='torch' there."
        )
    return backend


def _scan(inputs, delta_softplus, reverse, backend):
    """Scans with a backend."""
    if backend == "triton":
        from speechbrain_fftp.nnet.selective_scan import triton_backend

        return triton_backend._triton_scan(inputs, delta_softplus, reverse)
    scan = _torch_scan if backend == "torch" else _mamba_ssm_scan
    return scan(inputs, delta_softplus, reverse)


def _masked(inputs, lengths, delta_softplus):
    """The padding mask, and inputs that are zero in padded steps."""
    u, delta, _, B, C, _, z, delta_bias, *_ = inputs
    steps = torch.arange(u.shape[2], device=u.device)
    padding = (steps >= lengths.unsqueeze(1)).unsqueeze(1)
    delta = delta.to(torch.promote_types(delta.dtype, torch.float32))
    if delta_bias is not None:
        delta = delta + delta_bias.unsqueeze(1)
    if delta_softplus:
        delta = torch.nn.functional.softplus(delta)
    return padding, (
        None if x is None else x.masked_fill(padding, 0.0)
        for x in (u, delta, B, C, z)
    )


def _mamba_ssm_scan(inputs, delta_softplus, reverse):
    """The CUDA kernel of mamba_ssm, on flipped copies where needed."""
    from mamba_ssm.ops.selective_scan_interface import selective_scan_fn

    u, delta, A, B, C, D, z, delta_bias, _, lengths = inputs
    if A.dim() == 3:
        return _in_turn(_mamba_ssm_scan, inputs, delta_softplus)
    if lengths is not None:
        padding, masked = _masked(inputs, lengths, delta_softplus)
        u, delta, B, C, z = masked
        delta_bias, delta_softplus = None, False
    if reverse:
        u, delta, B, C, z = (
            None if x is None else x.flip(2) for x in (u, delta, B, C, z)
        )
    out, last_state = selective_scan_fn(
        *(u, delta.to(u.dtype), A.float(), B.to(u.dtype), C.to(u.dtype)),
        D=None if D is None else D.float(),
        z=None if z is None else z.to(u.dtype),
        delta_bias=None if delta_bias is None else delta_bias.float(),
        delta_softplus=delta_softplus,
        return_last_state=True,
    )
    out = out.flip(2) if reverse else out
    if lengths is not None:
        out = out.masked_fill(padding, 0.0)
    return out, last_state


def _exportable_scan(inputs, delta_softplus, reverse, _=None):
    """The scan as one operator, for ``torch.export`` with a dynamic L.

    It becomes ONNX's Scan, which takes one step at a time in constant memory.
    """
    from torch._higher_order_ops.scan import scan

    u, _, A, _, _, D, _, _, initial_state, lengths = inputs
    if A.dim() == 3:
        return _in_turn(_exportable_scan, inputs, delta_softplus)
    if lengths is None:
        lengths = torch.full((u.shape[0],), u.shape[2], device=u.device)
    _, (u, delta, B, C, z) = _masked(inputs, lengths, delta_softplus)
    inputs = (x.permute(2, 0, 1).to(A.dtype) for x in (delta, delta * u, B, C))
    if initial_state is None:
        initial_state = torch.zeros_like(A).expand(u.shape[0], -1, -1)

    def step(state, inputs):
        """One step of the recursion, for all channels."""
        delta, delta_u, B, C = inputs  # [B, D] or [B, N]
        decay = torch.exp(delta.unsqueeze(2) * A)
        state = decay * state + delta_u.unsqueeze(2) * B.unsqueeze(1)
        return state, torch.matmul(state, C.unsqueeze(2)).squeeze(2)

    inputs = [x.flip(0) if reverse else x.contiguous() for x in inputs]
    last_state, out = scan(step, initial_state.clone(), inputs)
    out = (out.flip(0) if reverse else out).permute(1, 2, 0)
    if D is not None:
        out = out + D.unsqueeze(1) * u
    if z is not None:
        out = out * torch.nn.functional.silu(z)
    return out.to(u.dtype), last_state
