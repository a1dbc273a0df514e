"""Prepares custom data: a table of clips, or one folder per class.

Authors
 * The speechbrain_fftp authors 2026
"""

import functools
import logging
import os

from speechbrain_fftp.datasets.convert import AudioFiles
from speechbrain_fftp.datasets.custom.listing import LAYOUTS, find_custom_data
from speechbrain_fftp.datasets.custom.splits import (
    choose_fold,
    split_custom_data,
)
from speechbrain_fftp.datasets.manifests import (
    CLIP_SECONDS,
    SPLITS,
    DataFolder,
    prepare_clips,
)

logger = logging.getLogger(__name__)


def prepare_custom_data(
    data_folder, prepared_folder, *, test_fold=None, skip_prep=False, **options
):
    """Converts custom clips once and writes the manifests.

    The folder has one of ``listing.LAYOUTS``; of data with folds, ``test_fold``
    is evaluated on. ``options`` are sample_rate, format, clips_per_shard and
    num_workers of ``audioset.prepare.prepare_audioset``, which also describes
    the files that are written and the errors.
    """
    if skip_prep:
        return
    prepare_clips(
        functools.partial(open_custom_data, data_folder, test_fold=test_fold),
        data_folder,
        prepared_folder,
        test_fold=None if test_fold is None else str(test_fold),
        **options,
    )


def open_custom_data(data_folder, *, test_fold=None, needs_fold=True):
    """Lists custom clips, their classes and files; returns a DataFolder.

    Unless it ``needs_fold``, data with folds may be listed without one.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist or holds no clips.
    ValueError
        If a table is invalid, or there is no such fold.
    """
    data_folder = os.path.abspath(data_folder)
    if not os.path.isdir(data_folder):
        raise FileNotFoundError(f"data_folder {data_folder} does not exist")
    custom = find_custom_data(data_folder)
    if custom is None:
        raise FileNotFoundError(f"{data_folder} holds no clips. {LAYOUTS}")
    has_splits = any(clip.split or clip.fold for clip in custom.clips)
    if needs_fold or test_fold is not None:
        custom = custom._replace(
            clips=choose_fold(custom.clips, test_fold, data_folder)
        )
    n_long = sum(clip.end - clip.start > CLIP_SECONDS for clip in custom.clips)
    if n_long > 0:
        logger.warning(
            "%s: %d clips are longer than 10 s, of which the first 10 s are "
            "used",
            data_folder,
            n_long,
        )
    notes = {}

    def list_unsplit():
        return [clip.to_clip(custom.ids[clip.key]) for clip in custom.clips]

    def list_clips():
        listed, notes["identical_clips"] = split_custom_data(custom)
        return listed

    return DataFolder(
        folder=data_folder,
        classes=custom.classes,
        list_clips=list_clips,
        audio=dict.fromkeys(SPLITS, AudioFiles(custom.files)),
        files=[*dict.fromkeys(custom.files.values()), *custom.tables],
        has_negatives=True,
        cut_always=True,
        list_unsplit=None if has_splits and needs_fold else list_unsplit,
        notes=notes,
    )
