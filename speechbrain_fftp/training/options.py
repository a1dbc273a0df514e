"""Checks the options of a recipe's command line before anything is done.

Authors
 * The speechbrain_fftp authors 2026
"""

import difflib
import math
import os
import sys

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from speechbrain.utils.distributed import if_main_process
from speechbrain.utils.run_opts import HELP_TEXTS, RunOptions
from speechbrain_fftp.training.setup import plain_yaml

POSITIVE = {
    "avg_checkpoints",
    "batch_size",
    "clip_seconds",
    "depth",
    "embed_dim",
    "grad_accumulation_factor",
    "lr",
    "max_frames",
    "n_classes",
    "n_mels",
    "number_of_epochs",
    "patch_frames",
    "sample_rate",
    "stride_frames",
}
WORDS = {"task"}  # which may be a number or a word


def check_options(argv):
    """Returns the arguments for ``speechbrain.parse_arguments``.

    That is all but ``--verbose``, see ``report_error``. Options that are
    misspelt, repeated or out of range end the process with one line and
    status 2.
    """
    argv = [word for word in argv if word != "--verbose"]
    if not {"-h", "--help"}.intersection(argv):
        try:
            _check(argv)
        except ValueError as error:
            if if_main_process():
                print(
                    f"{os.path.basename(sys.argv[0])}: {error}", file=sys.stderr
                )
            sys.exit(2)
    return argv


def _check(argv):
    """Raises a ValueError for the first option that is wrong."""
    if not argv or argv[0].startswith("-"):
        raise ValueError(
            "give a yaml file first, then options, such as "
            "hparams/ast_fftp.yaml --lr 0.001"
        )
    if not os.path.isfile(argv[0]):
        raise ValueError(f"there is no yaml file {argv[0]}")
    run_options = RunOptions().as_dict()
    run_options = {k: v for k, v in run_options.items() if k in HELP_TEXTS}
    run_options.update(jit_module_keys=None, compile_module_keys=None)
    keys = plain_yaml(argv[0])
    for name, text in _read(argv[1:]).items():
        if name not in keys and name not in run_options:
            known = [*keys, *run_options]
            close = difflib.get_close_matches(name, known, 1, 0.7)
            hint = f": did you mean --{close[0]}?" if close else ""
            raise ValueError(f"there is no option --{name}{hint}")
        if name not in keys and run_options[name] is False:  # a flag
            if text:
                raise ValueError(f"--{name} takes no value, not {text!r}")
        elif not text:
            raise ValueError(f"--{name} needs a value")
        elif name in keys:
            _check_value(name, text, keys[name], lowest=0)
        else:
            _check_value(name, text, run_options[name])


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
            raise ValueError(f"{word} is no option: options begin with --")
        else:
            given[name] = f"{given[name]} {word}".strip()
        if "=" in given[name]:  # a space to SpeechBrain
            raise ValueError(f"--{name} cannot have a '=' in its value")
    return given


def _check_value(name, text, default, lowest=-math.inf):
    """Checks that a value is of the kind of the default, and in range."""
    if "precision" in name and text not in ("fp32", "fp16", "bf16"):
        raise ValueError(f"--{name} is fp32, fp16 or bf16, not {text}")
    try:
        value = YAML(typ="safe", pure=True).load(text)
    except YAMLError:
        raise ValueError(f"--{name} cannot be read: {text}")
    number = type(value) in (int, float)
    for kind, wanted, is_right in (
        (bool, "True or False", type(value) is bool),
        (int, "a whole number", type(value) is int or name in WORDS),
        (float, "a number", number),
        (list, "a list such as [1, 2]", isinstance(value, list)),
    ):
        if isinstance(default, kind):
            if not is_right:
                raise ValueError(f"--{name} must be {wanted}, not {text}")
            break
    if number and name in POSITIVE and not 0 < value < math.inf:
        raise ValueError(f"--{name} must be greater than 0, not {text}")
    if number and not lowest <= value < math.inf:
        raise ValueError(f"--{name} must not be negative, not {text}")
