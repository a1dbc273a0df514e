"""Statistics of the study: scores, intervals of differences, and findings.

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
from typing import NamedTuple

import numpy as np
from scipy import stats
from statsmodels.stats.multitest import multipletests

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


def accuracy(scores, weights):
    """Share of clips whose class is the most probable one ``[replicates]``.

    ``weights`` say how often each clip counts ``[replicates, clips]``.
    """
    hits = scores.probs.argmax(1) == scores.targets.argmax(1)
    return weights @ hits / weights.sum(1)


def mean_precision(scores, weights):
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


def event_f1(scores, weights):
    """Mean F1 of events; arguments and result as in ``accuracy``.

    The targets are counts of true events ``[clips, C]``, the probabilities
    those of events found where they are, and of all that are found
    ``[clips, 2 * C]``.
    """
    hits, found = np.split(weights @ scores.probs, 2, 1)
    true = weights @ scores.targets
    return (2 * hits / np.maximum(true + found, 1)).mean(-1)


METRICS = {
    "accuracy": accuracy,
    "mAP": mean_precision,
    "event_F1": event_f1,
}


@functools.lru_cache(maxsize=4)
def draw(groups, same_clips, replicates=REPLICATES, seed=0):
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


def bootstrap(folds, metric, **options):
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


def mean(folds, metric):
    """Means over folds of each run's metric in percent ``[runs]``."""
    values = [
        [metric(run, np.ones((1, len(run.groups))))[0] for run in runs]
        for runs in folds
    ]
    return 100 * np.mean(values, axis=0)


def interval(draws):
    """The 95 % interval of bootstrapped values."""
    return tuple(np.quantile(draws, (0.025, 0.975)).tolist())


def compare(folds, metric, signs=(1, -1)):
    """The ``Difference`` of the runs of each fold, with these signs."""
    draws = 100 * bootstrap(folds, metric) @ signs
    value = float(mean(folds, metric) @ signs)
    tail = min((draws <= 0).sum(), (draws >= 0).sum())
    p = min(1.0, 2 * (tail + 1) / (len(draws) + 1))
    return Difference(value, *interval(draws), float(p))


def t_interval(values):
    """The 95 % t interval of the mean of one value per fold; None for one."""
    if len(values) < 2:
        return None
    half = stats.sem(values) * stats.t.ppf(0.975, len(values) - 1)
    return float(np.mean(values) - half), float(np.mean(values) + half)


def verdicts(differences, margin):
    """Says what each difference, of all declared together, shows.

    Returns p-values with Holm's correction, and ``higher``, ``lower``, ``equal
    within`` the margin in points, or ``unresolved``.
    """
    if not differences:
        return []
    corrected = multipletests([d.p for d in differences], method="holm")[1]
    found = []
    for difference, p in zip(differences, corrected.tolist()):
        word = "unresolved"
        if p < 0.05:
            word = "higher" if difference.value > 0 else "lower"
        elif -margin < difference.low and difference.high < margin:
            word = f"equal within {margin:g}"
        found.append((p, word))
    return found
