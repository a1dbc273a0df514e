"""Opens a data folder of clips with tags: AudioSet or custom data.

Authors
 * The speechbrain_fftp authors 2026
"""

from speechbrain_fftp.datasets.audioset.layouts import (
    AUDIOSET_SPLITS,
    Data,
    open_audioset,
)
from speechbrain_fftp.datasets.own_sounds.listing import (
    LAYOUTS,
    find_own_sounds,
    split_own_sounds,
)
from speechbrain_fftp.datasets.own_sounds.splits import choose_fold


def open_data(settings):
    """Finds classes, clips and audio; returns Data. Errors say what is missing.

    The settings are those of a prepared folder: ``data_folder``, ``unbalanced``
    and, if they are not the default, ``test_fold`` and ``cut_segments``.
    """
    data_folder, unbalanced = settings["data_folder"], settings["unbalanced"]
    test_fold = settings.get("test_fold")
    own = find_own_sounds(data_folder)
    if own is None:
        if test_fold is not None:
            raise ValueError("test_fold is for custom data with folds only")
        cut = settings.get("cut_segments") != "no"
        return open_audioset(data_folder, unbalanced, cut, LAYOUTS)
    if unbalanced:
        raise ValueError("unbalanced is for AudioSet only")
    clips = choose_fold(own.clips, test_fold, data_folder)
    own, notes = own._replace(clips=clips), {}

    def list_clips():
        """Assigns the clips to splits, and notes those that are identical."""
        listed, notes["identical_clips"] = split_own_sounds(own)
        return listed

    files = [*own.files.values(), *own.tables]
    audio = dict.fromkeys(AUDIOSET_SPLITS, own.files)
    return Data(own.classes, list_clips, audio, files, notes=notes)
