"""The import of optional packages.

Authors
 * The speechbrain_fftp authors 2026
"""

import importlib
from types import ModuleType

from fftp_tag.errors import InputError

# Packages whose names differ from their modules'
NAMES = {"sklearn": "scikit-learn"}


def require(module: str, purpose: str) -> ModuleType:
    """Imports a module of an optional package.

    Arguments
    ---------
    module : str
    purpose : str
        What needs it, as the beginning of a sentence.

    Returns
    -------
    ModuleType

    Raises
    ------
    InputError
        If the package is missing, or cannot be imported.
    """
    try:
        return importlib.import_module(module)
    except (ImportError, OSError) as error:  # or a library that it needs
        if isinstance(error, ModuleNotFoundError) and error.name == module:
            name = NAMES.get(module, module)
            raise InputError(
                f"{purpose} needs {name}: pip install {name}"
            ) from error
        raise InputError(f"{module} cannot be imported: {error}") from error
