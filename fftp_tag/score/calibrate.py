"""Learns thresholds and rules of events, and writes them into a model.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
import logging
import os
from typing import Dict, List, Optional, Union

import numpy as np

from fftp_tag.packages import require
from fftp_tag.score.evaluate import (
    analyze_clips,
    common_labels,
    list_split,
    multi_hot,
)
from fftp_tag.score.tags import f1_scores
from fftp_tag.score.thresholds import MIN_POSITIVES, learn_from_clips
from fftp_tag.tag.edit import check_output, copy_model
from fftp_tag.tag.model import Model
from fftp_tag.tag.tagger import AudioTagger
from speechbrain_fftp.dataio.errors import InputError
from speechbrain_fftp.dataio.model_info import THRESHOLD, Rules

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
        ``micro_F1`` and ``macro_F1`` of tags, with thresholds of 0.5 and with
        the learnt ones.
    """

    rules: Rules
    few: List[str]
    before: Dict[str, float]
    after: Dict[str, float]


def calibrate(
    path: Path,
    data_folder: Path,
    split: str = "valid",
    output: Optional[Path] = None,
    device: str = "cpu",
    threads: Optional[int] = None,
    num_workers: int = 4,
    progress: bool = False,
    **options,
) -> Calibration:
    """Learns rules on labelled clips and writes them into a model.onnx.

    ``learn_from_clips`` describes what is learnt.

    Arguments
    ---------
    path : str
        The model.
    data_folder, split : str
        The clips, see ``evaluate``.
    output : str, optional
        The file to write; by default ``path``, in place.
    device, threads : str, int
        See ``AudioTagger.from_pretrained``.
    num_workers : int
        Number of clips that are read at the same time.
    progress : bool
        Whether to show progress.
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
    listed = list_split(data_folder, split, tagger.sample_rate, **options)
    labels = common_labels(tagger, listed.classes, data_folder)
    timeline_ids = [clip.id for clip in listed.clips]
    if not tagger.model.has_steps:
        timeline_ids = []
    found = analyze_clips(tagger, listed, timeline_ids, num_workers, progress)
    targets = multi_hot(found.clips, tagger.labels)
    rules = learn_from_clips(targets, found.probs, found.timelines)
    if not rules.is_learnt:
        raise InputError(
            f"{data_folder}: no class has {MIN_POSITIVES} positives in the "
            f"split {listed.name}: nothing is learnt, and {path} is left "
            "unchanged. Use another split, or more clips."
        )
    columns = np.array([tagger.labels.index(label) for label in labels])
    scored = targets[:, columns], found.probs[:, columns]
    positives = scored[0].sum(0)
    few = [x for x, n in zip(labels, positives) if n < MIN_POSITIVES]
    info = dataclasses.replace(tagger.model.info, rules=rules)
    copy_model(path, output, info)
    logger.info(
        "%s: learnt the rules of %d classes", output, len(labels) - len(few)
    )
    return Calibration(
        rules,
        few,
        before=f1_scores(*scored, THRESHOLD),
        after=f1_scores(*scored, rules.threshold[columns]),
    )
