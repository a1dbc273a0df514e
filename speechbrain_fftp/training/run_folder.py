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

from speechbrain.utils.distributed import if_main_process, run_on_main
from speechbrain.utils.logger import get_logger
from speechbrain_fftp.dataio.files import text_digest, write_json
from speechbrain_fftp.dataio.lock import locked
from speechbrain_fftp.dataio.prepared import DONE
from speechbrain_fftp.training.environment import describe_environment, versions
from speechbrain_fftp.training.errors import report_error
from speechbrain_fftp.training.settings import FREE, compare, read_settings
from speechbrain_fftp.training.setup import plain_yaml

logger = get_logger(__name__)

RECORD, LOCK = "run.json", "running.lock"


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
        with contextlib.ExitStack() as stack:
            stack.enter_context(locked(str(self.folder), LOCK, "in use"))
            if self.run_opts.debug and not self.run_opts.debug_persistently:
                self._empty()
            self._check()
            self._lock = stack.pop_all()
        atexit.register(self._lock.close)

    def _empty(self):
        """Removes all but the lock."""
        for path in self.folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.name != LOCK:
                path.unlink()

    def _check(self):
        """Raises a ValueError if the folder holds another run."""
        results = itertools.chain(
            self.folder.glob("metrics.json"),
            self.folder.glob("inference"),
            self.save_folder.glob("CKPT*"),
        )
        if (self.folder / RECORD).is_file():
            try:
                self.found = json.loads((self.folder / RECORD).read_bytes())
            except ValueError as error:
                raise ValueError(f"{self.folder / RECORD}: {error}")
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
        changes = compare(self.found, self.settings, self.given)
        if changes:
            raise ValueError(
                f"{self.folder} holds a run with other settings, "
                f"{'; '.join(changes)} (before -> now). {self.remedy}"
            )
        limit = self.settings["number_of_epochs"]
        before = self.found["settings"]["number_of_epochs"]
        if before < limit:
            logger.warning(
                "The run in %s is continued from %d to %d epochs, with the "
                "learning rates of %d epochs from here on. The result is not "
                "that of %d epochs from the start.",
                self.folder,
                before,
                *(limit, limit, limit),
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
