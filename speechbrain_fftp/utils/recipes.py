"""What the recipes' scripts share before training begins.

Authors
 * The speechbrain_fftp authors 2026
"""

from pathlib import Path

import ruamel.yaml

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
