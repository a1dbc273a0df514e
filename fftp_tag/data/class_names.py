"""Names of classes: one form in folders, tables, training and models.

Authors
 * The speechbrain_fftp authors 2026
"""

import unicodedata
from collections.abc import Iterable
from typing import Any

from fftp_tag.errors import InputError
from fftp_tag.files import PathLike

MAX_CHARACTERS = 200
# Of tables, of manifests, and of SpeechBrain's label encoder
SEPARATORS = (";", "$", " => ")


def class_name(text: str, origin: PathLike | None = None) -> str:
    """The name of a class as it is used everywhere.

    Characters are composed (NFC), and all white space is single spaces.

    Arguments
    ---------
    text : str
        The name of a folder, or an entry of a table.
    origin : str, optional
        Where it is from, for the message.

    Raises
    ------
    InputError
        If it is empty, too long, or has a separator or a control character.

    Example
    -------
    >>> class_name(" Door\\u00a0bell ")
    'Door bell'
    """
    name = " ".join(unicodedata.normalize("NFC", text).split())
    problem = next((f"it has {x!r}" for x in SEPARATORS if x in name), None)
    if not name:
        problem = "it is empty"
    elif not name.isprintable():
        problem = "it has a character that cannot be printed"
    elif len(name) > MAX_CHARACTERS:
        problem = f"it has more than {MAX_CHARACTERS} characters"
    if problem:
        where = "" if origin is None else f"{origin}: "
        raise InputError(f"{where}rename the class {text[:50]!r}: {problem}")
    return name


def class_names(
    texts: Iterable[str], origin: PathLike | None = None
) -> tuple[str, ...]:
    """Distinct names of classes, in order, without blanks."""
    names = (class_name(text, origin) for text in texts if text.strip())
    return tuple(dict.fromkeys(names))


def are_class_names(names: Any) -> bool:
    """Whether a value is a list of distinct names of classes."""
    try:
        return isinstance(names, list) and list(class_names(names)) == names
    except (AttributeError, InputError, TypeError):
        return False
