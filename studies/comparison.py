"""Statistics of the study: scores, and differences with their intervals.

All runs of a fold score the same clips, so that differences are paired, and
each fold has its own seed. Two methods give the interval of a difference, and
the wider one is shown: a t interval over the folds, and a bootstrap, which draws
folds, and in each fold groups of clips with the same speaker or recording. With
few folds, the bootstrap alone is too narrow. If all folds score the same clips
and differ in their seeds only, the bootstrap draws the groups once for all folds.

Folds train on each other's test clips, so that their differences are not
independent. The t interval has the correction of Nadeau and Bengio (Machine
Learning 52, 2003), which takes 1/n + n_test/n_train instead of 1/n for the
variance of a mean of n folds.

Authors
 * The speechbrain_fftp authors 2026
"""

import functools
from typing import NamedTuple

import numpy as np
from scipy import stats

REPLICATES = 10000
INTERVAL = (0.025, 0.975)
POWER = 0.8
TINY = 1e-9  # instead of a weight of 0


class Scores(NamedTuple):
    """The predictions of a run for the test clips of a fold.

    Holds the id and the group of each clip, multi-hot labels and probabilities
    ``[clips, C]``, and the names and the kinds of the classes ``[C]``.
    """

    ids: np.ndarray
    groups: np.ndarray
    targets: np.ndarray
    probs: np.ndarray
    classes: np.ndarray
    kinds: np.ndarray

    def of_classes(self, chosen):
        """The scores of some classes, by a mask ``[C]``."""
        return self._replace(
            targets=self.targets[:, chosen],
            probs=self.probs[:, chosen],
            classes=self.classes[chosen],
            kinds=self.kinds[chosen],
        )

    def by_kind(self):
        """The scores of the classes of each kind and, of several, of all."""
        found = {
            str(kind): self.of_classes(self.kinds == kind)
            for kind in np.unique(self.kinds)
        }
        return found if len(found) == 1 else {**found, "all": self}


def accuracy(scores, weights):
    """Share of clips whose class is the most probable one ``[replicates]``.

    ``weights`` is how often each clip counts ``[replicates, clips]``.
    """
    hits = scores.probs.argmax(1) == scores.targets.argmax(1)
    return weights @ hits / weights.sum(1)


def mean_precision(scores, weights):
    """Mean average precision; arguments and result as in ``accuracy``.

    Averages over the classes with both positive and negative clips. As in
    scikit-learn, the order of clips with the same probability has no influence.
    """
    found = []
    counts = weights.sum(1)
    for target, prob in zip(scores.targets.T, scores.probs.T):
        hits = weights[:, target]  # [replicates, P]
        # Clips that are as probable as each positive one, or more [P, clips]
        above = prob >= prob[target, None]
        precision = (
            weights @ (above & target).T / np.maximum(weights @ above.T, TINY)
        )
        positives = hits.sum(1)
        scored = (positives > 0) & (positives < counts)
        means = (hits * precision).sum(1) / np.maximum(positives, TINY)
        found.append(np.where(scored, means, np.nan))
    return np.nanmean(found, axis=0)


METRICS = {"accuracy": accuracy, "mAP": mean_precision}


def class_ranks(scores):
    """The ranks of the classes in each clip, which have the same ``accuracy``.

    Of equally probable classes, the first is ahead.
    """
    order = np.argsort(-scores.probs, axis=1, kind="stable")
    ranks = np.argsort(order, axis=1)
    return (ranks.shape[1] - 1 - ranks).astype(np.uint8)


def levels(scores):
    """Integers ``[clips, C]`` with the same ``mean_precision`` as probabilities.

    Of each class, how many different probabilities of positive clips a clip
    reaches: what is between two of them has no influence.
    """
    found = [
        np.searchsorted(np.unique(prob[target]), prob, side="right")
        for target, prob in zip(scores.targets.T, scores.probs.T)
    ]
    found = np.array(found).T  # what is stored of a class is together
    return found.astype(np.min_scalar_type(found.max()))


# What a metric needs of probabilities: a tenth of their size
NEEDED = {"accuracy": class_ranks, "mAP": levels}


@functools.lru_cache(maxsize=4)
def draw(groups, same_clips=False, replicates=REPLICATES, seed=0):
    """Draws folds, and groups within each fold, with replacement.

    ``groups`` holds, for each fold, a tuple with the group of each clip. If all
    folds have the ``same_clips``, groups are drawn once for all folds.

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
    """Means of a metric over drawn folds and groups ``[replicates, runs]``.

    ``folds`` holds, for each fold, the ``Scores`` of the compared runs, on the
    same clips; ``options`` are passed to ``draw``.
    """
    groups = tuple(tuple(runs[0].groups.tolist()) for runs in folds)
    drawn, weights = draw(groups, **options)
    values = np.empty((*drawn.shape, len(folds[0])))
    for i, runs in enumerate(folds):
        for k, run in enumerate(runs):
            if not np.array_equal(run.ids, runs[0].ids):
                raise ValueError("runs of a fold must score the same clips")
            values[drawn == i, k] = metric(run, weights[i])
    return values.mean(1)


def values(folds, metric):
    """A metric of each run in percent ``[folds, runs]``."""
    return 100 * np.array(
        [
            [metric(run, np.ones((1, len(run.groups))))[0] for run in runs]
            for runs in folds
        ]
    )


class Interval(NamedTuple):
    """A 95 % interval, and the difference found in 4 of 5 repetitions."""

    low: float
    high: float
    seen: float


def t_interval(by_fold, overlap=0.0):
    """The t ``Interval`` of the mean of one value per fold.

    ``overlap`` is n_test/n_train in the correction of Nadeau and Bengio; 0
    gives the usual interval.
    """
    count = len(by_fold)
    error = np.std(by_fold, ddof=1) * np.sqrt(1 / count + overlap)
    quantiles = stats.t.ppf((*INTERVAL, POWER), count - 1)
    low, high = np.mean(by_fold) + error * quantiles[:2]
    return Interval(low, high, error * quantiles[1:].sum())


def drawn_interval(draws):
    """The ``Interval`` of drawn differences."""
    seen = draws.std() * stats.norm.ppf((INTERVAL[1], POWER)).sum()
    return Interval(*np.quantile(draws, INTERVAL), seen)


def wider(*intervals):
    """The widest ``Interval``."""
    return max(intervals, key=lambda each: each.high - each.low)


def compare(folds, metric, signs=(1, -1), overlap=0.0, **options):
    """The difference of the runs of each fold, weighted by signs, in points.

    ``folds``, at least two, holds the ``Scores`` of the runs of each fold;
    ``overlap`` is as in ``t_interval``. Returns the difference of each fold,
    and the wider ``Interval`` of their mean.
    """
    by_fold = values(folds, metric) @ signs
    draws = 100 * bootstrap(folds, metric, **options) @ signs
    return by_fold, wider(t_interval(by_fold, overlap), drawn_interval(draws))
