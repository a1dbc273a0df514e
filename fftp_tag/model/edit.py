"""Copies a model.onnx with other metadata or changes of its graph.

Authors
 * The speechbrain_fftp authors 2026
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from fftp_tag.errors import InputError
from fftp_tag.files import (
    LEFT,
    PathLike,
    atomic_path,
    check_target,
    file_sha256,
    named_file,
    remove_leftovers,
)
from fftp_tag.model.checksum import GRAPH, WEIGHTS, ZEROS, seal

if TYPE_CHECKING:
    import onnx

    from fftp_tag.model.info import ModelInfo


def check_output(path: PathLike) -> None:
    """Raises an InputError if no model can be written to a path."""
    if Path(path).suffix != ".onnx":
        raise InputError(f"{path} must end with .onnx.")
    check_target(path)


def copy_model(
    source: PathLike,
    path: PathLike,
    info: "ModelInfo",
    change: Callable[["onnx.GraphProto"], None] | None = None,
) -> None:
    """Copies a model.onnx with other metadata.

    Arguments
    ---------
    source : str
        The model.
    path : str
        The file to write, which may be the source.
    info : ModelInfo
        The metadata of the copy.
    change : callable, optional
        Changes the graph in place. Weights in a separate file are not loaded.
    """
    import onnx

    source, path = Path(source), Path(path)
    model = onnx.load(source, load_external_data=False)
    if change is not None:
        change(model.graph)
    if source.resolve() != path.resolve():
        copy_weights(model.graph, source, path)
    write_onnx(model, path, info.to_metadata())


def write_onnx(
    model: "onnx.ModelProto", path: PathLike, metadata: dict[str, str]
) -> None:
    """Writes a model.onnx with metadata, and with checksums.

    A separate file of weights has to be there already.
    """
    from onnx import helper

    checksums = {GRAPH: ZEROS}
    weights = weights_file(model.graph, path)
    if weights is not None:
        checksums[WEIGHTS] = file_sha256(weights)
    helper.set_model_props(model, {**metadata, **checksums})
    remove_leftovers(path, LEFT)
    with atomic_path(path) as temporary_path:
        Path(temporary_path).write_bytes(seal(model.SerializeToString()))


def copy_weights(graph: "onnx.GraphProto", source: Path, path: Path) -> None:
    """Copies the separate file of weights, if there is one, to ``PATH.data``.

    The graph, of the model ``source``, is changed to refer to the copy.
    """
    weights = weights_file(graph, source)
    if weights is None:
        return
    copy = path.with_name(f"{path.name}.data")
    with atomic_path(copy) as temporary_path:
        shutil.copyfile(weights, temporary_path)
    for entry in weight_references(graph):
        entry.value = copy.name


def weight_references(
    graph: "onnx.GraphProto",
) -> list["onnx.StringStringEntryProto"]:
    """The entries that name the separate file of each weight."""
    return [
        entry
        for tensor in graph.initializer
        for entry in tensor.external_data
        if entry.key == "location"
    ]


def weights_file(graph: "onnx.GraphProto", path: PathLike) -> Path | None:
    """The separate file of a model's weights, if there is one.

    Raises
    ------
    InputError
        If there are several, or it is elsewhere.
    """
    names = {entry.value for entry in weight_references(graph)}
    if not names:
        return None
    if len(names) > 1:
        raise InputError(
            f"The weights of {path} are in {len(names)} files: save them in one."
        )
    return named_file(path, names.pop())


def write_with_state(source: Path, path: Path, info: "ModelInfo") -> None:
    """Writes a copy of a model, given its metadata, whose graph has a state."""
    from fftp_tag.model.state import add_state

    frame_level = info.frame_level
    if frame_level is None or frame_level.look_ahead is None:
        raise InputError(
            f"{source} has no state: its predictions depend on the whole clip, "
            "see docs/training.md#for-streams"
        )
    look_ahead = frame_level.look_ahead
    copy_model(source, path, info, lambda graph: add_state(graph, look_ahead))
