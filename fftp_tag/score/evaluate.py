"""Scores a model on labelled clips of a prepared folder or a data folder.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
import logging
from typing import TYPE_CHECKING, Any

import numpy as np

from fftp_tag.audio.pieces import FilePiece
from fftp_tag.data.clips import Clip
from fftp_tag.data.labelled import Split, list_split
from fftp_tag.data.strong_labels import Truth, cut_events
from fftp_tag.errors import InputError
from fftp_tag.files import PathLike
from fftp_tag.model.info import THRESHOLD
from fftp_tag.model.session import NO_CLASSES
from fftp_tag.parallel import in_order
from fftp_tag.score.events import (
    Counts,
    count_by_class,
    event_metrics,
    pair_events,
)
from fftp_tag.score.ranking import ranking_metrics
from fftp_tag.score.tags import f1_of_tags
from fftp_tag.tag.events import Timeline

if TYPE_CHECKING:
    from fftp_tag.tag.tagger import AudioTagger

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Analysis:
    """Labelled clips, and the outputs of a model for them.

    Arguments
    ---------
    labels : list of str
        Those of the model's C classes that the data have too.
    columns : list of int
        Their numbers.
    clips : list of Clip
        The clips that could be read.
    targets, probs : numpy.ndarray
        Multi-hot labels, and probabilities, ``[clips, C]``.
    timelines : dict
        ``Timeline`` by clip id, for some of these clips.
    truth : dict
        True events by id, of the clips that strong labels list.
    skipped : dict
        Reasons by id of the clips that could not be read.
    """

    labels: list[str]
    columns: list[int]
    clips: list[Clip]
    targets: np.ndarray
    probs: np.ndarray
    timelines: dict[str, Timeline]
    truth: Truth
    skipped: dict[str, str]

    @property
    def ids(self) -> list[str]:
        """Ids of the clips."""
        return [clip.id for clip in self.clips]

    @property
    def groups(self) -> list[str]:
        """The clips of a group, such as those of a recording, are alike."""
        return [clip.fold or clip.group or clip.id for clip in self.clips]


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Probabilities of labelled clips, and the metrics of a model.

    Arguments
    ---------
    metrics : dict
        The metrics of ``ranking_metrics``; ``micro_F1`` and ``macro_F1`` at the
        model's thresholds, or at 0.5 if it has none; ``thresholds``, "of the
        model" or 0.5; and, if every clip has exactly one class, ``accuracy``
        among the classes of the data, which counts clips of a class that the
        model lacks as errors.
    events : dict
        The scores of ``event_metrics``, if there are strong labels.
    events_of_classes : dict of Counts
        Of ``count_by_class``.
    ids : list of str
        Ids of the clips.
    targets, probs : numpy.ndarray
        Multi-hot labels, and probabilities, ``[clips, C]``.
    labels : list of str
        The C classes that both the model and the data have.
    skipped : dict
        Reasons by id of the clips that are not scored.
    split : str
        train, valid, eval or all.
    """

    metrics: dict[str, Any]
    events: dict[str, float]
    events_of_classes: dict[str, Counts]
    ids: list[str]
    targets: np.ndarray
    probs: np.ndarray
    labels: list[str]
    skipped: dict[str, str]
    split: str


def evaluate(
    tagger: "AudioTagger",
    data_folder: PathLike,
    split: str | None = None,
    strong_labels: PathLike | None = None,
    progress: bool = False,
) -> Evaluation:
    """Scores a model on the clips of a split.

    Arguments
    ---------
    tagger : AudioTagger
    data_folder : str
        A folder that a recipe has prepared; custom data, whose files are read
        whole; or, with strong labels, a recording or a folder of recordings.
    split : str, optional
        train, valid, eval or all; by default eval, or all for custom data
        without splits.
    strong_labels : str, optional
        Table of true events, or label tracks, see
        ``fftp_tag.data.strong_labels``; by default, those beside recordings.
        Events are scored as well, in the clips that it lists.
    progress : bool
        Whether to show progress.

    Raises
    ------
    InputError
        If the split does not exist, the model and the data have no class in
        common, or no clip can be scored.
    """
    listed = list_split(data_folder, split, strong_labels=strong_labels)
    found = analyze_split(tagger, listed, progress)
    rules = tagger.model.rules
    targets = found.targets[:, found.columns]
    probs = found.probs[:, found.columns]
    metrics = {
        **ranking_metrics(targets, probs),
        **f1_of_tags(targets > 0.5, probs >= rules.threshold[found.columns]),
        "thresholds": "of the model" if rules.is_learnt else THRESHOLD,
    }
    if all(len(clip.labels) == 1 for clip in found.clips):
        best = [found.labels[c] for c in probs.argmax(1)]
        right = [
            clip.labels == (x,)
            for clip, x in zip(found.clips, best, strict=False)
        ]
        metrics["accuracy"] = float(np.mean(right))
    events, of_classes = {}, {}
    if listed.truth:
        paired = pair_events(found.timelines, found.truth, found.labels)
        events, of_classes = event_metrics(paired), count_by_class(paired)
    return Evaluation(
        metrics=metrics,
        events=events,
        events_of_classes=of_classes,
        ids=found.ids,
        targets=targets,
        probs=probs,
        labels=found.labels,
        skipped=found.skipped,
        split=listed.name,
    )


def common_labels(tagger: "AudioTagger", classes: dict[str, str]) -> list[str]:
    """Labels of the model that the data have too; warns of missing classes."""
    if not tagger.labels:
        raise InputError(NO_CLASSES.format(tagger.model.path))
    names = list(classes.values())
    labels = [label for label in tagger.labels if label in names]
    if not labels:
        raise InputError(
            "The model and the data have no class in common: the model knows "
            f"{', '.join(tagger.labels[:3])}, ..., the data have "
            f"{', '.join(names[:3])}, ..."
        )
    lacking = sorted(set(names) - set(labels))
    if lacking:
        logger.warning(
            "The model lacks %d of the %d classes of the data, which are not "
            "scored, such as %s",
            len(lacking),
            len(names),
            ", ".join(lacking[:5]),
        )
    return labels


def analyze_split(
    tagger: "AudioTagger",
    split: Split,
    progress: bool = False,
    all_timelines: bool = False,
) -> Analysis:
    """Runs a model on clips, with the timelines of those with true events.

    Clips that cannot be read are skipped, counted and logged.

    Raises
    ------
    InputError
        If the model and the data have no class in common, or no clip can be
        read.
    """
    labels = common_labels(tagger, split.classes)

    def analyze(clip):
        """The probabilities of a clip, and its timeline if needed."""
        source = FilePiece(clip.audio, clip.start, clip.end)
        if clip.id not in split.truth and not all_timelines:
            return tagger.clip_probabilities(source), None
        timeline = tagger.analyze(source)
        return timeline.clip_probs, timeline

    clips, probs, timelines, skipped = [], [], {}, {}
    for clip, result, error in in_order(
        analyze, split.clips, progress=progress, unit="clips"
    ):
        if result is None:
            skipped[clip.id] = str(error)
            continue
        clip_probs, timeline = result
        clips.append(clip)
        probs.append(clip_probs)
        if timeline is not None:
            timelines[clip.id] = timeline
    if not clips:
        reason = next(iter(skipped.values()), "it is empty")
        raise InputError(
            f"No clip of the split {split.name} can be read: {reason}"
        )
    if skipped:
        clip_id, reason = next(iter(skipped.items()))
        logger.warning(
            "skipped %d of %d clips, such as %s: %s",
            len(skipped),
            len(split.clips),
            clip_id,
            reason,
        )
    truth = {
        clip: [event for event in events if event[2] in labels]
        for clip, events in split.truth.items()
    }
    durations = {clip: x.duration for clip, x in timelines.items()}
    targets = [[x in clip.labels for x in tagger.labels] for clip in clips]
    return Analysis(
        labels=labels,
        columns=[tagger.labels.index(label) for label in labels],
        clips=clips,
        targets=np.array(targets, np.float32),
        probs=np.stack(probs),
        timelines=timelines,
        truth=cut_events(truth, durations, "strong labels"),
        skipped=skipped,
    )
