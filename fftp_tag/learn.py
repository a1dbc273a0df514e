"""Learns classes from a few clips: a linear classifier on a frozen encoder.

Authors
 * The speechbrain_fftp authors 2026
"""

import logging
import os
import re
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Tuple, Union

import numpy as np

from fftp_tag.clip_classifier import TEMPERATURE
from fftp_tag.clip_features import (
    N_TOKEN_STATISTICS,
    add_clip_features,
    remove_outputs,
)
from fftp_tag.cross_validation import (
    Examples,
    cross_validate,
    score_clips,
    score_held_out,
    score_without_encoder,
)
from fftp_tag.edit import check_output, write_model
from fftp_tag.events import THRESHOLD, Timeline
from fftp_tag.false_alarms import (
    count_false_alarms,
    count_hours,
    list_recordings,
    raise_thresholds,
)
from fftp_tag.model import Model
from fftp_tag.recordings import (
    FeatureCache,
    Features,
    Recording,
    compute_features,
)
from fftp_tag.scores import check_scikit_learn
from fftp_tag.thresholds import learn_thresholds
from speechbrain_fftp.dataio.audio import read_audio, read_duration
from speechbrain_fftp.dataio.errors import InputError
from speechbrain_fftp.dataio.files import file_sha256
from speechbrain_fftp.datasets import custom
from speechbrain_fftp.datasets.audioset import clips as audioset
from speechbrain_fftp.datasets.manifests import Listing
from speechbrain_fftp.datasets.splits import drop_copies

if TYPE_CHECKING:
    import onnx

    from fftp_tag.tagger import AudioTagger

logger = logging.getLogger(__name__)

# Seconds: shorter clips are centred in so many, or in the maximum clip length.
# Published encoders were trained on clips of 10 s, though some take longer ones
CENTRED = 10.0
FEW_CLIPS = 5  # of a class: fewer get a warning
PARTS = 5  # of a recording of background, for cross-validation


def learn(
    tagger: "AudioTagger",
    data_folder: Union[str, os.PathLike],
    output: Union[str, os.PathLike],
    background: Optional[Union[str, os.PathLike]] = None,
    max_false_alarms: Optional[float] = None,
    single_label: Optional[bool] = None,
    num_workers: int = 4,
    progress: bool = False,
) -> Dict[str, Any]:
    """Learns classes from clips, and writes a model of them.

    The encoder stays as it is: a linear classifier of clips is learnt on it,
    from the clips and four augmented copies of each. Their features are kept in
    ``OUTPUT.npz``, so that only new clips pass through the encoder when more
    are learnt.

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
        Raise thresholds until there are, as far as the background can tell, at
        most so many of a class in an hour.
    single_label : bool, optional
        Whether each clip has exactly one class, or is background, so that the
        probabilities of all classes and background sum to 1. By default, it is
        so if no clip has several classes.
    num_workers : int
        Number of threads that read and encode.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    dict
        ``clips`` and ``thresholds`` by label; ``background_windows``, the
        number of them; ``single_label``; ``window_seconds``;
        ``not_read``, reasons by clip; what ``score_held_out`` reports;
        ``scores_of_eval``, if there are such clips (see ``score_clips``); and
        ``false_alarms`` by label (see ``count_false_alarms``), in
        ``background_minutes``, if there is background.

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
    if single_label is None:
        single_label = all(len(clip.labels) <= 1 for clip in data.clips)
    places = []
    if background is not None:
        places = list_recordings(background)
    elif max_false_alarms is not None:
        raise InputError("max_false_alarms needs background.")
    labels = list(data.classes)

    with tempfile.TemporaryDirectory() as scratch:
        encoder, n_token_features = make_encoder(
            tagger.model, Path(scratch, "encoder.onnx")
        )
        cache = FeatureCache(
            output.with_name(f"{output.name}.npz"),
            file_sha256(tagger.model.path),
        )
        sounds = [
            Recording(
                str(clip.audio),
                clip.start,
                clip.end,
                has_copies=clip.split != "eval",
            )
            for clip in data.clips
            if clip.labels
        ]
        found, errors = compute_features(
            encoder, sounds, cache, num_workers, progress
        )
        n_samples = [features.n_samples for features in found if features]
        lengths = np.clip(
            n_samples or [encoder.max_samples],
            encoder.min_samples,
            encoder.max_samples,
        )
        window = int(np.median(lengths))
        others = [
            Recording(str(clip.audio), clip.start, clip.end, window=window)
            for clip in data.clips
            if not clip.labels
        ]
        halves = [
            Recording(path, window=window, is_half=True) for path in places
        ]
        heard, not_heard = compute_features(
            encoder, others + halves, cache, num_workers, progress
        )
        errors.update(not_heard)
        cache.save()
        found += heard[: len(others)]
        learnt, held_out = make_examples(data, found)
        check_examples(data, learnt, errors)
        learnt = add_background(learnt, places, heard[len(others) :])

        temperature, thresholds, report = validate(
            labels, learnt, n_token_features, single_label
        )
        if not report:
            logger.warning(
                "%s: all clips are of one group or each class has one clip, so "
                "that nothing is known of the accuracy",
                data_folder,
            )
        classifier = learnt.learn(single_label).soften(temperature)
        if held_out.names:
            probs = classifier.probabilities(held_out.pieces)
            tagged = probs >= thresholds
            report["scores_of_eval"] = score_clips(held_out, probs, tagged)
        metadata = {
            "labels": labels,
            "single_label": single_label,
            "max_samples": int(lengths.max()),
            "window_samples": window,
            "note": None,
            "thresholds": None if single_label else thresholds.tolist(),
        }
        write_model(encoder.path, output, metadata, classifier.add_to)
    if places:
        timelines = listen_to_background(type(tagger)(Model(output)), places)
        if max_false_alarms is not None:
            raised = raise_thresholds(timelines, thresholds, max_false_alarms)
            if raised is not None:
                thresholds = raised
                changes = {"thresholds": thresholds.tolist()}
                write_model(output, output, changes)
        report["false_alarms"] = count_false_alarms(timelines, thresholds)
        report["background_minutes"] = 60 * count_hours(timelines)
    return {
        "clips": dict(zip(labels, learnt.targets.sum(0).astype(int).tolist())),
        "background_windows": learnt.count_background(),
        "thresholds": dict(zip(labels, thresholds.tolist())),
        "single_label": single_label,
        "window_seconds": window / encoder.sample_rate,
        "not_read": errors,
        **report,
    }


def make_encoder(model: Model, path: Path) -> Tuple[Model, int]:
    """Writes and loads a model that has the features of clips and no classes.

    Returns the model, and how many of the features are of tokens: they come
    first.
    """
    silence = np.zeros((1, model.min_samples), np.float32)
    tokens, features = model.run(["tokens", "features"], silence)

    def change(graph: "onnx.GraphProto") -> None:
        """Replaces classes by features."""
        remove_outputs(graph, {"probabilities", "frame_probabilities"})
        size = min(model.max_samples, round(CENTRED * model.sample_rate))
        add_clip_features(graph, size, features.shape[2])

    metadata: Dict[str, Any] = {
        "labels": [],
        "thresholds": None,
        "merge_gap": None,
        "min_duration": None,
        "steps": None,
    }
    write_model(model.path, path, metadata, change)
    # Clips are encoded beside each other, each by one thread
    encoder = Model(path, model.device, threads=1)
    return encoder, N_TOKEN_STATISTICS * tokens.shape[2]


def validate(
    labels: List[str],
    learnt: Examples,
    n_token_features: int,
    single_label: bool,
) -> Tuple[float, np.ndarray, Dict[str, Any]]:
    """What cross-validation tells about a classifier of all clips.

    Returns its temperature and thresholds ``[C]``; and what ``score_held_out``
    reports with ``scores_without_encoder``, or nothing if it is impossible.
    """
    thresholds = np.full(len(labels), THRESHOLD, np.float32)
    validation = cross_validate(learnt, single_label)
    if validation is None:
        return TEMPERATURE if single_label else 1.0, thresholds, {}
    report = score_held_out(labels, learnt, validation, single_label)
    report["scores_without_encoder"] = score_without_encoder(
        learnt.features_from(n_token_features), single_label
    )
    if not single_label:
        thresholds = learn_thresholds(learnt.targets, validation.probs)
    return validation.temperature, thresholds, report


def list_data(
    data_folder: Union[str, os.PathLike],
    has_background: bool,
    single_label: Optional[bool],
) -> Listing:
    """Lists the clips, each once and those of no class last.

    See ``custom.list_clips``.
    """
    if audioset.is_audioset(os.fspath(data_folder)):
        raise InputError(
            f"{data_folder} holds AudioSet's lists: learn takes a folder of "
            "clips for each class, or a table clips.csv."
        )
    data = custom.list_clips(data_folder, 1 if has_background else 2)
    data.clips, _ = drop_copies(data.clips, data.folder)
    data.clips = sorted(data.clips, key=lambda clip: not clip.labels)
    if single_label and any(len(clip.labels) > 1 for clip in data.clips):
        raise InputError(
            f"{data.folder}: with single_label, no clip has several classes."
        )
    return data


def make_examples(
    data: Listing, features: List[Optional[Features]]
) -> Tuple[Examples, Examples]:
    """The clips to learn from that could be read, and those of the split eval.

    Clips in a group of such are neither.
    """
    labels = list(data.classes)
    clips = [
        (clip, own)
        for clip, own in zip(data.clips, features)
        if own is not None
    ]
    examples = Examples(
        names=[
            os.path.relpath(str(clip.audio), data.folder) for clip, _ in clips
        ],
        groups=[clip.fold or clip.group for clip, _ in clips],
        pieces=[own.pieces for _, own in clips],
        copies=[own.copies for _, own in clips],
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
    n_groups = len(set(examples.groups))
    if n_groups == len(examples.groups) and (names := related_names(examples)):
        logger.warning(
            "%s look like parts of one recording. If they are, give them one "
            "group in a table clips.csv: otherwise the scores are too good",
            ", ".join(names[:3]),
        )
    columns: Dict[bytes, List[str]] = {}
    for label, column in zip(data.classes, examples.targets.T):
        columns.setdefault(column.tobytes(), []).append(label)
    for same in columns.values():
        if len(same) > 1:
            logger.warning("%s have the same clips", " and ".join(same))


def related_names(examples: Examples) -> List[str]:
    """Clips in one folder that only a number tells apart, as others do not."""
    stems = [re.sub(r"[\W_]*\d+$", "", Path(x).stem) for x in examples.names]
    keys = [
        (os.path.dirname(name), stem)
        for name, stem in zip(examples.names, stems)
    ]
    counts = Counter(keys)
    n_stems = Counter(folder for folder, _ in counts)
    return [
        name
        for name, (folder, stem) in zip(examples.names, keys)
        if stem and counts[folder, stem] > 1 and n_stems[folder] > 1
    ]


def add_background(
    examples: Examples,
    places: List[str],
    features: List[Optional[Features]],
) -> Examples:
    """Adds parts of recordings of background as clips of no class.

    Each part is a group: one recording is in all folds.
    """
    read = [
        (path, own) for path, own in zip(places, features) if own is not None
    ]
    if places and not read:
        raise InputError(
            f"No background can be read, such as {places[0]}: give another."
        )
    names, groups, pieces, copies = [], [], [], []
    for path, own in read:
        count = min(PARTS, len(own.pieces))
        names += [path] * count
        groups += [f"{path} part {number}" for number in range(count)]
        pieces += np.array_split(own.pieces, count)
        copies += [own.copies] * count
    negatives = np.zeros((len(names), examples.targets.shape[1]), np.float32)
    return Examples(
        names=examples.names + names,
        groups=examples.groups + groups,
        pieces=examples.pieces + pieces,
        copies=examples.copies + copies,
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
