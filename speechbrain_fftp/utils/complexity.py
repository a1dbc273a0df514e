"""Multiply-accumulates of a model.

There are two counts of multiply-accumulates (MACs): linear and convolutional
layers only, which https://arxiv.org/abs/2508.21243 calls FLOPs, and a total
that adds the matmuls within attention and three MACs per channel, state and
token for the scan of Audio Mamba (decay, input and output). Neither includes
element-wise functions, normalisation and the front end.

Authors
 * The speechbrain_fftp authors 2026
"""

from typing import NamedTuple

import torch
from torch.nn.modules.module import register_module_forward_hook
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from speechbrain_fftp.nnet.mamba import Mamba


class Macs(NamedTuple):
    """Both counts of multiply-accumulates.

    Arguments
    ---------
    linear_conv : int
        MACs of linear and convolutional layers.
    total : int
        MACs including attention and Mamba's scans.
    """

    linear_conv: int
    total: int


def count_macs(module, *inputs):
    """Counts the multiply-accumulates of a forward pass, summed over the batch.

    Arguments
    ---------
    module : torch.nn.Module
        The model.
    *inputs : tuple
        Its inputs.

    Returns
    -------
    Macs
        Both counts.

    Example
    -------
    >>> count_macs(torch.nn.Linear(8, 4), torch.rand(10, 8))
    Macs(linear_conv=320, total=320)
    """
    # Torch does not count the FLOPs of attention on a CPU.
    cpu_attention = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    counter = FlopCounterMode(
        display=False, custom_mapping={cpu_attention: _cpu_attention_flops}
    )
    scans = 0

    def count_scans(layer, args, output):
        """Adds the scans of a Mamba layer."""
        nonlocal scans
        if isinstance(layer, Mamba):
            batch, n_tokens, _ = args[0].shape
            states = 2 * layer.d_inner * layer.d_state  # of both directions
            scans += 3 * batch * n_tokens * states

    # With gradients, which the counter's module tracker expects
    with torch.inference_mode(False), torch.enable_grad():
        copies = [x.clone() if torch.is_tensor(x) else x for x in inputs]
        with register_module_forward_hook(count_scans), counter:
            module(*copies)
    linear_conv = attention = 0
    for operation, flops in counter.get_flop_counts().get("Global", {}).items():
        name = str(operation)
        if "scaled_dot_product" in name or "bmm" in name:
            attention += flops // 2
        else:
            linear_conv += flops // 2
    return Macs(linear_conv, linear_conv + attention + scans)


def _cpu_attention_flops(q_shape, k_shape, v_shape, *args, **kwargs):
    """FLOPs of attention on a CPU."""
    return sdpa_flop_count(q_shape, k_shape, v_shape)
