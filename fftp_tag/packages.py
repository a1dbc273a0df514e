"""Checks for optional packages before the work begins.

Authors
 * The speechbrain_fftp authors 2026
"""

import importlib.util

from speechbrain_fftp.dataio.errors import InputError

# Packages whose names differ from their modules'
NAMES = {"sklearn": "scikit-learn"}


def is_installed(module: str) -> bool:
    """Whether a module is installed, without importing it."""
    return importlib.util.find_spec(module) is not None


def require(module: str, purpose: str) -> None:
    """Raises an InputError if a module is missing.

    Arguments
    ---------
    module : str
    purpose : str
        What needs it, as the beginning of a sentence.
    """
    if not is_installed(module):
        name = NAMES.get(module, module)
        raise InputError(f"{purpose} needs {name}: pip install {name}")
