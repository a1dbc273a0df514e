"""Lists custom data: clips in a table, or in one folder per class.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
import logging
import math
import os
import re
from pathlib import PureWindowsPath

from fftp_tag.audio.decode import read_duration
from fftp_tag.data.class_names import class_name, class_names
from fftp_tag.data.clips import CLIP_SECONDS, SPLIT_NAMES, Clip
from fftp_tag.data.names import audio_below, clip_ids, folders_in
from fftp_tag.data.strong_labels import find_tracks, read_strong_labels
from fftp_tag.data.tables import read_table
from fftp_tag.data.word_splits import read_lists, split_of
from fftp_tag.errors import InputError

logger = logging.getLogger(__name__)

CLIP_LIST = "clips.csv"
BACKGROUND = "background"  # the folder, or label, of clips without a class
# Of recordings with label tracks: seconds around events that are no background,
# the shortest background, and how many groups there are at least
MARGIN = 0.25
MIN_BACKGROUND = 1.0
MIN_GROUPS = 5
# Columns of published tables that stand for the columns of clips.csv
PUBLISHED_TABLES = {
    "meta/esc50.csv": {
        "path": "audio/{filename}",
        "labels": "{category}",
        "group": "{src_file}",
        "fold": "{fold}",
    },
    "metadata/UrbanSound8K.csv": {
        "path": "audio/fold{fold}/{slice_file_name}",
        "labels": "{class}",
        "group": "{fsID}",
        "fold": "{fold}",
    },
    "FSD50K.ground_truth/dev.csv": {
        "path": "FSD50K.dev_audio/{fname}.wav",
        "labels": "{labels}",
        "split": "{split}",
    },
    "FSD50K.ground_truth/eval.csv": {
        "path": "FSD50K.eval_audio/{fname}.wav",
        "labels": "{labels}",
        "split": "eval",
    },
}
LAYOUTS = (
    f"A data folder has {CLIP_LIST} with the columns path and labels (joined by"
    " ';') and, optionally, split or fold, group, and start and end in seconds;"
    " or one folder per class with clips in it, and a folder background for"
    " clips of no class; or train, valid and test with one folder per class"
    " each; or recordings with label tracks of the same name; or ESC-50,"
    " UrbanSound8K or FSD50K with their tables; or AudioSet's lists and audio, or"
    " parquet shards."
)


@dataclasses.dataclass
class Listing:
    """The classes and clips of a data folder."""

    folder: str
    classes: dict[str, str]  # from id to name, in order
    clips: list[Clip]
    tables: list[str]  # the files that list the clips


def list_clips(
    data_folder, min_classes=2, strong_labels=None, partly_labelled=False
):
    """Lists custom clips.

    One class is enough if there are background clips. Of recordings with events
    in ``strong_labels`` (see ``read_strong_labels``), by default label tracks
    beside them, each event is a clip. What is around events is background,
    unless recordings are ``partly_labelled``.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist or holds no clips.
    InputError
        If a table is invalid, clips are in no folder of a class, or there are
        fewer than ``min_classes`` classes.
    """
    data_folder = os.path.abspath(data_folder)
    if not os.path.isdir(data_folder):
        raise FileNotFoundError(f"{data_folder} is not a folder")
    tables = [
        name
        for name in (CLIP_LIST, *PUBLISHED_TABLES)
        if os.path.isfile(os.path.join(data_folder, name))
    ]
    if CLIP_LIST in tables:
        tables = [CLIP_LIST]
    if strong_labels is not None:
        tables = []
    clips = []
    for name in tables:
        clips += read_clips(data_folder, name)
    if not tables:
        clips = list_labelled(data_folder, strong_labels, partly_labelled)
        lists = read_lists(data_folder)  # of Speech Commands
        if lists is not None:
            clips = [
                clip._replace(split=SPLIT_NAMES[split_of(clip.id, lists)])
                for clip in clips
            ]
    if not clips:
        files = audio_below(data_folder)
        if files:
            raise InputError(
                f"{data_folder}: its audio files, such as {files[0]}, are in no"
                " folder of a class. Put the clips of each sound into a folder"
                " that is named after it, such as Doorbell/"
            )
        raise FileNotFoundError(f"{data_folder} holds no clips. {LAYOUTS}")
    ids = clip_ids([clip.id for clip in clips])
    clips = [clip._replace(id=ids[clip.id]) for clip in clips]
    clips = [
        clip._replace(labels=())
        if any(map(is_background, clip.labels))
        else clip
        for clip in clips
    ]
    names = sorted({label for clip in clips for label in clip.labels})
    by_lower = {name.lower(): name for name in names}
    for name in names:
        if (other := by_lower[name.lower()]) != name:
            logger.warning(
                "%s: the classes %s and %s differ in case only",
                data_folder,
                name,
                other,
            )
    has_negatives = any(not clip.labels for clip in clips)
    if len(names) < (1 if has_negatives else min_classes):
        raise InputError(
            f"{data_folder}: at least two classes are needed, or one class and"
            f" background; found {', '.join(names) or 'none'}. {LAYOUTS}"
        )
    classes = dict(zip(names, names, strict=False))
    paths = [os.path.join(data_folder, name) for name in tables]
    return Listing(data_folder, classes, clips, paths)


def is_background(label):
    """Whether a label, in any case, says that there is no class."""
    return label.lower() == BACKGROUND


def list_labelled(data_folder, strong_labels, partly_labelled):
    """Lists the parts of recordings with strong labels, and class folders.

    A folder that has label tracks is no class.
    """
    paths = audio_below(data_folder)
    names = {number: path for path, number in clip_ids(paths).items()}
    if strong_labels is None and not find_tracks(data_folder, names):
        return list_class_folders(data_folder, folders_in(data_folder))
    listed = read_strong_labels(
        strong_labels or data_folder, names, None, "the recordings"
    )
    recordings = {names[number]: listed[number] for number in listed}
    clips = list_parts(data_folder, recordings, partly_labelled)
    classes = []
    if strong_labels is None:
        labelled = {
            path.partition("/")[0] for path in recordings if "/" in path
        }
        classes = [x for x in folders_in(data_folder) if x not in labelled]
    without = [
        path
        for path in paths
        if path not in recordings and path.partition("/")[0] not in classes
    ]
    if without:
        logger.warning(
            "%s: skipped %d recordings without strong labels, such as %s",
            data_folder,
            len(without),
            without[0],
        )
    return clips + list_class_folders(data_folder, classes)


def list_parts(data_folder, recordings, partly_labelled):
    """Lists the events of recordings, and the background around them.

    ``recordings`` are events by path. Groups are recordings or, of a few, their
    parts.
    """
    clips = []
    for path, events in recordings.items():
        audio = os.path.join(data_folder, path)
        try:
            duration = read_duration(audio)
        except (InputError, OSError):  # reported when it is read
            duration = max((end for _, end, _ in events), default=0.0)
        parts = {}
        for start, end, label in events:
            if start < duration:
                part = start, min(end, duration)
                parts.setdefault(part, []).append(label)
        if not partly_labelled:
            parts.update((x, ()) for x in background_of(parts, duration))
        for (start, end), labels in parts.items():
            group = path
            if len(recordings) < MIN_GROUPS:
                number = int(MIN_GROUPS * (start + end) / 2 / duration)
                group = f"{path}, part {number}"
            clip = Clip(
                path,
                audio,
                class_names(labels),
                start=start,
                end=end,
                group=group,
            )
            clips.append(clip._replace(id=part_id(path, start, end)))
    return clips


def background_of(events, duration):
    """Parts without events of a recording, of 10 s at most."""
    end = 0.0
    for start, stop in [*sorted(events), (duration + MARGIN, math.inf)]:
        first = end + MARGIN if end else 0.0
        while start - MARGIN - first >= MIN_BACKGROUND:
            last = min(first + CLIP_SECONDS, start - MARGIN)
            yield first, last
            first = last
        end = max(end, stop)


def part_id(path, start, end):
    """A name for a part of a recording."""
    stem, extension = os.path.splitext(path)
    return f"{stem}_{start:g}-{end:g}{extension}"


def read_clips(data_folder, name):
    """Lists the clips in ``clips.csv`` or a published table."""
    path = os.path.join(data_folder, name)
    fields = PUBLISHED_TABLES.get(name)
    columns = ("path", "labels")
    if fields is not None:
        columns = re.findall(r"{(\w+)}", " ".join(fields.values()))
    clips = []
    line_of = {}
    for line, row in read_table(path, columns):
        try:
            if fields is not None:
                row = {k: text.format_map(row) for k, text in fields.items()}
                row["labels"] = row["labels"].replace(",", ";")
            clip = parse_row(data_folder, row)
            if clip.id in line_of:
                raise InputError(
                    f"{clip.id!r} is in line {line_of[clip.id]} as well:"
                    " use one line, with labels joined by ';'"
                )
            line_of[clip.id] = line
            if clips and bool(clips[0].fold) != bool(clip.fold):
                raise InputError("give each clip a fold, or none of them")
        except ValueError as error:
            raise InputError(f"{path}, line {line}: {error}") from error
        clips.append(clip)
    if not clips:
        raise InputError(f"{path} lists no clip")
    return clips


def parse_row(data_folder, row):
    """Makes a Clip from a row of clips.csv, with the path as its id."""
    # Also knows the absolute paths and separators of other systems
    path = PureWindowsPath(row["path"])
    if path.drive or path.root or ".." in path.parts or not path.parts:
        raise InputError(
            f"the path {row['path']!r} must be relative to the data folder and"
            " within it"
        )
    path = path.as_posix()
    split = row.get("split", "").lower()
    if split and split not in SPLIT_NAMES:
        raise InputError(
            f"the split is {split!r}, not one of {', '.join(SPLIT_NAMES)}"
        )
    fold = row.get("fold", "")
    if split and fold:
        raise InputError("a clip has a split or a fold, not both: clear one")
    clip = Clip(
        id=path,
        audio=os.path.join(data_folder, path),
        labels=class_names(row["labels"].split(";")),
        split=SPLIT_NAMES.get(split, ""),
        group=row.get("group") or path,
        fold=fold,
    )
    if row.get("start") or row.get("end"):
        start, end = parse_times(row.get("start"), row.get("end"))
        name = part_id(path, start, end)
        clip = clip._replace(id=name, start=start, end=end)
    return clip


def parse_times(start, end):
    """Start and end of a clip in seconds."""
    try:
        times = float(start or 0), float(end)
    except (TypeError, ValueError):
        times = 0.0, 0.0
    if not 0 <= times[0] < times[1] < math.inf:
        raise InputError(
            f"start {start!r} and end {end!r} must be seconds, the end after"
            " the start: give both, or neither for the whole file"
        )
    return times


def list_class_folders(data_folder, folders):
    """Lists the clips in one folder per class, or per split and class.

    A train is a sound as well: beside other classes, a folder of this name
    without folders in it is a class.
    """
    splits = [name for name in folders if name in SPLIT_NAMES]
    inside = {
        name: folders_in(os.path.join(data_folder, name)) for name in splits
    }
    is_mixed = len(splits) < len(folders)
    if not splits or (is_mixed and inside == {"train": []}):
        return list_classes(data_folder, folders)
    if is_mixed or not all(inside.values()):
        raise InputError(
            f"{data_folder}: {', '.join(splits)} are names of splits, not of"
            " classes. Arrange the clips as train/CLASS/ and test/CLASS/, or"
            f" list them in {CLIP_LIST} with the columns path, labels and"
            " split; or rename a folder that is a class"
        )
    clips = []
    for name, classes in inside.items():
        clips += list_classes(data_folder, classes, name)
    return clips


def list_classes(data_folder, names, split=""):
    """Lists the clips in the folders of classes, in the folder of a split.

    A folder inside, such as of a recording or a session, is a group; whichever
    class it is in, since one recording may have several. Folders of other splits
    are others, whatever their names.
    """
    clips = []
    empty = []
    for name in names:
        labels = (class_name(name, data_folder),)
        paths = audio_below(data_folder, os.path.join(split, name))
        for path in paths:
            audio = os.path.join(data_folder, path)
            split_name = SPLIT_NAMES.get(split, "")
            inside = os.path.relpath(path, os.path.join(split, name))
            folder = os.path.dirname(inside)
            group = os.path.join(split, folder) if folder else path
            clips.append(Clip(path, audio, labels, split_name, group=group))
        if not paths:
            empty.append(name)
    if empty and clips:
        raise InputError(
            f"{data_folder}: no audio files in the class folders"
            f" {', '.join(empty)}: add some, or remove these folders"
        )
    return clips
