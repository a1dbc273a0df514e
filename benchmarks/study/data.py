"""Data folders of the study: format, recipe, metric and classes.

Authors
 * The speechbrain_fftp authors 2026
"""

from typing import NamedTuple

from speechbrain_fftp.datasets.audioset.lists import read_class_list
from speechbrain_fftp.datasets.own_sounds.listing import find_own_sounds
from speechbrain_fftp.datasets.speech_commands.lists import (
    COMMANDS,
    NOISE_FOLDER,
    SPLIT_LISTS,
    list_words,
)


class Data(NamedTuple):
    """A data folder.

    Arguments
    ---------
    name : str
        Its name in the results.
    format : str
        ``speech_commands`` or ``audioset``.
    recipe : str
        The recipe's script, relative to the repository.
    yamls : str
        Folder of the recipe's yamls.
    metric : str
        The key of metrics.json that is compared.
    seconds : float
        Length of a clip for which MACs are counted.
    n_classes : int
        Number of classes.
    overrides : dict
        Options of all runs.
    """

    name: str
    format: str
    recipe: str
    yamls: str
    metric: str
    seconds: float
    n_classes: int
    overrides: dict

    @property
    def base(self):
        """The yaml whose keys those of a peer's yaml replace."""
        return f"{self.yamls}/ast_fftp.yaml"


def find_data(folder):
    """Recognizes a data folder; returns its ``Data``."""
    name = folder.name or "data"
    if not folder.is_dir():
        raise ValueError(f"there is no data folder {folder}")
    signs = [folder / sign for sign in (NOISE_FOLDER, *SPLIT_LISTS.values())]
    if any(sign.exists() for sign in signs):
        words = {word for word, clips in list_words(folder)[0].items() if clips}
        words.discard(NOISE_FOLDER)
        task, n_classes = "folders", len(words)
        if set(COMMANDS) <= words:
            task = n_classes = 12
        return Data(
            name,
            "speech_commands",
            "recipes/SpeechCommands/train.py",
            "hparams/speechcommands",
            metric="accuracy",
            seconds=1.0,
            n_classes=n_classes,
            overrides={"task": task, "mixup_prob": 0.0},
        )
    own = find_own_sounds(folder)
    classes = folder / "class_labels_indices.csv"
    if own is not None:
        n_classes = len(own.classes)
    elif classes.is_file():
        n_classes = len(read_class_list(classes))
    else:
        raise ValueError(
            f"{folder} holds neither Speech Commands (word folders with "
            f"{', '.join(SPLIT_LISTS.values())} or {NOISE_FOLDER}), nor AudioSet "
            "(class_labels_indices.csv), nor custom data"
        )
    return Data(
        name,
        "audioset",
        "recipes/AudioSet/train.py",
        "hparams",
        metric="mAP",
        seconds=10.0,
        n_classes=n_classes,
        overrides={"n_classes": n_classes},
    )
