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


def start_from_pretrained(hparams):
    """Loads the weights to start from into the encoder; the head stays new.

    Arguments
    ---------
    hparams : dict
        The loaded hyperparameters: ``embedding_model``, ``pretrained`` (a
        file or folder, or None) and ``frozen_epochs``.

    Raises
    ------
    ValueError
        If part of a frozen encoder would have random weights.

    Example
    -------
    >>> hparams = {"pretrained": None, "frozen_epochs": 1}
    >>> hparams["embedding_model"] = __import__("torch").nn.Linear(2, 2)
    >>> start_from_pretrained(hparams)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: frozen_epochs is for an encoder that is --pretrained as ...
    """
    encoder, source = hparams["embedding_model"], hparams["pretrained"]
    loaded = load_encoder(encoder, source) if source else []
    new = sorted(set(encoder.state_dict()) - set(loaded))
    if new and hparams["frozen_epochs"] > 0:
        lacks = (
            f"{source} lacks {', '.join(new)}" if source else "there is none"
        )
        raise ValueError(
            "frozen_epochs is for an encoder that is --pretrained as a whole: "
            f"{lacks}, so that random weights would stay as they are."
        )
