"""Finds a model.onnx, or makes one from a published model.

Authors
 * The speechbrain_fftp authors 2026
"""

import hashlib
import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from fftp_tag.errors import InputError, one_line
from fftp_tag.files import PathLike, file_identity
from fftp_tag.model.hub import HUB_ID, download
from fftp_tag.model.releases import RELEASES, cache_folder
from fftp_tag.version import __version__

# Commands import this module to parse their options: what is slow to import is
# imported in functions
if TYPE_CHECKING:
    from fftp_tag.model.foreign.join import ForeignFile

logger = logging.getLogger(__name__)

STARTER = "starter"  # the name of the model that the package holds
STARTER_MODEL = Path(__file__).parents[1] / "starter" / "model.onnx"
MODEL = "model.onnx"
CONFIG = "config.json"  # of a checkpoint
WEIGHTS = (".pth", ".pt")
# What is downloaded of a model on the hub
ON_HUB = (
    MODEL,
    f"{MODEL}.data",
    f"onnx/{MODEL}",
    "model.json",
    CONFIG,
    "preprocessor_config.json",
    "class_labels_indices.csv",
)

# A model.onnx of this package, an ONNX file of others, or neither
Onnx: TypeAlias = "Path | ForeignFile | None"


def find_or_convert(source: PathLike) -> Path:
    """Finds a model.onnx and returns its path.

    Arguments
    ---------
    source : str
        "starter", the model that the package holds; a model.onnx; a folder that
        holds one, also as ``inference/model.onnx``; or a published model, which
        is converted into the cache: an ONNX file of a known form, or else a
        checkpoint; on disk, on the hub or a name in ``RELEASES``.

    Raises
    ------
    FileNotFoundError
        If the file or folder does not exist, or holds no model.
    InputError
        If a published model cannot be converted.
    """
    path = Path(source)
    found = find_on_disk(source)
    if isinstance(found, Path):
        return found
    if path.is_dir() and not found and not (path / CONFIG).is_file():
        raise FileNotFoundError(
            f"{source} holds no {MODEL} and no published checkpoint: training "
            "writes inference/model.onnx when it ends."
        )
    if not path.exists() and not may_be_on_hub(source):
        raise FileNotFoundError(
            f"{source}: there is no such file or folder. Give a model.onnx, "
            "the output folder of a training, or a published model."
        )
    converted = cache_folder() / cache_name(path, found)
    if converted.is_file():
        return converted
    if path.exists() or str(source) in RELEASES:
        logger.info("%s has to be converted once, into %s", source, converted)
    else:
        logger.info(
            "There is no file or folder %s here: looking for it on the Hugging "
            "Face hub. Others' models have to be converted once, into %s",
            source,
            converted,
        )
        found = find_on_hub(source)
        if isinstance(found, Path):
            return found
    convert(source, converted, found)
    return converted


def find_on_disk(source: PathLike) -> Onnx:
    """The ONNX model that is a file, in a folder or in the package, if any."""
    from fftp_tag.model.foreign.forms import find_foreign, is_own

    if source == STARTER:
        return STARTER_MODEL
    path = Path(source)
    if path.suffix != ".onnx" and (path.suffix in WEIGHTS or not path.exists()):
        return None
    inside = find_inside(path) if path.is_dir() else path
    found = find_foreign(path)
    is_described = found is not None or (path / CONFIG).is_file()
    if inside is None or not is_described or is_own(inside):
        # Or a path without a file: what loads it says so
        return found if inside is None else inside
    if found is None:
        logger.info(
            "%s has no known form of ONNX: it is tried as a checkpoint", inside
        )
    return found


def find_inside(folder: PathLike) -> Path | None:
    """The model.onnx in a folder, or in its folder ``inference``, if any."""
    for path in (Path(folder, MODEL), Path(folder, "inference", MODEL)):
        if path.is_file():
            return path
    return None


def may_be_on_hub(source: PathLike) -> bool:
    """Whether what is not on disk may be a model on the hub."""
    is_id = HUB_ID.fullmatch(str(source)) is not None
    return is_id and not Path(source).parent.is_dir()


def find_on_hub(source: PathLike) -> Onnx:
    """The ONNX model of ``owner/name[@revision]``, downloaded if need be.

    None for the file of a release, which is a checkpoint.
    """
    if str(source) in RELEASES:
        return None
    folder = download(str(source), ON_HUB)
    found = find_on_disk(folder)
    if found is not None:
        logger.info("%s is revision %s of the hub", source, folder.name)
    return found


def convert(
    source: PathLike,
    path: Path,
    found: "ForeignFile | None" = None,
    **options: Any,
) -> None:
    """Writes a model.onnx from an ONNX file of others, or else a checkpoint.

    For the options of a checkpoint, see ``speechbrain_fftp.pretrained.convert``.
    """
    from fftp_tag.model.foreign.convert import write_foreign
    from fftp_tag.model.foreign.forms import accepted

    path.parent.mkdir(parents=True, exist_ok=True)
    if found is None:
        unknown = sorted(Path(source).glob("*.onnx"))
        if unknown and not Path(source, CONFIG).is_file():
            raise InputError(
                f"{unknown[0]} has no known form: give {accepted()}"
            )
        write_checkpoint(source, path, **options)
        return
    try:
        write_foreign(found, path)
    except InputError as error:
        weights = Path(source, "model.safetensors")
        if Path(source).exists() and not weights.is_file():
            raise
        logger.info("%s It is tried as a checkpoint", one_line(error))
        write_checkpoint(source, path, **options)


def write_checkpoint(source: PathLike, path: Path, **options: Any) -> None:
    """Writes a model.onnx from a checkpoint, which needs PyTorch."""
    try:
        from speechbrain_fftp.pretrained.convert import convert_checkpoint
    except ModuleNotFoundError as error:
        kind = "is a published checkpoint"
        if not Path(source).exists() and str(source) not in RELEASES:
            kind = f"has no {MODEL} on the hub but may be a checkpoint"
        raise InputError(
            f"{source} {kind}. Its conversion needs {error.name}: install this "
            'package with what training needs (pip install ".[train]" in a '
            "checkout), or convert the model elsewhere with fftp-tag import"
        ) from error
    convert_checkpoint(source, path, **options)


def cache_name(path: Path, foreign: "ForeignFile | None" = None) -> str:
    """The name of a converted model in the cache.

    It depends on the version of this package and, for files on disk, on their
    identities; for a hub id, on the id: a newer revision needs ``fftp-tag
    import``.
    """
    name = re.sub(r"[^\w.@-]+", "--", str(path))
    if not path.exists():
        return f"{name}-{__version__}.onnx"
    files: Sequence[Path] = [path]
    if foreign is not None:
        files = [foreign.model, *foreign.described_by]
    elif path.is_dir():
        kinds = (".bin", ".json", ".safetensors")
        files = sorted(x for x in path.iterdir() if x.suffix in kinds)
    identities = "".join(map(file_identity, files))
    digest = hashlib.sha256(identities.encode()).hexdigest()[:16]
    return f"{path.resolve().name}-{digest}-{__version__}.onnx"
