"""Finds the model.onnx of a model, or makes it from a published checkpoint.

Authors
 * The speechbrain_fftp authors 2026
"""

import hashlib
import logging
import os
import re
from pathlib import Path
from typing import Optional, Union

from speechbrain_fftp.dataio.errors import InputError

logger = logging.getLogger(__name__)

MODEL = "model.onnx"
WEIGHTS = (".pth", ".pt")
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?")


def find_model(source: Union[str, os.PathLike]) -> Path:
    """The path of a model.onnx.

    Arguments
    ---------
    source : str
        Such a file; a folder that holds one, also as ``inference/model.onnx``;
        or a published checkpoint, which is converted into the cache.

    Raises
    ------
    FileNotFoundError
        If there is no such file or model.
    InputError
        If it is no model.
    """
    path = Path(source)
    if path.suffix == ".onnx" or path.is_file() and path.suffix not in WEIGHTS:
        return path
    inside = find_inside(path)
    if inside is not None:
        return inside
    if path.is_dir() and not (path / "config.json").is_file():
        raise FileNotFoundError(
            f"{source} holds no {MODEL} and no published checkpoint: a training "
            "writes it at its end, into the folder inference."
        )
    may_be_id = HUB_ID.fullmatch(str(source)) and not path.parent.is_dir()
    if not path.exists() and not may_be_id:
        raise FileNotFoundError(
            f"{source}: there is no such file or folder. Give the folder of a "
            "training, a model.onnx, or a published model, such as "
            "mispeech/ced-tiny."
        )
    converted = cache_folder() / cache_name(path)
    if converted.is_file():
        return converted
    logger.info(
        "%s has to be converted once, which takes half a minute or more, into "
        "%s",
        source,
        converted,
    )
    convert(source, converted)
    return converted


def find_inside(folder: Union[str, os.PathLike]) -> Optional[Path]:
    """The model.onnx in the folder of a training, if there is one."""
    for path in (Path(folder, MODEL), Path(folder, "inference", MODEL)):
        if path.is_file():
            return path
    return None


def convert(source: Union[str, os.PathLike], path: Path, **options) -> None:
    """Converts a published checkpoint, see ``speechbrain_fftp.export``."""
    try:
        from speechbrain_fftp import export
    except ModuleNotFoundError as error:
        kind = "is a published checkpoint"
        if not Path(source).exists():
            kind = "is no file here, but may be a model of the hub"
        raise InputError(
            f"{source} {kind}, and to convert it needs {error.name}: install "
            "this package with its dependencies, or convert it elsewhere with "
            "fftp-tag import"
        ) from error
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        export.convert(source, path, **options)
    except export.ExportError as error:
        raise InputError(f"{source} cannot be converted: {error}") from error


def cache_folder() -> Path:
    """The folder of converted models."""
    folder = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(folder) / "fftp_tag"


def cache_name(path: Path) -> str:
    """A name for the converted model of a checkpoint.

    That of files on disk depends on their state, that of a hub id on the id
    alone: import it again for a newer revision.
    """
    name = re.sub(r"[^\w.@-]+", "--", str(path))
    if not path.exists():
        return f"{name}.onnx"
    files = [path]
    if path.is_dir():
        files = sorted(path.glob("*.json")) + sorted(path.glob("*.safetensors"))
    states = [
        (str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns)
        for file in files
    ]
    digest = hashlib.sha256(repr(states).encode()).hexdigest()[:16]
    return f"{path.resolve().name}-{digest}.onnx"
