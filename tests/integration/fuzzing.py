"""Damages files and feeds them to readers, for the tests of hostile input.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import os
import sys
import tracemalloc

import pytest
from hypothesis import (
    HealthCheck,
    Phase,
    given,
    settings,
    strategies as st,
)
from hypothesis.configuration import set_hypothesis_home_dir

from speechbrain.utils.importutils import LazyModule

MIB = 2**20
INTEGERS = (0, 1, 0x7F, 0x80, 0xFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def sizes(quick, thorough):
    """Runs a test with few examples, and with many if slow tests are run."""
    many = pytest.param(thorough, id="thorough", marks=pytest.mark.slow)
    return pytest.mark.parametrize(
        "examples", [pytest.param(quick, id="quick"), many]
    )


def fuzz(check, strategy, examples, folder):
    """Calls ``check`` with examples of a strategy, the same in each run."""
    set_hypothesis_home_dir(str(folder))  # or it would use the working folder
    profile = settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],  # the smallest failure would take minutes
        suppress_health_check=list(HealthCheck),
    )
    modules = sys.modules.items()
    lazy = {name: m for name, m in modules if isinstance(m, LazyModule)}
    for name in lazy:  # Hypothesis looks at all modules, these then fail
        del sys.modules[name]
    try:
        profile(given(strategy)(check))()
    finally:
        sys.modules.update(lazy)


def _patch(data, kind, place, from_end, number):
    """Does one kind of damage to the bytes, near the beginning or the end."""
    place = place % (len(data) + 1)
    place = len(data) - place if from_end else place
    word = INTEGERS[number % len(INTEGERS)].to_bytes(4, "little")
    if kind == "flip":
        data[place : place + 1] = bytes(
            byte ^ (1 << number % 8) for byte in data[place : place + 1]
        )
    elif kind == "little":
        data[place : place + 4] = word
    elif kind == "big":
        data[place : place + 4] = word[::-1]
    elif kind == "insert":
        data[place:place] = word * (1 + number % 99)
    elif kind == "remove":
        del data[place : place + 1 + number % 9]
    else:
        del data[place:]


def damaged(contents):
    """A strategy: one of the contents, damaged in one to six places."""
    kinds = ("flip", "flip", "little", "big", "insert", "remove", "cut")
    near, far = st.integers(0, 120), st.integers(0, 2**16)
    patch = st.tuples(
        st.sampled_from(kinds), near | far, st.booleans(), st.integers(0, 999)
    )

    def apply(choice):
        data = bytearray(contents[choice[0]])
        for arguments in choice[1]:
            _patch(data, *arguments)
        return bytes(data)

    patches = st.lists(patch, min_size=1, max_size=6)
    return st.tuples(st.integers(0, len(contents) - 1), patches).map(apply)


@contextlib.contextmanager
def refused(path):
    """Allows the body to raise a ValueError that names the path."""
    try:
        yield
    except ValueError as error:
        # Its subclasses, such as UnicodeDecodeError, do not name the file
        assert type(error) is ValueError, repr(error)
        assert str(path) in str(error)


def peak_bytes(function, *args):
    """The most memory that Python and NumPy held at a time in a call."""
    tracemalloc.start()
    with contextlib.suppress(ValueError):
        function(*args)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def snapshot(folder):
    """Kind, size, time and target of all that is in a folder."""
    found = {}
    for parent, folders, files in os.walk(folder):
        for path in (os.path.join(parent, name) for name in folders + files):
            status = os.lstat(path)
            link = os.readlink(path) if os.path.islink(path) else None
            found[path] = status.st_mode, status.st_mtime_ns, link
    return found


class Touch:
    """When it is unpickled, makes a folder."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)
