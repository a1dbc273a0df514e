"""Checks the settings and the output folder of a training.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import os
import re
import shutil
from pathlib import Path

import torch
import yaml
from hyperpyyaml import resolve_references
from ruamel.yaml import YAML
from ruamel.yaml.comments import TaggedScalar
from ruamel.yaml.error import YAMLError

from fftp_tag.errors import InputError
from fftp_tag.files import file_sha256, read_json, read_text, write_json

# Settings that may differ when a training is resumed
FREE_KEYS = (
    "data_folder",
    "prepared_folder",
    "output_folder",
    "skip_prep",
    "num_workers",
    "ckpt_interval_minutes",
    "int8",
    "train_log",
    "use_tensorboard",
    "tensorboard_logs_folder",
    "compile_using_dynamic_shape_tracing",
    "after",
)

# Options of the command line that change the result
RUN_OPTIONS = (
    "precision",
    "eval_precision",
    "grad_accumulation_factor",
    "max_grad_norm",
)

# The least value of settings that are numbers, whole ones but for lr
MIN_VALUES = {
    "lr": 0,
    "number_of_epochs": 1,
    "batch_size": 1,
    "num_workers": 0,
    "avg_checkpoints": 1,
    "sample_rate": 1000,
    "n_mels": 4,
    "max_frames": 1,
    "embed_dim": 1,
    "depth": 1,
}

# What checkpoints can be chosen by, besides the epoch
METRICS = {"mAP": ("mAP", "AUC", "d_prime"), "accuracy": ("accuracy",)}

# Of torch.compile. Gradients are in memory that the next batch overwrites:
# https://github.com/pytorch/pytorch/issues/169545
CUDA_GRAPH_MODES = ("reduce-overhead", "max-autotune")

# The tables of clips, as keys of yaml files
MANIFESTS = ("train_annotation", "valid_annotation", "test_annotation")

_locks = {}  # of output folders, held until the process ends


def check_overrides(hparams_file, overrides):
    """Raises an InputError if a command is wrong, before the yaml is loaded.

    That is, if the yaml file is missing or no yaml, or an option is unknown,
    repeated, missing, or no number where the yaml file has one.

    Arguments
    ---------
    hparams_file : str
        The yaml file.
    overrides : str
        Overrides from the command line, as yaml.

    Example
    -------
    >>> yaml = getfixture("tmpdir").join("train.yaml")
    >>> yaml.write("lr: 0.1")
    >>> check_overrides(yaml, "lr: 0.2")
    >>> check_overrides(yaml, "lrr: 0.2")
    Traceback (most recent call last):
    ...
    fftp_tag.errors.InputError: .../train.yaml has no key lrr: its options are its keys.
    """
    path = Path(hparams_file)
    if not path.is_file():
        raise InputError(
            f"There is no file {path}: its README lists yaml files."
        )
    defaults = _load_yaml(read_text(path), path)
    words = re.findall(r"(?m)^(\w+):", overrides)
    for key in words:
        if words.count(key) > 1:
            raise InputError(f"--{key} is given more than once: give it once.")
    given = _load_yaml(overrides or "{}", "The options of the command")
    for key, value in given.items():
        if key not in defaults:
            raise InputError(
                f"{path} has no key {key}: its options are its keys."
            )
        default, is_plain = defaults[key], not isinstance(value, TaggedScalar)
        if isinstance(default, bool):
            if is_plain and not isinstance(value, (bool, type(None))):
                raise InputError(f"--{key} is {value}: give True or False.")
        elif isinstance(default, (int, float)):
            if is_plain and not isinstance(value, (int, float)):
                raise InputError(f"--{key} is {value}: give a number.")
    for key, value in defaults.items():
        if getattr(value, "tag", None) == "!PLACEHOLDER" and not given.get(key):
            raise InputError(f"{path} has no {key} yet: give --{key} PATH.")


def check_settings(hparams_file, overrides, run_opts):
    """Raises an InputError if a training would be wasted.

    This is so if a setting is out of its range, if the output folder holds a
    training with other settings or is in use by another process, if there is
    nothing to test, if prepared data are missing, or if CUDA graphs are to
    accumulate gradients.

    Compares with the folder's ``hyperparams.yaml`` and ``run_options.json``,
    which this writes; call this before ``create_experiment_directory``, which
    overwrites the former. Folders, logs, the number of workers, int8 and a
    raised number of epochs may differ. A test, and a folder without a
    checkpoint, pass. The folder is locked until the process ends; what a killed
    run left of a checkpoint is deleted.

    Arguments
    ---------
    hparams_file : str
        The yaml file.
    overrides : str
        Overrides from the command line, as yaml.
    run_opts : speechbrain.utils.run_opts.RunOptions
        The options of ``speechbrain.parse_arguments``. A debug run, whose few
        batches would replace the results in the folder, is refused as well.

    Example
    -------
    >>> from speechbrain.utils.run_opts import RunOptions
    >>> tmpdir = getfixture("tmpdir")
    >>> getfixture("monkeypatch").chdir(tmpdir)
    >>> settings = "output_folder: run\\nlr: 0.1"
    >>> yaml = tmpdir.join("train.yaml")
    >>> yaml.write(settings)
    >>> check_settings(yaml, "", RunOptions())
    >>> run = tmpdir.join("run")
    >>> run.join("hyperparams.yaml").write(settings)
    >>> run.mkdir("save").mkdir("CKPT+1").join("CKPT.yaml").write("mAP: 0.5")
    >>> check_settings(yaml, "", RunOptions())
    >>> check_settings(yaml, "lr: 0.2", RunOptions())
    Traceback (most recent call last):
    ...
    fftp_tag.errors.InputError: run holds a training with other settings: lr. Give another ...
    """
    given = YAML().load(overrides or "{}")
    hparams = YAML().load(_resolve(hparams_file, given))
    _check_values(hparams, YAML().load(Path(hparams_file)))
    if hparams.get("skip_prep"):
        for key in ("class_list", *MANIFESTS):
            if not Path(hparams[key]).is_file():
                raise InputError(
                    f"There is no {key} {hparams[key]}: prepare the data, "
                    f"without --skip_prep, or give another --{key}."
                )
    folder = Path(hparams["output_folder"])
    if run_opts["test_only"] and not _has_checkpoint(folder):
        raise InputError(
            f"{folder} holds no checkpoint to test: give the --output_folder "
            "of a training, or train first, without --test_only."
        )
    folder.mkdir(parents=True, exist_ok=True)
    _lock(folder)
    for path in folder.glob("*/CKPT*"):
        if not (path / "CKPT.yaml").exists():
            shutil.rmtree(path)
    options_path = folder / "run_options.json"

    def option(name):
        """The value of an option of the command line or of the yaml file."""
        if name in run_opts.overridden_args:
            return run_opts[name]
        return hparams.get(name, run_opts[name])

    options = {name: option(name) for name in RUN_OPTIONS}
    options["processes"] = int(os.environ.get("WORLD_SIZE", 1))
    if options["grad_accumulation_factor"] < 1:
        raise InputError("grad_accumulation_factor must be at least 1.")
    _check_device(option("device"))
    if (
        option("compile")
        and option("compile_mode") in CUDA_GRAPH_MODES
        and option("grad_accumulation_factor") > 1
    ):
        raise InputError(
            f"--compile_mode {option('compile_mode')} cannot accumulate "
            "gradients: give --compile_mode default, or leave out "
            "--grad_accumulation_factor."
        )
    if not _has_checkpoint(folder):
        write_json(options_path, options)
        return
    if run_opts["debug"]:
        raise InputError(
            f"{folder} holds a training: give another --output_folder for "
            "--debug."
        )
    if run_opts["test_only"]:
        return
    text, saved = _read_saved(folder / "hyperparams.yaml")
    kept = {
        key: saved[key]
        for key in FREE_KEYS
        if key in saved and _is_plain(saved[key])
    }
    epochs = saved.get("number_of_epochs")
    if epochs is not None and epochs < hparams["number_of_epochs"]:
        kept["number_of_epochs"] = epochs
    now = _resolve(hparams_file, {**given, **kept})
    before = {**_values(text), **read_json(options_path)}
    after = {**_values(now), **options}
    changed = [
        key
        for key in {**before, **after}
        if key not in FREE_KEYS and before.get(key) != after.get(key)
    ]
    if changed:
        # What others refer to; of objects, only if nothing else differs
        plain = [key for key in changed if "!" not in str(after.get(key))]
        raise InputError(
            f"{folder} holds a training with other settings: "
            f"{', '.join(plain or changed)}. Give another --output_folder, or the "
            "training's settings, which are in its hyperparams.yaml and "
            "run_options.json."
        )


def check_data(hparams, valid_set):
    """Raises an InputError if a training had other data.

    Or if the number of classes is not that of the data, or there are no
    validation clips to choose checkpoints by.

    The weights are of the training's classes, in their order, and its training
    clips must not be clips of a test. Classes and checksums of the manifests
    are compared with ``data.json`` of the output folder, which this writes
    until there is a checkpoint. Call it after the preparation.

    Arguments
    ---------
    hparams : dict
        The loaded hyperparameters, with ``output_folder``, ``class_list``,
        ``n_classes``, ``average_by`` and the manifest of each split, such as
        ``train_annotation``.
    valid_set : Dataset
        The validation clips.

    Example
    -------
    >>> tmpdir = getfixture("tmpdir")
    >>> keys = ("class_list", *MANIFESTS)
    >>> hparams = {key: tmpdir.join(key) for key in keys}
    >>> for path in hparams.values():
    ...     path.write("display_name\\nhigh")
    >>> hparams.update(output_folder=tmpdir, n_classes=1, average_by="mAP")
    >>> check_data(hparams, ["clip"])
    >>> tmpdir.mkdir("save").mkdir("CKPT+1").join("CKPT.yaml").write("")
    >>> check_data(hparams, ["clip"])
    >>> hparams["class_list"].write("display_name\\nlow")
    >>> check_data(hparams, ["clip"])
    Traceback (most recent call last):
    ...
    fftp_tag.errors.InputError: ... holds a training with other classes (-high, +low): ...
    """
    folder = Path(hparams["output_folder"])
    with open(hparams["class_list"], newline="", encoding="utf-8") as fin:
        classes = [row["display_name"] for row in csv.DictReader(fin)]
    if len(classes) != hparams["n_classes"]:
        raise InputError(
            f"n_classes is {hparams['n_classes']}, but {hparams['class_list']} "
            f"lists {len(classes)} classes: give --n_classes {len(classes)}."
        )
    if not len(valid_set) and hparams["average_by"] != "epoch":
        raise InputError(
            f"There are no validation clips, so no {hparams['average_by']} to "
            "choose checkpoints by: add --average_by epoch."
        )
    tables = {
        name: file_sha256(hparams[name])
        for name in (*MANIFESTS, "teacher_answers")
        if hparams.get(name)
    }
    now, path = {"classes": classes, **tables}, folder / "data.json"
    if not _has_checkpoint(folder):
        write_json(path, now)
        return
    before = read_json(path)
    if before.items() >= now.items():  # a test needs no teacher
        return
    found = before.get("classes", [])
    changes = [
        *(f"-{name}" for name in found if name not in classes),
        *(f"+{name}" for name in classes if name not in found),
    ]
    what = "clips or answers of a teacher"
    if found != classes:
        what = f"classes ({', '.join(changes[:4]) or 'in another order'})"
    raise InputError(
        f"{folder} holds a training with other {what}: give another "
        "--output_folder, or the data of the training."
    )


def _has_checkpoint(folder):
    """Whether an output folder holds a complete checkpoint."""
    return any(folder.glob("*/CKPT*/CKPT.yaml"))


def _resolve(hparams_file, overrides):
    """The text of a yaml file with overrides, and without references."""
    with open(hparams_file, encoding="utf-8") as file:
        return resolve_references(file, overrides).getvalue()


def _load_yaml(text, name):
    """The keys of yaml with their values; ``name`` is for errors."""
    try:
        content = YAML().load(text)
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", error)
        raise InputError(f"{name}{line}: {problem}") from error
    if not isinstance(content, dict):
        raise InputError(f"{name} has no keys.")
    return content


def _read_saved(path):
    """The text of a training's yaml file, and its keys with their values."""
    try:
        text = read_text(path)
        return text, _load_yaml(text, path)
    except InputError as error:
        raise InputError(
            f"{path} is damaged: give another --output_folder."
        ) from error


def _check_device(name):
    """Raises an InputError if there is no such device."""
    try:
        torch.empty(0, device=name)
    except (AssertionError, RuntimeError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"--device {name}: {reason}") from error


def _check_values(hparams, defaults):
    """Raises an InputError if a setting is out of its range."""
    for key, least in MIN_VALUES.items():
        value = hparams.get(key, least)
        if isinstance(value, TaggedScalar):  # such as !apply
            continue
        kind = (int, float) if key == "lr" else int
        if not isinstance(value, kind) or value < least:
            name = "number" if key == "lr" else "whole number"
            raise InputError(
                f"{key} is {value}: give a {name} of at least {least}."
            )
    if "average_by" in hparams:
        default = defaults["average_by"]
        choices = "epoch", *METRICS.get(default, (default,))
        if hparams["average_by"] not in choices:
            raise InputError(
                f"average_by is {hparams['average_by']}: give one of "
                f"{', '.join(choices)}."
            )


def _is_plain(value):
    """Whether a value of a yaml file is text, a number, null or a list of them."""
    items = value if isinstance(value, list) else [value]
    return all(isinstance(x, (str, int, float, type(None))) for x in items)


def _values(text):
    """The keys of a resolved yaml file, with their values as yaml."""
    root = yaml.compose(text)
    return {key.value: yaml.serialize(value) for key, value in root.value}


def check_weights(module):
    """Raises an InputError if weights of a module are not finite."""
    finite = [weight.isfinite().all() for weight in module.parameters()]
    if finite and not bool(torch.stack(finite).all()):
        raise not_finite("Weights are not finite")


def not_finite(what):
    """The error that says what is not finite."""
    return InputError(
        f"{what}: the last checkpoint is from before. Give a lower --lr, a "
        "longer --warmup_steps or --precision fp32, and another "
        "--output_folder."
    )


def _lock(folder):
    """Locks a folder until the process ends, also if it is killed."""
    from filelock import FileLock, Timeout

    path = folder.resolve() / "training.lock"
    lock = _locks.setdefault(path, FileLock(path))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise InputError(
            f"{folder} is in use by another training: wait for its end, or "
            "give another --output_folder."
        )
