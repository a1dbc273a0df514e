"""Linear classifiers of clips, and what cross-validation says about them.

Authors
 * The speechbrain_fftp authors 2026
"""

import copy
import dataclasses
import logging
from collections import Counter
from typing import Optional

import numpy as np
import torch

from speechbrain_fftp.inference import heads
from speechbrain_fftp.inference.threads import use_threads
from speechbrain_fftp.inference.thresholds import learn_thresholds
from speechbrain_fftp.lobes.frame_classifier import FrameClassifier

logger = logging.getLogger(__name__)

REGULARIZATIONS = (0.001, 0.01, 0.1, 1.0, 10.0)  # scikit-learn's C
FOLDS = 5
RESAMPLES = 200  # of the bootstrap
MAX_CONFUSIONS = 5
MAX_NAMES = 3  # of clips that are named for a confusion


@dataclasses.dataclass
class Examples:
    """Clips, what the encoder makes of them, and their classes.

    Arguments
    ---------
    names, groups : list of str
        Paths, and what stays in one fold.
    tokens : list
        Of each clip, the tokens ``[N, D]`` of each of its windows.
    targets : numpy.ndarray
        Multi-hot labels ``[clips, C]``.
    """

    names: list
    groups: list
    tokens: list
    targets: np.ndarray

    def part(self, rows):
        """Some of the clips, by number."""
        return Examples(
            names=[self.names[row] for row in rows],
            groups=[self.groups[row] for row in rows],
            tokens=[self.tokens[row] for row in rows],
            targets=self.targets[rows],
        )


class HeadLearner:
    """Learns linear classifiers on the tokens of an encoder.

    Arguments
    ---------
    classifier : torch.nn.Module
        The classifier of the model, whose last layer is replaced.
    single_label : bool
        Whether each clip has exactly one class.
    """

    def __init__(self, classifier, single_label):
        self.classifier = copy.deepcopy(classifier).float().cpu()
        self.before = heads.layers_before(self.classifier)
        self.single_label = single_label

    def features(self, examples):
        """The mean input of the last layer for each clip, ``[clips, D]``."""
        rows = []
        with torch.inference_mode():
            for windows in examples.tokens:
                means = [
                    self.before(torch.from_numpy(tokens)).mean(0)
                    for tokens in windows
                ]
                rows.append(torch.stack(means).mean(0).numpy())
        return np.stack(rows)

    def fit(self, examples, regularization):
        """Learns the classes of clips; returns a classifier of tokens."""
        linear = heads.fit_linear(
            self.features(examples),
            examples.targets,
            regularization,
            self.single_label,
        )
        classifier = heads.with_linear(self.classifier, linear)
        if not isinstance(classifier, FrameClassifier):
            return classifier
        with use_threads(1):  # the operations are small
            return heads.fit_time_steps(
                classifier,
                [np.concatenate(windows) for windows in examples.tokens],
                examples.targets,
                regularization,
            )

    def probabilities(self, classifier, examples):
        """Those of clips, as ``AudioTagger`` computes them, ``[clips, C]``."""
        probs = []
        with torch.inference_mode():
            for windows in examples.tokens:
                logits = torch.cat(
                    [classifier(torch.from_numpy(x)[None])[0] for x in windows]
                )
                if self.single_label:
                    found = logits.softmax(-1)
                else:
                    found = logits.sigmoid()
                probs.append(found.amax(0).numpy())
        return np.stack(probs)


@dataclasses.dataclass
class CrossValidation:
    """What was found on clips that were not learned from.

    Arguments
    ---------
    regularization : float
        The best one, by the likelihood of the labels.
    probs, folds : numpy.ndarray, optional
        Probabilities ``[clips, C]`` and the fold of each clip; None if there
        are not enough groups.
    """

    regularization: float
    probs: Optional[np.ndarray] = None
    folds: Optional[np.ndarray] = None


def cross_validate(learner, examples):
    """Chooses the regularisation; clips of a group are in the same fold."""
    folds = assign_folds(examples)
    if folds is None:
        return CrossValidation(regularization=0.1)
    best = None
    best_loss = np.inf
    for regularization in REGULARIZATIONS:
        probs = np.zeros(examples.targets.shape, np.float32)
        for fold in range(folds.max() + 1):
            rows, others = np.flatnonzero(folds == fold), folds != fold
            learned = examples.part(np.flatnonzero(others))
            classifier = learner.fit(learned, regularization)
            probs[rows] = learner.probabilities(classifier, examples.part(rows))
        loss = log_loss(examples.targets, probs)
        if loss < best_loss:
            best_loss = loss
            best = CrossValidation(regularization, probs, folds)
    return best


def assign_folds(examples):
    """The fold of each clip, or None if folds are impossible."""
    from sklearn.model_selection import StratifiedGroupKFold

    classes = [row.tobytes() for row in examples.targets]
    most = max(Counter(classes).values())
    n_folds = min(FOLDS, len(set(examples.groups)), most)
    if n_folds < 2:
        return None
    splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=0)
    folds = np.zeros(len(classes), int)
    numbers = np.unique(classes, return_inverse=True)[1]
    splits = splitter.split(classes, numbers, examples.groups)
    for fold, (_, rows) in enumerate(splits):
        folds[rows] = fold
    return folds


def log_loss(targets, probs):
    """The mean negative log-likelihood of multi-hot labels."""
    of_labels = np.where(targets > 0.5, probs, 1 - probs)
    return float(-np.log(np.maximum(of_labels, 1e-6)).mean())


def cross_fitted_tags(labels, examples, found):
    """Which classes reach thresholds that were learned on the other folds."""
    tagged = np.zeros(examples.targets.shape, bool)
    for fold in range(found.folds.max() + 1):
        rows, others = found.folds == fold, found.folds != fold
        limits = learn_thresholds(
            labels, examples.targets[others], found.probs[others]
        )
        thresholds = np.array([limit for _, limit, *_ in limits], np.float32)
        tagged[rows] = found.probs[rows] >= thresholds
    return tagged


def score_clips(examples, probs, tagged):
    """Scores of clips with 95 % intervals, from a bootstrap over groups.

    Returns
    -------
    dict
        ``mAP``, ``macro_F1`` and, if all clips with a label have one,
        ``accuracy``, each with its value and the ends of its interval.
    """
    draw = np.random.default_rng(0)
    numbers = np.unique(examples.groups, return_inverse=True)[1]
    members = [np.flatnonzero(numbers == n) for n in range(numbers.max() + 1)]
    values = score_arrays(examples.targets, probs, tagged)
    resampled = []
    for _ in range(RESAMPLES):
        chosen = draw.integers(len(members), size=len(members))
        rows = np.concatenate([members[number] for number in chosen])
        resampled.append(
            score_arrays(examples.targets[rows], probs[rows], tagged[rows])
        )
    scores = {}
    for name, value in values.items():
        low, high = np.nanpercentile(
            [sample[name] for sample in resampled], [2.5, 97.5]
        )
        scores[name] = {"value": value, "low": low, "high": high}
    return scores


def score_arrays(targets, probs, tagged):
    """The scores of ``score_clips`` by name; NaN where there is no class."""
    from sklearn.metrics import average_precision_score

    true = targets > 0.5
    scored = np.flatnonzero(true.any(0) & ~true.all(0))
    precision = [
        average_precision_score(true[:, c], probs[:, c]) for c in scored
    ]
    # scikit-learn's f1_score would take most of the time of the bootstrap
    f1 = 2 * (true & tagged).sum(0) / (true.sum(0) + tagged.sum(0)).clip(min=1)
    scores = {"mAP": mean(precision), "macro_F1": mean(f1[scored])}
    if (true.sum(1) <= 1).all():
        rows = true.any(1)
        right = probs[rows].argmax(1) == true[rows].argmax(1)
        scores["accuracy"] = mean(right)
    return scores


def mean(values):
    """The mean of some numbers, NaN of none."""
    return float(np.mean(values)) if len(values) > 0 else float("nan")


def find_confusions(labels, examples, probs, tagged):
    """The pairs of classes that are confused most often, with clips to hear.

    A clip is confused if another class is more probable than its own, or, if it
    has none, if it is tagged.
    """
    clips = {}
    for row, name in enumerate(examples.names):
        own = examples.targets[row] > 0.5
        if own.all():
            continue
        other = int(np.where(own, -1, probs[row]).argmax())
        for c in np.flatnonzero(own):
            if probs[row, other] > probs[row, c]:
                clips.setdefault((labels[c], labels[other]), []).append(name)
        if not own.any() and tagged[row, other]:
            pair = ("background", labels[other])
            clips.setdefault(pair, []).append(name)
    worst = sorted(clips.items(), key=lambda item: -len(item[1]))
    return [
        {"class": own, "taken_for": other, "count": len(names),
         "clips": names[:MAX_NAMES]}
        for (own, other), names in worst[:MAX_CONFUSIONS]
    ]  # fmt: skip
