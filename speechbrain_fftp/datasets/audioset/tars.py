"""Reads clips from tar shards that other tools wrote (WebDataset's format).

The files of a clip have the same name but for the extension: audio, and json or
cls with its labels. A folder of such files counts as a shard, too.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import json
import os
import re
import tarfile
from pathlib import Path

from speechbrain_fftp.dataio.audio import AUDIO_EXTENSIONS
from speechbrain_fftp.datasets.audioset.lists import (
    CLIP_SECONDS,
    Segment,
    unique_mids,
)
from speechbrain_fftp.datasets.audioset.search import read_name
from speechbrain_fftp.datasets.audioset.shard_reader import SHARD_ERRORS

LABEL_KEYS = ("labels", "label", "cls", "tags")  # of a json, the first counts
MAX_LABEL_BYTES, MAX_AUDIO_BYTES = 2**20, 2**30


def read_tar_segments(paths, classes):
    """Lists the clips of tar shards with their labels, see ``parse_labels``.

    The names of files are the ids, and every clip is the first 10 seconds of
    its audio. Returns Segments in the order of the shards.
    """
    segments, words = [], label_words(classes)
    for path in paths:
        mids = {}
        with _open_shard(path) as members:
            for stem, extension, read in members:
                mids.setdefault(stem, ())
                if extension not in AUDIO_EXTENSIONS:
                    mids[stem] = parse_labels(read(), words, len(classes))
        for stem, labels in mids.items():
            segments.append(Segment(stem, 0.0, CLIP_SECONDS, labels))
    return segments


def find_tar_clips(path, ids):
    """Lists those of the ids whose audio is in a tar shard, in its order."""
    with _open_shard(path) as members:
        stems = [m[0] for m in members if m[1] in AUDIO_EXTENSIONS]
    found = (read_name(stem, ids)[0] for stem in stems)
    return list(dict.fromkeys(filter(None, found)))


def iter_tar_audio(paths, ids):
    """Yields id and encoded audio (None if absent) of the given clips.

    The shards are read in order, with one clip at a time in memory.
    """
    remaining = dict.fromkeys(ids)
    for path in paths:
        with _open_shard(path) as members:
            for stem, extension, read in members:
                clip_id, *_ = read_name(stem, remaining)
                if clip_id is not None and extension in AUDIO_EXTENSIONS:
                    del remaining[clip_id]
                    yield clip_id, read()
    yield from remaining.items()


def label_words(classes):
    """Maps mids, display names and indices of the classes to mids."""
    numbered = {str(i): mid for i, mid in enumerate(classes)}
    named = {name: mid for mid, name in classes.items()}
    return {**numbered, **named, **{mid: mid for mid in classes}}


def parse_labels(content, words, num_classes):
    """Turns the json or cls of a clip into mids; () if it has no labels.

    Labels are ``words``, alone or in a list, or a list of one 0 or 1 per class;
    in a json they are in ``labels``, ``label``, ``cls`` or ``tags``. A word that
    is unknown is returned as it is.
    """
    text = content.decode("utf-8", "replace").strip()
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = [] if text[:1] in ("{", "[") else text  # a damaged json
    if isinstance(value, dict):
        value = next((value[key] for key in LABEL_KEYS if key in value), [])
    if isinstance(value, str) and value not in words:
        value = re.split("[,;] *", value)
    value = [str(v) for v in (value if isinstance(value, list) else [value])]
    if len(value) == num_classes and set(value) <= {"0", "1"}:
        value = [str(i) for i, present in enumerate(value) if present == "1"]
    return unique_mids(words.get(label, label) for label in value)


@contextlib.contextmanager
def _open_shard(path):
    """Opens a shard as name, extension and reader of its audio and labels.

    Errors name the file.
    """
    try:
        if os.path.isdir(path):
            yield _known(_folder_members(path))
            return
        with tarfile.open(path, "r:") as tar:
            yield _known(_tar_members(tar))
    except SHARD_ERRORS as err:
        raise ValueError(
            f"{path} is damaged or not a tar file, fetch it again ({err})"
        )


def _folder_members(path):
    """Yields path, size and reader of the files of a folder."""
    for name in sorted(os.listdir(path)):
        file = Path(path, name)
        yield name, file.stat().st_size, file.read_bytes


def _tar_members(tar):
    """Yields path, size and reader of the files in a tar file."""
    for member in iter(tar.next, None):
        tar.members = []  # tarfile would keep them all
        if member.isreg():
            yield member.name, member.size, tar.extractfile(member).read


def _known(members):
    """Yields what ``_open_shard`` describes; too large files are left out."""
    limits = dict.fromkeys(AUDIO_EXTENSIONS, MAX_AUDIO_BYTES)
    limits.update({".json": MAX_LABEL_BYTES, ".cls": MAX_LABEL_BYTES})
    for path, size, read in members:
        stem, extension = os.path.splitext(os.path.basename(path))
        if 0 <= size <= limits.get(extension.lower(), -1):
            yield stem, extension.lower(), read
