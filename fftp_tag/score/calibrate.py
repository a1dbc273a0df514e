"""Learns thresholds and rules of events, and writes them into a model.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
import logging
import os
from collections import Counter
from typing import Collection, Dict, List, Optional, Union

from fftp_tag.packages import require
from fftp_tag.score.evaluate import (
    Analysis,
    analyze_clips,
    common_labels,
    cut_truth,
    list_clips,
    multi_hot,
    read_truth,
)
from fftp_tag.score.events import Truth, overlap_scores, pair_events
from fftp_tag.score.tags import f1_scores
from fftp_tag.score.thresholds import (
    MIN_POSITIVES,
    learn_from_clips,
    learn_from_events,
    learn_thresholds,
    with_rules,
)
from fftp_tag.tag.edit import check_output, copy_model
from fftp_tag.tag.model import Model
from fftp_tag.tag.tagger import AudioTagger
from speechbrain_fftp.dataio.errors import InputError
from speechbrain_fftp.dataio.model_info import Rules, default_rules

logger = logging.getLogger(__name__)

Path = Union[str, os.PathLike]


@dataclasses.dataclass(frozen=True)
class Calibration:
    """Learnt rules, with scores before and after.

    Arguments
    ---------
    rules : Rules
        The learnt rules.
    few : list of str
        Labels of classes with too few positives.
    before, after : dict
        ``micro_F1`` and ``macro_F1`` of tags and, with strong labels,
        ``overlap_F1`` of events: with thresholds of 0.5 and no other rules, and
        with the learnt rules.
    """

    rules: Rules
    few: List[str]
    before: Dict[str, float]
    after: Dict[str, float]


def calibrate(
    path: Path,
    data_folder: Path,
    split: str = "valid",
    strong_labels: Optional[str] = None,
    output: Optional[Path] = None,
    device: str = "cpu",
    threads: Optional[int] = None,
    num_workers: int = 4,
    progress: bool = False,
    **options,
) -> Calibration:
    """Learns rules on labelled clips and writes them into a model.onnx.

    Arguments
    ---------
    path : str
        The model.
    data_folder, split : str
        The clips, see ``evaluate``.
    strong_labels : str, optional
        Table of events, see ``evaluate``, to learn the rules of events from.
        ``learn_from_events`` and ``learn_from_clips`` describe what is learnt.
    output : str, optional
        The file to write; by default ``path``, in place.
    device, threads : str, int
        See ``AudioTagger.from_pretrained``.
    num_workers : int
        Number of clips that are read at the same time.
    progress : bool
        Whether to show progress.
    **options
        See ``list_clips``.

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
    listed = list_clips(data_folder, split, tagger.sample_rate, **options)
    labels = common_labels(tagger, listed.classes, data_folder)
    truth: Truth = {}
    timeline_ids: Collection[str] = ()
    if strong_labels is not None:
        truth = read_truth(strong_labels, listed, labels)
        timeline_ids = truth
    elif tagger.model.has_steps:
        timeline_ids = {clip.id for clip in listed.clips}
    found = analyze_clips(tagger, listed, timeline_ids, num_workers, progress)
    targets = multi_hot(found.clips, tagger.labels)
    if strong_labels is not None:
        truth = cut_truth(truth, found.timelines, strong_labels)
        events = [event for events in truth.values() for event in events]
        positives = Counter(label for *_, label in events)
        rules = dataclasses.replace(
            learn_from_events(found.timelines, truth, tagger.labels),
            threshold=learn_thresholds(targets, found.probs),
        )
    else:
        positives = Counter(x for clip in found.clips for x in clip.labels)
        rules = learn_from_clips(targets, found.probs, found.timelines)
    few = [label for label in labels if positives[label] < MIN_POSITIVES]
    if not rules.is_learnt:
        raise InputError(
            f"{data_folder}: no class has {MIN_POSITIVES} positives in the "
            f"split {listed.name}: nothing is learnt, and {path} is left "
            "unchanged. Use another split, or more clips."
        )
    default = default_rules(len(tagger.labels))
    before = score_rules(default, found, truth, labels)
    after = score_rules(rules, found, truth, labels)
    info = dataclasses.replace(tagger.model.info, rules=rules)
    copy_model(path, output, info)
    logger.info(
        "%s: learnt the rules of %d classes", output, len(labels) - len(few)
    )
    return Calibration(rules, few, before, after)


def score_rules(
    rules: Rules, found: Analysis, truth: Truth, labels: List[str]
) -> Dict[str, float]:
    """F1 with these rules, see ``Calibration``; ``labels`` are scored."""
    columns = [found.labels.index(label) for label in labels]
    scores = f1_scores(
        multi_hot(found.clips, labels),
        found.probs[:, columns],
        rules.threshold[columns],
    )
    if truth:
        timelines = with_rules(found.timelines, rules)
        paired = pair_events(timelines, truth, labels)
        scores["overlap_F1"] = overlap_scores(paired)["overlap_F1"]
    return scores
