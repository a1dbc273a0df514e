"""Lists custom clips in one folder per class, or per split and class.

Authors
 * The speechbrain_fftp authors 2026
"""

import os

from speechbrain_fftp.dataio.audio import AUDIO_EXTENSIONS
from speechbrain_fftp.datasets.own_sounds.splits import OwnClip

# Folders with these names are splits, whatever their case and separators.
# Beside a folder to train on, "dev" is for validation.
SPLIT_FOLDERS = {
    "train": "train training baltrain balancedtrain unbaltrain unbalancedtrain",
    "dev": "dev development",
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
    tops = _folders(data_folder)
    splits = {name: _split_of_folder(name) for name in tops}
    if not any(splits.values()):
        return _list_classes(data_folder, "", "")
    named = ", ".join(repr(name) for name in tops if splits[name])
    if not all(splits.values()):
        raise ValueError(
            f"{data_folder}: {named} is named like a split, beside folders of"
            " classes: rename it if it is a class; given splits are in"
            " train/CLASS, test/CLASS, ..., or in clips.csv"
        )
    dev = "valid" if "train" in splits.values() else "train"
    clips, classes = [], {split: set() for split in SPLIT_FOLDERS}
    for name, split in splits.items():
        folder = os.path.join(data_folder, name)
        if not _folders(folder) or any(map(_is_clip, os.listdir(folder))):
            raise ValueError(
                f"{data_folder}: {named} are named like splits, not classes,"
                f" and {name!r} has no folder per class. Put its clips into one"
                " folder per class, or list all clips in clips.csv, with the"
                " columns path, labels and split"
            )
        split = dev if split == "dev" else split
        found = _list_classes(data_folder, name, split)
        classes[split].update(label for clip in found for label in clip.labels)
        clips += found
    more = set().union(*classes.values()) - classes["train"]
    if more and classes["train"]:
        raise ValueError(
            f"{data_folder}: {', '.join(map(repr, sorted(more)))} has no folder"
            f" to train on; {named} are splits, each with the same folders of"
            " classes: add the folder, or correct its name"
        )
    return sorted(clips)


def _split_of_folder(name):
    """The split that a folder is named after, or None."""
    name = "".join(filter(str.isalnum, name.casefold()))
    name = name.removesuffix("segments")
    return next(
        (s for s in SPLIT_FOLDERS if name in SPLIT_FOLDERS[s].split()), None
    )


def _folders(folder):
    """Names of the folders in a folder, sorted; no hidden ones."""
    return sorted(
        name
        for name in os.listdir(folder)
        if not name.startswith(".")
        and os.path.isdir(os.path.join(folder, name))
    )


def _is_clip(name):
    """Whether a file is audio by its name, and not hidden."""
    return name.lower().endswith(AUDIO_EXTENSIONS) and not name.startswith(".")


def _list_classes(data_folder, top, split):
    """Lists the clips of the folders of classes in ``data_folder/top``."""
    found = {}
    for name in _folders(os.path.join(data_folder, top)):
        found[name] = []
        for folder, folders, files in os.walk(
            os.path.join(data_folder, top, name)
        ):
            folders[:] = [f for f in folders if not f.startswith(".")]
            folder = os.path.relpath(folder, data_folder).replace(os.sep, "/")
            found[name] += [
                OwnClip(f"{folder}/{file}", (name.strip(),), split)
                for file in filter(_is_clip, files)
            ]
    empty = [name for name, clips in found.items() if not clips]
    if 0 < len(empty) < len(found):
        raise ValueError(
            f"{os.path.join(data_folder, top)}: no clip"
            f" ({', '.join(AUDIO_EXTENSIONS)}) in the class folders"
            f" {', '.join(map(repr, empty))}: add some, or remove the folders"
        )
    return sorted(clip for clips in found.values() for clip in clips)
