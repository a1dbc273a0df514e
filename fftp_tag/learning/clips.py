"""Lists the clips that are learnt from, and reads them.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
import functools
import logging
import math
import os
import re
import threading
from collections import Counter, defaultdict
from typing import Any

import numpy as np

from fftp_tag.audio.decode import MIN_SECONDS, list_recordings, read_duration
from fftp_tag.audio.pieces import read_piece
from fftp_tag.audio.sounds import find_sounds
from fftp_tag.data import custom
from fftp_tag.data.clips import Clip
from fftp_tag.data.reviewed import reviewed_clips
from fftp_tag.data.splits import drop_copies
from fftp_tag.errors import InputError, counted
from fftp_tag.files import PathLike, file_identity
from fftp_tag.parallel import in_order

logger = logging.getLogger(__name__)

MAX_CLIP_SECONDS = 60.0  # of a clip whose sounds are learnt from
BACKGROUND_CLIPS = 5  # of a recording, for cross-validation
MIN_BACKGROUND_SECONDS = 2.0  # of such a clip, unless it is the only one


@dataclasses.dataclass(frozen=True)
class DataSet:
    """What is learnt from.

    Arguments
    ---------
    folder : str
        The data folder, for messages.
    labels : list of str
        Names of the C classes.
    clips : list of Clip
        Clips with labels; background, which has none; and sounds of the bank.
    recordings : list of str
        Recordings of background; clips are of their first halves.
    not_read : dict
        Reasons by name of the clips and recordings that cannot be read.
    are_whole : bool
        Whether clips are learnt as a whole, in place of the sounds in them.
    """

    folder: str
    labels: list[str]
    clips: list[Clip]
    recordings: list[str]
    not_read: dict[str, str] = dataclasses.field(default_factory=dict)
    are_whole: bool = False

    @property
    def single_label(self) -> bool:
        """Whether each clip has one class, or none."""
        return all(len(clip.labels) < 2 for clip in self.clips)

    @property
    def labelled(self) -> list[Clip]:
        """The clips with a class that are learnt from."""
        return [x for x in self.clips if x.labels and x.split != "eval"]

    @property
    def background(self) -> list[Clip]:
        """The clips of background that are learnt from."""
        return [
            x
            for x in self.clips
            if not x.labels and not x.kind and x.split != "eval"
        ]

    @property
    def background_seconds(self) -> float:
        """The length of the background."""
        return sum(clip.seconds for clip in self.background)

    @property
    def longest(self) -> list[float]:
        """Seconds of the longest sound of each clip with a class."""
        if self.are_whole:
            return [clip.seconds for clip in self.labelled]
        return [x.sounds[0][1] - x.sounds[0][0] for x in self.labelled]

    @property
    def filled(self) -> float:
        """How much of the clips with a class their sounds fill, from 0 to 1."""
        if self.are_whole:
            return 1.0
        heard = sum(
            end - start for x in self.labelled for start, end in x.sounds
        )
        length = sum(clip.seconds for clip in self.labelled)
        return heard / max(length, MIN_SECONDS)

    @property
    def has_groups(self) -> bool:
        """Whether it is known of most clips which others are of one recording with
        them, if any, and no recording is in several groups.
        """
        clips = [clip for clip in self.labelled if not clip.is_reviewed]
        groups = Counter(clip.group for clip in clips)
        of_files: dict[str, set[str]] = defaultdict(set)
        known = 0
        for clip in clips:
            of_files[clip.audio].add(clip.group)
            alone = os.path.relpath(clip.audio, self.folder)
            known += groups[clip.group] > 1 or clip.group != alone
        if any(len(found) > 1 for found in of_files.values()):
            return False
        return 2 * known > len(clips)

    def whole(self) -> "DataSet":
        """The same with clips as a whole."""
        return dataclasses.replace(
            self,
            clips=[clip._replace(sounds=()) for clip in self.clips],
            are_whole=True,
        )


def list_data(
    data_folder: PathLike,
    bank: list[Clip],
    background: PathLike | None = None,
    strong_labels: PathLike | None = None,
    partly_labelled: bool = False,
    numbered: bool = False,
    reviewed: PathLike | None = None,
) -> DataSet:
    """Lists what is learnt from; for arguments see ``learn``.

    Without copies, and without other clips in the groups of the eval split.
    """
    listed = custom.list_clips(data_folder, 1, strong_labels, partly_labelled)
    heard = [] if reviewed is None else reviewed_clips(reviewed)
    new = {label for clip in heard for label in clip.labels}
    labels = sorted({*listed.classes, *new})
    clips = listed.clips
    if numbered:
        clips = [x._replace(group=without_number(x.group)) for x in clips]
    clips, _ = drop_copies([*clips, *heard], listed.folder)
    held_out = {
        group
        for clip in clips
        if clip.split == "eval"
        for group in (clip.group, clip.audio)  # of what is reviewed
    }
    clips = [x for x in clips if x.split == "eval" or x.group not in held_out]
    has_background = background is not None or not all(x.labels for x in clips)
    if len(labels) == 1 and not has_background:
        raise InputError(
            f"{data_folder} has clips of one class only, {labels[0]}: add "
            "clips without the sound in a folder named background, or give a "
            "recording without the sound with --background."
        )
    recordings = [] if background is None else list_recordings(background)
    if {clip.audio for clip in heard} & set(map(os.path.abspath, recordings)):
        logger.warning(
            "recordings of %s were also reviewed: there are more false alarms "
            "in others than are counted here",
            background,
        )
    of_recordings, not_read = list_background(recordings)
    clips = [
        clip._replace(id=name_of(clip, listed.folder))
        for clip in [*clips, *of_recordings]
    ]
    return DataSet(listed.folder, labels, [*clips, *bank], recordings, not_read)


def without_number(group: str) -> str:
    """A group that is a file, without a last number in its name."""
    stem, extension = os.path.splitext(group)
    return re.sub(r"[ _-]?\d+$", "", stem) if extension else group


def name_of(clip: Clip, folder: str) -> str:
    """The name of a clip in messages, relative to the data folder."""
    path = os.path.relpath(clip.audio, folder)
    return str(clip.piece._replace(path=path))


def list_background(
    recordings: list[str],
) -> tuple[list[Clip], dict[str, str]]:
    """Cuts the first half of each recording of background into clips.

    Each clip is a group, so that clips of a recording are in all folds. Returns
    reasons by name of the recordings that cannot be read, too.
    """
    clips = []
    not_read = {}
    for path, seconds, reason in in_order(read_duration, recordings):
        if seconds is None:
            not_read[path] = str(reason)
            continue
        half = seconds / 2
        count = max(
            min(int(half / MIN_BACKGROUND_SECONDS), BACKGROUND_CLIPS), 1
        )
        edges = np.linspace(0, half, count + 1).tolist()
        for start, end in zip(edges[:-1], edges[1:], strict=True):
            name = custom.part_id(path, start, end)
            clips.append(Clip(name, path, start=start, end=end, group=name))
    return clips, not_read


class ClipReader:
    """Reads clips, and holds them in memory: a file is read once.

    Arguments
    ---------
    rate : int
        Sampling rate of the samples in Hz.
    max_file_seconds : float
        So much of a file is held; clips after that are read by themselves.
    max_seconds : float
        So much is held of all files, about 230 MB an hour at 16 kHz; of others,
        each clip is read when it is needed.
    """

    def __init__(
        self,
        rate: int,
        max_file_seconds: float = 600.0,
        max_seconds: float = 3600.0,
    ):
        self.rate = rate
        self.max_file_seconds = max_file_seconds
        self.left = round(max_seconds * rate)  # samples that may be held
        self.files: dict[str, np.ndarray] = {}
        self.lock = threading.Lock()
        self.identity = functools.cache(file_identity)

    def read(self, clip: Clip) -> np.ndarray:
        """The samples ``[S]`` of a clip, at most 60 s."""
        path, (_, start, end) = str(clip.audio), clip.piece
        seconds = min(end - start, MAX_CLIP_SECONDS)
        limit = round(self.max_file_seconds * self.rate)
        with self.lock:
            if path not in self.files and self.left > 0:
                wav = read_piece(path, self.rate, 0, self.max_file_seconds)
                self.files[path] = wav[:limit]
                self.left -= len(wav)
        held = self.files.get(path)
        first = round(start * self.rate)
        last = first + round(seconds * self.rate)
        # All of it is held, or at least the clip
        if held is not None and (len(held) < limit or last <= len(held)):
            return held[first:last]
        return read_piece(path, self.rate, start, seconds)


def find_all_sounds(
    data: DataSet, reader: ClipReader, known: dict[str, Any]
) -> DataSet:
    """Finds the length of clips that are whole files, and the sounds in them.

    Events, whose start and end are given, are sounds as they are.

    Arguments
    ---------
    data : DataSet
    reader : ClipReader
    known : dict
        What was found before, by a key of clips; of these clips afterwards.

    Returns
    -------
    DataSet
        Without the clips that cannot be read.
    """

    def find(clip: Clip) -> Clip:
        """A clip with its end and its sounds."""
        if clip.kind:
            return clip
        about = reader.identity(clip.audio), clip.start, clip.end, reader.rate
        key = " ".join(map(str, about))
        if key not in known:
            wav = reader.read(clip)
            if not len(wav) and clip.start:
                raise InputError(f"the file ends before {clip.start:g} s")
            if len(wav) < MIN_SECONDS * reader.rate:
                raise InputError(f"shorter than 25 ms: {len(wav)} samples")
            end = min(clip.end, clip.start + len(wav) / reader.rate)
            if len(wav) >= MAX_CLIP_SECONDS * reader.rate:
                end = min(clip.end, read_duration(clip.audio))
            if clip.end < math.inf:
                sounds = [(0.0, end - clip.start)]
            else:
                sounds = find_sounds(wav, reader.rate)
            known[key] = end, sounds
        end, sounds = used[key] = known[key]
        if not clip.labels:
            return clip._replace(end=end)
        return clip._replace(end=end, sounds=tuple(map(tuple, sounds)))

    used: dict[str, Any] = {}
    clips, not_read = [], dict(data.not_read)
    for clip, found, reason in in_order(find, data.clips):
        if found is None:
            not_read[clip.id] = str(reason)
        else:
            clips.append(found)
    for key in known.keys() - used.keys():  # of clips that are gone
        del known[key]
    if not_read:
        name, reason = next(iter(not_read.items()))
        logger.warning(
            "%s cannot be read, such as %s: %s",
            counted(len(not_read), "recording"),
            name,
            reason,
        )
    return dataclasses.replace(data, clips=clips, not_read=not_read)
