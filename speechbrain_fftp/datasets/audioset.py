"""What the package knows of AudioSet: its classes, and how to tell its data.

Its clips are listed and converted beside the recipe, in ``recipes/AudioSet``.

Authors
 * The speechbrain_fftp authors 2026
"""

import os
from pathlib import Path

from speechbrain_fftp.dataio.prepared import (
    files_below,
    find_list,
    read_class_list,
)

# The file of this name in a data folder replaces that of the package
CLASS_LIST = "class_labels_indices.csv"
PUBLISHED_CLASSES = os.path.join(os.path.dirname(__file__), CLASS_LIST)


def read_classes(data_folder=None):
    """Reads a data folder's class list, or else AudioSet's own."""
    own = None
    if data_folder is not None:
        own = find_list(data_folder, CLASS_LIST)
    return read_class_list(own or PUBLISHED_CLASSES)


def is_audioset(data_folder):
    """Whether a folder holds AudioSet's lists, folders or parquet shards."""
    folder = Path(data_folder)
    # Folders of audio are named after the lists, which may be missing
    names = (CLASS_LIST, "*balanced_train_segments*", "eval_segments*")
    patterns = [*names, *(f"*/{name}" for name in names)]
    return any(any(folder.glob(pattern)) for pattern in patterns) or any(
        name.endswith(".parquet") for name in files_below(folder)
    )
