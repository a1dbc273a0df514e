"""Tokens, parameters, multiply-accumulates and activation memory of a model.

``python -m speechbrain_fftp.utils.complexity hparams/ast_fftp.yaml`` prints them
for the model of a yaml file.

There are two counts of multiply-accumulates (MACs): linear and convolutional
layers only, which https://arxiv.org/abs/2508.21243 calls FLOPs, and a total
that adds the matmuls within attention and three MACs per channel, state and
token for the scan of Audio Mamba (decay, input and output). Neither includes
element-wise functions, normalisation and the front end.

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import sys
import tempfile
from typing import NamedTuple

import numpy as np
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


def _saved_bytes(module, *inputs):
    """A module's output, and the bytes that autograd saves but parameters."""
    storages = {}  # by address, so that each counts once

    def pack(tensor):
        """Notes the memory of a saved tensor."""
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        output = module(*inputs)
    for parameter in module.parameters():
        storages.pop(parameter.untyped_storage().data_ptr(), None)
    return output, sum(storage.nbytes() for storage in storages.values())


def _describe(encoder, classifier, n_frames):
    """A table of a model's figures for one clip, with a row for each part."""
    patches = encoder.embedding.num_patches(n_frames)
    tokens = []
    hook = encoder.blocks[0].register_forward_pre_hook(
        lambda block, args: tokens.append(args[0].shape[1])
    )
    feats = torch.zeros(1, n_frames, encoder.embedding.n_mels)
    output, whole = _figures(encoder, feats)
    hook.remove()
    _, patching = _figures(encoder.embedding, feats)
    _, head = _figures(classifier, output.detach().requires_grad_())
    blocks = f"{len(encoder.blocks)} blocks, and the rest of the encoder"
    rows = {
        "patch embedding": patching,
        blocks: whole - patching,
        "classifier": head,
        "all": whole + head,
    }
    lines = [
        f"{n_frames} frames: {patches} patches, {tokens[0]} tokens",
        f"{'part':<42}{'M parameters':>13}{'GMACs, linear+conv':>20}"
        f"{'all GMACs':>11}{'MiB to train':>14}",
    ]
    for name, (parameters, linear_conv, total, mebibytes) in rows.items():
        lines.append(
            f"{name:<42}{parameters:>13.3f}{linear_conv:>20.3f}"
            f"{total:>11.3f}{mebibytes:>14.1f}"
        )
    return "\n".join(lines)


def _figures(module, x):
    """Output, and million parameters, GMACs of both counts and MiB saved."""
    output, size = _saved_bytes(module, x)
    macs = count_macs(module, x)
    parameters = sum(p.numel() for p in module.parameters())
    return output, np.array([parameters, *macs, size]) / [1e6, 1e9, 1e9, 2**20]


def _main(argv=None):
    """Prints the table for the model of a yaml file; returns the exit status."""
    from hyperpyyaml import load_hyperpyyaml

    parser = argparse.ArgumentParser(
        prog="python -m speechbrain_fftp.utils.complexity",
        description="Print tokens, parameters, multiply-accumulates and "
        "activation memory (float32, one clip) of a recipe's model.",
    )
    parser.add_argument("hparams", metavar="YAML", help="a recipe's yaml file")
    parser.add_argument("--frames", type=int, default=1000, metavar="T")
    args, rest = parser.parse_known_args(argv)
    pairs = [("--data_folder", "none"), *zip(rest[::2], rest[1::2])]
    try:
        with tempfile.TemporaryDirectory() as folder:
            pairs.append(("--output_folder", folder))
            overrides = "\n".join(f"{k.lstrip('-')}: {v}" for k, v in pairs)
            with open(args.hparams, encoding="utf-8") as file:
                hparams = load_hyperpyyaml(file, overrides)
        model = hparams["embedding_model"], hparams["classifier"]
        print(_describe(*model, args.frames))
    except (OSError, KeyError, ValueError) as error:
        print(f"complexity: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(_main())
