"""Tests of the names in SpeechBrain that ``register`` makes importable.

Authors
 * The speechbrain_fftp authors 2026
"""

import importlib
import importlib.util
import os
import subprocess
import sys

import pytest

import speechbrain_fftp
from speechbrain_fftp.upstream_names import MERGED, module_names


def run(code, **environment):
    """Runs code in a fresh process and returns the lines that it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture
def registered():
    speechbrain_fftp.register()


@pytest.mark.parametrize("there, here", module_names().items())
def test_modules_are_the_same_under_both_names(registered, there, here):
    if "triton" in here or "kernels" in here:
        pytest.importorskip("triton", reason="Triton is not installed")
    module, ours = map(importlib.import_module, (there, here))
    package, name = there.rsplit(".", 1)
    assert getattr(importlib.import_module(package), name) is module
    if not hasattr(ours, "__path__"):
        assert module is ours
        assert module.__name__ == module.__spec__.name == here
    elif not getattr(module, "__file__", None):  # SpeechBrain has no such one
        public = [name for name in dir(ours) if not name.startswith("_")]
        assert all(getattr(module, x) is getattr(ours, x) for x in public)


@pytest.mark.parametrize(
    "here, name",
    [
        ("augment.specmask", "SpecMask"),
        ("lobes.features", "KaldiFbank"),
        ("nnet.schedulers", "LinearWarmupCosine"),
    ],
)
def test_classes_join_modules_of_speechbrain(registered, here, name):
    module = importlib.import_module(f"speechbrain.{MERGED[here]}")
    ours = importlib.import_module(f"speechbrain_fftp.{here}")
    assert getattr(module, name) is getattr(ours, name)
    assert module.__name__ == f"speechbrain.{MERGED[here]}"  # SpeechBrain's own


def test_classes_are_the_same_whichever_comes_first():
    lines = run(
        "import speechbrain_fftp\n"
        "speechbrain_fftp.register()\n"
        "from speechbrain.lobes.models.AST import AST\n"
        "from speechbrain_fftp.lobes.models.AST import AST as here\n"
        "from speechbrain_fftp.lobes.models.AuM import AuM as here_too\n"
        "import speechbrain.lobes.models.AuM as module\n"
        "print(AST is here, module.AuM is here_too)\n"
    )
    assert lines == ["True True"]


def test_only_after_the_call_and_for_nothing_else():
    lines = run(
        "import speechbrain_fftp\n"
        "def attempt(name):\n"
        "    try:\n"
        "        __import__(name)\n"
        "        print(name, 'found')\n"
        "    except ModuleNotFoundError as error:\n"
        "        print(error.name, 'missing')\n"
        "attempt('speechbrain.augment.specmask')\n"
        "speechbrain_fftp.register()\n"
        "attempt('speechbrain.augment.specmask')\n"
        "attempt('speechbrain.augment.other')\n"
        "attempt('speechbrain.upstream')\n"
        "attempt('speechbrain.cli')\n"
    )
    assert lines == [
        "speechbrain.augment.specmask missing",
        "speechbrain.augment.specmask found",
        "speechbrain.augment.other missing",
        "speechbrain.upstream missing",
        "speechbrain.cli missing",
    ]
