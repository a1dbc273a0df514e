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

ATTENTION = "scaled_dot_product"


class Macs(NamedTuple):
    """Multiply-accumulates.

    Arguments
    ---------
    linear_conv : int
        MACs of linear and convolutional layers: the paper's count.
    total : int
        The same plus those of attention and the scan.

    Example
    -------
    >>> Macs(linear_conv=10, total=12) + Macs(1, 1)
    Macs(linear_conv=11, total=13)
    """

    linear_conv: int
    total: int

    def __add__(self, other):
        return Macs(*map(sum, zip(self, other)))


def count_macs(module, *inputs):
    """Counts the multiply-accumulates of a forward pass.

    Arguments
    ---------
    module : torch.nn.Module
        Any module, in any gradient mode.
    *inputs : torch.Tensor
        Its inputs.

    Returns
    -------
    Macs
        Both counts, ``linear_conv`` and ``total``, summed over the batch.

    Example
    -------
    >>> count_macs(torch.nn.Linear(8, 4, bias=False), torch.rand(2, 5, 8))
    Macs(linear_conv=320, total=320)
    """
    cpu_attention = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu

    def count_attention(query, key, value, *args, **kwargs):
        """FLOPs of attention on a CPU, which torch does not count."""
        return sdpa_flop_count(query, key, value)

    counter = FlopCounterMode(
        display=False, custom_mapping={cpu_attention: count_attention}
    )
    has_mixers = any(isinstance(m, Mamba) for m in module.modules())
    linear_conv = attention = scans = 0

    def count_mixer(mixer, args, output):
        """Adds the convolutions and scans of a Mamba layer."""
        nonlocal linear_conv, scans
        if not isinstance(mixer, Mamba):
            return
        tokens = args[0].shape[0] * args[0].shape[1]
        steps = tokens * mixer.d_inner * (2 if mixer.bidirectional else 1)
        forms = 2 if mixer.bidirectional == "bi-bi" else 1
        linear_conv += tokens * mixer.d_inner * mixer.d_conv * forms
        scans += 3 * steps * mixer.d_state

    # With gradients, which the counter's module tracker expects
    with torch.inference_mode(False), torch.enable_grad():
        copies = [x.clone() if torch.is_tensor(x) else x for x in inputs]
        with register_module_forward_hook(count_mixer), counter:
            module(*copies)
    for operation, flops in counter.get_flop_counts()["Global"].items():
        name = str(operation)
        if ATTENTION in name:
            attention += flops // 2
        elif "bmm" not in name:
            linear_conv += flops // 2
        elif not has_mixers:  # unfused attention; in a Mamba layer, the scan
            attention += flops // 2
    return Macs(linear_conv, linear_conv + attention + scans)
