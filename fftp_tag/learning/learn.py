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

from fftp_tag.errors import counted
from fftp_tag.learning.classifier import TEMPERATURE
from fftp_tag.learning.features import (
    N_TOKEN_STATISTICS,
    add_clip_features,
    remove_outputs,
)
from fftp_tag.learning.recordings import (
    FeatureCache,
    Features,
    Recording,
    compute_features,
    part_name,
)
from fftp_tag.learning.validate import (
    Examples,
    cross_validate,
    score_clips,
    score_held_out,
    score_without_encoder,
)
from fftp_tag.packages import require
from fftp_tag.score.background import (
    Background,
    count_false_alarms,
    find_silence,
    list_recordings,
)
from fftp_tag.score.thresholds import learn_thresholds
from fftp_tag.tag.edit import check_output, write_model
from fftp_tag.tag.events import THRESHOLD
from fftp_tag.tag.model import Model
from fftp_tag.tag.windows import read_part
from speechbrain_fftp.dataio.audio import read_duration
from speechbrain_fftp.dataio.errors import InputError
from speechbrain_fftp.dataio.files import file_sha256
from speechbrain_fftp.datasets import custom
from speechbrain_fftp.datasets.audioset import is_audioset
from speechbrain_fftp.datasets.custom import Listing
from speechbrain_fftp.datasets.splits import drop_copies

if TYPE_CHECKING:
    import onnx

    from fftp_tag.tag.tagger import AudioTagger

logger = logging.getLogger(__name__)

# Seconds, at most the maximum clip length, to which shorter clips are padded.
# Published encoders were trained on clips of 10 s, though some take longer ones
CENTRED = 10.0
FEW_CLIPS = 5  # a class with fewer clips causes a warning
PARTS = 5  # of a recording of background, for cross-validation
# The end of a name that tells parts of a recording apart: -A, -A-20, _1 or _1a
PART = re.compile(r"([\W_]+[A-Za-z]([\W_]+\d+)?|[\W_]*\d+[A-Za-z]?)$")


def learn(
    tagger: "AudioTagger",
    data_folder: Union[str, os.PathLike],
    output: Union[str, os.PathLike],
    background: Optional[Union[str, os.PathLike]] = None,
    single_label: Optional[bool] = None,
    num_workers: int = 4,
    progress: bool = False,
) -> Dict[str, Any]:
    """Learns classes from clips, and writes a model.onnx.

    The encoder is frozen: a linear classifier is learnt on it, from the clips
    and four augmented copies of each. Features are cached in ``OUTPUT.npz``, so
    that the encoder runs only on new clips when you learn again.

    Arguments
    ---------
    tagger : AudioTagger
        A model with an encoder; its classes are dropped.
    data_folder : str
        A folder of clips for each class, and ``background`` for clips without
        any of the sounds; or a table, see ``speechbrain_fftp.datasets.custom``.
        Clips of the eval split are only scored.
    output : str
        The model.onnx to write.
    background : str, optional
        A recording without any of the sounds, or a folder of recordings. The
        first half of each is used to learn, the second to count false alarms.
    single_label : bool, optional
        Whether each clip has exactly one class, or is background, so that the
        probabilities of all classes and background sum to 1. By default, it is
        true if no clip has several classes.
    num_workers : int
        Number of threads that read and encode.
    progress : bool
        Whether to show progress.

    Returns
    -------
    dict
        ``clips`` and ``thresholds`` by label; the number of
        ``background_windows``; ``single_label``; ``window_seconds``;
        ``related``, names of clips that look like parts of a recording;
        ``not_read``, reasons by clip; the report of ``score_held_out``;
        ``scores_of_eval`` (see ``score_clips``), if there is an eval split; and
        ``background`` (see ``count_false_alarms``), if there is any.

    Raises
    ------
    FileNotFoundError
        If a folder does not exist or holds no clips.
    OSError
        If the model cannot be written.
    InputError
        If there are too few clips, or an argument is invalid.
    """
    output = Path(output)
    require("sklearn", "Learning")
    check_output(output)
    if output.resolve() == Path(tagger.model.path).resolve():
        raise InputError(f"{output} is the input model: give another output.")
    data = list_data(data_folder, background is not None, single_label)
    if single_label is None:
        single_label = all(len(clip.labels) <= 1 for clip in data.clips)
    places = []
    if background is not None:
        places = list_recordings(background)
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
        related = related_names(learnt)
        learnt = add_background(
            learnt,
            places,
            heard[len(others) :],
            window / encoder.sample_rate,
        )

        temperature, thresholds, report = validate(
            labels, learnt, n_token_features, single_label
        )
        if not report:
            logger.warning(
                "%s: all clips are in one group or each class has one clip, so "
                "the accuracy cannot be estimated",
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
        learnt_tagger = type(tagger)(Model(output))
        report["background"] = listen_to_background(learnt_tagger, places)
    return {
        "clips": dict(zip(labels, learnt.targets.sum(0).astype(int).tolist())),
        "background_windows": learnt.count_background(),
        "thresholds": dict(zip(labels, thresholds.tolist())),
        "single_label": single_label,
        "window_seconds": window / encoder.sample_rate,
        "related": related,
        "not_read": errors,
        **report,
    }


def make_encoder(model: Model, path: Path) -> Tuple[Model, int]:
    """Writes and loads a model with features of clips instead of classes.

    Returns the model, and the number of features of tokens, which come first.
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
        "low": None,
        "high": None,
        "merge_gap": None,
        "min_duration": None,
        "steps": None,
    }
    write_model(model.path, path, metadata, change)
    # Clips are encoded in parallel, each by one thread
    encoder = Model(path, model.device, threads=1)
    return encoder, N_TOKEN_STATISTICS * tokens.shape[2]


def validate(
    labels: List[str],
    learnt: Examples,
    n_token_features: int,
    single_label: bool,
) -> Tuple[float, np.ndarray, Dict[str, Any]]:
    """Cross-validates a classifier of the clips.

    Returns temperature and thresholds ``[C]`` for the classifier of all clips;
    and the report of ``score_held_out`` with ``scores_without_encoder``, which
    is empty if cross-validation is impossible.
    """
    thresholds = np.full(len(labels), THRESHOLD, np.float32)
    validation = cross_validate(learnt, single_label)
    if validation is None:
        return TEMPERATURE if single_label else 1.0, thresholds, {}
    alone = [
        label
        for label, column in zip(labels, learnt.targets.T)
        if len(set(validation.folds[column > 0])) == 1
    ]
    if alone:
        logger.warning(
            "The scores count all clips of %s as missed: one clip, or clips of "
            "one group, cannot be learnt from and tested at once",
            ", ".join(alone),
        )
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
    """Lists the clips without copies; clips without a class are last.

    See ``custom.list_clips``.
    """
    if is_audioset(data_folder):
        raise InputError(
            f"{data_folder} holds AudioSet's lists: learn takes a folder of "
            "clips for each class, or a table clips.csv."
        )
    data = custom.list_clips(data_folder, min_classes=1)
    n_unlabelled = sum(not clip.labels for clip in data.clips)
    if data.tables and n_unlabelled:
        logger.info(
            "%s: %s without a label, learnt as background",
            data.tables[0],
            counted(n_unlabelled, "clip"),
        )
    data.clips, _ = drop_copies(data.clips, data.folder)
    has_background |= any(not clip.labels for clip in data.clips)
    if len(data.classes) == 1 and not has_background:
        raise InputError(
            f"{data_folder} has clips of one class only, {list(data.classes)[0]}: "
            "add clips without the sound in a folder named background, or give "
            "a recording without the sound with --background."
        )
    data.clips = sorted(data.clips, key=lambda clip: not clip.labels)
    if single_label and any(len(clip.labels) > 1 for clip in data.clips):
        raise InputError(
            f"{data.folder}: some clips have several classes, which "
            "--single-label does not allow."
        )
    return data


def make_examples(
    data: Listing, features: List[Optional[Features]]
) -> Tuple[Examples, Examples]:
    """Clips to learn from, and clips of the eval split, if they could be read.

    Other clips in the groups of the eval split are left out.
    """
    labels = list(data.classes)
    clips = [
        (clip, own)
        for clip, own in zip(data.clips, features)
        if own is not None
    ]
    examples = Examples(
        names=[
            part_name(
                os.path.relpath(str(clip.audio), data.folder),
                clip.start,
                clip.end,
            )
            for clip, _ in clips
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
            "not learnt from: %s in groups of the eval split",
            counted(n_related, "clip"),
        )
    return examples.part(learnt), examples.part(held_out)


def check_examples(
    data: Listing, examples: Examples, errors: Dict[str, str]
) -> None:
    """Raises an InputError if a class has no clips; warns of other problems."""
    if errors:
        name, reason = next(iter(errors.items()))
        logger.warning(
            "%s cannot be read, such as %s: %s",
            counted(len(errors), "recording"),
            name,
            reason,
        )
    counts = dict(zip(data.classes, examples.targets.sum(0).astype(int)))
    missing = [label for label, count in counts.items() if count == 0]
    if missing:
        raise InputError(
            f"{data.folder}: there are no clips to learn {', '.join(missing)} "
            "from: add clips, or remove the class."
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


def related_names(examples: Examples) -> List[str]:
    """Clips without groups that look like parts of recordings, by their names.

    Those are names that differ only in a number or a letter at the end, as in
    1-22694-A.wav and 1-22694-B.wav, unless all names in a folder do.
    """
    if len(set(examples.groups)) < len(examples.groups):
        return []
    keys = [
        (os.path.dirname(name), PART.sub("", Path(name).stem))
        for name in examples.names
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
    window_seconds: float,
) -> Examples:
    """Adds parts of recordings of background as clips without a class.

    Each part is a group, so that parts of a recording are in all folds.
    """
    read = [
        (path, own) for path, own in zip(places, features) if own is not None
    ]
    if places and not read:
        raise InputError(
            f"{places[0]}: none of the recordings can be read: give others "
            "with --background."
        )
    names, groups, pieces, copies = [], [], [], []
    for path, own in read:
        parts = np.array_split(own.pieces, min(PARTS, len(own.pieces)))
        ends = window_seconds * np.cumsum([len(part) for part in parts])
        starts = [0.0, *ends[:-1]]
        own_names = [part_name(path, *times) for times in zip(starts, ends)]
        names += own_names
        groups += own_names
        pieces += parts
        copies += [own.copies] * len(parts)
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
) -> Background:
    """Counts false alarms in the second half of each recording."""
    rate = tagger.sample_rate
    timelines, silences = [], []
    for path in places:
        try:
            samples = read_part(path, rate, start=read_duration(path) / 2)
            timelines.append(tagger.analyze(samples, sample_rate=rate))
        except (InputError, OSError):
            continue  # reported before as not readable
        silences.append(find_silence([samples], rate))
    return count_false_alarms(timelines, silences)
