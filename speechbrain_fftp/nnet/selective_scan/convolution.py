"""Mamba's depthwise convolution over time, bias and SiLU.

Authors
 * The speechbrain_fftp authors 2026
"""

import torch

from speechbrain_fftp.nnet.selective_scan import INSTALLED, _find_backend


def _convolve(x, conv, backend, reverse=False):
    """Causal convolution and SiLU of channels ``[B, L, D]``, zeros before.

    ``conv`` is a depthwise ``Conv1d``. With ``reverse``, an output depends on
    the steps after it instead, and zeros follow the last.
    """
    if _find_backend(backend, x) != "torch" and INSTALLED["triton"]:
        from speechbrain_fftp.nnet.selective_scan import triton_convolution

        convolve = triton_convolution._triton_convolve
        return convolve(x, conv.weight, conv.bias, reverse)
    zeros = x.new_zeros(x.shape[0], conv.kernel_size[0] - 1, x.shape[2])
    parts = (x, zeros) if reverse else (zeros, x)
    return _convolve_valid(torch.cat(parts, 1), conv, reverse)


def _convolve_valid(x, conv, reverse=False):
    """The same for the outputs that depend only on the given steps."""
    # On a CPU, a weighted sum of shifted copies is several times faster than
    # conv1d, since the channels stay adjacent.
    taps = conv.weight[:, 0].t().contiguous()
    taps = taps.flip(0) if reverse else taps
    n_steps = x.shape[1] - len(taps) + 1
    out = torch.addcmul(conv.bias, x[:, :n_steps], taps[0])
    for k in range(1, len(taps)):
        out = out.addcmul_(x[:, k : k + n_steps], taps[k])
    return torch.nn.functional.silu(out).to(x.dtype)
