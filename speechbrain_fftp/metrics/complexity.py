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
    """Both counts of multiply-accumulates, which can be added up."""

    linear_conv: int
    total: int

    def __add__(self, other):
        return Macs(*map(sum, zip(self, other)))


def count_macs(module, *inputs):
    """Counts the ``Macs`` of a forward pass, summed over the batch."""
    # Torch does not count the FLOPs of attention on a CPU.
    cpu_attention = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    more = {cpu_attention: lambda q, k, v, *_, **__: sdpa_flop_count(q, k, v)}
    counter = FlopCounterMode(display=False, custom_mapping=more)
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
        if "scaled_dot_product" in name:
            attention += flops // 2
        elif "bmm" not in name:
            linear_conv += flops // 2
        elif not scans:  # unfused attention; in a Mamba layer, the scan
            attention += flops // 2
    return Macs(linear_conv, linear_conv + attention + scans)
