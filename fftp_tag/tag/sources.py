"""Finds a model.onnx, or makes one from a published checkpoint.

Authors
 * The speechbrain_fftp authors 2026
"""

import hashlib
import logging
import os
import re
from pathlib import Path
from typing import Any, Optional, Union

from speechbrain_fftp.dataio.errors import InputError

logger = logging.getLogger(__name__)

# The name of the model that the package holds
STARTER = "starter"
STARTER_MODEL = Path(__file__).parents[1] / "starter" / "model.onnx"
MODEL = "model.onnx"
WEIGHTS = (".pth", ".pt")
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?")


def find_or_convert(source: Union[str, os.PathLike]) -> Path:
    """Finds a model.onnx and returns its path.

    Arguments
    ---------
    source : str
        "starter", the model that the package holds; a model.onnx; a folder that
        holds one, also as ``inference/model.onnx``; or a published checkpoint,
        which is converted into the cache.

    Raises
    ------
    FileNotFoundError
        If the file or folder does not exist, or holds no model.
    InputError
        If a published checkpoint cannot be converted.
    """
    if source == STARTER:
        return STARTER_MODEL
    path = Path(source)
    if path.suffix == ".onnx" or path.is_file() and path.suffix not in WEIGHTS:
        return path
    inside = find_inside(path)
    if inside is not None:
        return inside
    if path.is_dir() and not (path / "config.json").is_file():
        raise FileNotFoundError(
            f"{source} holds no {MODEL} and no published checkpoint: training "
            "writes inference/model.onnx when it ends."
        )
    may_be_id = HUB_ID.fullmatch(str(source)) and not path.parent.is_dir()
    if not path.exists() and not may_be_id:
        raise FileNotFoundError(
            f"{source}: there is no such file or folder. Give a model.onnx, "
            "the output folder of a training, or a published model, such as "
            "mispeech/ced-tiny."
        )
    converted = cache_folder() / cache_name(path)
    if converted.is_file():
        return converted
    if path.exists():
        logger.info("%s has to be converted once, into %s", source, converted)
    else:
        logger.info(
            "There is no file or folder %s here: looking for it on the Hugging "
            "Face hub. A model has to be converted once, into %s",
            source,
            converted,
        )
    convert(source, converted)
    return converted


def find_inside(folder: Union[str, os.PathLike]) -> Optional[Path]:
    """The model.onnx in a folder, or in its folder ``inference``, if any."""
    for path in (Path(folder, MODEL), Path(folder, "inference", MODEL)):
        if path.is_file():
            return path
    return None


def convert(
    source: Union[str, os.PathLike], path: Path, **options: Any
) -> None:
    """See ``speechbrain_fftp.pretrained.convert``."""
    try:
        from speechbrain_fftp.pretrained.convert import convert_checkpoint
    except ModuleNotFoundError as error:
        kind = "is a published checkpoint"
        if not Path(source).exists():
            kind = "is not a local file but may be a model of the hub"
        raise InputError(
            f"{source} {kind}. Its conversion needs {error.name}: install this "
            'package with what training needs (pip install ".[train]" in a '
            "checkout), or convert the model elsewhere with fftp-tag import"
        ) from error
    path.parent.mkdir(parents=True, exist_ok=True)
    convert_checkpoint(source, path, **options)


def cache_folder() -> Path:
    """The cache folder of converted models."""
    folder = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(folder) / "fftp_tag"


def cache_name(path: Path) -> str:
    """The name of a converted checkpoint in the cache.

    For files on disk, it depends on their sizes and times; for a hub id, on the
    id alone: a newer revision needs ``fftp-tag import``.
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
