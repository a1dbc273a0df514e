"""Learns thresholds and rules of events, and writes them into a model.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
import logging
import os
from collections.abc import Sequence

import numpy as np

from fftp_tag.data.labelled import list_split
from fftp_tag.data.splits import assign_folds
from fftp_tag.errors import InputError
from fftp_tag.files import PathLike, write_json
from fftp_tag.learning.thresholds import (
    MIN_MAX_THRESHOLD,
    abstain,
    are_learnable,
    are_ranked,
    best_threshold,
    learn_event_rules,
    learn_thresholds,
    shift_thresholds,
)
from fftp_tag.model.edit import check_output, copy_model
from fftp_tag.model.info import RULES, Rules, default_rules
from fftp_tag.model.session import Model
from fftp_tag.model.sources import MODEL
from fftp_tag.packages import require
from fftp_tag.score.background import (
    Background,
    analyze_background,
    count_false_alarms,
)
from fftp_tag.score.evaluate import Analysis, analyze_split
from fftp_tag.score.events import event_metrics, pair_events
from fftp_tag.score.tags import decimal, f1_of_tags
from fftp_tag.tag.tagger import AudioTagger

logger = logging.getLogger(__name__)

FOR_SPEECHBRAIN = "hyperparams.yaml"  # in the folder of a training
THRESHOLDS = "thresholds.json"  # of speechbrain_fftp.inference.tagging.Tagger


@dataclasses.dataclass(frozen=True)
class Scores:
    """What rules find in the clips and in the background.

    Arguments
    ---------
    f1 : dict
        ``micro_F1`` and ``macro_F1`` of tags; with true events, the scores of
        ``event_metrics``, too. None: undefined.
    background : Background, optional
        False alarms, if there are recordings of background.
    """

    f1: dict[str, float | None]
    background: Background | None


@dataclasses.dataclass(frozen=True)
class Calibration:
    """Learnt rules, with scores before and after.

    Arguments
    ---------
    rules : Rules
        The learnt rules.
    few : list of str
        Labels of classes with too few positives, see ``learn_rules``.
    before, after : Scores
        With the model's own rules, and with learnt ones: of each clip, those
        that are learnt from other folds; of the background, ``rules``.
    n_classes : int
        Of the classes that the model and the data have.
    n_clips, n_folds : int
    """

    rules: Rules
    few: list[str]
    before: Scores
    after: Scores
    n_classes: int
    n_clips: int
    n_folds: int


def calibrate(
    path: PathLike,
    data_folder: PathLike,
    output: PathLike,
    split: str | None = None,
    strong_labels: PathLike | None = None,
    background: Sequence[str] = (),
    threads: int | None = None,
    progress: bool = False,
) -> Calibration:
    """Learns rules on labelled clips and writes a model.onnx with them.

    Thresholds of tags maximise their F1; ``learn_event_rules`` describes the
    rules of events, which a model from ``learn`` keeps. Learnt rules are scored
    by cross-validation. A class whose tags are then no better than tags of all
    clips is never found, and named in the log.

    Arguments
    ---------
    path : str
        The model.
    data_folder, split : str
        The clips, see ``evaluate``; by default of the split valid, or all
        custom data without splits.
    output : str
        The file to write, which may be ``path``. If it is the model.onnx of a
        folder for SpeechBrain, ``thresholds.json`` there is for ``Tagger``.
    strong_labels : str, optional
        Table of true events, to score the rules by.
    background : list of str
        Recordings without any of the sounds, to score the rules by.
    threads : int, optional
        See ``AudioTagger.from_pretrained``.
    progress : bool
        Whether to show progress.

    Returns
    -------
    Calibration

    Raises
    ------
    InputError
        If the model or the clips cannot be used, all clips are of one group, or
        the file cannot be written. No file is then written.
    """
    require("sklearn", "Calibrating")
    check_output(output)
    tagger = AudioTagger(Model(path, threads))
    model = tagger.model
    listed = list_split(data_folder, split, "valid", strong_labels)
    analysis = analyze_split(
        tagger, listed, progress, all_timelines=learns_events(model)
    )
    folds = assign_clips(analysis, data_folder, listed.name)
    n_folds = int(folds.max()) + 1
    rules = learn_rules(model, analysis, np.arange(len(folds)))
    of_folds = [
        learn_rules(model, analysis, np.flatnonzero(folds != fold))
        for fold in range(n_folds)
    ]
    learnable = are_learnable(analysis.targets)
    held_out = np.stack([of_folds[fold].threshold for fold in folds])
    by_chance = learnable & ~are_ranked(
        analysis.targets > 0.5, analysis.probs >= held_out
    )
    rules = abstain(rules, by_chance)
    of_folds = [abstain(own, by_chance) for own in of_folds]
    heard = analyze_background(tagger, list(background))
    before, after = (
        Scores(
            score_rules(analysis, of_clips),
            count_false_alarms(model.labels, heard, own) if heard else None,
        )
        for of_clips, own in (
            ([model.rules] * len(folds), model.rules),
            ([of_folds[fold] for fold in folds], rules),
        )
    )
    is_learnt = learnable[analysis.columns]
    write_rules(model, output, rules)
    logger.info(
        "%s: learnt the rules of %d classes; macro F1 of tags %s, before %s",
        os.path.basename(output),
        is_learnt.sum(),
        decimal(after.f1["macro_F1"]),
        decimal(before.f1["macro_F1"]),
    )
    if by_chance.any():
        names = [model.labels[c] for c in np.flatnonzero(by_chance)]
        logger.warning(
            "%s: never found, as tags of other clips are no better than by "
            "chance: %s",
            os.path.basename(output),
            ", ".join(names),
        )
    return Calibration(
        rules=rules,
        few=[
            x
            for x, learnt in zip(analysis.labels, is_learnt, strict=False)
            if not learnt
        ],
        before=before,
        after=after,
        n_classes=len(analysis.labels),
        n_clips=len(folds),
        n_folds=n_folds,
    )


def learns_events(model: Model) -> bool:
    """Whether rules of events are learnt; ``learn`` has rules of its own."""
    frame_level = model.info.frame_level
    return frame_level is not None and not frame_level.of_clips


def assign_clips(
    analysis: Analysis, data_folder: PathLike, split: str
) -> np.ndarray:
    """The fold of each clip; raises an InputError if nothing can be learnt."""
    if not analysis.targets.any():
        raise InputError(
            f"{data_folder}: no clip of the split {split} has a class of the "
            "model: use another split, or add clips."
        )
    folds = assign_folds(analysis.targets, analysis.groups)
    if folds is None:
        raise InputError(
            f"{data_folder}: all clips are of one group, so learnt rules cannot "
            "be scored: add clips of other recordings."
        )
    return folds


def learn_rules(model: Model, analysis: Analysis, rows: np.ndarray) -> Rules:
    """Learns rules from some of the clips, by index.

    Classes with too few clips keep the model's rules, if these are learnt; or
    else they get the medians of what is learnt for the others. If all have too
    few, the thresholds are shifted together.
    """
    targets = analysis.targets[rows]
    learnable = are_learnable(analysis.targets)
    if not learnable.any():
        return shift_rules(model.rules, analysis, rows)
    thresholds = learn_thresholds(targets, analysis.probs[rows], learnable)
    if learns_events(model):
        ids = analysis.ids
        timelines = [analysis.timelines[ids[row]] for row in rows]
        rules = learn_event_rules(targets, timelines, thresholds, learnable)
    elif model.is_frame_level:
        rules = dataclasses.replace(model.rules, threshold=thresholds)
    else:
        rules = dataclasses.replace(
            default_rules(len(thresholds)),
            threshold=thresholds,
            low=thresholds,
            high=thresholds,
        )
    values = {}
    for name in RULES:
        own = getattr(rules, name)
        others = np.median(own[learnable]).astype(own.dtype)
        if model.rules.is_learnt:
            others = getattr(model.rules, name)
        values[name] = np.where(learnable, own, others)
    return Rules(**values, is_learnt=True)


def shift_rules(rules: Rules, analysis: Analysis, rows: np.ndarray) -> Rules:
    """Rules whose thresholds have the same added to their logits: what maximises
    F1 of all tags together, of some of the clips.
    """
    from scipy.special import expit, logit

    cells = np.ix_(rows, np.array(analysis.columns))
    probs = analysis.probs[cells].clip(*MIN_MAX_THRESHOLD)
    thresholds = rules.threshold[analysis.columns].clip(*MIN_MAX_THRESHOLD)
    margins = expit(logit(probs) - logit(thresholds))
    best = best_threshold(
        analysis.targets[cells].ravel() > 0.5, margins.ravel()
    )
    shift = float(logit(best))
    high = shift_thresholds(rules.high, shift)
    return dataclasses.replace(
        rules,
        threshold=shift_thresholds(rules.threshold, shift),
        low=np.minimum(rules.low, high),
        high=high,
        is_learnt=True,
    )


def score_rules(
    analysis: Analysis, of_clips: list[Rules]
) -> dict[str, float | None]:
    """Scores what the rules of each clip find in it."""
    thresholds = np.stack([rules.threshold for rules in of_clips])
    true, tagged = analysis.targets > 0.5, analysis.probs >= thresholds
    columns = analysis.columns
    scores = f1_of_tags(true[:, columns], tagged[:, columns])
    if not analysis.truth:
        return scores
    timelines = {
        clip: dataclasses.replace(analysis.timelines[clip], rules=rules)
        for clip, rules in zip(analysis.ids, of_clips, strict=False)
        if clip in analysis.truth
    }
    paired = pair_events(timelines, analysis.truth, analysis.labels)
    return {**scores, **event_metrics(paired)}


def write_rules(model: Model, output: PathLike, rules: Rules) -> None:
    """Writes a copy of a model with other rules, or changes the model."""
    info = dataclasses.replace(model.info, rules=rules)
    copy_model(model.path, output, info)
    folder, name = os.path.split(output)
    if name == MODEL and os.path.isfile(os.path.join(folder, FOR_SPEECHBRAIN)):
        thresholds = dict(
            zip(model.labels, rules.threshold.tolist(), strict=False)
        )
        write_json(os.path.join(folder, THRESHOLDS), thresholds)
