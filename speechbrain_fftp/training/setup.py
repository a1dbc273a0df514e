"""What the recipes' scripts share before training starts.

Authors
 * The speechbrain_fftp authors 2026
"""

from pathlib import Path

import ruamel.yaml

from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain.utils.logger import get_logger
from speechbrain_fftp.utils.pretrained import load_encoder

logger = get_logger(__name__)


def plain_yaml(source):
    """Reads a yaml file or stream without creating the objects of its tags."""
    if isinstance(source, str):
        source = Path(source)
    return ruamel.yaml.YAML().load(source)


def read_overrides(overrides, demo):
    """Parses the overrides of the command line, and whether to run the demo.

    Without ``data_folder`` in them, the values of ``demo`` are added.

    Example
    -------
    >>> read_overrides("data_folder: clips", {"depth": 4})
    ({'data_folder': 'clips'}, False)
    >>> read_overrides("seed: 1", {"depth": 4})
    ({'depth': 4, 'seed': 1}, True)
    """
    overrides = dict(ruamel.yaml.YAML().load(overrides) or {})
    if "data_folder" in overrides:
        return overrides, False
    logger.warning(
        "No --data_folder given: training a tiny model on a SYNTHETIC demo "
        "set, with the values under 'demo' in the yaml. Pass --data_folder DIR "
        "to train on your data."
    )
    return {**demo, **overrides}, True


def resolve_run_options(hparams, run_opts):
    """Lets ``--ckpt_interval_steps`` replace the yaml's interval in minutes.

    SpeechBrain accepts only one of the two.
    """
    if "ckpt_interval_steps" in run_opts.overridden_args:
        hparams["ckpt_interval_minutes"] = 0


def encode_labels(labels, n_classes):
    """Returns the encoder that maps class indices to labels, in this order."""
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
    """Loads pretrained weights into an encoder, see ``load_encoder``.

    ``source`` is a file or folder, or None to start from random weights. Raises
    a ValueError if part of an encoder that will be frozen has random weights.
    """
    loaded = load_encoder(encoder, source) if source else []
    random = sorted(set(encoder.state_dict()) - set(loaded))
    if random and frozen_epochs > 0:
        reason = (
            f"{source} lacks {', '.join(random)}" if source else "it is null"
        )
        raise ValueError(
            "frozen_epochs needs a --pretrained source with all weights of the "
            f"encoder, but {reason}: random weights would stay frozen."
        )
