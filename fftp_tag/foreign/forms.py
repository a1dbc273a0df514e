"""Tells the forms of ONNX files apart.

Authors
 * The speechbrain_fftp authors 2026
"""

import os
from pathlib import Path
from types import ModuleType
from typing import BinaryIO, Iterator, NamedTuple, Optional, Tuple, Union

from fftp_tag.foreign import ast, sherpa, waveform
from fftp_tag.foreign.join import Found

FORMS = (waveform, ast, sherpa)
METADATA = 14  # number of this field of an ONNX file
OWN = b"frame_samples"  # a key that the metadata of this package have
BYTES, FIXED = 2, {1: 8, 5: 4}  # kinds of fields, and sizes


class Foreign(NamedTuple):
    """A file of a known form of others."""

    form: ModuleType
    found: Found


def find_foreign(path: Path) -> Optional[Foreign]:
    """The model of a known form that is a file, or in a folder, if any."""
    for form in FORMS:
        found = form.find(path)
        if found is not None:
            return Foreign(form, found)
    return None


def write_foreign(foreign: Foreign, path: Union[str, os.PathLike]) -> None:
    """Writes a model.onnx from a file of others."""
    foreign.form.write(foreign.found, path)


def accepted() -> str:
    """The forms, for messages."""
    *others, last = (form.ACCEPTED for form in FORMS)
    return f"a model.onnx of this package, {', '.join(others)}, or {last}"


def is_foreign(path: Path) -> bool:
    """Whether a file is ONNX and has no metadata of this package.

    Weights are skipped, not read.
    """
    if not path.is_file():
        return False
    try:
        with open(path, "rb") as file:
            fields = dict.fromkeys(read_fields(file, path.stat().st_size))
    except (EOFError, KeyError):
        return False  # no ONNX: what loads it says so
    numbers = {number for number, _ in fields}
    has_own = any(OWN in text for number, text in fields if number == METADATA)
    return {1, 7} <= numbers and not has_own  # IR version and graph


def read_fields(file: BinaryIO, size: int) -> Iterator[Tuple[int, bytes]]:
    """The fields of a protocol buffer: numbers, and texts of metadata."""
    while file.tell() < size:
        tag = read_number(file)
        number, kind, content = tag >> 3, tag & 7, b""
        if kind == 0:
            read_number(file)
        else:
            length = read_number(file) if kind == BYTES else FIXED[kind]
            if file.tell() + length > size:
                raise EOFError
            if number == METADATA:
                content = file.read(length)
            else:
                file.seek(length, os.SEEK_CUR)
        yield number, content


def read_number(file: BinaryIO) -> int:
    """A number in seven bits a byte, the lowest first."""
    value = shift = 0
    while True:
        (byte,) = file.read(1) or [None]
        if byte is None or shift > 63:
            raise EOFError
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value
