"""What the recipes' scripts share before training begins.

Authors
 * The speechbrain_fftp authors 2026
"""

from pathlib import Path

import ruamel.yaml

from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain_fftp.utils.pretrained import load_encoder


def plain_yaml(hparams_file):
    """Reads a yaml of hyperparameters without making any object.

    Arguments
    ---------
    hparams_file : str
        The file.

    Returns
    -------
    dict
        Its keys; nodes such as ``!ref`` keep their tags.

    Example
    -------
    >>> path = getfixture("tmpdir") / "hparams.yaml"
    >>> _ = path.write("task: 12\\nfbank: !new:Fbank {}")
    >>> plain_yaml(path)["task"]
    12
    """
    return ruamel.yaml.YAML().load(Path(hparams_file))


def encode_labels(labels, n_classes):
    """Numbers the classes of the data.

    Arguments
    ---------
    labels : iterable of str
        The labels, in the order of their classes.
    n_classes : int
        How many the model tells apart.

    Returns
    -------
    speechbrain.dataio.encoder.CategoricalEncoder
        Maps class indices to labels.

    Raises
    ------
    ValueError
        If the data have another number of classes.

    Example
    -------
    >>> encode_labels(["no", "yes"], 2).ind2lab
    {0: 'no', 1: 'yes'}
    """
    label_encoder = CategoricalEncoder()
    label_encoder.update_from_iterable(labels)
    found = len(label_encoder)
    label_encoder.expect_len(n_classes)
    if found != n_classes:
        raise ValueError(
            f"The class list has {found} classes, but n_classes is "
            f"{n_classes}: pass --n_classes {found}."
        )
    return label_encoder


def start_from_pretrained(encoder, source, frozen_epochs=0):
    """Loads the weights to start from into an encoder.

    Arguments
    ---------
    encoder : AST or AuM
        The encoder, with random weights.
    source : str or None
        A file or folder, see ``load_encoder``; without one, nothing is done.
    frozen_epochs : int
        For how many epochs it is to stay as it is then.

    Raises
    ------
    ValueError
        If part of a frozen encoder would have random weights.

    Example
    -------
    >>> import torch
    >>> encoder = torch.nn.Linear(2, 2)
    >>> start_from_pretrained(encoder, None, 1)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: frozen_epochs is for an encoder that is --pretrained as ...
    """
    loaded = load_encoder(encoder, source) if source else []
    new = sorted(set(encoder.state_dict()) - set(loaded))
    if new and frozen_epochs > 0:
        lacks = (
            f"{source} lacks {', '.join(new)}" if source else "there is none"
        )
        raise ValueError(
            "frozen_epochs is for an encoder that is --pretrained as a whole: "
            f"{lacks}, so that random weights would stay as they are."
        )
