"""Prepares a data folder, whatever it holds: AudioSet or custom data.

Authors
 * The speechbrain_fftp authors 2026
"""

import os

from speechbrain_fftp.datasets.audioset.lists import read_classes
from speechbrain_fftp.datasets.audioset.prepare import (
    is_audioset,
    open_audioset,
    prepare_audioset,
    read_class_list_of,
)
from speechbrain_fftp.datasets.custom.listing import find_custom_data
from speechbrain_fftp.datasets.custom.prepare import (
    open_custom_data,
    prepare_custom_data,
)
from speechbrain_fftp.datasets.manifests import VALID_FRACTION, read_classes_csv


def prepare_data(
    data_folder,
    prepared_folder,
    *,
    sample_rate=16000,
    valid_fraction=VALID_FRACTION,
    unbalanced=False,
    format="flac",
    clips_per_shard=1000,
    test_fold=None,
    allow_missing=0.2,
    num_workers=None,
    skip_prep=False,
):
    """Prepares AudioSet or custom data, see ``prepare_audioset``.

    ``test_fold`` is for custom data only, ``valid_fraction``, ``unbalanced``
    and ``allow_missing`` are for AudioSet only.
    """
    if skip_prep:
        return
    options = {
        "sample_rate": sample_rate,
        "format": format,
        "clips_per_shard": clips_per_shard,
        "num_workers": num_workers,
    }
    if _is_custom(data_folder, test_fold):
        _check_custom_options(unbalanced, valid_fraction)
        prepare_custom_data(
            data_folder, prepared_folder, test_fold=test_fold, **options
        )
    else:
        prepare_audioset(
            data_folder,
            prepared_folder,
            valid_fraction=valid_fraction,
            unbalanced=unbalanced,
            allow_missing=allow_missing,
            **options,
        )


def open_data(
    data_folder, *, unbalanced=False, test_fold=None, needs_fold=True
):
    """Lists what a data folder holds without preparing it: a DataFolder.

    Unless it ``needs_fold``, custom data with folds are listed without one.
    """
    if _is_custom(data_folder, test_fold):
        _check_custom_options(unbalanced)
        return open_custom_data(
            data_folder, test_fold=test_fold, needs_fold=needs_fold
        )
    return open_audioset(data_folder, unbalanced=unbalanced)


def count_classes(data_folder, prepared_folder):
    """Number of classes of a prepared folder, or else of a data folder.

    It is AudioSet's if neither exists, so that a yaml file can be read without
    data.
    """
    if os.path.isfile(os.path.join(prepared_folder, "classes.csv")):
        return len(read_classes_csv(prepared_folder))
    if not data_folder or not os.path.isdir(data_folder):
        return len(read_classes())
    if is_audioset(data_folder):
        return len(read_class_list_of(data_folder))
    custom = find_custom_data(data_folder)
    return len(custom.classes if custom else read_classes())


def _is_custom(data_folder, test_fold):
    """Whether a data folder holds custom data, or did before it was deleted."""
    if not os.path.isdir(data_folder):
        return test_fold is not None
    if not is_audioset(data_folder):
        return True
    if test_fold is not None:
        raise ValueError("test_fold is for custom data with folds only")
    return False


def _check_custom_options(unbalanced, valid_fraction=VALID_FRACTION):
    """Raises a ValueError for options that only AudioSet has."""
    if unbalanced:
        raise ValueError("unbalanced is for AudioSet only")
    if valid_fraction != VALID_FRACTION:
        raise ValueError(
            "valid_fraction is for AudioSet only: give custom data a split in"
            " clips.csv instead"
        )
