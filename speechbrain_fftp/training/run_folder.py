"""Guards the output folder of a training run: one run, one experiment.

Authors
 * The speechbrain_fftp authors 2026
"""

import functools
import json
import os
import sys
from pathlib import Path

import filelock
from hyperpyyaml.core import recursive_update
from ruamel.yaml import YAML
from ruamel.yaml.comments import TaggedScalar

import speechbrain as sb
from speechbrain.utils.checkpoints import (
    mark_as_loader,
    mark_as_saver,
    register_checkpoint_hooks,
)
from speechbrain.utils.distributed import if_main_process
from speechbrain_fftp.dataio.files import file_sha256, write_json

RECORD = "run.json"
LOCK = "running.lock"
# What may differ when a run is resumed. number_of_epochs may be raised, too.
FREE_KEYS = (
    "data_folder",
    "prepared_folder",
    "output_folder",
    "num_workers",
    "ckpt_interval_minutes",
    "ckpt_interval_steps",
    "skip_prep",
)
# Options of SpeechBrain that the result depends on
RUN_OPTIONS = (
    "precision",
    "grad_accumulation_factor",
    "max_grad_norm",
)
_locks = []  # held until the process ends


def claim(output_folder, argv=None):
    """Reserves the output folder of a recipe, before anything is written.

    A yaml file applies it while it is read. It locks the folder, and compares
    the settings of the command line with those of the run in the folder. The
    folder is free as long as no checkpoint was saved in it. It does nothing in
    a process that was not started as ``train.py FILE.yaml ...``, and with
    ``--debug``.

    Arguments
    ---------
    output_folder : str
    argv : list of str, optional
        Arguments of the recipe; those of this process by default.

    Raises
    ------
    RuntimeError
        If another process trains in the folder.
    ValueError
        If it holds a run with other settings.
    """
    argv = sys.argv[1:] if argv is None else argv
    is_recipe = bool(argv) and argv[0].endswith((".yaml", ".yml"))
    if not is_recipe or not if_main_process():
        return
    hparams_file, run_opts, overrides = sb.parse_arguments(argv)
    if run_opts["debug"]:
        return
    folder = Path(output_folder)
    folder.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise RuntimeError(f"Another process is training in {folder}.")
    _locks.append(lock)
    settings = read_settings(hparams_file, run_opts, overrides)
    if not any(folder.glob("*/CKPT*")):
        write_json(folder / RECORD, settings)
        return
    changes = ["there is no record of its settings"]
    if (folder / RECORD).is_file():
        before = json.loads((folder / RECORD).read_text("utf-8"))
        changes = list_changes(before, settings)
    if changes:
        raise ValueError(
            f"{folder} holds a run with other settings: "
            f"{'; '.join(changes[:3])}. It is unchanged. Give another folder: "
            f"--output_folder {folder}_2"
        )
    write_json(folder / RECORD, settings)


def read_settings(hparams_file, run_opts, overrides):
    """All settings of a command line as plain Python objects."""
    content = YAML().load(Path(hparams_file))
    recursive_update(content, YAML().load(overrides) or {})
    settings = {key: _plain(value) for key, value in content.items()}
    for name in RUN_OPTIONS:
        if name in run_opts.overridden_args or name not in settings:
            settings[name] = run_opts[name]
    settings["processes"] = int(os.environ.get("WORLD_SIZE", 1))
    return json.loads(json.dumps(settings, default=str))


def list_changes(before, now):
    """Describes the settings that differ and may not."""
    changes = []
    for key in sorted({*before, *now}):
        old = before.get(key)
        new = now.get(key)
        if old == new or key in FREE_KEYS:
            continue
        if key == "number_of_epochs" and old is not None and old < new:
            continue
        changes.append(f"{key} was {str(old)[:80]}, is {str(new)[:80]}")
    return changes


def _plain(node):
    """A node of a yaml file as plain Python objects, its tag included."""
    if isinstance(node, TaggedScalar):
        return f"{node.tag.value} {node.value}"
    if isinstance(node, dict):
        plain = {str(key): _plain(value) for key, value in node.items()}
    elif isinstance(node, list):
        plain = [_plain(value) for value in node]
    else:
        return node
    tag = getattr(node, "tag", None)
    if tag is not None and tag.value:
        return {tag.value: plain}
    return plain


@register_checkpoint_hooks
class DataRecord:
    """Refuses to resume a run whose data have changed: a recoverable.

    Arguments
    ---------
    files : list of str
        Files that describe the data, such as manifests and tables of labels.
        Those that are None are skipped.
    """

    def __init__(self, files):
        self.files = [file for file in files if file is not None]

    @functools.cached_property
    def digests(self):
        """The SHA-256 of each file; None if it is missing."""
        return [
            file_sha256(file) if os.path.isfile(file) else None
            for file in self.files
        ]

    @mark_as_saver
    def save(self, path):
        """Writes the digests into a checkpoint."""
        write_json(path, self.digests)

    @mark_as_loader
    def load(self, path, end_of_epoch):
        """Compares the digests of a checkpoint with those of the files."""
        before = json.loads(Path(path).read_text("utf-8"))
        if before != self.digests:
            changed = [
                str(file)
                for file, old, new in zip(self.files, before, self.digests)
                if old != new
            ]
            raise ValueError(
                f"{Path(path).parent} was trained on other data: since then, "
                f"{' and '.join(changed)} changed. Give another "
                "--output_folder."
            )
