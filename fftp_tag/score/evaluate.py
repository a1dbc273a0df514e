"""Scores a model on labelled clips of a prepared folder or a data folder.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
import functools
import logging
import os
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Dict,
    List,
    Optional,
    Tuple,
    Union,
)

import numpy as np

from fftp_tag.parallel import in_order
from fftp_tag.score.events import Truth, event_metrics
from fftp_tag.score.tags import f1_scores
from fftp_tag.tag.events import Timeline
from fftp_tag.tag.model import NO_CLASSES
from fftp_tag.tag.windows import Part, Source
from speechbrain_fftp.dataio.class_lists import read_classes_csv
from speechbrain_fftp.dataio.clips import (
    SPLIT_NAMES,
    SPLITS,
    Clip,
    check_missing,
)
from speechbrain_fftp.dataio.errors import InputError
from speechbrain_fftp.dataio.files import PREPARED
from speechbrain_fftp.dataio.model_info import THRESHOLD
from speechbrain_fftp.dataio.packs import PackedClip, read_packed
from speechbrain_fftp.dataio.prepared import check_prepared
from speechbrain_fftp.dataio.ranking import ranking_metrics
from speechbrain_fftp.dataio.tables import read_table
from speechbrain_fftp.datasets.audioset import is_audioset
from speechbrain_fftp.datasets.custom import (
    BACKGROUND,
    CLIP_LIST,
    PUBLISHED_TABLES,
)
from speechbrain_fftp.datasets.names import audio_below, clip_ids, folders_in
from speechbrain_fftp.datasets.prepare import list_data, split_clips
from speechbrain_fftp.datasets.strong_labels import (
    cut_events,
    read_strong_labels,
)

if TYPE_CHECKING:
    from fftp_tag.tag.tagger import AudioTagger

logger = logging.getLogger(__name__)

ALL = "all"  # all splits


@dataclasses.dataclass(frozen=True)
class LabelledClip:
    """A clip to be scored.

    Arguments
    ---------
    id : str
    labels : list of str
    read : callable
        Returns a source of an ``AudioTagger``: the samples ``[S]`` of the clip,
        and their rate in Hz; or the path of a file, and None.
    group : str
        Clips of a group are alike, such as those of a recording; empty: the
        clip is alone.
    """

    id: str
    labels: List[str]
    read: Callable[[], Tuple[Source, Optional[int]]]
    group: str = ""


@dataclasses.dataclass(frozen=True)
class Split:
    """The clips of a split.

    Arguments
    ---------
    name : str
        train, valid, eval or all.
    clips : list of LabelledClip
    classes : dict
        Labels by the data's name of a class, such as a mid.
    """

    name: str
    clips: List[LabelledClip]
    classes: Dict[str, str]


@dataclasses.dataclass(frozen=True)
class Analysis:
    """Labelled clips, and the outputs of a model for them.

    Arguments
    ---------
    labels : list of str
        Those of the model's C classes that the data have too.
    columns : list of int
        Their numbers.
    clips : list of LabelledClip
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

    labels: List[str]
    columns: List[int]
    clips: List[LabelledClip]
    targets: np.ndarray
    probs: np.ndarray
    timelines: Dict[str, Timeline]
    truth: Truth
    skipped: Dict[str, str]

    @property
    def ids(self) -> List[str]:
        """Ids of the clips."""
        return [clip.id for clip in self.clips]

    @property
    def groups(self) -> List[str]:
        """Groups of the clips; one that is alone is its own."""
        return [clip.group or clip.id for clip in self.clips]


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Probabilities of labelled clips, and the metrics of a model.

    Arguments
    ---------
    metrics : dict
        The metrics of ``ranking_metrics``; ``micro_F1`` and ``macro_F1`` at the
        model's thresholds, or at 0.5 if it has none; ``thresholds``, "learnt"
        or 0.5; and, if every clip has exactly one class, ``accuracy``, which
        counts clips of a class that the model lacks as errors.
    events : dict
        The scores of ``event_metrics``, if there are strong labels.
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

    metrics: Dict[str, Any]
    events: Dict[str, float]
    ids: List[str]
    targets: np.ndarray
    probs: np.ndarray
    labels: List[str]
    skipped: Dict[str, str]
    split: str


def evaluate(
    tagger: "AudioTagger",
    data_folder: Union[str, os.PathLike],
    split: Optional[str] = None,
    num_workers: int = 4,
    progress: bool = False,
    strong_labels: Optional[str] = None,
    **options,
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
    num_workers : int
        Number of clips that are read at the same time.
    progress : bool
        Whether to show progress.
    strong_labels : str, optional
        Table of true events, or label tracks, see
        ``speechbrain_fftp.datasets.strong_labels``. Events are scored as well,
        in the clips that it lists.
    **options
        Options for data that are not prepared, see ``list_split``.

    Raises
    ------
    InputError
        If the split does not exist, the model and the data have no class in
        common, or no clip can be scored.
    """
    listed = list_split(
        data_folder,
        split,
        strong_labels=strong_labels,
        **options,
    )
    found = analyze_split(
        tagger, listed, data_folder, strong_labels, num_workers, progress
    )
    rules = tagger.model.rules
    targets = found.targets[:, found.columns]
    probs = found.probs[:, found.columns]
    metrics = {
        **ranking_metrics(targets, probs),
        **f1_scores(targets, probs, rules.threshold[found.columns]),
        "thresholds": "learnt" if rules.is_learnt else THRESHOLD,
    }
    if all(len(clip.labels) == 1 for clip in found.clips):
        best = [tagger.labels[c] for c in found.probs.argmax(1)]
        right = [clip.labels == [x] for clip, x in zip(found.clips, best)]
        metrics["accuracy"] = float(np.mean(right))
    events = {}
    if strong_labels is not None:
        events = event_metrics(found.timelines, found.truth, found.labels)
    return Evaluation(
        metrics=metrics,
        events=events,
        ids=found.ids,
        targets=targets,
        probs=probs,
        labels=found.labels,
        skipped=found.skipped,
        split=listed.name,
    )


def list_split(
    data_folder: Union[str, os.PathLike],
    split: Optional[str],
    default: str = "eval",
    allow_missing: float = 0.2,
    test_fold: Optional[str] = None,
    strong_labels: Optional[str] = None,
) -> Split:
    """Lists the clips of a split, see ``evaluate``.

    Arguments
    ---------
    data_folder, split : str
    default : str
        The split that is used by default, if there are splits.
    allow_missing : float
        Fraction of the clips that may have no audio file.
    test_fold : str, optional
        For data with folds: the fold to use as eval split.
    strong_labels : str, optional
        Table of true events. Recordings that are in no folder of a class have
        the labels of their events.
    """
    if split not in (None, *SPLITS, ALL):
        raise InputError(
            f"split={split!r} is not one of {', '.join(SPLITS)}, {ALL}."
        )
    if os.path.isfile(os.path.join(data_folder, PREPARED)):
        if test_fold is not None:
            raise InputError(
                f"{data_folder} is prepared already: --test-fold is an option "
                "of its preparation."
            )
        check_prepared(data_folder)
        return list_prepared(data_folder, split or default)
    recordings = find_recordings(data_folder)
    if recordings and strong_labels is not None:
        listed = list_annotated(recordings, strong_labels)
        if not has_class_folders(data_folder, listed):
            if split not in (None, ALL) or test_fold is not None:
                raise InputError(
                    f"{data_folder} holds recordings, which have no splits: "
                    "leave --split and --test-fold out."
                )
            return listed
    if os.path.isfile(data_folder):
        raise InputError(
            f"{data_folder} is one recording: give its events with "
            "--strong-labels, or a data folder."
        )
    listing = list_data(data_folder, min_classes=1)
    clips = listing.clips
    if split is None:
        has_splits = any(clip.split or clip.fold for clip in clips)
        split = default if has_splits else ALL
    # A test set needs no clips for training
    is_test_set = {clip.split for clip in clips} <= {"valid", "eval"}
    if test_fold is not None or (split != ALL and not is_test_set):
        clips, _ = split_clips(listing, test_fold=test_fold)
    if split != ALL:
        clips = [clip for clip in clips if clip.split == split]
    if not clips:
        raise InputError(
            f"{data_folder} has no clips of the split {split}: choose another "
            "with --split."
        )
    check_missing(clips, allow_missing)
    labelled = [
        LabelledClip(
            id=clip.id,
            labels=[listing.classes[label] for label in clip.labels],
            read=functools.partial(part_of, clip),
            group=clip.fold or clip.group,
        )
        for clip in clips
    ]
    return Split(split, labelled, listing.classes)


def part_of(clip: Clip) -> Tuple[Source, Optional[int]]:
    """The part of a file that a clip is."""
    return Part(clip.audio, clip.start, clip.end), None


def find_recordings(data_folder: Union[str, os.PathLike]) -> Dict[str, str]:
    """A recording, or those below a folder without a table of clips.

    Returns their paths by their names in the data folder.
    """
    path = Path(data_folder)
    if path.is_file():
        return {path.name: str(path)}
    tables = (CLIP_LIST, *PUBLISHED_TABLES)
    if (
        not path.is_dir()
        or is_audioset(path)
        or any((path / table).exists() for table in tables)
    ):
        return {}
    return {name: str(path / name) for name in audio_below(path)}


def list_annotated(recordings: Dict[str, str], strong_labels: str) -> Split:
    """Lists the recordings of which a table has events."""
    paths = {id: recordings[name] for name, id in clip_ids(recordings).items()}
    truth = read_strong_labels(
        strong_labels, set(paths), None, "the recordings"
    )
    clips = [
        LabelledClip(
            id=clip,
            labels=sorted({label for *_, label in events} - {BACKGROUND}),
            read=functools.partial(part_of, Clip(clip, paths[clip])),
        )
        for clip, events in truth.items()
    ]
    labels = sorted({label for clip in clips for label in clip.labels})
    return Split(ALL, clips, dict(zip(labels, labels)))


def has_class_folders(
    data_folder: Union[str, os.PathLike], listed: Split
) -> bool:
    """Whether folders are named after classes of events, or after splits."""
    if not os.path.isdir(data_folder):
        return False
    names = {*listed.classes, *SPLIT_NAMES}
    return not names.isdisjoint(folders_in(data_folder))


def list_prepared(folder: Union[str, os.PathLike], split: str) -> Split:
    """Lists the clips of a split of a prepared folder."""
    # The Speech Commands recipe writes test.csv
    names = [x for x, own in SPLIT_NAMES.items() if split in (own, ALL)]
    paths = [Path(folder, f"{name}.csv") for name in names]
    paths = [path for path in paths if path.is_file()]
    if not paths:
        raise InputError(
            f"{folder} has no {' or '.join(names)}.csv: choose another split, "
            "or the data folder that it was prepared from."
        )
    columns = ("ID", "wav", "start", "stop", "labels")
    clips = []
    for path in paths:
        for _, row in read_table(path, columns):
            wav = row["wav"].replace("$data_root", str(folder))
            packed = PackedClip(wav, int(row["start"]), int(row["stop"]))
            clips.append(
                LabelledClip(
                    id=row["ID"],
                    labels=[x for x in row["labels"].split(";") if x],
                    read=functools.partial(read_packed, packed),
                )
            )
    return Split(split, clips, read_classes_csv(folder))


def common_labels(
    tagger: "AudioTagger",
    classes: Dict[str, str],
    data_folder: Union[str, os.PathLike],
) -> List[str]:
    """Labels of the model that the data have too; warns of missing classes."""
    if not tagger.labels:
        raise InputError(NO_CLASSES.format(tagger.model.path))
    names = list(classes.values())
    labels = [label for label in tagger.labels if label in names]
    if not labels:
        raise InputError(
            f"The model and {data_folder} have no class in common: the model "
            f"knows {', '.join(tagger.labels[:3])}, ..., the data have "
            f"{', '.join(names[:3])}, ..."
        )
    lacking = sorted(set(names) - set(labels))
    if lacking:
        logger.warning(
            "The model lacks %d of the %d classes of %s, which are not scored, "
            "such as %s",
            len(lacking),
            len(names),
            data_folder,
            ", ".join(lacking[:5]),
        )
    return labels


def read_truth(strong_labels: str, split: Split, labels: List[str]) -> Truth:
    """The true events of these labels in the clips that a table lists."""
    known = {x: label for x, label in split.classes.items() if label in labels}
    ids = {clip.id for clip in split.clips}
    where = f"the clips of the split {split.name}"
    listed = read_strong_labels(strong_labels, ids, known, where)
    if len(listed) < len(ids):
        logger.info(
            "%s lists %d of the %d clips of the %s split: events are scored in "
            "these clips only",
            strong_labels,
            len(listed),
            len(ids),
            split.name,
        )
    return {
        clip: [event for event in events if event[2] in labels]
        for clip, events in listed.items()
    }


def analyze_split(
    tagger: "AudioTagger",
    split: Split,
    data_folder: Union[str, os.PathLike],
    strong_labels: Optional[str],
    num_workers: int = 4,
    progress: bool = False,
    all_timelines: bool = False,
) -> Analysis:
    """Runs a model on clips, with the timelines of those that strong labels list.

    Clips that cannot be read are skipped, counted and logged.

    Raises
    ------
    InputError
        If the model and the data have no class in common, the strong labels
        cannot be used, or no clip can be read.
    """
    labels = common_labels(tagger, split.classes, data_folder)
    truth: Truth = {}
    if strong_labels is not None:
        truth = read_truth(strong_labels, split, labels)

    def analyze(clip):
        """The probabilities of a clip, and its timeline if needed."""
        if clip.id not in truth and not all_timelines:
            return tagger.clip_probabilities(*clip.read()), None
        timeline = tagger.analyze(*clip.read())
        return timeline.clip_probs, timeline

    clips, probs, timelines, skipped = [], [], {}, {}
    for clip, result, error in in_order(
        analyze, split.clips, num_workers, progress, "clips"
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
    targets = [[x in clip.labels for x in tagger.labels] for clip in clips]
    durations = {x: timelines[x].duration for x in timelines if x in truth}
    return Analysis(
        labels=labels,
        columns=[tagger.labels.index(label) for label in labels],
        clips=clips,
        targets=np.array(targets, np.float32),
        probs=np.stack(probs),
        timelines=timelines,
        truth=cut_events(truth, durations, strong_labels),
        skipped=skipped,
    )
