"""Clips that are cut from an archive, and know where they are from.

The source of a clip is in the comment of its WAV file, so that it can be moved
and renamed. A learnt model has the sources of its clips.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import errno
import hashlib
import io
import json
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Iterable, List, NamedTuple

import soundfile as sf

from fftp_tag.tag.spans import OUTPUT
from fftp_tag.tag.windows import read_part
from speechbrain_fftp.dataio.audio import open_audio
from speechbrain_fftp.dataio.files import atomic_path

if TYPE_CHECKING:
    import onnx

PROPERTY = "learnt_from"  # of the classifier in a learnt model


class ClipSource(NamedTuple):
    """Where a clip is from: a checksum of the file's path, and seconds."""

    file: str
    start: float
    end: float


def path_digest(path: str) -> str:
    """A checksum of the path of a file: a model does not show the path."""
    return hashlib.sha256(os.fsencode(os.path.realpath(path))).hexdigest()[:16]


def cut_clip(path: str, start: float, end: float, clip: str) -> None:
    """Writes a part of a file as a new mono WAV file with its source.

    Raises
    ------
    OSError
        If there is such a file already, or it cannot be written.
    """
    with open_audio(path) as audio:
        rate = audio.rate
    samples = read_part(path, rate, start, end - start)
    source = {"file": os.path.realpath(path), "start": start, "end": end}
    content = io.BytesIO()  # soundfile would hide why it cannot be written
    with sf.SoundFile(
        content, "w", rate, 1, subtype="FLOAT", format="WAV"
    ) as file:
        file.comment = json.dumps(source)
        file.write(samples)
    if os.path.exists(clip):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), clip)
    with atomic_path(clip) as temporary:
        Path(temporary).write_bytes(content.getbuffer())


def source_of(
    path: str, start: float = 0.0, end: float = math.inf
) -> ClipSource:
    """The source of a clip, or of a part of it; by default the clip itself."""
    comment = ""
    with contextlib.suppress(sf.LibsndfileError), sf.SoundFile(path) as file:
        comment = file.comment
    try:
        source = json.loads(comment)
        name, first, last = source["file"], source["start"], source["end"]
        part = float(first + start), float(min(first + end, last))
    except (KeyError, RecursionError, TypeError, ValueError):  # of others
        return ClipSource(path_digest(path), start, end)
    return ClipSource(path_digest(name), *part)


def add_sources(
    graph: "onnx.GraphProto", sources: Iterable[ClipSource]
) -> None:
    """Adds the sources of the clips to the classifier of a learnt model."""
    entry = classifier_of(graph).metadata_props.add()
    entry.key, entry.value = PROPERTY, json.dumps(list(sources))


def read_sources(graph: "onnx.GraphProto") -> List[ClipSource]:
    """The sources of the clips that a model was learnt from."""
    entries = classifier_of(graph).metadata_props
    texts = [entry.value for entry in entries if entry.key == PROPERTY]
    return [
        ClipSource(*source) for text in texts for source in json.loads(text)
    ]


def classifier_of(graph: "onnx.GraphProto") -> "onnx.NodeProto":
    """The product of features of spans and the weights of a classifier."""
    return next(node for node in graph.node if OUTPUT in node.input[:1])
