"""What the recipes' scripts share before training starts.

Authors
 * The speechbrain_fftp authors 2026
"""

import difflib
import math
import os
import sys
from pathlib import Path

import torch
from ruamel.yaml import YAML, YAMLError

from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain.utils.distributed import if_main_process
from speechbrain.utils.logger import get_logger
from speechbrain.utils.run_opts import HELP_TEXTS, RunOptions
from speechbrain_fftp.pretrained import start_from

logger = get_logger(__name__)

POSITIVE = """avg_checkpoints batch_size clip_seconds depth embed_dim
grad_accumulation_factor lr max_frames n_classes n_mels number_of_epochs
optimizer_step_limit patch_frames sample_rate stride_frames""".split()
WORDS = ("task",)  # numbers that may be words
KINDS = {
    bool: "True or False",
    int: "a whole number",
    float: "a number",
    list: "a list such as [1, 2]",
}


def plain_yaml(source):
    """Reads a yaml file or stream without creating the objects of its tags."""
    return YAML().load(Path(source) if isinstance(source, str) else source)


def num_processes():
    """Number of processes of this training, as torchrun sets it."""
    return int(os.environ.get("WORLD_SIZE", 1))


def check_options(argv):
    """Returns the arguments for ``speechbrain.parse_arguments``.

    ``--verbose`` is removed, see ``report_errors``, and bf16 is the precision
    on a GPU that computes in it, unless one is given. Wrong options end the
    process with one line and status 2.
    """
    argv = [word for word in argv if word != "--verbose"]
    try:
        if {"-h", "--help"}.intersection(argv):
            print("Any key of the yaml file is also an option: --lr 0.001.\n")
        else:
            _check(argv)
            argv += _default_precision(_read(argv[1:]))
    except ValueError as error:
        if if_main_process():
            print(f"{os.path.basename(sys.argv[0])}: {error}", file=sys.stderr)
        sys.exit(2)
    return argv


def _default_precision(given):
    """``--precision bf16`` where that is the default for given options."""
    chosen = {"precision", "auto_mix_prec"} & set(given)
    if chosen or not torch.cuda.is_available():
        return []
    has_bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
    on_gpu = given.get("device", "cuda").startswith("cuda")
    return ["--precision", "bf16"] if on_gpu and has_bf16 else []


def _check(argv):
    """Raises a ValueError for the first option that is wrong."""
    if not argv or not os.path.isfile(argv[0]):
        raise ValueError(
            f"{argv[0] if argv else 'nothing'} is not a yaml file. Give one, "
            "then options, such as hparams/ast_fftp.yaml --lr 0.001"
        )
    options = RunOptions().as_dict()
    options = {name: options[name] for name in HELP_TEXTS}
    more = {"jit_module_keys": None, "compile_module_keys": None}
    options.update(more, optimizer_step_limit=1)  # None would be of no kind
    keys = plain_yaml(argv[0])
    for name, text in _read(argv[1:]).items():
        if name not in keys and name not in options:
            close = difflib.get_close_matches(name, [*keys, *options], 1, 0.7)
            hint = f": did you mean --{close[0]}?" if close else ""
            raise ValueError(f"there is no option --{name}{hint}")
        if name not in keys and options[name] is False:  # a flag
            if text:
                raise ValueError(f"--{name} takes no value, not {text!r}")
        elif not text:
            raise ValueError(f"--{name} needs a value")
        else:
            _check_value(name, text, {**options, **keys}[name], name in keys)


def _read(words):
    """Reads words such as ``--lr=1``, ``--lr 1``: a dict from name to text."""
    given, name = {}, None
    for word in words:
        if word.startswith("--"):
            name, _, text = word[2:].partition("=")
            if name in given:
                raise ValueError(f"--{name} is given twice")
            given[name] = text
        elif name is None:
            raise ValueError(f"{word} is not an option: options start with --")
        else:
            given[name] = f"{given[name]} {word}".strip()
        if "=" in given[name]:  # a space to SpeechBrain
            raise ValueError(f"--{name} cannot have a '=' in its value")
    return given


def _check_value(name, text, default, is_key):
    """Checks that a value is of the kind of the default, and in range."""
    if "precision" in name and text not in ("fp32", "fp16", "bf16"):
        raise ValueError(f"--{name} is fp32, fp16 or bf16, not {text}")
    try:
        value = YAML(typ="safe", pure=True).load(text)
    except YAMLError:
        raise ValueError(f"--{name} cannot be read: {text}")
    kind = next((kind for kind in KINDS if isinstance(default, kind)), None)
    accepted = (int, float) if kind is float else (kind,)
    if kind and type(value) not in accepted and name not in WORDS:
        raise ValueError(f"--{name} must be {KINDS[kind]}, not {text}")
    if isinstance(value, (int, float)):
        if name in POSITIVE and not 0 < value < math.inf:
            raise ValueError(f"--{name} must be greater than 0, not {text}")
        if is_key and not 0 <= value < math.inf:
            raise ValueError(f"--{name} must not be negative, not {text}")


def read_overrides(overrides, demo):
    """Parses the overrides of the command line, and whether to run the demo.

    Without ``data_folder`` in them, the values of ``demo`` are added.

    >>> read_overrides("seed: 1", {"depth": 4})
    ({'depth': 4, 'seed': 1}, True)
    """
    texts = YAML(typ="base", pure=True).load(overrides) or {}
    overrides = dict(YAML().load(overrides) or {})
    if overrides.get("test_fold") is not None:  # the fold 01 is not 1
        overrides["test_fold"] = texts["test_fold"]
    if "data_folder" in overrides:
        return overrides, False
    logger.warning(
        "No --data_folder given: training a tiny model on a SYNTHETIC demo "
        "set, with the values under 'demo' in the yaml. Pass --data_folder DIR "
        "to train on your data."
    )
    return {**demo, **overrides}, True


def resolve_run_options(hparams, run_opts):
    """Lets ``--ckpt_interval_steps`` replace the yaml's interval in minutes."""
    if "ckpt_interval_steps" in run_opts.overridden_args:  # not both
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


def start_from_pretrained(encoder, source, frozen_epochs, sample_rate):
    """Loads pretrained weights, if any, see ``start_from``.

    An encoder that will be frozen must have no random weights.
    """
    loaded = start_from(encoder, source, sample_rate)
    random = sorted(set(encoder.state_dict()) - set(loaded))
    if random and frozen_epochs > 0:
        reason = (
            f"{source} lacks {', '.join(random)}" if source else "it is null"
        )
        raise ValueError(
            "frozen_epochs needs a --pretrained source with all weights of the "
            f"encoder, but {reason}: random weights would stay frozen."
        )
