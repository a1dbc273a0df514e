"""Clips of a data set: which part of which audio, and how it is converted.

Authors
 * The speechbrain_fftp authors 2026
"""

import logging
import math
import os
from typing import Any, NamedTuple

import numpy as np

from fftp_tag.audio.decode import MIN_SECONDS, read_audio
from fftp_tag.audio.pieces import FilePiece
from fftp_tag.audio.sounds import Interval
from fftp_tag.errors import InputError
from fftp_tag.files import PathLike

logger = logging.getLogger(__name__)

Skipped = tuple[str, str, str]  # id, split and reason

# The split that each name of a folder, a table or an entry stands for
SPLIT_NAMES = {
    "train": "train",
    "valid": "valid",
    "val": "valid",
    "eval": "eval",
    "test": "eval",
}
SPLITS = tuple(dict.fromkeys(SPLIT_NAMES.values()))
# A clip in several splits stays in the first of them
PRECEDENCE = ("eval", "valid", "train", "")
CLIP_SECONDS = 10.0  # of a segment of AudioSet
MISSING = "missing file"  # the reason why a clip is skipped


class Clip(NamedTuple):
    """A labelled clip, by default the whole of its audio.

    The record of all that is learnt from: folders, tables, label tracks,
    reviews, background and the bank of other sounds.
    """

    id: str
    # A path, or an object whose method read returns the content of a file;
    # None: there is no audio
    audio: Any
    labels: tuple[str, ...] = ()  # the ids of its classes; none: no class
    split: str = ""  # empty: to be assigned
    start: float = 0.0  # seconds
    end: float = math.inf  # the end of the file
    group: str = ""  # clips of a group share a split
    fold: str = ""  # if given, its clips stay in one fold of a validation
    known: tuple[str, ...] = ()  # the classes that labels tell of; none: all
    # It was chosen for review: it is learnt from, but no calibration, threshold
    # or score is of such clips, which are unlike what will be heard
    is_reviewed: bool = False
    kind: str = ""  # of a sound of the bank, which has no class
    # Where its sounds are, in seconds from its start, the longest first; none:
    # anywhere
    sounds: tuple[Interval, ...] = ()

    @property
    def piece(self) -> FilePiece:
        """The file, and what of it the clip is."""
        return FilePiece(str(self.audio), self.start, self.end)

    @property
    def seconds(self) -> float:
        """Its maximum duration, infinite for the whole of its audio."""
        return self.end - self.start

    @property
    def is_missing(self) -> bool:
        """Whether the audio file is missing."""
        if hasattr(self.audio, "read"):
            return False
        return self.audio is None or not os.path.exists(self.audio)


def convert_clip(clip: Clip, sample_rate: int) -> np.ndarray:
    """Converts a clip to mono.

    Arguments
    ---------
    clip : Clip
        The clip.
    sample_rate : int
        Sampling rate of the result, in Hz.

    Returns
    -------
    numpy.ndarray
        Samples ``[S]`` in 16 bits.

    Raises
    ------
    InputError
        If the audio is missing or unusable.
    """
    if clip.is_missing:
        raise InputError(MISSING)
    source = clip.audio.read() if hasattr(clip.audio, "read") else clip.audio
    samples = read_audio(source, sample_rate, clip.start, clip.seconds)
    if len(samples) < MIN_SECONDS * sample_rate:
        raise InputError(f"shorter than 25 ms: {len(samples)} samples")
    if clip.seconds < math.inf:
        samples = samples[: round(clip.seconds * sample_rate)]
    return as_int16(samples)


def as_int16(samples: np.ndarray) -> np.ndarray:
    """Rounds samples to 16-bit integers; clips peaks beyond full scale."""
    scaled = np.rint(samples.clip(-1, 1) * 32768)
    return scaled.clip(max=32767).astype(np.int16)


def usable_clips(
    clips: list[Clip], folder: PathLike, allow_no_label: bool = False
) -> tuple[list[Clip], list[Skipped]]:
    """Keeps clips with a label, each in one split.

    Arguments
    ---------
    clips : list of Clip
        The clips.
    folder : str
        The data folder, for messages.
    allow_no_label : bool
        Whether to keep clips without a label.

    Returns
    -------
    kept : list of Clip
        The usable clips.
    skipped : list
        The ids, splits and reasons of the others.
    """
    kept: dict[str, Clip] = {}
    skipped = []
    in_two_splits = []
    for clip in sorted(clips, key=lambda clip: PRECEDENCE.index(clip.split)):
        first = kept.get(clip.id)
        if not clip.labels and not allow_no_label:
            reason = "no label"
        elif first is not None and first.split != clip.split:
            reason = f"also in {first.split} and kept only there"
            in_two_splits.append(clip.id)
        elif first is not None:
            reason = "listed twice"
        else:
            kept[clip.id] = clip
            continue
        skipped.append((clip.id, clip.split, reason))
    if in_two_splits:
        logger.warning(
            "%s: %d clips are in two splits, such as %s, and kept in one. Remove"
            " them from a list",
            folder,
            len(in_two_splits),
            in_two_splits[0],
        )
    return list(kept.values()), skipped


def check_missing(
    clips: list[Clip], allowed: float, option: str | None = "allow_missing"
) -> None:
    """Raises an ``InputError`` if too many clips of a split have no audio.

    ``option`` is what accepts them.
    """
    for split in dict.fromkeys(clip.split for clip in clips):
        of_split = [clip for clip in clips if clip.split == split]
        missing = [clip for clip in of_split if clip.is_missing]
        fraction = len(missing) / len(of_split)
        if fraction > allowed:
            more = ""
            if option is not None:
                share = math.ceil(100 * fraction) / 100
                more = f", or accept it with {option} {share:g}"
            raise InputError(
                f"{len(missing)} of {len(of_split)} {split} clips have no"
                f" audio file, such as {missing[0].audio or missing[0].id}:"
                f" correct the data folder{more}"
            )
