"""Learns classes from a few clips: a linear classifier on a frozen encoder.

Authors
 * The speechbrain_fftp authors 2026
"""

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Tuple, Union

import numpy as np

from fftp_tag.cross_validation import Examples, cross_validate, score_clips
from fftp_tag.edit import check_output, write_model
from fftp_tag.events import Timeline
from fftp_tag.false_alarms import (
    count_hours,
    false_alarms_per_hour,
    list_recordings,
    raise_thresholds,
)
from fftp_tag.model import Model
from fftp_tag.recordings import Recording, compute_features
from fftp_tag.scores import check_scikit_learn
from speechbrain_fftp.dataio.audio import read_audio, read_duration
from speechbrain_fftp.dataio.errors import InputError
from speechbrain_fftp.datasets import custom
from speechbrain_fftp.datasets.audioset import clips as audioset
from speechbrain_fftp.datasets.manifests import Listing
from speechbrain_fftp.datasets.splits import drop_copies

if TYPE_CHECKING:
    from fftp_tag.tagger import AudioTagger

logger = logging.getLogger(__name__)

FEW_CLIPS = 5  # of a class: fewer get a warning


def learn(
    tagger: "AudioTagger",
    data_folder: Union[str, os.PathLike],
    output: Union[str, os.PathLike],
    background: Optional[Union[str, os.PathLike]] = None,
    max_false_alarms: Optional[float] = None,
    single_label: bool = False,
    num_workers: int = 4,
    progress: bool = False,
) -> Dict[str, Any]:
    """Learns classes from clips, and writes a model of them.

    The encoder stays as it is: a linear classifier of clips is learnt on it.
    The features of the clips are kept in ``OUTPUT.npz``, so that only new clips
    pass through the encoder when more are learnt.

    Arguments
    ---------
    tagger : AudioTagger
        Has the encoder; classes of its own it need not have.
    data_folder : str
        One folder of clips for each class, and ``background`` for clips of
        none, or a table, see ``speechbrain_fftp.datasets.custom``. Clips of the
        split eval are only scored.
    output : str
        The model.onnx to write.
    background : str, optional
        A recording without any of the sounds, or a folder of them. The first
        half of each is learnt from, in the second false alarms are counted.
    max_false_alarms : float, optional
        Raise thresholds until each class has so few in an hour of background.
    single_label : bool
        Whether each clip has exactly one class: probabilities sum to 1.
    num_workers : int
        Number of threads that read and encode.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    dict
        ``clips`` and ``thresholds`` by label; ``clips_of_no_class``;
        ``not_read``, reasons by clip; what ``cross_validate`` reports;
        ``scores_of_eval``, if there are such clips (see ``score_clips``); and
        ``false_alarms_per_hour`` by label, in ``background_minutes``, if there
        is background.

    Raises
    ------
    FileNotFoundError
        If a folder does not exist or holds no clips.
    OSError
        If the model cannot be written.
    InputError
        If the clips do not suffice, or an argument is wrong.
    """
    output = Path(output)
    check_scikit_learn()
    check_output(output)
    if output.resolve() == Path(tagger.model.path).resolve():
        raise InputError(
            f"{output} is the model that is learnt from: give another output."
        )
    data = list_data(data_folder, background is not None, single_label)
    places = []
    if background is not None:
        places = list_recordings(background)
    elif max_false_alarms is not None:
        raise InputError("max_false_alarms needs background.")
    labels = list(data.classes)

    features, errors = compute_features(
        tagger,
        [
            Recording(str(clip.audio), clip.start, clip.end)
            for clip in data.clips
        ]
        + [Recording(path, is_background=True) for path in places],
        output.with_name(f"{output.name}.npz"),
        num_workers,
        progress,
    )
    learnt, held_out = make_examples(data, features)
    check_examples(data, learnt, errors)
    learnt = add_background(learnt, places, features[len(data.clips) :])

    classifier = learnt.learn(single_label)
    thresholds, report = cross_validate(labels, learnt, single_label)
    if not report:
        logger.warning(
            "%s: all clips are of one group or each class has one clip, so "
            "that nothing is known of the accuracy",
            data_folder,
        )
    if held_out.names:
        probs = classifier.probabilities(held_out.pieces)
        tagged = probs >= thresholds
        report["scores_of_eval"] = score_clips(held_out, probs, tagged)
    metadata = {
        "labels": labels,
        "single_label": single_label,
        "thresholds": thresholds.tolist(),
        "merge_gap": None,
        "min_duration": None,
        "steps": None,
    }
    write_model(tagger.model.path, output, metadata, classifier.add_to)
    if places:
        timelines = listen_to_background(type(tagger)(Model(output)), places)
        if max_false_alarms is not None:
            thresholds = raise_thresholds(
                timelines, thresholds, max_false_alarms
            )
            write_model(output, output, {"thresholds": thresholds.tolist()})
        alarms = false_alarms_per_hour(timelines, thresholds)
        report["false_alarms_per_hour"] = alarms
        report["background_minutes"] = 60 * count_hours(timelines)
    return {
        "clips": dict(zip(labels, learnt.targets.sum(0).astype(int).tolist())),
        "clips_of_no_class": int((learnt.targets.sum(1) == 0).sum()),
        "not_read": errors,
        "thresholds": dict(zip(labels, thresholds.tolist())),
        **report,
    }


def list_data(
    data_folder: Union[str, os.PathLike],
    has_background: bool,
    single_label: bool,
) -> Listing:
    """Lists the clips, each once, see ``custom.list_clips``."""
    if audioset.is_audioset(os.fspath(data_folder)):
        raise InputError(
            f"{data_folder} holds AudioSet's lists: learn takes a folder of "
            "clips for each class, or a table clips.csv."
        )
    data = custom.list_clips(data_folder, 1 if has_background else 2)
    data.clips, _ = drop_copies(data.clips, data.folder)
    if single_label and (
        has_background or any(len(clip.labels) != 1 for clip in data.clips)
    ):
        raise InputError(
            f"{data.folder}: with single_label, each clip has exactly one "
            "class, and there is no background."
        )
    return data


def make_examples(
    data: Listing, features: List[Optional[np.ndarray]]
) -> Tuple[Examples, Examples]:
    """The clips to learn from that could be read, and those of the split eval.

    Clips in a group of such are neither.
    """
    labels = list(data.classes)
    clips = [
        (clip, pieces)
        for clip, pieces in zip(data.clips, features)
        if pieces is not None
    ]
    examples = Examples(
        names=[
            os.path.relpath(str(clip.audio), data.folder) for clip, _ in clips
        ],
        groups=[clip.fold or clip.group for clip, _ in clips],
        pieces=[pieces for _, pieces in clips],
        targets=np.array(
            [[label in clip.labels for label in labels] for clip, _ in clips],
            np.float32,
        ).reshape(-1, len(labels)),
    )
    eval_groups = {c.group for c in data.clips if c.split == "eval"}
    held_out = [n for n, (c, _) in enumerate(clips) if c.split == "eval"]
    learnt = [n for n, (c, _) in enumerate(clips) if c.group not in eval_groups]
    n_related = len(clips) - len(learnt) - len(held_out)
    if n_related > 0:
        logger.warning(
            "%d clips are not learnt from: they are in groups of clips of the "
            "split eval",
            n_related,
        )
    return examples.part(learnt), examples.part(held_out)


def check_examples(
    data: Listing, examples: Examples, errors: Dict[str, str]
) -> None:
    """Raises an InputError if a class has no clip; warns of what is little."""
    if errors:
        name, reason = next(iter(errors.items()))
        logger.warning(
            "%d recordings cannot be read, such as %s: %s",
            len(errors),
            name,
            reason,
        )
    counts = dict(zip(data.classes, examples.targets.sum(0).astype(int)))
    missing = [label for label, count in counts.items() if count == 0]
    if missing:
        raise InputError(
            f"{data.folder}: no clip can be learnt of {', '.join(missing)}: "
            "add some, or remove the class."
        )
    few = [f"{x} ({count})" for x, count in counts.items() if count < FEW_CLIPS]
    if few:
        logger.warning(
            "Fewer than %d clips of %s: more would help",
            FEW_CLIPS,
            ", ".join(few),
        )
    columns: Dict[bytes, List[str]] = {}
    for label, column in zip(data.classes, examples.targets.T):
        columns.setdefault(column.tobytes(), []).append(label)
    for same in columns.values():
        if len(same) > 1:
            logger.warning("%s have the same clips", " and ".join(same))


def add_background(
    examples: Examples,
    places: List[str],
    features: List[Optional[np.ndarray]],
) -> Examples:
    """Adds each piece and window of background as a clip of no class."""
    read = [
        (path, pieces)
        for path, pieces in zip(places, features)
        if pieces is not None
    ]
    if places and not read:
        raise InputError(
            f"No background can be read, such as {places[0]}: give another."
        )
    names = [path for path, pieces in read for _ in pieces]
    negatives = np.zeros((len(names), examples.targets.shape[1]), np.float32)
    return Examples(
        names=examples.names + names,
        groups=examples.groups + names,
        pieces=examples.pieces
        + [piece[None] for _, pieces in read for piece in pieces],
        targets=np.concatenate([examples.targets, negatives]),
    )


def listen_to_background(
    tagger: "AudioTagger", places: List[str]
) -> List[Timeline]:
    """The ``Timeline`` of the second half of each recording."""
    rate = tagger.sample_rate
    timelines = []
    for path in places:
        try:
            samples = read_audio(path, rate, start=read_duration(path) / 2)
            timelines.append(tagger.analyze(samples, sample_rate=rate))
        except (InputError, OSError):
            continue  # it is among those that cannot be read
    return timelines
