"""Learns thresholds and rules of events, and writes them into a model.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
import logging
import os
from typing import Dict, List, Optional, Sequence, Union

from fftp_tag.score.background import (
    Background,
    analyze_background,
    count_false_alarms,
)
from fftp_tag.score.evaluate import (
    analyze_clips,
    common_labels,
    list_split,
    multi_hot,
    read_truth,
)
from fftp_tag.score.events import Truth, event_f1
from fftp_tag.score.tags import f1_scores
from fftp_tag.score.thresholds import (
    MIN_POSITIVES,
    learn_from_clips,
    with_rules,
)
from fftp_tag.tag.edit import check_output, copy_model
from fftp_tag.tag.model import Model
from fftp_tag.tag.tagger import AudioTagger
from speechbrain_fftp.dataio.errors import InputError
from speechbrain_fftp.dataio.model_info import Rules
from speechbrain_fftp.dataio.packages import require
from speechbrain_fftp.datasets.strong_labels import cut_events

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
        Labels of classes with too few positives.
    before, after : Scores
        With the model's own rules, and with the learnt ones.
    is_written : bool
        Whether the learnt rules are in the file.
    """

    rules: Rules
    few: List[str]
    before: Scores
    after: Scores
    is_written: bool


def calibrate(
    path: Path,
    data_folder: Path,
    split: Optional[str] = None,
    output: Optional[Path] = None,
    device: str = "cpu",
    threads: Optional[int] = None,
    num_workers: int = 4,
    progress: bool = False,
    strong_labels: Optional[str] = None,
    background: Sequence[str] = (),
    force: bool = False,
    **options,
) -> Calibration:
    """Learns rules on labelled clips and writes them into a model.onnx.

    ``learn_from_clips`` describes what is learnt; of a model from ``learn``, it
    is the thresholds of tags. Rules that are worse than the model's own are not
    written.

    Arguments
    ---------
    path : str
        The model.
    data_folder, split : str
        The clips, see ``evaluate``; by default of the split valid, or all
        custom data without splits.
    output : str, optional
        The file to write; by default ``path``, in place.
    device, threads : str, int
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
        Whether to write rules that are worse than the model's own.
    **options
        See ``list_split``.

    Returns
    -------
    Calibration

    Raises
    ------
    InputError
        If the model or the clips cannot be used, or the clips are too few. The
        model is then left unchanged.
    OSError
        If the file cannot be written.
    """
    require("sklearn", "Calibrating")
    output = output or path
    check_output(output)
    tagger = AudioTagger(Model(path, device, threads))
    listed = list_split(
        data_folder,
        split,
        default="valid",
        strong_labels=strong_labels,
        **options,
    )
    labels = common_labels(tagger, listed.classes, data_folder)
    truth: Truth = {}
    if strong_labels is not None:
        truth = read_truth(strong_labels, listed, labels)
    frame_level = tagger.model.info.frame_level
    is_of_clips = frame_level is not None and frame_level.of_clips
    learns_events = frame_level is not None and not is_of_clips
    timeline_ids = set(truth)
    if learns_events:
        timeline_ids = {clip.id for clip in listed.clips}
    found = analyze_clips(tagger, listed, timeline_ids, num_workers, progress)
    targets = multi_hot(found.clips, tagger.labels)
    rules = learn_from_clips(
        targets, found.probs, found.timelines if learns_events else {}
    )
    if not rules.is_learnt:
        raise InputError(
            f"{data_folder}: no class has {MIN_POSITIVES} positives in the "
            f"split {listed.name}: nothing is learnt, and the model is left "
            "unchanged. Use another split, or more clips."
        )
    if is_of_clips:
        thresholds = rules.threshold
        rules = dataclasses.replace(tagger.model.rules, threshold=thresholds)
    columns = [tagger.labels.index(label) for label in labels]
    targets, probs = targets[:, columns], found.probs[:, columns]
    heard = analyze_background(tagger, list(background))
    timelines = {x: y for x, y in found.timelines.items() if x in truth}
    durations = {clip: x.duration for clip, x in timelines.items()}
    truth = cut_events(truth, durations, strong_labels)

    def score(rules: Rules) -> Scores:
        """Scores rules on the clips, the true events and the background."""
        f1 = f1_scores(targets, probs, rules.threshold[columns])
        if truth:
            of_events = event_f1(with_rules(timelines, rules), truth, labels)
            f1 |= {x: of_events[x] for x in ("overlap_F1", "event_F1")}
        if not heard:
            return Scores(f1, None)
        own = [
            x._replace(timeline=dataclasses.replace(x.timeline, rules=rules))
            for x in heard
        ]
        return Scores(f1, count_false_alarms(tagger.labels, own))

    before, after = score(tagger.model.rules), score(rules)
    is_written = force or not what_is_worse(before, after)
    few = [x for x, n in zip(labels, targets.sum(0)) if n < MIN_POSITIVES]
    if is_written:
        info = dataclasses.replace(tagger.model.info, rules=rules)
        copy_model(path, output, info)
        logger.info(
            "%s: learnt the rules of %d classes",
            os.path.basename(output),
            len(labels) - len(few),
        )
    return Calibration(rules, few, before, after, is_written)


def what_is_worse(before: Scores, after: Scores) -> str:
    """The first score that is worse after than before; empty if none is."""
    for name in DECISIVE:
        old, new = before.f1.get(name), after.f1.get(name)
        if old is not None and new is not None and new < old:
            return f"{name} falls from {old:.4f} to {new:.4f}"
    if before.background is not None and after.background is not None:
        n_old = before.background.together.count
        n_new = after.background.together.count
        if n_new > n_old:
            return f"false alarms rise from {n_old} to {n_new}"
    return ""
