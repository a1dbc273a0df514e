"""Clips that are cut from an archive, and know where they are from.

The source of a clip is in the comment of its WAV file, so that it can be moved
and renamed. A learnt model has the sources of its clips.

Authors
 * The speechbrain_fftp authors 2026
"""

import errno
import io
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Iterable, List, NamedTuple

import soundfile as sf

from fftp_tag.audio.decode import open_audio
from fftp_tag.audio.windows import Part, read_part
from fftp_tag.errors import InputError
from fftp_tag.files import atomic_path, file_identity, is_unchanged
from fftp_tag.model.spans import OUTPUT
from fftp_tag.parallel import in_order

if TYPE_CHECKING:
    import onnx

PROPERTY = "learnt_from"  # of the classifier in a learnt model
UPDATE = "update the index with fftp-tag index"  # if files have changed
SOURCE = re.compile(r"fftp-tag (\w+) (\d+\.\d+) (\d+\.\d+|inf)")


class ClipSource(NamedTuple):
    """Where a clip is from: the ``file_identity`` of a file, and seconds.

    Example
    -------
    >>> source = ClipSource("0f1e", 5.0, 10.0)
    >>> parse_sources(f"{source}") == [source]
    True
    """

    file: str
    start: float
    end: float

    def __str__(self) -> str:
        return f"fftp-tag {self.file} {self.start:.4f} {self.end:.4f}"


def parse_sources(text: str) -> List[ClipSource]:
    """The sources in a text, which may be from another program and have none."""
    return [
        ClipSource(file, float(start), float(end))
        for file, start, end in SOURCE.findall(text)
    ]


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
    content = io.BytesIO()  # soundfile would hide why it cannot be written
    with sf.SoundFile(
        content, "w", rate, 1, subtype="FLOAT", format="WAV"
    ) as file:
        file.comment = str(ClipSource(identity, start, end))
        file.write(samples)
    if os.path.exists(clip):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), clip)
    with atomic_path(clip) as temporary:
        Path(temporary).write_bytes(content.getbuffer())


def source_of(part: Part) -> ClipSource:
    """The source of a part of a file; of a clip that was cut, in its archive."""
    path, start, end = part
    with open_audio(path) as audio:
        found = parse_sources(audio.comment)
    if not found:
        return ClipSource(file_identity(path), start, end)
    file, first, last = found[0]
    return ClipSource(file, first + start, min(first + end, last))


def list_sources(
    parts: Iterable[Part], num_workers: int = 4
) -> List[ClipSource]:
    """The sources of those parts that can be read."""
    found = in_order(source_of, parts, num_workers)
    return [source for _, source, _ in found if source is not None]


def add_sources(
    graph: "onnx.GraphProto", sources: Iterable[ClipSource]
) -> None:
    """Adds the sources of the clips to the classifier of a learnt model."""
    entry = classifier_of(graph).metadata_props.add()
    entry.key, entry.value = PROPERTY, "\n".join(map(str, sources))


def read_sources(graph: "onnx.GraphProto") -> List[ClipSource]:
    """The sources of the clips that a model was learnt from."""
    entries = classifier_of(graph).metadata_props
    texts = [entry.value for entry in entries if entry.key == PROPERTY]
    return parse_sources("\n".join(texts))


def classifier_of(graph: "onnx.GraphProto") -> "onnx.NodeProto":
    """The product of features of spans and the weights of a classifier."""
    return next(node for node in graph.node if OUTPUT in node.input[:1])
