"""Writes a model.onnx from an ONNX file of others.

Authors
 * The speechbrain_fftp authors 2026
"""

from pathlib import Path

from fftp_tag.errors import InputError
from fftp_tag.files import atomic_path
from fftp_tag.model.foreign.join import ForeignFile
from fftp_tag.model.session import Model


def write_foreign(found: ForeignFile, path: Path) -> None:
    """Writes a model.onnx from an ONNX file of others, and runs it once."""
    with atomic_path(path) as temporary_path:
        found.write(found, temporary_path)
        try:
            Model(temporary_path).check()
        except InputError as error:
            raise InputError(
                f"{found.model} does not run behind the front end of its form: "
                f"{error}"
            ) from error
