"""The command line and the yaml file of a recipe.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
import json
import os
import re
import sys
from pathlib import Path

import hyperpyyaml
import yaml

import speechbrain as sb
from fftp_tag.errors import InputError
from speechbrain_fftp.training.guard import check_overrides, check_settings


def read_short_yaml(path):
    """Reads a yaml file that changes some settings of a recipe's yaml file.

    Its first key, ``base``, names other files, relative to it: the recipe's
    yaml file, or a short one, and files with further settings. The later of
    two settings holds. Values are those of the command line: tags such as
    ``!ref`` are within quotes. HyperPyYAML's ``!include:`` puts a file below a
    key, where options of the command line do not reach it.

    Arguments
    ---------
    path : str or Path
        The yaml file.

    Returns
    -------
    recipe_yaml : Path
        The recipe's yaml file: ``path`` itself, unless it has a ``base``.
    settings : dict
        What is changed in it.
    """
    path = Path(path)
    text = path.read_text("utf-8") if path.is_file() else ""
    if not re.search("(?m)^base:", text):
        return path, {}
    changed = yaml.safe_load(text)
    names = changed.pop("base")
    first, *others = [names] if isinstance(names, str) else names
    recipe_yaml, settings = read_short_yaml(
        os.path.normpath(path.parent / first)
    )
    for name in others:
        more = (path.parent / name).read_text("utf-8")
        settings.update(yaml.safe_load(more))
    return recipe_yaml, {**settings, **changed}


def to_options(settings):
    """Settings as options of a command line.

    Arguments
    ---------
    settings : dict
        Values by name.

    Returns
    -------
    list of str

    Example
    -------
    >>> to_options(
    ...     {"patch": [16, 16], "fea_augment": None, "average_by": "mAP"}
    ... )
    ['--patch=[16, 16]', '--fea_augment=null', '--average_by=mAP']
    """
    return [
        f"--{name}={value if isinstance(value, str) else json.dumps(value)}"
        for name, value in settings.items()
    ]


def expand_short_yaml(arg_list):
    """Replaces a short yaml file in a command by its settings.

    Its output folder is named after it, unless the command names another.
    """
    if not arg_list or arg_list[0].startswith("-"):
        return arg_list
    path, *words = arg_list
    recipe_yaml, settings = read_short_yaml(path)
    if not settings:
        return arg_list
    folder = "/".join(Path(path).resolve().with_suffix("").parts[-2:])
    settings = {"output_folder": f"!ref results/{folder}/<seed>", **settings}
    given = {word[2:].partition("=")[0] for word in words if word[:2] == "--"}
    for name in given & settings.keys():
        del settings[name]
    return [str(recipe_yaml), *to_options(settings), *words]


def parse_arguments(arg_list):
    """Parses a command, and checks it, so that no training is wasted.

    Adds the folder of the yaml file to those of Python's modules, so that the
    file can name modules beside it. The yaml file of a command may be a short
    one, see ``read_short_yaml``.

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
        hparams_file, run_opts, overrides = sb.parse_arguments(
            expand_short_yaml(arg_list)
        )
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
