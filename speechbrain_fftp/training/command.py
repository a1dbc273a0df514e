"""The command line of the recipes.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
import os
import sys
import traceback
from pathlib import Path

import speechbrain as sb
from fftp_tag.errors import InputError, one_line_errors
from speechbrain_fftp.training.guard import check_overrides, check_settings


def parse_arguments(arg_list):
    """Parses a command, and ends the process if a training would be wasted.

    Adds the folder of the yaml file to those of Python's modules, so that the
    file can name modules beside it. From then on, an error in the user's input
    ends the process with one line.

    Arguments
    ---------
    arg_list : list of str
        See ``speechbrain.parse_arguments``.

    Returns
    -------
    hparams_file, run_opts, overrides
        See ``speechbrain.parse_arguments``.
    """
    sys.excepthook = print_error
    with one_line_errors(ValueError):
        hparams_file, run_opts, overrides = sb.parse_arguments(arg_list)
        check_overrides(hparams_file, overrides)
        if os.environ.get("RANK", "0") == "0":
            check_settings(hparams_file, overrides, run_opts)
    sys.path.append(str(Path(hparams_file).resolve().parent))
    given = run_opts.overridden_args
    # Several processes would ask each other after each step whether to save
    if "ckpt_interval_minutes" not in given and (
        "WORLD_SIZE" in os.environ or "ckpt_interval_steps" in given
    ):
        run_opts = dataclasses.replace(
            run_opts,
            ckpt_interval_minutes=0,
            overridden_args={*given, "ckpt_interval_minutes"},
        )
    return hparams_file, run_opts, overrides


def print_error(kind, error, trace):
    """Prints an error; one of a user's input, or in a yaml file, in one line."""
    frames = [frame.name for frame in traceback.extract_tb(trace)]
    of_yaml = "load_hyperpyyaml" in frames
    if of_yaml and isinstance(error, ImportError):
        message = f"{error}: is the yaml file for {sys.argv[0]}?"
        print(message, file=sys.stderr)
    elif of_yaml and isinstance(error, TypeError):
        # HyperPyYAML adds the class to its arguments
        print(*error.args, sep=": ", file=sys.stderr)
    elif isinstance(error, (InputError, OSError)) or (
        of_yaml and isinstance(error, ValueError)
    ):
        print(error, file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)
