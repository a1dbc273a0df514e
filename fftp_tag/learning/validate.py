"""Cross-validation of a classifier of clips, by groups of clips.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
import logging
import math
from typing import Dict, List, NamedTuple, Tuple, Union

import numpy as np

from fftp_tag.learning.classifier import (
    TEMPERATURE,
    ClipClassifier,
    class_numbers,
    find_temperature,
    learn_classifier,
)
from fftp_tag.score.groups import MIN_GROUPS, Score, assign_folds, score_groups
from fftp_tag.score.tags import f1_of_tags
from fftp_tag.score.thresholds import are_learnable, learn_thresholds
from speechbrain_fftp.dataio.model_info import THRESHOLD

logger = logging.getLogger(__name__)

MAX_CONFUSIONS = 5
MAX_NAMES = 3  # clips that are named per confusion


class Confusion(NamedTuple):
    """Clips of a class, or of background, that are taken for another class."""

    label: str
    taken_for: str
    n_clips: int
    clips: List[str]  # some of them


@dataclasses.dataclass
class Validation:
    """Results of cross-validation; without scores if it is impossible.

    Arguments
    ---------
    temperature : float
        For the classifier of all clips; 1 if clips have several labels.
    thresholds : numpy.ndarray
        For the classifier of all clips, ``[C]``.
    temperature_without_encoder : float
        Of log-mel statistics alone.
    n_folds : int
    scores : dict of Score
        See ``score_clips``.
    scores_without_encoder : dict of float
        The same scores of log-mel statistics alone.
    confusions : list of Confusion
        The most frequent ones.
    """

    temperature: float
    thresholds: np.ndarray
    temperature_without_encoder: float = 1.0
    n_folds: int = 0
    scores: Dict[str, Score] = dataclasses.field(default_factory=dict)
    scores_without_encoder: Dict[str, float] = dataclasses.field(
        default_factory=dict
    )
    confusions: List[Confusion] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Examples:
    """Clips, their features and their classes.

    Arguments
    ---------
    names, groups : list of str
        Paths, and groups; the clips of a group stay in one fold.
    spans, copies : list of numpy.ndarray
        Features of the spans of each clip ``[N, F]``, and of its augmented
        copies ``[K, F]``.
    targets : numpy.ndarray
        Multi-hot labels ``[clips, C]``.
    """

    names: List[str]
    groups: List[str]
    spans: List[np.ndarray]
    copies: List[np.ndarray]
    targets: np.ndarray

    def part(self, rows: Union[List[int], np.ndarray]) -> "Examples":
        """A subset of the clips, by index."""
        return Examples(
            names=[self.names[row] for row in rows],
            groups=[self.groups[row] for row in rows],
            spans=[self.spans[row] for row in rows],
            copies=[self.copies[row] for row in rows],
            targets=self.targets[rows],
        )

    def features_from(self, first: int) -> "Examples":
        """The same clips, with their features from index ``first`` on."""
        return dataclasses.replace(
            self,
            spans=[rows[:, first:] for rows in self.spans],
            copies=[rows[:, first:] for rows in self.copies],
        )

    def add_background(self, name: str, spans: np.ndarray) -> None:
        """Adds a clip without a class, which is a group of its own."""
        self.names.append(name)
        self.groups.append(name)
        self.spans.append(spans)
        self.copies.append(spans[:0])
        no_class = np.zeros((1, self.targets.shape[1]), self.targets.dtype)
        self.targets = np.concatenate([self.targets, no_class])

    @property
    def features(self) -> np.ndarray:
        """Features of each clip, the mean over its spans, ``[clips, F]``."""
        return np.stack([spans.mean(0) for spans in self.spans])

    @property
    def is_background(self) -> np.ndarray:
        """Whether each clip has no class, ``[clips]``."""
        return self.targets.sum(1) == 0

    def count_background(self) -> int:
        """The number of spans of clips without a class."""
        rows = np.flatnonzero(self.is_background)
        return sum(len(self.spans[row]) for row in rows)

    def learn(self, single_label: bool) -> ClipClassifier:
        """Learns a classifier from the clips and their copies.

        Each span of background is an example: any may be a false alarm.
        """
        rows = []
        for own, copies, is_background in zip(
            self.spans, self.copies, self.is_background
        ):
            clip = own if is_background else own.mean(0, keepdims=True)
            rows.append(np.concatenate([clip, copies]))
        return learn_classifier(
            np.concatenate(rows),
            self.targets.repeat([len(row) for row in rows], 0),
            single_label,
        )


def validate(
    labels: List[str],
    examples: Examples,
    n_token_features: int,
    single_label: bool,
) -> Validation:
    """Cross-validates a classifier of clips.

    If clips have several labels, thresholds are learnt: for the scores of a
    fold, on the other folds.

    Arguments
    ---------
    labels : list of str
        Names of the C classes.
    examples : Examples
    n_token_features : int
        The number of features of the encoder's tokens, which come first.
    single_label : bool
        Whether each clip has one class, or none: background.
    """
    targets = examples.targets
    thresholds = np.full(len(labels), THRESHOLD, np.float32)
    folds = assign_folds(targets, examples.groups)
    if folds is None:
        logger.warning(
            "All clips are in one group or each class has one clip, so the "
            "accuracy cannot be estimated"
        )
        temperature = TEMPERATURE if single_label else 1.0
        return Validation(temperature, thresholds)
    alone = [
        label
        for label, column in zip(labels, targets.T)
        if len(set(folds[column > 0])) == 1
    ]
    if alone:
        logger.warning(
            "The scores count all clips of %s as missed: one clip, or clips of "
            "one group, cannot be learnt from and tested at once",
            ", ".join(alone),
        )
    probs, temperature = cross_validate(examples, folds, single_label)
    tagged = probs >= THRESHOLD
    if not single_label:
        thresholds = learn_thresholds(targets, probs)
        for fold in np.unique(folds):
            rows, others = folds == fold, folds != fold
            of_others = learn_thresholds(
                targets[others], probs[others], are_learnable(targets)
            )
            tagged[rows] = probs[rows] >= of_others
    spectrum = examples.features_from(n_token_features)
    spectrum_probs, of_spectrum = cross_validate(spectrum, folds, single_label)
    return Validation(
        temperature,
        thresholds,
        of_spectrum,
        n_folds=int(folds.max()) + 1,
        scores=score_clips(examples, probs, tagged),
        scores_without_encoder=score_arrays(
            targets, spectrum_probs, spectrum_probs >= THRESHOLD
        ),
        confusions=find_confusions(labels, examples, probs, tagged),
    )


def cross_validate(
    examples: Examples, folds: np.ndarray, single_label: bool
) -> Tuple[np.ndarray, float]:
    """Classifies the clips of each fold by a classifier of the other folds.

    Returns probabilities ``[clips, C]``, and the temperature for a classifier
    of all clips. The temperature of a fold is found on the other folds.
    """
    classifiers = [
        examples.part(np.flatnonzero(folds != fold)).learn(single_label)
        for fold in range(folds.max() + 1)
    ]
    temperature = 1.0
    if single_label:
        features, classes = examples.features, class_numbers(examples.targets)
        n_classes = examples.targets.shape[1]
        logits = np.full((len(folds), classes.max() + 1), -np.inf)
        is_known = np.zeros(len(folds), bool)  # class is in the other folds
        for fold, classifier in enumerate(classifiers):
            rows = np.flatnonzero(folds == fold)
            found = classifier.logits(features[rows])
            logits[rows, : found.shape[1]] = found
            is_known[rows] = np.isin(classes[rows], classes[folds != fold])
        for fold, classifier in enumerate(classifiers):
            rows = np.flatnonzero(is_known & (folds != fold))
            own = find_temperature(logits[rows], classes[rows], n_classes)
            classifiers[fold] = classifier.soften(own)
        temperature = find_temperature(
            logits[is_known], classes[is_known], n_classes
        )
    probs = np.zeros(examples.targets.shape, np.float32)
    for fold, classifier in enumerate(classifiers):
        rows = np.flatnonzero(folds == fold)
        spans = [examples.spans[row] for row in rows]
        probs[rows] = classifier.probabilities(spans)
    return probs, temperature


def score_clips(
    examples: Examples, probs: np.ndarray, tagged: np.ndarray
) -> Dict[str, Score]:
    """Scores of clips, with 95 % intervals for as many new clips like these.

    The intervals are from a bootstrap over groups, widened by the square root
    of 2 because the score of the new clips varies as well. There are none if
    the clips with a class are in fewer than 5 groups.

    Arguments
    ---------
    examples : Examples
    probs, tagged : numpy.ndarray
        Probabilities, and whether they reach the thresholds, ``[clips, C]``.

    Returns
    -------
    dict of Score
        ``macro_F1`` of the tags; ``no_tag``, the share of the clips with a
        class that have none; and, if there are several classes and no clip has
        more than one, ``accuracy`` of the most probable class, whether it is a
        tag or not. Scores that are undefined are missing.
    """

    def score(rows: np.ndarray) -> Dict[str, float]:
        """The scores of some clips."""
        return score_arrays(examples.targets[rows], probs[rows], tagged[rows])

    is_sound = ~examples.is_background
    if len(set(np.array(examples.groups)[is_sound])) < MIN_GROUPS:
        of_all = score(np.arange(len(probs)))
        return {name: Score(value) for name, value in of_all.items()}
    scores = {}
    for name, (value, *bounds) in score_groups(score, examples.groups).items():
        low, high = value + math.sqrt(2) * (np.array(bounds) - value)
        scores[name] = Score(value, max(float(low), 0.0), min(float(high), 1.0))
    return scores


def score_arrays(
    targets: np.ndarray, probs: np.ndarray, tagged: np.ndarray
) -> Dict[str, float]:
    """The scores of ``score_clips`` by name."""
    true = targets > 0.5
    scores = {}
    macro_f1 = f1_of_tags(true, tagged)["macro_F1"]
    if macro_f1 is not None:
        scores["macro_F1"] = macro_f1
    rows = true.any(1)
    if rows.any():
        scores["no_tag"] = float((~tagged[rows].any(1)).mean())
    if true.shape[1] > 1 and (true.sum(1) <= 1).all() and rows.any():
        right = probs[rows].argmax(1) == true[rows].argmax(1)
        scores["accuracy"] = float(right.mean())
    return scores


def find_confusions(
    labels: List[str],
    examples: Examples,
    probs: np.ndarray,
    tagged: np.ndarray,
) -> List[Confusion]:
    """The pairs of classes that are confused most often, with examples.

    A clip counts if another class is more probable than its own. A clip without
    a class counts if it is tagged.
    """
    clips: Dict[Tuple[str, str], List[str]] = {}
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
        Confusion(
            own, other, len(names), list(dict.fromkeys(names))[:MAX_NAMES]
        )
        for (own, other), names in worst[:MAX_CONFUSIONS]
    ]
