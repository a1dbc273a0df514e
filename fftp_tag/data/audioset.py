"""What the package knows of AudioSet: its classes, and how to tell its data.

Its clips are listed and converted beside the recipe, in ``recipes/AudioSet``.

Authors
 * The speechbrain_fftp authors 2026
"""

import functools
import os
from collections import Counter
from pathlib import Path

from fftp_tag.data.class_lists import read_class_list
from fftp_tag.data.class_names import class_name
from fftp_tag.data.tables import read_table
from fftp_tag.errors import InputError
from fftp_tag.files import files_below

# The file of this name in a data folder replaces that of the package
CLASS_LIST = "class_labels_indices.csv"
PUBLISHED_CLASSES = os.path.join(os.path.dirname(__file__), CLASS_LIST)


def read_classes(data_folder=None):
    """Reads a class list in a data folder, or one below, or else AudioSet's."""
    found = []
    if data_folder is not None:
        folder = Path(data_folder)
        found = [
            *folder.glob(CLASS_LIST),
            *sorted(folder.glob(f"*/{CLASS_LIST}")),
        ]
    return read_class_list(found[0] if found else PUBLISHED_CLASSES)


@functools.cache
def read_kinds():
    """Names of the kinds of each class, and of theirs, by AudioSet's ontology.

    Example
    -------
    >>> sorted(read_kinds()["Bell"])[:3]
    ['Bicycle bell', 'Change ringing (campanology)', 'Chime']
    """
    table = Path(PUBLISHED_CLASSES).with_name("kinds.csv")
    direct = {}
    for _, row in read_table(table, ("class", "kind")):
        direct.setdefault(row["class"], []).append(row["kind"])

    def below(name):
        """All kinds of a class."""
        kinds = direct.get(name, [])
        return set(kinds).union(*map(below, kinds))

    return {name: below(name) for name in direct}


def is_audioset(data_folder):
    """Whether a folder holds AudioSet's lists, folders or parquet shards."""
    folder = Path(data_folder)
    # Folders of audio are named after the lists, which may be missing
    names = (CLASS_LIST, "*balanced_train_segments*", "eval_segments*")
    patterns = [*names, *(f"*/{name}" for name in names)]
    return any(any(folder.glob(pattern)) for pattern in patterns) or any(
        name.endswith(".parquet") for name in files_below(folder)
    )


def read_id2label(id2label, n_classes, path):
    """The names of ``id2label`` of a config.json, in order.

    ``n_classes`` is None if the model does not tell it.
    """
    if n_classes is None:
        n_classes = len(id2label) if isinstance(id2label, dict) else 0
    numbers = [str(number) for number in range(n_classes)]
    if not isinstance(id2label, dict) or set(id2label) != set(numbers):
        raise InputError(
            f"{path}: id2label must map 0 to {n_classes - 1} to class names."
        )
    return [str(id2label[number]) for number in numbers]


def complete_names(names):
    """Completes AudioSet's names cut at a comma, and makes names distinct."""
    names = [class_name(name) for name in names]
    audioset = list(read_classes().values())
    if before_commas(names) == before_commas(audioset):
        return audioset
    while len(counts := Counter(names)) < len(names):  # "a", "a" and "a (1)"
        names = [
            f"{name} ({number})" if counts[name] > 1 else name
            for number, name in enumerate(names)
        ]
    return names


def before_commas(names):
    """The part of each name before its first comma."""
    return [name.partition(",")[0] for name in names]
