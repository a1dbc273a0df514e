"""Tokens, parameters, multiply-accumulates and activation memory of a model.

> python tools/complexity.py hparams/ast_fftp.yaml --embed_dim 192

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import sys
import tempfile

import numpy as np
import torch
from hyperpyyaml import load_hyperpyyaml

from speechbrain_fftp.metrics.complexity import count_macs


def saved_bytes(module, *inputs):
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


def describe(encoder, classifier, n_frames):
    """A table of a model's figures for one clip, with a row for each part."""
    patches = encoder.embedding.num_patches(n_frames)
    tokens = []
    hook = encoder.blocks[0].register_forward_pre_hook(
        lambda block, args: tokens.append(args[0].shape[1])
    )
    feats = torch.zeros(1, n_frames, encoder.embedding.n_mels)
    output, whole = figures(encoder, feats)
    hook.remove()
    _, patching = figures(encoder.embedding, feats)
    _, head = figures(classifier, output.detach().requires_grad_())
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


def figures(module, x):
    """Output, and million parameters, GMACs of both counts and MiB saved."""
    output, size = saved_bytes(module, x)
    macs = count_macs(module, x)
    parameters = sum(p.numel() for p in module.parameters())
    return output, np.array([parameters, *macs, size]) / [1e6, 1e9, 1e9, 2**20]


def main(argv=None):
    """Prints the table of a yaml file's model; returns the exit status."""
    parser = argparse.ArgumentParser(
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
        print(describe(*model, args.frames))
    except (OSError, KeyError, ValueError) as error:
        print(f"complexity: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
