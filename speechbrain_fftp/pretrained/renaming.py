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

MAX_SIZE = 2**20  # of any size in a config.json


def read_sizes(checkpoint, names, fixed):
    """Reads the sizes of an encoder from the config.json of a folder.

    ``names`` maps arguments of the encoder to keys of config.json, ``fixed``
    other keys to the values that are supported. A ValueError names the key.
    """
    config, path = checkpoint.config, checkpoint.config_file
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
    return {name: config[key] for name, key in names.items()}


def count_blocks(names, prefix):
    """How many different numbers of blocks follow a prefix in some names."""
    pattern = re.compile(re.escape(prefix) + r"(\d+)\.")
    matches = [pattern.match(name) for name in names]
    return len({match[1] for match in matches if match})


def check_names(names, expected, model):
    """Raises a ValueError with the names of tensors that a model lacks."""
    problems = []
    for kind, differing in (
        ("Missing", set(expected) - set(names)),
        ("Unknown", set(names) - set(expected)),
    ):
        if len(differing) > 10:
            some = ", ".join(sorted(differing)[:10])
            problems.append(f"{kind}: {some} ... ({len(differing)} in all).")
        elif differing:
            problems.append(f"{kind}: {', '.join(sorted(differing))}.")
    if problems:
        raise ValueError(
            f"These are not the tensors of {model}. {' '.join(problems)}"
        )


def rename_tensors(tensors, table, depth, model):
    """Renames all tensors of a file, in float32.

    The table maps each new name to a list of old names, whose tensors are
    concatenated along their first axis. In the names, ``#`` stands for the
    number of each of ``depth`` blocks, and ``*`` for both weight and bias. What
    is missing or unknown is a ValueError, which calls the model ``model``.
    """
    if depth > len(tensors):
        raise ValueError(
            f"{len(tensors)} tensors are too few for {model} of depth {depth}."
        )
    old_names = {}
    for new, old in table.items():
        for block in range(depth):
            for kind in ("weight", "bias"):
                full, *parts = (
                    name.replace("#", str(block)).replace("*", kind)
                    for name in (new, *old)
                )
                old_names[full] = parts
    expected = [name for parts in old_names.values() for name in parts]
    check_names(tensors, expected, f"{model} of depth {depth}")
    return {
        new: torch.cat([torch.atleast_1d(tensors[x].float()) for x in parts])
        for new, parts in old_names.items()
    }


def build(
    checkpoint, table, depth, model, make_encoder, ignored=(), head_eps=1e-5
):
    """Builds an encoder and its classifier of a checkpoint's tensors.

    Arguments
    ---------
    checkpoint : Checkpoint
    table, depth, model
        See ``rename_tensors``. The classifier's new names begin with
        ``classifier.``: those of a linear layer, or of a layer norm, ``0``, and
        a linear layer, ``1``.
    make_encoder : callable
        Makes the encoder that fits the renamed tensors, some of which it may
        rearrange.
    ignored : sequence of str
        Tensors that are not used.
    head_eps : float
        Epsilon of the classifier's layer norm.

    Raises
    ------
    ValueError
        If the tensors do not fit; the file is named.
    """
    tensors = {k: x for k, x in checkpoint.tensors.items() if k not in ignored}
    try:
        tensors = rename_tensors(tensors, table, depth, model)
        head = {
            name.removeprefix("classifier."): tensors.pop(name)
            for name in list(tensors)
            if name.startswith("classifier.")
        }
        with torch.device("meta"):  # no memory before they are known to fit
            encoder = make_encoder(tensors)
            classifier = _make_classifier(head, encoder.embed_dim, head_eps)
        classifier.load_state_dict(head, assign=True)
        encoder.load_state_dict(tensors, assign=True)
    except LOADING_ERRORS as error:
        raise ValueError(f"{checkpoint.weights_file}: {error}") from error
    return encoder.eval(), classifier.eval()


def _make_classifier(head, width, eps):
    """A linear layer, after a layer norm if there are tensors of one."""
    if "1.weight" not in head:
        return torch.nn.Linear(width, len(head["weight"]))
    return torch.nn.Sequential(
        torch.nn.LayerNorm(width, eps=eps),
        torch.nn.Linear(width, len(head["1.weight"])),
    )


def split_positions(tensors, encoder, class_tokens):
    """Makes one table of class tokens and one of the patches' positions.

    Replaces ``tokens`` ``[1, K, D]`` and ``positions`` ``[1, K + F' * T', D]``
    by the encoder's ``class_tokens`` and positions ``[F', T', D]``. The first K
    positions are the class tokens', and are added to them.
    """
    rows, columns, width = encoder.position.table.shape
    tokens = tensors.pop("tokens").reshape(-1, width)
    positions = tensors.pop("positions").flatten(0, 1)
    if len(positions) != len(tokens) + rows * columns:
        raise ValueError(
            f"{len(positions)} positions do not fit {len(tokens)} class tokens "
            f"and {rows} rows of {columns} patches."
        )
    shape = getattr(encoder, class_tokens).shape
    tokens = tokens + positions[: len(tokens)]
    tensors[class_tokens] = tokens.view(shape)
    tensors[POSITIONS] = positions[len(tokens) :].view(rows, columns, width)
