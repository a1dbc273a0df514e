"""Clips that are cut from an archive, and know where they are from.

The source of a clip is in the comment of its WAV file, so that it can be moved
and renamed. A learnt model has the sources of its clips.

Authors
 * The speechbrain_fftp authors 2026
"""

import errno
import io
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Iterable, List, NamedTuple

import soundfile as sf

from fftp_tag.parallel import in_order
from fftp_tag.tag.spans import OUTPUT
from fftp_tag.tag.windows import Part, read_part
from speechbrain_fftp.dataio.audio import open_audio
from speechbrain_fftp.dataio.errors import InputError
from speechbrain_fftp.dataio.files import (
    atomic_path,
    file_identity,
    is_unchanged,
)

if TYPE_CHECKING:
    import onnx

PROPERTY = "learnt_from"  # of the classifier in a learnt model
UPDATE = "update the index with fftp-tag index"  # if files have changed


class ClipSource(NamedTuple):
    """Where a clip is from: the ``file_identity`` of a file, and seconds."""

    file: str
    start: float
    end: float


def cut_clip(part: Part, identity: str, clip: str) -> None:
    """Writes a part of a file as a new mono WAV file with its source.

    Raises
    ------
    InputError
        If the file has changed or is gone since it was indexed.
    OSError
        If there is such a clip already, or it cannot be written.
    """
    path, start, end = part
    if not is_unchanged(path, identity):
        raise InputError(f"{path} has changed or is gone: {UPDATE}")
    with open_audio(path) as audio:
        rate = audio.rate
    samples = read_part(path, rate, start, end - start)
    source = ClipSource(identity, float(start), float(end))
    content = io.BytesIO()  # soundfile would hide why it cannot be written
    with sf.SoundFile(
        content, "w", rate, 1, subtype="FLOAT", format="WAV"
    ) as file:
        file.comment = json.dumps(source._asdict())
        file.write(samples)
    if os.path.exists(clip):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), clip)
    with atomic_path(clip) as temporary:
        Path(temporary).write_bytes(content.getbuffer())


def source_of(part: Part) -> ClipSource:
    """The source of a part of a file; of a clip that was cut, in its archive."""
    path, start, end = part
    with open_audio(path) as audio:
        comment = audio.comment
    try:
        whole = parse_source(**json.loads(comment))
    except (InputError, RecursionError, TypeError, ValueError):  # of others
        return ClipSource(file_identity(path), start, end)
    return ClipSource(
        whole.file, whole.start + start, min(whole.start + end, whole.end)
    )


def list_sources(
    parts: Iterable[Part], num_workers: int = 4
) -> List[ClipSource]:
    """The sources of those parts that can be read."""
    found = in_order(source_of, parts, num_workers)
    return [source for _, source, _ in found if source is not None]


def parse_source(file: Any, start: Any, end: Any) -> ClipSource:
    """A source from JSON.

    Raises
    ------
    InputError
        If it is none.
    """
    is_right = isinstance(file, str) and all(
        isinstance(seconds, float) for seconds in (start, end)
    )
    if not (is_right and 0 <= start < end):
        raise InputError("no source of a clip")
    return ClipSource(file, start, end)


def add_sources(
    graph: "onnx.GraphProto", sources: Iterable[ClipSource]
) -> None:
    """Adds the sources of the clips to the classifier of a learnt model."""
    entry = classifier_of(graph).metadata_props.add()
    entry.key, entry.value = PROPERTY, json.dumps(list(sources))


def read_sources(graph: "onnx.GraphProto") -> List[ClipSource]:
    """The sources of the clips that a model was learnt from.

    Raises
    ------
    InputError
        If they are damaged.
    """
    entries = classifier_of(graph).metadata_props
    texts = [entry.value for entry in entries if entry.key == PROPERTY]
    try:
        return [parse_source(*x) for text in texts for x in json.loads(text)]
    except (RecursionError, TypeError, ValueError) as error:
        raise InputError(f"damaged sources of clips: {error}") from error


def classifier_of(graph: "onnx.GraphProto") -> "onnx.NodeProto":
    """The product of features of spans and the weights of a classifier."""
    return next(node for node in graph.node if OUTPUT in node.input[:1])
