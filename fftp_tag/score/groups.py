"""Folds and a bootstrap of clips that keep groups of clips together.

Clips of a group, such as those of a recording, are alike: a score is honest only
if none of a clip's group was learnt from.

Authors
 * The speechbrain_fftp authors 2026
"""

import warnings
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional

import numpy as np

FOLDS = 5
RESAMPLES = 200  # of the bootstrap
MIN_GROUPS = 5  # for an interval: fewer do not show how much scores vary


class Score(NamedTuple):
    """A score, with a 95 % interval if there are enough groups of clips."""

    value: float
    low: Optional[float] = None
    high: Optional[float] = None


def assign_folds(
    targets: np.ndarray, groups: List[str]
) -> Optional[np.ndarray]:
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


def resample(groups: List[str]) -> Iterator[np.ndarray]:
    """Yields indices of clips, drawn group by group with replacement."""
    draw = np.random.default_rng(0)
    numbers = np.unique(groups, return_inverse=True)[1]
    members = [np.flatnonzero(numbers == n) for n in range(numbers.max() + 1)]
    for _ in range(RESAMPLES):
        chosen = draw.integers(len(members), size=len(members))
        yield np.concatenate([members[number] for number in chosen])


def score_groups(
    score: Callable[[np.ndarray], Dict[str, float]], groups: List[str]
) -> Dict[str, Score]:
    """Scores clips, with intervals from a bootstrap over their groups.

    ``score`` returns those scores of some clips, by index, that are defined.
    """
    of_all = score(np.arange(len(groups)))
    if len(set(groups)) < MIN_GROUPS:
        return {name: Score(value) for name, value in of_all.items()}
    resampled = [score(rows) for rows in resample(groups)]
    scores = {}
    for name, value in of_all.items():
        found = [sample[name] for sample in resampled if name in sample]
        low, high = np.percentile(found, [2.5, 97.5]).tolist()
        scores[name] = Score(value, low, high)
    return scores
