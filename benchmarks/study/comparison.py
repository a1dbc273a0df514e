"""Intervals of scores and of their differences: a paired bootstrap.

A group is what clips have in common that a new data set would not share: the
speaker, or the recording. All runs of a fold score the same clips, so that
differences are paired; each fold has a seed of its own, so that folds drawn at
random stand for other training runs as well as for other clips. Where all folds
score the same clips, and differ in their seeds alone, one draw of the groups
serves all folds.

Authors
 * The speechbrain_fftp authors 2026
"""

import functools
from typing import Callable, List, NamedTuple, Sequence, Tuple

import numpy as np

REPLICATES = 10000


class Scores(NamedTuple):
    """What a run predicted for the test clips of a fold.

    The name and the group of each clip; 1 where a clip has a label, and
    probabilities, both ``[clips, C]``.
    """

    ids: np.ndarray
    groups: np.ndarray
    targets: np.ndarray
    probs: np.ndarray


def accuracy(scores: Scores, weights: np.ndarray) -> np.ndarray:
    """Share of clips whose class is the most probable one ``[replicates]``.

    ``weights`` say how often each clip counts ``[replicates, clips]``.
    """
    hits = scores.probs.argmax(1) == scores.targets.argmax(1)
    return weights @ hits / weights.sum(1)


def mean_precision(scores: Scores, weights: np.ndarray) -> np.ndarray:
    """Mean average precision; arguments and result as in ``accuracy``.

    Of the classes that some, but not all of the counted clips have. As in
    scikit-learn, clips of the same probability are found together: their order
    does not count.
    """
    found = []
    for target, prob in zip(scores.targets.T, scores.probs.T):
        order = np.argsort(-prob)
        falling = -prob[order]
        last_equal = np.searchsorted(falling, falling, side="right") - 1
        drawn = weights[:, order]
        hits = drawn * target[order]
        positives, all_ = hits.sum(1), drawn.sum(1)
        hits_above = hits.cumsum(1)[:, last_equal]
        above = np.maximum(drawn.cumsum(1)[:, last_equal], 1)
        precision = (hits * hits_above / above).sum(1)
        scored = (positives > 0) & (positives < all_)
        found.append(
            np.where(scored, precision, np.nan) / np.maximum(positives, 1)
        )
    return np.nanmean(found, axis=0)


@functools.lru_cache(maxsize=4)
def draw(
    groups: tuple,
    same_clips: bool,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Tuple[np.ndarray, List[np.ndarray]]:
    """Draws folds, and in each of them groups, with replacement.

    ``groups`` holds, for each fold, a tuple with the group of each clip;
    ``same_clips`` says whether the clips are the same in all folds, whose
    groups are then drawn once.

    Returns the folds of each draw ``[replicates, folds]``, and for each fold
    how often each clip counts whenever the fold is drawn ``[times, clips]``.
    """
    rng = np.random.default_rng(seed)
    drawn = rng.integers(len(groups), size=(replicates, len(groups)))
    weights = []
    for i, fold in enumerate(groups):
        names, group = np.unique(fold, return_inverse=True)
        share = np.full(len(names), 1 / len(names))
        if same_clips:
            if i == 0:
                shared = rng.multinomial(len(names), share, size=replicates)
            counts = shared[np.nonzero(drawn == i)[0]]
        else:
            times = (drawn == i).sum()
            counts = rng.multinomial(len(names), share, size=times)
        weights.append(counts.astype(np.float32)[:, group])
    return drawn, weights


def bootstrap(
    folds: List[List[Scores]], metric: Callable, **options
) -> np.ndarray:
    """The metric's means over drawn folds and groups ``[replicates, runs]``.

    ``folds`` holds, for each fold, the ``Scores`` of the runs that are
    compared, on the same clips; ``options`` are those of ``draw``.
    """
    groups = tuple(tuple(runs[0].groups.tolist()) for runs in folds)
    first = folds[0][0].ids
    same_clips = all(np.array_equal(runs[0].ids, first) for runs in folds)
    drawn, weights = draw(groups, same_clips, **options)
    values = np.empty((*drawn.shape, len(folds[0])))
    for i, runs in enumerate(folds):
        for k, run in enumerate(runs):
            if not np.array_equal(run.ids, runs[0].ids):
                raise ValueError("runs of a fold must score the same clips")
            values[drawn == i, k] = metric(run, weights[i])
    return values.mean(1)


class Difference(NamedTuple):
    """A difference between two configurations, in points.

    Arguments
    ---------
    value : float
        The first one's mean over folds minus the second one's.
    low, high : float
        Its 95 % interval.
    p : float
        Two-sided, of the bootstrap; not corrected.
    """

    value: float
    low: float
    high: float
    p: float

    def __str__(self):
        return f"{self.value:+.1f} [{self.low:+.1f}, {self.high:+.1f}]"


def mean(folds: List[List[Scores]], metric: Callable) -> np.ndarray:
    """Means over folds of each run's metric in percent ``[runs]``."""
    values = [
        [metric(run, np.ones((1, len(run.groups))))[0] for run in runs]
        for runs in folds
    ]
    return 100 * np.mean(values, axis=0)


def interval(draws: np.ndarray) -> Tuple[float, float]:
    """The 95 % interval of bootstrapped values."""
    return tuple(np.quantile(draws, (0.025, 0.975)).tolist())


def compare(
    folds: List[List[Scores]],
    metric: Callable,
    signs: Sequence[int] = (1, -1),
) -> Difference:
    """The ``Difference`` of the runs of each fold, with these signs."""
    draws = 100 * bootstrap(folds, metric) @ signs
    value = float(mean(folds, metric) @ signs)
    tail = min((draws <= 0).sum(), (draws >= 0).sum())
    p = min(1.0, 2 * (tail + 1) / (len(draws) + 1))
    return Difference(value, *interval(draws), float(p))
