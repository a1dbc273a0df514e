"""Lists custom clips in one folder per class, or per split and class.

Authors
 * The speechbrain_fftp authors 2026
"""

import os

from speechbrain_fftp.dataio.audio import AUDIO_EXTENSIONS
from speechbrain_fftp.datasets.own_sounds.splits import OwnClip

# Folders with these names are splits, whatever their case and separators
SPLIT_FOLDERS = {
    "train": "train training baltrain balancedtrain unbaltrain unbalancedtrain",
    "dev": "dev development",  # to train on, or beside train to validate on
    "valid": "val valid validation",
    "eval": "eval evaluation test testing",
}


def list_class_folders(data_folder):
    """Lists the clips of a folder with one folder per class, sorted by path.

    The folders of the classes may lie in folders of splits, such as train/dog
    and test/dog. Names that begin with a dot are skipped. Folders within those
    of the classes may have any name; links to folders among them are not
    followed.
    """
    splits = {name: _split_of(name) for name in _folders(data_folder)}
    if not any(splits.values()):
        return _list_classes(data_folder)
    named = [name for name in splits if splits[name]]
    for name in splits:
        folder = os.path.join(data_folder, name)
        clips = filter(_is_clip, os.listdir(folder))
        if not (splits[name] and _folders(folder)) or any(clips):
            raise ValueError(
                f"{data_folder}: {', '.join(map(repr, named))} are names of"
                " splits, not of classes. Arrange the clips as train/CLASS/ and"
                " test/CLASS/, or list them in clips.csv with the columns path,"
                " labels and split; or rename a folder that is a class"
            )
    dev = "valid" if "train" in splits.values() else "train"
    clips = []
    for name, split in splits.items():
        split = dev if split == "dev" else split
        clips += _list_classes(data_folder, name, split)
    trained = {clip.labels for clip in clips if clip.split == "train"}
    for clip in clips:
        if trained and clip.labels not in trained:
            raise ValueError(
                f"{data_folder}: the class folder of {clip.path} is not among"
                " those to train on: add it there, or correct its name"
            )
    return sorted(clips)


def _split_of(folder):
    """The split that a folder is named after, or None."""
    name = "".join(filter(str.isalnum, folder.casefold()))
    name = name.removesuffix("segments")
    found = (s for s, names in SPLIT_FOLDERS.items() if name in names.split())
    return next(found, None)


def _folders(folder):
    """Names of the folders in a folder, sorted; no hidden ones."""
    with os.scandir(folder) as entries:
        found = [e.name for e in entries if e.is_dir() and e.name[0] != "."]
    return sorted(found)


def _is_clip(name):
    """Whether a file is audio by its name, and not hidden."""
    return name.lower().endswith(AUDIO_EXTENSIONS) and not name.startswith(".")


def _list_classes(data_folder, top="", split=""):
    """Lists the clips of the folders of classes in ``data_folder/top``."""
    found = {}
    for name in _folders(os.path.join(data_folder, top)):
        found[os.path.join(top, name)] = clips = []
        for folder, folders, files in os.walk(
            os.path.join(data_folder, top, name)
        ):
            folders[:] = [f for f in folders if not f.startswith(".")]
            folder = os.path.relpath(folder, data_folder).replace(os.sep, "/")
            clips += [
                OwnClip(f"{folder}/{file}", (name.strip(),), split)
                for file in filter(_is_clip, files)
            ]
    empty = [name for name, clips in found.items() if not clips]
    if empty and (top or len(empty) < len(found)):
        raise ValueError(
            f"{data_folder}: no clip ({', '.join(AUDIO_EXTENSIONS)}) in the"
            f" class folders {', '.join(map(repr, empty))}: add some, or remove"
            " the folders"
        )
    return sorted(clip for clips in found.values() for clip in clips)
