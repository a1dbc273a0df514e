"""Mamba's selective scan: a linear recurrence with input-dependent factors.

Signature and shapes follow ``selective_scan_fn`` of
https://github.com/state-spaces/mamba (https://arxiv.org/abs/2312.00752,
section 3). In addition, it supports items of different lengths, a backward
direction without flipped copies, and both directions at once.

Authors
 * The speechbrain_fftp authors 2026
"""

import importlib.util

import torch

from speechbrain_fftp.nnet.selective_scan.mamba_ssm_backend import (
    mamba_ssm_scan,
)
from speechbrain_fftp.nnet.selective_scan.torch_backend import torch_scan


def _can_import(name):
    """Whether a package is installed, without importing it."""
    return importlib.util.find_spec(name) is not None


# Backends other than torch, in the order of "auto": which of them is faster has
# not been measured yet
INSTALLED = {
    "triton": _can_import("triton"),
    "mamba_ssm": _can_import("mamba_ssm"),
}


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
        Whether to return the last state as well.
    backend : str
        "torch" (any device),
        "triton" (CUDA, or any device under Triton's interpreter),
        "mamba_ssm" (CUDA), or "auto": on CUDA, the first kernel of a package
        that is installed and supports the arguments; otherwise, "torch".
    lengths : torch.Tensor, optional
        Number of steps ``[B]`` of each item, at least 1. Steps beyond it are
        ignored, and their outputs are zero.
    reverse : bool
        Whether the recursion runs from an item's last step to its first;
        outputs stay at their steps.

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
        If shapes disagree, A is complex, the backend is unknown or does not
        support the dtype, or a scan in both directions has ``reverse`` or
        ``return_last_state``.

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
    inputs = {
        "u": u,
        "delta": delta,
        "B": B,
        "C": C,
        "D": D,
        "z": z,
        "delta_bias": delta_bias,
        "lengths": lengths,
    }
    _check_shapes(A, **inputs)
    if A.dim() == 3 and (reverse or return_last_state):
        raise ValueError(
            f"A {list(A.shape)} asks for both directions, which cannot be "
            "combined with reverse or return_last_state."
        )
    scan = _find_scan(backend, u)
    out, last_state = scan(
        A=A, delta_softplus=delta_softplus, reverse=reverse, **inputs
    )
    return (out, last_state) if return_last_state else out


def _check_shapes(A, u, delta, B, C, D, z, delta_bias, lengths):
    """Raises a ValueError if shapes disagree; kernels do not check bounds."""
    if A.dim() not in (2, 3) or A.is_complex():
        raise ValueError(
            "A must be real and [D, N] or [2, D, N], but is "
            f"{A.dtype} {list(A.shape)}."
        )
    batch, width, steps = u.shape
    states = A.shape[-1]
    both_rates, one_rates = (2, width, states), (width, states)
    expected = {
        "delta": (delta, (batch, width, steps)),
        "A": (A, both_rates if A.dim() == 3 else one_rates),
        "B": (B, (batch, states, steps)),
        "C": (C, (batch, states, steps)),
        "D": (D, (width,)),
        "z": (z, (batch, width, steps)),
        "delta_bias": (delta_bias, (width,)),
        "lengths": (lengths, (batch,)),
    }
    for name, (tensor, shape) in expected.items():
        if tensor is not None and tensor.shape != shape:
            raise ValueError(
                f"{name} must be {list(shape)} for u {list(u.shape)} and A "
                f"{list(A.shape)}, but is {list(tensor.shape)}."
            )


def _find_scan(backend, u):
    """The scan function of a backend, for an input u."""
    if backend == "auto":
        has_kernels = u.device.type == "cuda" and u.dtype != torch.float64
        installed = (name for name, found in INSTALLED.items() if found)
        backend = next(installed, "torch") if has_kernels else "torch"
    if backend == "torch":
        return torch_scan
    if backend not in INSTALLED:
        raise ValueError(
            f"There is no backend {backend!r}: choose one of auto, torch, "
            f"{', '.join(INSTALLED)}."
        )
    if u.dtype == torch.float64:
        raise ValueError(
            f"backend={backend!r} computes in float32, but u is float64: use "
            "backend='torch'."
        )
    if backend == "triton":
        from speechbrain_fftp.nnet.selective_scan import triton_backend

        return triton_backend.triton_scan
    return mamba_ssm_scan
