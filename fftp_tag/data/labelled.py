"""Lists the labelled clips of a split: prepared, custom data, or label tracks.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
import logging
import os
from pathlib import Path

from fftp_tag.audio.decode import list_recordings
from fftp_tag.data.class_lists import read_classes_csv
from fftp_tag.data.clips import SPLIT_NAMES, SPLITS, Clip, check_missing
from fftp_tag.data.custom import BACKGROUND, CLIP_LIST
from fftp_tag.data.names import audio_below, clip_ids
from fftp_tag.data.prepare import list_data, split_clips
from fftp_tag.data.prepared import check_prepared, read_manifest
from fftp_tag.data.splits import drop_copies
from fftp_tag.data.strong_labels import Truth, find_tracks, read_strong_labels
from fftp_tag.errors import InputError
from fftp_tag.files import PREPARED, PathLike

logger = logging.getLogger(__name__)

ALL = "all"  # all splits


@dataclasses.dataclass(frozen=True)
class Split:
    """The clips of a split.

    Arguments
    ---------
    name : str
        train, valid, eval or all.
    clips : list of Clip
        Their labels are names.
    classes : dict
        Labels by the data's name of a class, such as a mid.
    truth : dict
        True events by id, of the clips that strong labels list.
    """

    name: str
    clips: list[Clip]
    classes: dict[str, str]
    truth: Truth


def list_split(
    data_folder: PathLike,
    split: str | None = None,
    default: str = "eval",
    strong_labels: PathLike | None = None,
) -> Split:
    """Lists the clips of a split, see ``evaluate``.

    ``default`` is the split that is used by default, if there are splits.
    """
    if split not in (None, *SPLITS, ALL):
        raise InputError(
            f"split={split!r} is not one of {', '.join(SPLITS)}, {ALL}."
        )
    if os.path.isfile(os.path.join(data_folder, PREPARED)):
        check_prepared(data_folder)
        return list_prepared(data_folder, split or default, strong_labels)
    if (
        strong_labels is None
        and split in (None, ALL)
        and has_tracks(data_folder)
    ):
        strong_labels = data_folder
    if strong_labels is None:
        return list_custom(data_folder, split, default)
    if split not in (None, ALL):
        raise InputError(
            f"{data_folder} is not prepared: with label tracks, all "
            "recordings that they list are used, without --split."
        )
    return list_annotated(data_folder, strong_labels)


def list_custom(
    data_folder: PathLike, split: str | None, default: str
) -> Split:
    """Lists the clips of a split of custom data."""
    listing = list_data(data_folder, min_classes=1)
    clips = listing.clips
    if split is None:
        split = default if any(clip.split for clip in clips) else ALL
    if split != ALL and any(clip.fold for clip in clips):
        raise InputError(
            f"{data_folder} has folds instead of splits: leave out --split, "
            "which scores the clips of all folds."
        )
    if split == ALL or all(clip.split for clip in clips):
        clips, _ = drop_copies(clips, data_folder)
    else:  # as a training assigns them
        clips, _ = split_clips(listing)
    clips = [clip for clip in clips if split in (ALL, clip.split)]
    if not clips:
        raise InputError(
            f"{data_folder} has no clips of the split {split}: choose another "
            "with --split."
        )
    check_missing(clips, allowed=0.2, option=None)
    return Split(split, clips, listing.classes, truth={})


def has_tracks(data_folder: PathLike) -> bool:
    """Whether a folder has recordings, each with a label track beside it, and no
    table of clips.
    """
    folder = Path(data_folder)
    if not folder.is_dir() or (folder / CLIP_LIST).exists():
        return False
    paths = audio_below(data_folder)
    names = {number: path for path, number in clip_ids(paths).items()}
    return 0 < len(paths) == len(find_tracks(data_folder, names))


def list_annotated(data_folder: PathLike, strong_labels: PathLike) -> Split:
    """Lists a recording, or those of a folder, whose events a table has."""
    recordings = list_recordings(data_folder)
    folder = Path(data_folder)
    if folder.is_file():
        folder = folder.parent
    names = {os.path.relpath(path, folder): path for path in recordings}
    paths = {id: names[name] for name, id in clip_ids(names).items()}
    truth = read_strong_labels(strong_labels, paths, None, "the recordings")
    clips = [
        Clip(
            clip,
            paths[clip],
            tuple(sorted({label for *_, label in events} - {BACKGROUND})),
        )
        for clip, events in truth.items()
    ]
    labels = sorted({label for clip in clips for label in clip.labels})
    return Split(ALL, clips, dict(zip(labels, labels, strict=False)), truth)


def list_prepared(
    folder: PathLike, split: str, strong_labels: PathLike | None
) -> Split:
    """Lists the clips of a split of a prepared folder."""
    # The Speech Commands recipe writes test.csv
    names = [x for x, own in SPLIT_NAMES.items() if split in (own, ALL)]
    clips = [clip for clip, _ in read_manifest(folder, names)]
    if not clips:
        raise InputError(
            f"{folder} has no clips in {' or '.join(names)}.csv: choose another "
            "split, or the data folder that it was prepared from."
        )
    classes = read_classes_csv(folder)
    truth: Truth = {}
    if strong_labels is not None:
        ids = {clip.id for clip in clips}
        where = f"the clips of the split {split}"
        truth = read_strong_labels(strong_labels, ids, classes, where)
        logger.info(
            "events are scored in the %d of %d clips that %s lists",
            len(truth),
            len(ids),
            strong_labels,
        )
    return Split(split, clips, classes, truth)
