"""Tests that what users call has type hints.

Authors
 * The speechbrain_fftp authors 2026
"""

import importlib
import inspect
import pkgutil

import pytest

from speechbrain_fftp import dataio, pretrained
from speechbrain_fftp.inference import AudioTagger, Event, Tag, Timeline

CLASSES = (AudioTagger, Event, Tag, Timeline)


def public_functions(owner):
    """The public functions and methods that a module or a class defines."""
    for name, member in vars(owner).items():
        member = inspect.unwrap(getattr(member, "__func__", member))
        if inspect.isfunction(member) and not name.startswith("_"):
            if owner in CLASSES or member.__module__ == owner.__name__:
                yield member


def modules_of(package):
    """The modules of a package."""
    for found in pkgutil.iter_modules(package.__path__):
        if found.name == "shards":  # in SpeechBrain's style
            continue
        yield importlib.import_module(f"{package.__name__}.{found.name}")


@pytest.mark.parametrize(
    "owner",
    [*CLASSES, *modules_of(dataio)],
    ids=lambda owner: owner.__name__,
)
def test_functions_have_type_hints(owner):
    for function in public_functions(owner):
        check_hints(function)


def test_functions_of_pretrained_have_type_hints():
    for function in vars(pretrained).values():
        if inspect.isfunction(function):
            check_hints(function)


def check_hints(function):
    """Fails unless all arguments and the result have a type."""
    signature = inspect.signature(function)
    for name, parameter in signature.parameters.items():
        is_rest = parameter.kind in (
            parameter.VAR_POSITIONAL,
            parameter.VAR_KEYWORD,
        )
        if name not in ("self", "cls") and not is_rest:
            assert parameter.annotation is not parameter.empty, (function, name)
    assert signature.return_annotation is not signature.empty, function
