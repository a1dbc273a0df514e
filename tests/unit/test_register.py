"""Tests of the names in SpeechBrain that ``register`` makes importable.

Authors
 * The speechbrain_fftp authors 2026
"""

import subprocess
import sys

from exported_names import imported
from upstream_parts import PARTS


def run(code, *arguments):
    """Runs code in a process of its own; returns what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


SAME = """
import importlib, sys
import speechbrain_fftp
from speechbrain_fftp.upstream_names import MERGED, MODULES

try:
    import speechbrain.lobes.models.AST
except ModuleNotFoundError:
    print("only after the call")
speechbrain_fftp.register()
speechbrain_fftp.register()
names = {name for part in MODULES.values() for name in part}
for name in names - set(MERGED):
    there = f"speechbrain.{MERGED.get(name, name)}"
    module = importlib.import_module(there)
    assert module is importlib.import_module(f"speechbrain_fftp.{name}"), name
    package, _, name = there.rpartition(".")
    assert getattr(importlib.import_module(package), name) is module
for here, there in MERGED.items():
    module = importlib.import_module(f"speechbrain.{there}")
    ours = importlib.import_module(f"speechbrain_fftp.{here}")
    assert module is not ours and module.__name__ == f"speechbrain.{there}"
    classes = [x for x in vars(ours).values() if isinstance(x, type)]
    for cls in classes:
        if cls.__module__ == ours.__name__:
            assert getattr(module, cls.__name__) is cls
from speechbrain.lobes.models.AuM import AuM
from speechbrain.augment.freq_domain import SpecMask, SpectrogramDrop
copies = [x for x in sys.modules if x.startswith("speechbrain.nnet.selective")]
assert all(sys.modules[x].__name__.startswith("speechbrain_fftp") for x in copies)
print("done")
"""


def test_modules_are_the_same_under_both_names():
    assert run(SAME).split("\n")[:2] == ["only after the call", "done"]


LOCATE = """
import pydoc, sys
import speechbrain_fftp

speechbrain_fftp.register()
print([name for name in sys.argv[1:] if pydoc.locate(name) is None])
"""


def test_all_that_exported_files_import_is_there():
    """In recipes, modules, tests and yaml files."""
    paths = [path for part in PARTS.values() for path in part]
    names = {name for path in paths for name in imported(path)}
    assert "speechbrain.lobes.models.AST.AST" in names
    assert run(LOCATE, *sorted(names)).strip() == "[]"
