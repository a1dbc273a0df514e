"""Learns thresholds and rules of events, and writes them into a model.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
import logging
import os
from typing import Dict, List, NamedTuple, Optional, Sequence, Union

import numpy as np

from fftp_tag.score.background import (
    Background,
    Heard,
    analyze_background,
    count_false_alarms,
)
from fftp_tag.score.evaluate import Analysis, analyze_split, list_split
from fftp_tag.score.events import count_overlapping, event_f1
from fftp_tag.score.groups import MIN_GROUPS, Score, assign_folds, score_groups
from fftp_tag.score.tags import f1_of_tags
from fftp_tag.score.thresholds import (
    MIN_POSITIVES,
    are_learnable,
    learn_from_clips,
    with_rules,
)
from fftp_tag.tag.edit import check_output, copy_model
from fftp_tag.tag.events import Timeline
from fftp_tag.tag.model import Model
from fftp_tag.tag.sources import MODEL
from fftp_tag.tag.tagger import AudioTagger
from speechbrain_fftp.dataio.errors import InputError
from speechbrain_fftp.dataio.model_info import RULES, Rules
from speechbrain_fftp.dataio.packages import require
from speechbrain_fftp.dataio.tagger_yaml import YAML, store_thresholds

logger = logging.getLogger(__name__)

Path = Union[str, os.PathLike]

# Learnt rules are worse if one of these falls
DECISIVE = ("macro_F1", "overlap_F1")


@dataclasses.dataclass(frozen=True)
class Scores:
    """What rules find in the clips and in the background.

    Arguments
    ---------
    f1 : dict
        ``micro_F1`` and ``macro_F1`` of tags; with true events ``overlap_F1``
        and ``event_F1``, too. None: undefined.
    background : Background, optional
        False alarms, if there are recordings of background.
    """

    f1: Dict[str, Optional[float]]
    background: Optional[Background]


@dataclasses.dataclass(frozen=True)
class Calibration:
    """Learnt rules, with scores before and after.

    Arguments
    ---------
    rules : Rules
        The learnt rules.
    few : list of str
        Labels of classes with too few positives, which keep the model's rules.
    before, after : Scores
        With the model's own rules, and with learnt ones: of each clip, those
        that are learnt from other folds; of the background, ``rules``.
    gains : dict of Score
        By how much decisive scores rise.
    n_clips, n_folds : int
    objection : str
        Why the learnt rules should not be used; empty: they are better.
    is_written : bool
        Whether the learnt rules are in the file.
    """

    rules: Rules
    few: List[str]
    before: Scores
    after: Scores
    gains: Dict[str, Score]
    n_clips: int
    n_folds: int
    objection: str
    is_written: bool


class Found(NamedTuple):
    """What rules find in clips."""

    tagged: np.ndarray  # whether they have the scored classes, [clips, K]
    timelines: Dict[str, Timeline]  # of the clips with true events
    n_events: np.ndarray  # right, true and found, [clips, 3]


def calibrate(
    path: Path,
    data_folder: Path,
    output: Path,
    split: Optional[str] = None,
    threads: Optional[int] = None,
    num_workers: int = 4,
    progress: bool = False,
    strong_labels: Optional[str] = None,
    background: Sequence[str] = (),
    force: bool = False,
    **options,
) -> Calibration:
    """Learns rules on labelled clips and writes a model.onnx with them.

    ``learn_from_clips`` describes what is learnt; of a model from ``learn``, it
    is the thresholds of tags. Learnt rules are scored by cross-validation, and
    are not written if ``find_objection`` has one.

    Arguments
    ---------
    path : str
        The model.
    data_folder, split : str
        The clips, see ``evaluate``; by default of the split valid, or all
        custom data without splits.
    output : str
        The file to write, which may be ``path``. If it is the model.onnx of a
        folder for SpeechBrain, ``Tagger`` gets the thresholds as well.
    threads : int, optional
        See ``AudioTagger.from_pretrained``.
    num_workers : int
        Number of clips that are read at the same time.
    progress : bool
        Whether to show progress.
    strong_labels : str, optional
        Table of true events, to score the rules by.
    background : list of str
        Recordings without any of the sounds, to score the rules by.
    force : bool
        Whether to write rules in spite of an objection.
    **options
        See ``list_split``.

    Returns
    -------
    Calibration

    Raises
    ------
    InputError
        If the model or the clips cannot be used, or the clips are too few. No
        file is then written.
    OSError
        If the file cannot be written.
    """
    require("sklearn", "Calibrating")
    check_output(output)
    tagger = AudioTagger(Model(path, threads))
    listed = list_split(
        data_folder,
        split,
        default="valid",
        strong_labels=strong_labels,
        **options,
    )
    model = tagger.model
    analysis = analyze_split(
        tagger,
        listed,
        data_folder,
        strong_labels,
        num_workers,
        progress,
        all_timelines=learns_events(model),
    )
    folds = assign_clips(analysis, data_folder, listed.name)
    n_folds = int(folds.max()) + 1
    rules = learn_rules(model, analysis, np.arange(len(folds)))
    of_folds = [
        learn_rules(model, analysis, np.flatnonzero(folds != fold))
        for fold in range(n_folds)
    ]
    old = apply_rules(analysis, [model.rules] * len(folds))
    new = apply_rules(analysis, [of_folds[fold] for fold in folds])
    heard = analyze_background(tagger, list(background))
    before = score_found(analysis, old, heard, model.rules)
    after = score_found(analysis, new, heard, rules)
    gains = measure_gains(analysis, old, new)
    objection = find_objection(
        before, after, gains, len(folds), model.rules.is_learnt
    )
    is_written = force or not objection
    is_learnt = are_learnable(analysis.targets)[analysis.columns]
    few = [x for x, learnt in zip(analysis.labels, is_learnt) if not learnt]
    if is_written:
        write_rules(model, output, rules)
        logger.info(
            "%s: learnt the rules of %d classes",
            os.path.basename(output),
            len(analysis.labels) - len(few),
        )
    return Calibration(
        rules=rules,
        few=few,
        before=before,
        after=after,
        gains=gains,
        n_clips=len(folds),
        n_folds=n_folds,
        objection=objection,
        is_written=is_written,
    )


def learns_events(model: Model) -> bool:
    """Whether rules of events are learnt; ``learn`` has rules of its own."""
    frame_level = model.info.frame_level
    return frame_level is not None and not frame_level.of_clips


def assign_clips(
    analysis: Analysis, data_folder: Path, split: str
) -> np.ndarray:
    """The fold of each clip; raises an InputError if there are too few clips."""
    if not are_learnable(analysis.targets).any():
        raise InputError(
            f"{data_folder}: no class has {MIN_POSITIVES} positives in the "
            f"split {split}: nothing is learnt. Use another split, or more "
            "clips."
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

    Classes with too few clips keep the model's rules.
    """
    timelines = {}
    if learns_events(model):
        ids = analysis.ids
        timelines = {ids[row]: analysis.timelines[ids[row]] for row in rows}
    learnable = are_learnable(analysis.targets)
    rules = learn_from_clips(
        analysis.targets[rows], analysis.probs[rows], timelines, learnable
    )
    is_of_clips = model.is_frame_level and not learns_events(model)
    values = {
        name: np.where(
            learnable, getattr(rules, name), getattr(model.rules, name)
        )
        for name in (("threshold",) if is_of_clips else RULES)
    }
    return dataclasses.replace(model.rules, **values, is_learnt=True)


def apply_rules(analysis: Analysis, of_clips: List[Rules]) -> Found:
    """What the rules of each clip find in it."""
    limits = np.stack([rules.threshold for rules in of_clips])
    tagged = (analysis.probs >= limits)[:, analysis.columns]
    timelines: Dict[str, Timeline] = {}
    n_events = np.zeros((len(of_clips), 3))
    for row, (clip, rules) in enumerate(zip(analysis.ids, of_clips)):
        if clip in analysis.truth:
            timeline = with_rules({clip: analysis.timelines[clip]}, rules)
            n_events[row] = count_overlapping(
                timeline, analysis.truth, analysis.labels
            )
            timelines |= timeline
    return Found(tagged, timelines, n_events)


def true_tags(analysis: Analysis) -> np.ndarray:
    """Whether clips have the scored classes, ``[clips, K]``."""
    return analysis.targets[:, analysis.columns] > 0.5


def score_found(
    analysis: Analysis, found: Found, heard: List[Heard], rules: Rules
) -> Scores:
    """Scores what is found in clips, and the false alarms of rules."""
    f1 = f1_of_tags(true_tags(analysis), found.tagged)
    if analysis.truth:
        of_events = event_f1(found.timelines, analysis.truth, analysis.labels)
        f1 |= {x: of_events[x] for x in ("overlap_F1", "event_F1")}
    if not heard:
        return Scores(f1, None)
    own = [
        x._replace(timeline=dataclasses.replace(x.timeline, rules=rules))
        for x in heard
    ]
    return Scores(f1, count_false_alarms(heard[0].timeline.labels, own))


def write_rules(model: Model, output: Path, rules: Rules) -> None:
    """Writes a copy of a model with other rules, or changes the model."""
    info = dataclasses.replace(model.info, rules=rules)
    copy_model(model.path, output, info)
    folder, name = os.path.split(output)
    if name == MODEL and os.path.isfile(os.path.join(folder, YAML)):
        store_thresholds(folder, model.labels, rules.threshold)


def measure_gains(
    analysis: Analysis, old: Found, new: Found
) -> Dict[str, Score]:
    """The differences of decisive scores, with intervals over groups."""

    def decisive(found: Found, rows: np.ndarray) -> Dict[str, float]:
        """Those scores of some clips that are defined."""
        macro = f1_of_tags(true[rows], found.tagged[rows])["macro_F1"]
        right, *others = found.n_events[rows].sum(0)
        overlap = 2 * right / sum(others) if sum(others) else None
        scores = zip(DECISIVE, (macro, overlap))
        return {name: x for name, x in scores if x is not None}

    def differences(rows: np.ndarray) -> Dict[str, float]:
        """The gains of some clips."""
        before, after = decisive(old, rows), decisive(new, rows)
        return {x: after[x] - before[x] for x in before.keys() & after.keys()}

    true = true_tags(analysis)
    return score_groups(differences, analysis.groups)


def find_objection(
    before: Scores,
    after: Scores,
    gains: Dict[str, Score],
    n_clips: int,
    was_learnt: bool,
) -> str:
    """Why learnt rules should not replace those of the model, if so.

    They must not be worse. Other learnt rules are only replaced by better ones:
    a gain whose interval is above 0.
    """
    for name, gain in gains.items():
        if gain.value < 0:
            old, new = before.f1[name], after.f1[name]
            return f"{name} falls from {old:.4f} to {new:.4f}"
    if before.background is not None and after.background is not None:
        n_old = before.background.together.count
        n_new = after.background.together.count
        if n_new > n_old:
            return f"false alarms rise from {n_old} to {n_new}"
    if not was_learnt or any((x.low or 0) > 0 for x in gains.values()):
        return ""
    name, gain = max(gains.items(), key=lambda item: item[1].value)
    if gain.value == 0:
        return f"{name} stays {before.f1[name]:.4f}"
    if gain.low is None:
        return f"clips of fewer than {MIN_GROUPS} groups show no certain gain"
    factor = ((gain.value - gain.low) / gain.value) ** 2
    return (
        f"the gain of {name} may be chance: to show one of {gain.value:.4f}, "
        f"about {float(f'{factor * n_clips:.1e}'):.0f} clips are needed, and "
        f"there are {n_clips}"
    )
