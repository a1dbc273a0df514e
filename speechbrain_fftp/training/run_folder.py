"""The output folder of a training, which only one experiment may use.

Authors
 * The speechbrain_fftp authors 2026
"""

import atexit
import contextlib
import itertools
import json
import os
import shutil
import sys
from pathlib import Path

from hyperpyyaml import resolve_references
from hyperpyyaml.core import recursive_update
from ruamel.yaml.comments import TaggedScalar

from speechbrain.utils.distributed import if_main_process, run_on_main
from speechbrain.utils.logger import get_logger
from speechbrain_fftp.dataio.files import text_digest, write_json
from speechbrain_fftp.dataio.lock import locked
from speechbrain_fftp.dataio.prepared import DONE
from speechbrain_fftp.training.environment import describe_environment, versions
from speechbrain_fftp.training.errors import report_error
from speechbrain_fftp.training.setup import plain_yaml

logger = get_logger(__name__)

RECORD, LOCK = "run.json", "running.lock"
# What may differ when a run is resumed: places, devices, speed and reports. The
# prepared data must be the same, and number_of_epochs may only be raised.
FREE = {
    "ckpt_interval_minutes",
    "ckpt_interval_steps",
    "compile",
    "compile_mode",
    "compile_module_keys",
    "compile_using_dynamic_shape_tracing",
    "compile_using_fullgraph",
    "data_parallel_backend",
    "data_parallel_count",
    "debug_persistently",
    "demo",
    "device",
    "distributed_backend",
    "distributed_launch",
    "find_unused_parameters",
    "jit",
    "jit_module_keys",
    "log_config",
    "noprogressbar",
    "num_threads",
    "num_workers",
    "output_folder",
    "prepared_folder",
    "profile_steps",
    "profile_training",
    "profile_warmup",
    "skip_prep",
    "test_only",
    "tqdm_barcolor",
    "tqdm_colored_bar",
}


class RunFolder:
    """Checks, before anything is written, that a folder is free for a run.

    It is locked until the process ends. With ``--debug``, the folder is the
    subfolder ``debug``, which is emptied first unless it is kept by
    ``--debug_persistently``.

    Arguments
    ---------
    hparams_file : str
        The yaml file.
    overrides : dict
        What replaces its values.
    run_opts : speechbrain.utils.run_opts.RunOptions
        SpeechBrain's options.

    Attributes
    ----------
    overrides : dict
        The overrides to load the yaml file with.
    folder : Path
        The folder.
    """

    def __init__(self, hparams_file, overrides, run_opts):
        with open(hparams_file, encoding="utf-8") as file:
            resolved = plain_yaml(resolve_references(file, overrides))
        self.overrides, self.run_opts = dict(overrides), run_opts
        self.folder = Path(resolved["output_folder"])
        self.prepared_folder = Path(resolved["prepared_folder"])
        self.save_folder = Path(resolved["save_folder"])
        if run_opts.debug:
            self.folder = self.folder / "debug"
            self.overrides.update(
                data_folder=str(resolved["data_folder"]),
                prepared_folder=str(self.prepared_folder),
                output_folder=str(self.folder),
            )
        self.hparams_file = hparams_file
        self.settings, self.given = read_settings(
            hparams_file, self.overrides, run_opts
        )
        self.found, self.begun = None, False
        self._on_main(self._open)

    def _on_main(self, function):
        """Calls a function on the main process; all raise its error."""

        def call():
            try:
                function()
            except (OSError, RuntimeError, ValueError) as error:
                return str(error)

        message = run_on_main(call)
        if message is not None:
            raise ValueError(message)

    def _open(self):
        """Locks and checks the folder."""
        os.makedirs(self.folder, exist_ok=True)
        self._stack = contextlib.ExitStack()
        atexit.register(self._stack.close)
        self._stack.enter_context(locked(str(self.folder), LOCK, "in use"))
        if self.run_opts.debug and not self.run_opts.debug_persistently:
            for path in self.folder.iterdir():
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                elif path.name != LOCK:
                    path.unlink()
        results = itertools.chain(
            self.folder.glob("metrics.json"),
            self.folder.glob("inference"),
            self.save_folder.glob("CKPT*"),
        )
        if (self.folder / RECORD).is_file():
            text = (self.folder / RECORD).read_text("utf-8")
            try:
                self.found = json.loads(text)
            except ValueError:
                raise ValueError(
                    f"{self.folder / RECORD} is damaged. {self.remedy}"
                )
            self._compare()
        elif not self.run_opts.debug and any(results):
            raise ValueError(
                f"{self.folder} holds a run of an earlier version, without a "
                f"record of its options ({RECORD}). {self.remedy}"
            )

    @property
    def remedy(self):
        """How to go on if the folder is not free."""
        return (
            "It stays as it is. Give another folder: --output_folder "
            f"{str(self.folder).rstrip(os.sep)}_2"
        )

    def _compare(self):
        """Raises a ValueError that names the settings that differ."""
        before, now = self.found["settings"], self.settings
        limits = before["number_of_epochs"], now["number_of_epochs"]
        given = {*self.found["given"], *self.given}  # new keys have defaults
        free = set(FREE)
        if now.get("format") == "webdataset":  # each worker reads its shards
            free.remove("num_workers")
        if limits[0] < limits[1]:
            free.add("number_of_epochs")
        changes = []
        for key in sorted({*before, *now} - free):
            if key in given or (key in before and key in now):
                old, new = before.get(key), now.get(key)
                if old != new:
                    changes.append(f"{key}: {_differing(old, new)}")
        if changes:
            raise ValueError(
                f"{self.folder} holds a run with other settings, "
                f"{'; '.join(changes)} (before -> now). {self.remedy}"
            )
        if limits[0] < limits[1]:
            logger.warning(
                "The run in %s is continued from %d to %d epochs. The learning "
                "rate follows the schedule of %d epochs from here on: the "
                "result is not that of %d epochs at a stretch.",
                self.folder,
                *limits,
                limits[1],
                limits[1],
            )

    @property
    def hparams_to_save(self):
        """The yaml file, or None if the folder has its resolved form already."""
        if self.found and self.found["settings"] == self.settings:
            return None
        return self.hparams_file

    def start_log(self):
        """Writes env.log; errors are reported in one line, and in log.txt."""
        if if_main_process():
            sys.excepthook = report_error  # instead of SpeechBrain's
            text = describe_environment()
            (self.folder / "env.log").write_text(text, "utf-8")

    def data_digest(self):
        """Digest of the record of the prepared data, None without a record."""
        path = self.prepared_folder / DONE
        return text_digest(path.read_text("utf-8")) if path.is_file() else None

    def check_data(self):
        """Raises a ValueError if a run is resumed with other data."""
        self._on_main(self._compare_data)

    def _compare_data(self):
        """See ``check_data``."""
        if self.found and self.found["data"] != self.data_digest():
            raise ValueError(
                f"The data in {self.prepared_folder} were prepared again from "
                f"other files since the run in {self.folder} began. "
                f"{self.remedy}"
            )

    def begin(self):
        """Records the run, once its first training step has succeeded."""
        if self.begun or not if_main_process():
            return
        self.begun = True
        before = self.found or {"limits": [], "made_with": versions()}
        for name, version in versions().items():
            if version != before["made_with"].get(name):
                logger.warning(
                    "This run was begun with %s %s, and goes on with %s",
                    name,
                    before["made_with"].get(name),
                    version,
                )
        self.found = {
            "settings": self.settings,
            "given": self.given,
            "data": self.data_digest(),
            "limits": sorted(
                {*before["limits"], self.settings["number_of_epochs"]}
            ),
            "made_with": before["made_with"],
        }
        write_json(self.folder / RECORD, self.found)

    def facts(self):
        """What metrics.json says of the run, apart from its results."""
        given = [key for key in self.given if key not in FREE]
        about = {
            "seed": self.settings["seed"],
            "options": {key: self.settings[key] for key in given},
            "prepared_data": self.data_digest(),
            "made_with": versions(),
        }
        earlier = self.found["limits"][:-1]
        return {**about, "continued_from": earlier} if earlier else about


def read_settings(hparams_file, overrides, run_opts):
    """Reads all settings, and the names of those that differ from the yaml.

    References such as ``!ref <lr>`` stay as they are, so that a setting appears
    once.
    """
    content = plain_yaml(hparams_file)
    defaults = {key: _plain(value) for key, value in content.items()}
    recursive_update(content, overrides)
    settings = {key: _plain(value) for key, value in content.items()}
    if isinstance(overrides.get("data_folder"), str):
        settings["data_folder"] = os.path.abspath(overrides["data_folder"])
    given = {k for k in settings if settings[k] != defaults.get(k)}
    options = run_opts.as_dict()
    chosen = options.pop("overridden_args") - {"param_file"}
    del options["param_file"]
    for name, value in options.items():
        if name in chosen or name not in settings:
            settings[name] = value
    settings["processes"] = int(os.environ.get("WORLD_SIZE", 1))
    return json.loads(json.dumps(settings)), sorted(given | chosen)


def _plain(node):
    """A node of a yaml as plain Python objects, its tag included."""
    if isinstance(node, TaggedScalar):
        return f"{node.tag.value} {node.value}".strip()
    if isinstance(node, dict):
        plain = {str(key): _plain(value) for key, value in node.items()}
    elif isinstance(node, list):
        plain = [_plain(value) for value in node]
    else:
        return node
    tag = getattr(node, "tag", None)
    return {tag.value: plain} if tag is not None and tag.value else plain


def _differing(before, now):
    """Describes how two values differ, by their first lines that do."""
    lines = [json.dumps(value, indent=1).split("\n") for value in (before, now)]
    first = next(
        pair for pair in itertools.zip_longest(*lines) if pair[0] != pair[1]
    )
    return " -> ".join(str(line).strip(' ,"') for line in first)
