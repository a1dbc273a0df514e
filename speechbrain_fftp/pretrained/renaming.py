"""Turns a published model's tensors and sizes into an encoder and classifier.

The tensors' new names are those of this package's encoders. Every tensor of a
file is used, or the file is refused with the names of those that are missing or
unknown.

Authors
 * The speechbrain_fftp authors 2026
"""

import re

import torch

from speechbrain_fftp.pretrained.tensors import LOADING_ERRORS

# Names in this package's encoders; AuM without positions lacks the second.
PATCHES = "embedding.proj.weight"
POSITIONS = "position.table"

# Names in the blocks of a vision transformer, as timm has them
BLOCKS = {
    r"\.attn\.": ".",
    r"\.mlp\.fc1\.": ".mlp.0.",
    r"\.mlp\.fc2\.": ".mlp.3.",
}

MAX_SIZE = 2**20  # of any size in a config.json


def read_sizes(checkpoint, names, fixed):
    """Reads the sizes of an encoder from the config.json of a folder.

    ``names`` maps arguments of the encoder to keys of config.json, ``fixed``
    other keys to the values that are supported. A ValueError names the key.
    """
    config = checkpoint.config
    path = checkpoint.config_file
    for key, supported in fixed.items():
        if config.get(key) not in supported:
            raise ValueError(
                f"{path}: {key} is {config.get(key)!r}, but only "
                f"{' or '.join(map(repr, supported))} is supported."
            )
    for key in names.values():
        value = config.get(key)
        is_number = isinstance(value, (int, float))
        if not is_number or not 0 < value <= MAX_SIZE:
            raise ValueError(
                f"{path}: {key} must be a number above 0 and at most "
                f"{MAX_SIZE}, not {value!r}."
            )
    sizes = {name: config[key] for name, key in names.items()}
    if sizes["depth"] > len(checkpoint.tensors):
        raise ValueError(
            f"{checkpoint.weights_file}: {len(checkpoint.tensors)} tensors are "
            f"too few for a depth of {sizes['depth']}."
        )
    return sizes


def count_blocks(tensors):
    """The number of blocks whose tensors are named ``blocks.NUMBER.``."""
    names = [name for name in tensors if name.startswith("blocks.")]
    return len({name.split(".")[1] for name in names})


def count_heads(width):
    """The number of attention heads, of 64 channels each."""
    if not width or width % 64:
        raise ValueError(
            f"The width {width} is not a multiple of 64, the channels of a "
            "head in published models: the number of heads is unknown."
        )
    return width // 64


def check_names(names, expected, model):
    """Raises a ValueError if tensors are missing or unknown in a model."""
    missing = sorted(set(expected) - set(names))
    unknown = sorted(set(names) - set(expected))
    if missing or unknown:
        raise ValueError(
            f"These are not the tensors of {model}: {len(missing)} are missing "
            f"{missing[:5]}, {len(unknown)} are unknown {unknown[:5]}."
        )


def rename_tensors(tensors, patterns):
    """Replaces all patterns in the names of tensors, in order; in float32."""
    renamed = {}
    for name, tensor in tensors.items():
        for pattern, replacement in patterns.items():
            name = re.sub(pattern, replacement, name)
        is_float = tensor.is_floating_point()
        renamed[name] = tensor.float() if is_float else tensor
    return renamed


def linear_classifier(tensors, width, eps=1e-5):
    """A linear layer, after a layer norm if there are tensors of one.

    Their names are ``classifier.`` and those of the linear layer, or of the
    layer norm, ``0``, and the linear layer, ``1``.
    """
    if "classifier.weight" in tensors:
        return torch.nn.Linear(width, len(tensors["classifier.weight"]))
    return torch.nn.Sequential(
        torch.nn.LayerNorm(width, eps=eps),
        torch.nn.Linear(width, len(tensors["classifier.1.weight"])),
    )


def build(
    checkpoint, patterns, make_encoder, make_classifier=linear_classifier
):
    """Builds an encoder and its classifier of a checkpoint's tensors.

    Arguments
    ---------
    checkpoint : Checkpoint
    patterns : dict
        Regular expressions and what replaces them in the names of tensors. The
        classifier's new names begin with ``classifier.``.
    make_encoder : callable
        Makes the encoder that fits the renamed tensors, which it may rearrange.
    make_classifier : callable
        Makes the classifier that fits the renamed tensors and a width.

    Raises
    ------
    ValueError
        If the tensors do not fit; the file is named.
    """
    tensors = rename_tensors(checkpoint.tensors, patterns)
    try:
        with torch.device("meta"):  # no memory before they are known to fit
            encoder = make_encoder(tensors)
            classifier = make_classifier(tensors, encoder.embed_dim)
        model = torch.nn.ModuleDict(
            {"encoder": encoder, "classifier": classifier}
        )
        state = {
            name if name.startswith("classifier.") else f"encoder.{name}": x
            for name, x in tensors.items()
        }
        model.load_state_dict(state, assign=True)
    except KeyError as error:
        raise ValueError(
            f"{checkpoint.weights_file} has no tensor {error}."
        ) from error
    except LOADING_ERRORS as error:
        raise ValueError(f"{checkpoint.weights_file}: {error}") from error
    return encoder.eval(), classifier.eval()


def split_positions(tokens, positions, table):
    """Adds the positions of K class tokens to them, and separates the others.

    From tokens ``[..., D]`` and positions ``[1, K + F' * T', D]``, of which the
    first K are the class tokens', to ``[K, D]`` and ``[F', T', D]``, the shape
    of the encoder's ``table``.
    """
    tokens = tokens.flatten(0, -2)
    positions = positions.flatten(0, 1)
    if len(positions) != len(tokens) + table.shape[:2].numel():
        raise ValueError(
            f"{len(positions)} positions do not fit {len(tokens)} class tokens "
            f"and {table.shape[0]} rows of {table.shape[1]} patches."
        )
    tokens = tokens + positions[: len(tokens)]
    return tokens, positions[len(tokens) :].view_as(table)
