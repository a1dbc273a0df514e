"""Optional packages: whether they are installed, and their import.

Authors
 * The speechbrain_fftp authors 2026
"""

import importlib
import importlib.util
from types import ModuleType

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


def import_package(name: str, purpose: str) -> ModuleType:
    """Imports a package; for arguments see ``require``.

    Raises
    ------
    InputError
        If it is missing, or cannot be imported.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        if isinstance(error.__cause__, KeyboardInterrupt):  # see pybind11
            raise error.__cause__ from None
        if isinstance(error, ModuleNotFoundError) and error.name == name:
            require(name, purpose)
        raise InputError(f"{name} cannot be imported: {error}") from error
