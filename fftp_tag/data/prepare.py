"""Prepares custom data, and counts the classes of any data folder.

Authors
 * The speechbrain_fftp authors 2026
"""

import logging
import os

from fftp_tag.audio.decode import MIN_SECONDS
from fftp_tag.data import custom, splits
from fftp_tag.data.audioset import is_audioset, read_classes
from fftp_tag.data.class_lists import CLASSES_CSV, read_classes_csv
from fftp_tag.data.clips import check_missing, convert_clip, usable_clips
from fftp_tag.data.names import text_digest
from fftp_tag.data.prepared import preparing, write_prepared
from fftp_tag.errors import InputError

logger = logging.getLogger(__name__)


def prepare_custom(
    data_folder,
    prepared_folder,
    *,
    sample_rate=16000,
    max_seconds=10.0,
    allow_missing=0.2,
    test_fold=None,
):
    """Converts custom data once, and writes the manifests.

    Arguments
    ---------
    data_folder : str
        Folder with custom data, see ``LAYOUTS`` in ``custom.py``.
    prepared_folder : str
        Folder to write to, see ``fftp_tag.data.prepared``.
    sample_rate : int
        Sampling rate of the clips, in Hz.
    max_seconds : float
        Longer clips are cut.
    allow_missing : float
        Fraction of the clips of a split that may have no audio.
    test_fold : str, optional
        The fold to evaluate on, for data with folds.

    Raises
    ------
    FileNotFoundError
        If the data folder or a list in it is missing.
    InputError
        If the data are invalid, or the folder was prepared with other settings
        or from other clips.
    """
    listing = list_data(data_folder)
    settings = {
        "sample_rate": sample_rate,
        "max_seconds": max_seconds,
        "test_fold": None if test_fold is None else str(test_fold),
        "clips": describe_clips(listing.clips),
    }
    with preparing(prepared_folder, settings) as to_do:
        if to_do:
            clips, skipped = split_clips(listing, test_fold)
            check_missing(clips, allow_missing)
            write_beginnings(
                prepared_folder,
                clips,
                max_seconds,
                classes=listing.classes,
                sample_rate=sample_rate,
                skipped=skipped,
            )


def describe_clips(clips):
    """The number of clips, with a checksum of their rows and files."""
    rows = [clip._replace(audio=None) for clip in clips]
    files = describe_files({clip.audio for clip in clips})
    return f"{len(rows)} clips, {text_digest(f'{rows} {files}')[:16]}"


def describe_files(paths):
    """The number of files, with a checksum of their sizes and times.

    Not of their paths, since a data folder may be moved.
    """
    stats = [os.stat(x) for x in sorted(paths) if os.path.isfile(x)]
    states = [(stat.st_size, stat.st_mtime_ns) for stat in stats]
    return f"{len(states)} files, {text_digest(repr(states))[:16]}"


def write_beginnings(folder, clips, max_seconds, sample_rate, **options):
    """Writes a prepared folder with the beginning of each clip.

    Longer clips are counted in a log line. For options see ``write_prepared``.
    """
    ends = {clip.id: clip.end for clip in clips}
    longer = []

    def convert(clip):
        """Converts the beginning of a clip; lists the clip if it is longer."""
        beyond = min(clip.end + MIN_SECONDS, ends[clip.id])
        samples = convert_clip(clip._replace(end=beyond), sample_rate)
        n_samples = round(clip.seconds * sample_rate)
        if len(samples) > n_samples:
            longer.append(clip.id)
        return samples[:n_samples]

    write_prepared(
        folder,
        [c._replace(end=min(c.end, c.start + max_seconds)) for c in clips],
        sample_rate=sample_rate,
        convert=convert,
        **options,
    )
    if longer:
        logger.warning(
            "Cut %d of %d clips, such as %s, which are longer than max_seconds:"
            " their first %g s are used",
            len(longer),
            len(clips),
            min(longer),
            max_seconds,
        )


def split_clips(listing, test_fold=None):
    """Assigns the clips of a Listing to splits.

    Returns the clips, and the ids, splits and reasons of skipped clips.
    """
    folder = listing.folder
    clips, skipped = usable_clips(listing.clips, folder, allow_no_label=True)
    clips = splits.choose_fold(clips, test_fold, folder)
    clips, copies = splits.drop_copies(clips, folder)
    return splits.assign_splits(clips, folder), skipped + copies


def list_data(data_folder, min_classes=2):
    """Lists the clips of custom data, as a Listing."""
    if is_audioset(data_folder):
        raise InputError(
            f"{data_folder} is AudioSet: prepare it with"
            " recipes/AudioSet/data_prepare.py, and give the prepared"
            " folder"
        )
    return custom.list_clips(data_folder, min_classes)


def count_classes(data_folder, prepared_folder):
    """Number of classes of a prepared folder, or else of a data folder.

    If neither exists, AudioSet's number, so that yaml files load without data.
    """
    if os.path.isfile(os.path.join(prepared_folder, CLASSES_CSV)):
        return len(read_classes_csv(prepared_folder))
    if not data_folder or not os.path.isdir(data_folder):
        return len(read_classes())
    if is_audioset(data_folder):
        return len(read_classes(data_folder))
    return len(custom.list_clips(data_folder).classes)
