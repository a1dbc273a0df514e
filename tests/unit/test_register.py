"""Tests of the names in SpeechBrain that ``register`` makes importable.

Authors
 * The speechbrain_fftp authors 2026
"""

import subprocess
import sys

CODE = """
import importlib, sys
import speechbrain_fftp
from speechbrain_fftp.upstream_names import MERGED, NEW, TRITON

try:
    import speechbrain.lobes.models.AST
except ModuleNotFoundError:
    print("only after the call")
speechbrain_fftp.register()
speechbrain_fftp.register()
names = {name: name for name in NEW}
if importlib.util.find_spec("triton"):
    names.update(TRITON)
for here, there in names.items():
    module = importlib.import_module(f"speechbrain.{there}")
    assert module is importlib.import_module(f"speechbrain_fftp.{here}"), here
    package, _, name = f"speechbrain.{there}".rpartition(".")
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
    done = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:2] == ["only after the call", "done"]
