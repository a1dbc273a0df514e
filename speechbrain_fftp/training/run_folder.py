"""The output folder of a training run, which belongs to one experiment.

The record run.json holds all settings of its run, and few of them may differ
when the run is resumed.

Authors
 * The speechbrain_fftp authors 2026
"""

import atexit
import contextlib
import functools
import itertools
import json
import os
import platform
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from hyperpyyaml import resolve_references
from hyperpyyaml.core import recursive_update
from ruamel.yaml.comments import TaggedScalar

from speechbrain.utils.distributed import if_main_process, run_on_main
from speechbrain.utils.logger import get_logger
from speechbrain_fftp.dataio.files import file_sha256, locked, write_json
from speechbrain_fftp.datasets.prepared import DONE
from speechbrain_fftp.training.errors import report_errors
from speechbrain_fftp.training.setup import num_processes, plain_yaml

logger = get_logger(__name__)

RECORD, LOCK, PREPARED = "run.json", "running.lock", (DONE, "classes.csv")
# Keys of files with labels; a teacher may also be a model, which is none.
TABLES = """train_annotation train_index valid_annotation test_annotation
strong_labels strong_valid strong_eval teacher""".split()
PACKAGE = Path(__file__).resolve().parents[1]

# What may differ when a run is resumed: places, devices, speed and reports. A
# device or compile changes rounding and random draws, but not the experiment.
# The prepared data must be the same, and number_of_epochs may only be raised.
FREE = """checkpointer ckpt_interval_minutes ckpt_interval_steps compile
compile_mode compile_module_keys compile_using_dynamic_shape_tracing
compile_using_fullgraph data_parallel_backend data_parallel_count
debug_persistently demo device distributed_backend distributed_launch
find_unused_parameters jit jit_module_keys log_config noprogressbar num_threads
num_workers output_folder overridden_args param_file prepared_folder
profile_steps profile_training profile_warmup skip_prep test_only tqdm_barcolor
tqdm_colored_bar""".split()


class RunFolder:
    """Checks, before anything is written, that a folder is free for a run.

    It is locked until the process ends. ``overrides`` are those to load the
    yaml file with: with ``--debug``, the folder is the subfolder ``debug``,
    which starts empty unless it is kept by ``--debug_persistently``.
    """

    def __init__(self, hparams_file, overrides, run_opts):
        with open(hparams_file, encoding="utf-8") as file:
            resolved = plain_yaml(resolve_references(file, overrides))
        self.hparams_file, self.run_opts = hparams_file, run_opts
        self.folder = Path(resolved["output_folder"])
        self.prepared_folder = Path(resolved["prepared_folder"])
        self.save_folder = Path(resolved["save_folder"])
        self.overrides = dict(overrides)
        if run_opts.debug:
            self.folder = self.folder / "debug"
            self.overrides.update(
                data_folder=str(resolved["data_folder"]),
                prepared_folder=str(self.prepared_folder),
                output_folder=str(self.folder),
                save_folder=str(self.folder / "save"),
            )
        tables = {name: self.prepared_folder / name for name in PREPARED}
        self.tables = tables | {k: resolved.get(k) or "" for k in TABLES}
        about = hparams_file, self.overrides, run_opts
        self.settings, self.given = _read_settings(*about)
        self.found, self.begun = None, False
        self._on_main(self._open)

    def _on_main(self, function):
        """Calls a function on the main process; all raise its error."""

        def call():
            """Returns the message of an error."""
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
                for path in self.folder.iterdir():
                    if path.name != LOCK:
                        shutil.rmtree(path) if path.is_dir() else path.unlink()
            self._check()
            self._lock = stack.pop_all()
        atexit.register(self._lock.close)

    def _check(self):
        """Raises a ValueError if the folder holds another run."""
        if (self.folder / RECORD).is_file():
            self.found = json.loads((self.folder / RECORD).read_bytes())
            changes = _changes(self.found, self.settings, self.given)
            if changes:
                self._refuse("with other settings, " + "; ".join(changes))
            epochs = self.settings["number_of_epochs"]
            if epochs > self.found["limits"][-1]:
                logger.warning(
                    f"The run in {self.folder} goes on to {epochs} epochs, and "
                    "learning rates now follow that schedule: the result will "
                    "differ from that of a run started with as many epochs."
                )
        elif not self.run_opts.debug and (
            (self.folder / "metrics.json").exists()
            or (self.folder / "inference").exists()
            or any(self.save_folder.glob("CKPT*"))
        ):
            self._refuse(f"of an earlier version, without a record ({RECORD})")

    def _refuse(self, why):
        """Raises a ValueError that says how to go on."""
        raise ValueError(
            f"{self.folder} holds a run {why}. It is unchanged. Give another "
            f"folder: --output_folder {str(self.folder).rstrip(os.sep)}_2"
        )

    @property
    def hparams_to_save(self):
        """The yaml file, or None if the folder has its resolved form."""
        if self.found and self.found["settings"] == self.settings:
            return None
        return self.hparams_file

    def start_log(self):
        """Writes env.log, in place of SpeechBrain's; the same for errors."""
        if if_main_process():
            report_errors()
            text = describe_environment()
            (self.folder / "env.log").write_text(text, "utf-8")

    @functools.cached_property
    def data(self):
        """Checksums of the files that hold clips' labels, when first asked."""
        tables = self.tables.items()
        return {k: file_sha256(x) for k, x in tables if os.path.isfile(x)}

    def check_data(self):
        """Raises a ValueError if a run is resumed with other data."""

        def check():
            """Compares the checksums with those of the record."""
            now = self.data
            before = self.found["data"] if self.found else now
            if not isinstance(before, dict):
                self._refuse("of an earlier version, without checksums of data")
            changed = (k for k in self.tables if before.get(k) != now.get(k))
            if names := " and ".join(str(self.tables[k]) for k in changed):
                self._refuse(f"on other data: since then, {names} changed")

        self._on_main(check)

    def begin(self):
        """Records the run, once its first training step has succeeded."""
        if self.begun or not if_main_process():
            return
        self.begun = True
        before = self.found or {"limits": [], "made_with": versions()}
        made_with = before["made_with"]
        if made_with != versions():
            logger.warning("Started with %s, now: %s", made_with, versions())
        epochs = self.settings["number_of_epochs"]
        self.found = {
            "settings": self.settings,
            "given": self.given,
            "data": self.data,
            "limits": sorted({*before["limits"], epochs}),
            "made_with": made_with,
        }
        write_json(self.folder / RECORD, self.found)

    def facts(self):
        """What metrics.json says of the run, apart from its results."""
        given = [key for key in self.given if key not in FREE]
        about = {
            "seed": self.settings["seed"],
            "options": {key: self.settings[key] for key in given},
            "prepared_data": self.data,
            "made_with": versions(),
        }
        earlier = self.found["limits"][:-1] if self.found else []
        return {**about, "continued_from": earlier} if earlier else about


def _read_settings(hparams_file, overrides, run_opts):
    """All settings, with references, and names of those not as in the yaml."""
    content = plain_yaml(hparams_file)
    defaults = {key: _plain(value) for key, value in content.items()}
    recursive_update(content, overrides)
    settings = {key: _plain(value) for key, value in content.items()}
    if isinstance(overrides.get("data_folder"), str):
        settings["data_folder"] = os.path.abspath(overrides["data_folder"])
    given = {k for k in settings if settings[k] != defaults.get(k)}
    chosen = run_opts.overridden_args
    for name, value in run_opts.items():
        if name in chosen or name not in settings:
            settings[name] = value
    settings["processes"] = num_processes()
    settings = json.loads(json.dumps(settings, default=sorted))
    return settings, sorted(given | chosen)


def _changes(record, now, given):
    """Describes the settings that differ from those of a record, run.json.

    A key that only one of them has comes from another version of the package,
    and has its default unless it was given.
    """
    before, free = record["settings"], set(FREE)
    given = {*record["given"], *given}
    if now.get("format") == "webdataset":  # each worker reads its own clips
        free.remove("num_workers")
    if before["number_of_epochs"] < now["number_of_epochs"]:
        free.add("number_of_epochs")
    return [
        f"{key}: {_differing(before.get(key), now.get(key))}"
        for key in sorted({*before, *now} - free)
        if before.get(key) != now.get(key)
        and (key in given or (key in before and key in now))
    ]


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
    pairs = itertools.zip_longest(*lines)
    first = next(pair for pair in pairs if pair[0] != pair[1])
    return " -> ".join(str(line).strip(' ,"') for line in first)


@functools.cache
def versions():
    """Versions of this package, its git commit if any, and what it runs on."""
    names = (PACKAGE.name, "speechbrain", "torch")
    found = {name: str(sys.modules[name].__version__) for name in names}
    return {**found, "python": platform.python_version(), "commit": commit()}


def commit():
    """This package's git commit, ``-dirty`` after changes, or None."""
    # A package that is installed in another project is not tracked there.
    tracked = ["ls-files", "--error-unmatch", "__init__.py"]
    describe = ["describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        for words in (tracked, describe):
            words = ["git", "-C", str(PACKAGE), *words]
            done = subprocess.run(words, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.decode().strip()


def describe_environment():
    """Versions of Python and of the packages of imported modules."""
    owners = metadata.packages_distributions()
    imported = {name.partition(".")[0] for name in sys.modules}
    packages = {owner for name in imported for owner in owners.get(name, ())}
    about = {**versions(), "executable": sys.executable}
    about["system"] = platform.platform()
    lines = [f"{key}: {value}" for key, value in about.items()]
    lines += sorted(f"{name}=={metadata.version(name)}" for name in packages)
    return "\n".join(lines) + "\n"
