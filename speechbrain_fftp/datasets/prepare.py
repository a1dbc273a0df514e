"""Prepares a data folder with AudioSet or custom data.

Authors
 * The speechbrain_fftp authors 2026
"""

import os

from speechbrain_fftp.dataio.errors import InputError
from speechbrain_fftp.datasets import custom, splits
from speechbrain_fftp.datasets.audioset import clips as audioset
from speechbrain_fftp.datasets.audioset.lists import read_classes
from speechbrain_fftp.datasets.convert import write_prepared
from speechbrain_fftp.datasets.manifests import CLASSES_CSV, read_classes_csv
from speechbrain_fftp.datasets.prepared import (
    is_complete,
    prepare_folder,
    source_state,
)


def prepare_data(
    data_folder,
    prepared_folder,
    *,
    sample_rate=16000,
    unbalanced=False,
    valid_fraction=0.05,
    test_fold=None,
    allow_missing=0.2,
    num_workers=None,
    skip_prep=False,
):
    """Converts AudioSet or custom data once, and writes the manifests.

    Writes packs of clips, ``wav/SPLIT-NUMBER.wav``; ``train.csv``,
    ``valid.csv`` and ``eval.csv``, with paths relative to ``$data_root``, the
    prepared folder; ``classes.csv``; and ``skipped.csv`` with all clips that
    cannot be used. Returns at once if the folder is complete and the source
    files have not changed; an interrupted preparation is resumed.

    Arguments
    ---------
    data_folder : str
        Folder with AudioSet's lists and audio, its parquet shards, or custom
        data. It may be deleted afterwards.
    prepared_folder : str
        Folder to write to.
    sample_rate : int
        Sampling rate of the packs, in Hz.
    unbalanced : bool
        Whether to add AudioSet's unbalanced set to the training clips.
    valid_fraction : float
        Fraction of AudioSet's training clips to hold out if there is no list of
        validation clips; with 0.0, there is no validation clip.
    test_fold : str, optional
        The fold to evaluate on, for custom data with folds.
    allow_missing : float
        Fraction of the clips of a split that may have no audio.
    num_workers : int, optional
        Number of clips to convert in parallel, by default a few more than CPUs.
    skip_prep : bool
        Whether to do nothing.

    Raises
    ------
    FileNotFoundError
        If the data folder or a list in it is missing.
    InputError
        If a list is invalid, a split has no usable clip or too many clips
        without audio, or the prepared folder was made with other settings or
        from other files, or is being prepared by another process.
    """
    if skip_prep:
        return
    listing = None
    source = None
    if os.path.isdir(data_folder) or not is_complete(prepared_folder):
        listing = list_data(data_folder, unbalanced=unbalanced)
        source = source_state(listing.files, listing.folder)
    settings = {
        "sample_rate": sample_rate,
        "unbalanced": unbalanced,
        "valid_fraction": valid_fraction,
        "test_fold": None if test_fold is None else str(test_fold),
    }
    with prepare_folder(prepared_folder, settings, source) as to_do:
        if to_do:
            clips, skipped = split_clips(
                listing, valid_fraction=valid_fraction, test_fold=test_fold
            )
            write_prepared(
                prepared_folder,
                clips,
                listing.classes,
                sample_rate=sample_rate,
                may_be_empty=() if valid_fraction else ("valid",),
                skipped=skipped,
                allow_missing=allow_missing,
                num_workers=num_workers,
            )


def list_data(data_folder, unbalanced=False):
    """Lists the classes and clips of a data folder, as a Listing."""
    data_folder = os.path.abspath(data_folder)
    if os.path.isdir(data_folder) and audioset.is_audioset(data_folder):
        return audioset.list_clips(data_folder, unbalanced)
    if unbalanced:
        raise InputError(
            f"unbalanced is for AudioSet, whose lists {data_folder} lacks"
        )
    return custom.list_clips(data_folder)


def split_clips(listing, *, valid_fraction=0.05, test_fold=None):
    """Assigns the clips of a Listing to splits.

    Returns the clips, and the ids, splits and reasons of skipped clips.
    """
    clips, skipped = splits.usable_clips(
        listing.clips, listing.folder, allow_no_label=listing.is_custom
    )
    clips = splits.choose_fold(clips, test_fold, listing.folder)
    if not listing.is_custom:
        if all(clip.split != "valid" for clip in clips):
            clips = splits.hold_out(clips, valid_fraction)
        return clips, skipped
    clips, copies = splits.drop_copies(clips, listing.folder)
    return splits.assign_splits(clips, listing.folder), skipped + copies


def count_classes(data_folder, prepared_folder):
    """Number of classes of a prepared folder, or else of a data folder.

    If neither exists, AudioSet's number, so that yaml files load without data.
    """
    if os.path.isfile(os.path.join(prepared_folder, CLASSES_CSV)):
        return len(read_classes_csv(prepared_folder))
    if not data_folder or not os.path.isdir(data_folder):
        return len(read_classes())
    if audioset.is_audioset(data_folder):
        return len(audioset.read_class_list_of(data_folder))
    return len(custom.list_clips(data_folder).classes)
