"""Tests that what users call has type hints.

Authors
 * The speechbrain_fftp authors 2026
"""

import importlib
import inspect
import pkgutil

import pytest

import fftp_tag
from speechbrain_fftp import dataio, pretrained


def public_functions(module):
    """The public functions of a module, and the methods of its classes."""
    members = list(vars(module).items())
    for _, member in list(members):
        if inspect.isclass(member):
            members += vars(member).items()
    for name, member in members:
        if isinstance(member, property):
            member = member.fget
        member = inspect.unwrap(getattr(member, "__func__", member))
        if inspect.isfunction(member) and not name.startswith("_"):
            if member.__module__ == module.__name__:
                yield member


def modules_of(package):
    """The modules of a package."""
    for found in pkgutil.iter_modules(package.__path__):
        yield importlib.import_module(f"{package.__name__}.{found.name}")


@pytest.mark.parametrize(
    "module",
    [*modules_of(fftp_tag), *modules_of(dataio)],
    ids=lambda module: module.__name__,
)
def test_functions_have_type_hints(module):
    for function in public_functions(module):
        check_hints(function)


def test_public_names():
    for name in fftp_tag.__all__:
        assert getattr(fftp_tag, name).__name__ == name
    for name in ("Engine", "rank_tags"):
        with pytest.raises(AttributeError):
            getattr(fftp_tag, name)


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
