"""What the families share: modules of a published model, and their weights.

Tensors get the names of this package's modules, which then load exactly these
tensors.

Authors
 * The speechbrain_fftp authors 2026
"""

import re

import torch

from fftp_tag.errors import InputError

# Names in this package's encoders
PATCHES = "embedding.proj.weight"
POSITIONS = "position.table"

# Names in the blocks of a vision transformer in timm
BLOCKS = {
    r"\.attn\.": ".",
    r"\.mlp\.fc1\.": ".mlp.0.",
    r"\.mlp\.fc2\.": ".mlp.3.",
}


def rename(tensors, patterns, unused=()):
    """Drops unused tensors and replaces patterns in the names of the rest.

    The patterns are replaced in order. Floating-point tensors become float32.
    """
    renamed = {}
    for name, tensor in tensors.items():
        if name in unused:
            continue
        for pattern, replacement in patterns.items():
            name = re.sub(pattern, replacement, name)
        is_float = tensor.is_floating_point()
        renamed[name] = tensor.float() if is_float else tensor
    return renamed


def count_blocks(tensors):
    """The number of blocks whose tensors are named ``blocks.NUMBER.``."""
    names = [name for name in tensors if name.startswith("blocks.")]
    return len({name.split(".")[1] for name in names})


def transformer_sizes(tensors):
    """Width, depth and MLP ratio of a transformer, from its tensors."""
    hidden, width = tensors["blocks.0.mlp.0.weight"].shape
    return {
        "embed_dim": width,
        "depth": count_blocks(tensors),
        "mlp_ratio": hidden / width,
    }


def count_heads(width):
    """The number of heads, with 64 channels each as in published models."""
    if width % 64:
        raise InputError(
            f"The width {width} is not a multiple of 64, the width of a head "
            "in published models: the number of heads is unknown."
        )
    return width // 64


def check_setting(settings, name, *supported):
    """Raises an ``InputError`` unless a setting has a supported value."""
    if settings.get(name) not in supported:
        raise InputError(
            f"{name} is {settings.get(name)!r}, but only "
            f"{' or '.join(map(repr, supported))} is supported."
        )


def norm_and_linear(tensors, width, eps=1e-5):
    """The layer norm and the linear layer of a classifier."""
    return torch.nn.Sequential(
        torch.nn.LayerNorm(width, eps=eps),
        torch.nn.Linear(width, len(tensors["classifier.1.bias"])),
    )


def load_weights(encoder, classifier, tensors):
    """Loads renamed tensors; the classifier's start with ``classifier.``.

    Patches, published as a convolution, become a linear layer.
    """
    # [D, 1, bins, frames] -> [D, frames * bins]
    patches = tensors[PATCHES].squeeze(1).transpose(1, 2).flatten(1)
    tensors = {**tensors, PATCHES: patches}
    modules = {"encoder": encoder, "classifier": classifier}
    state = {
        name if name.startswith("classifier.") else f"encoder.{name}": tensor
        for name, tensor in tensors.items()
    }
    torch.nn.ModuleDict(modules).load_state_dict(state, assign=True)
    return encoder.eval(), classifier.eval()
