"""What a data folder is to a study: its form, its recipe and its classes.

Authors
 * The speechbrain_fftp authors 2026
"""

from typing import NamedTuple

from study_models import figures

from speechbrain_fftp.datasets.audioset.lists import read_class_list
from speechbrain_fftp.datasets.own_sounds.listing import find_own_sounds
from speechbrain_fftp.datasets.speech_commands.lists import (
    NOISE_FOLDER,
    SPLIT_LISTS,
    list_words,
)
from speechbrain_fftp.datasets.speech_commands.tasks import COMMANDS


class Data(NamedTuple):
    """What a data folder holds.

    Arguments
    ---------
    name : str
        Its name in result files.
    form : str
        ``speech_commands`` or ``audioset``.
    recipe : str
        The recipe's script, relative to the repository.
    yamls : str
        Folder of its yamls.
    metric : str
        What it is scored by, a key of metrics.json.
    seconds : float
        Length of a clip, to count with.
    n_classes : int
        Number of classes.
    overrides : dict
        What all runs on it are given.
    """

    name: str
    form: str
    recipe: str
    yamls: str
    metric: str
    seconds: float
    n_classes: int
    overrides: dict

    @property
    def base(self):
        """The yaml that those of the peers are laid over."""
        return f"{self.yamls}/ast_fftp.yaml"

    def figures(self, config):
        """Figures of a configuration's model (see ``study_models``)."""
        return figures(config, self.base, self.n_classes, self.seconds)


def find_data(folder):
    """Looks at a data folder.

    Arguments
    ---------
    folder : pathlib.Path
        Data in Speech Commands' or AudioSet's form.

    Returns
    -------
    Data
        What it is.

    Raises
    ------
    ValueError
        If it is neither.
    """
    name = folder.name or "data"
    if not folder.is_dir():
        raise ValueError(f"there is no data folder {folder}")
    signs = [folder / sign for sign in (NOISE_FOLDER, *SPLIT_LISTS.values())]
    if any(sign.exists() for sign in signs):
        found, _ = list_words(folder)
        words = {word for word, clips in found.items() if clips}
        words.discard(NOISE_FOLDER)
        whole = set(COMMANDS) <= words
        task, n_classes = (12, 12) if whole else ("folders", len(words))
        return Data(
            name=name,
            form="speech_commands",
            recipe="recipes/SpeechCommands/train.py",
            yamls="hparams/speechcommands",
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
            f"{folder} has neither word folders with {', '.join(SPLIT_LISTS.values())} "
            f"or {NOISE_FOLDER}, nor AudioSet's class_labels_indices.csv, nor sounds"
        )
    return Data(
        name=name,
        form="audioset",
        recipe="recipes/AudioSet/train.py",
        yamls="hparams",
        metric="mAP",
        seconds=10.0,
        n_classes=n_classes,
        overrides={"n_classes": n_classes},
    )
