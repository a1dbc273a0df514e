"""Folds of clips that keep groups of clips together.

Clips of a group, such as those of a recording, are alike: a score is honest only
if none of a clip's group was learnt from.

Authors
 * The speechbrain_fftp authors 2026
"""

import warnings

import numpy as np

FOLDS = 5


def assign_folds(targets: np.ndarray, groups: list[str]) -> np.ndarray | None:
    """The fold of each clip, or None if folds are impossible.

    Folds have about the same classes; a clip of several counts for the rarest.

    Arguments
    ---------
    targets : numpy.ndarray
        Multi-hot labels ``[clips, C]``.
    groups : list of str
        The clips of a group stay in one fold.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    counts = np.where(targets > 0.5, targets.sum(0), np.inf)
    # Clips without a class are one of their own
    classes = np.where(targets.any(1), counts.argmin(1), targets.shape[1])
    n_folds = min(FOLDS, len(set(groups)), np.bincount(classes).max())
    if n_folds < 2:
        return None
    splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=0)
    folds = np.zeros(len(classes), int)
    with warnings.catch_warnings():  # learn warns of classes of few clips
        warnings.filterwarnings("ignore", "The least populated class")
        splits = list(splitter.split(classes, classes, groups))
    for fold, (_, rows) in enumerate(splits):
        folds[rows] = fold
    return folds
