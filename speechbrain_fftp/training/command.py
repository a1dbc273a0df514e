"""The command line and the yaml file of a recipe.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
import os
import sys
from pathlib import Path

import hyperpyyaml

import speechbrain as sb
from fftp_tag.errors import InputError
from speechbrain_fftp.training.guard import check_overrides, check_settings


def parse_arguments(arg_list):
    """Parses a command, and checks it, so that no training is wasted.

    Adds the folder of the yaml file to those of Python's modules, so that the
    file can name modules beside it.

    Arguments
    ---------
    arg_list : list of str
        See ``speechbrain.parse_arguments``.

    Returns
    -------
    hparams_file, run_opts, overrides
        See ``speechbrain.parse_arguments``.

    Raises
    ------
    InputError
        See ``check_overrides`` and ``check_settings``.
    """
    try:
        hparams_file, run_opts, overrides = sb.parse_arguments(arg_list)
    except ValueError as error:
        raise InputError(str(error)) from error
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


class Settings(dict):
    """A yaml file's keys with their values; names the key that it lacks."""

    def __missing__(self, key):
        raise InputError(
            f"The yaml file has no key {key}: is it for {sys.argv[0]}?"
        )


def load_hyperpyyaml(yaml_stream, overrides=None):
    """Loads a yaml file, see ``hyperpyyaml.load_hyperpyyaml``.

    Raises an InputError if it names what is not there, or an object that it
    creates refuses its arguments.
    """
    try:
        return Settings(hyperpyyaml.load_hyperpyyaml(yaml_stream, overrides))
    except ImportError as error:
        raise InputError(
            f"{error}: is the yaml file for {sys.argv[0]}?"
        ) from error
    except (ArithmeticError, AssertionError, TypeError, ValueError) as error:
        # HyperPyYAML adds the class to the arguments of a TypeError
        raise InputError(": ".join(map(str, error.args))) from error
