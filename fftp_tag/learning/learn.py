"""Learns classes from a few clips: a linear classifier on a frozen encoder.

``learn`` lists the clips, encodes them, cross-validates a classifier of their
features, and writes a model with the classifier of all clips.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
import functools
import logging
import os
import re
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Dict, List, Optional, Tuple, Union

import numpy as np

from fftp_tag.errors import counted
from fftp_tag.learning.classifier import ClipClassifier
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
    Score,
    Validation,
    score_clips,
    validate,
)
from fftp_tag.packages import require
from fftp_tag.score.background import (
    Background,
    list_recordings,
    listen_to_background,
)
from fftp_tag.tag.edit import check_output, copy_model
from fftp_tag.tag.model import Model
from fftp_tag.tag.tagger import AudioTagger
from speechbrain_fftp.dataio.clips import Clip
from speechbrain_fftp.dataio.errors import InputError
from speechbrain_fftp.dataio.files import file_sha256
from speechbrain_fftp.dataio.model_info import default_rules
from speechbrain_fftp.datasets import custom
from speechbrain_fftp.datasets.audioset import is_audioset
from speechbrain_fftp.datasets.splits import drop_copies

if TYPE_CHECKING:
    import onnx

logger = logging.getLogger(__name__)

# Seconds, at most the maximum clip length, to which shorter clips are padded.
# Published encoders were trained on clips of 10 s, though some take longer ones
CENTRED = 10.0
FEW_CLIPS = 5  # a class with fewer clips causes a warning
PARTS = 5  # of a recording of background, for cross-validation
# The end of a name that tells parts of a recording apart: -A, -A-20, _1 or _1a
PART = re.compile(r"([\W_]+[A-Za-z]([\W_]+\d+)?|[\W_]*\d+[A-Za-z]?)$")


@dataclasses.dataclass
class Sounds:
    """What is learnt from.

    Arguments
    ---------
    folder : str
        The data folder.
    labels : list of str
        Names of the C classes.
    clips : list of Clip
    single_label : bool
        Whether each clip has one class, or none: background.
    recordings : list of str
        Recordings of background.
    """

    folder: str
    labels: List[str]
    clips: List[Clip]
    single_label: bool
    recordings: List[str]


@dataclasses.dataclass
class Encoded:
    """The features of the clips.

    Arguments
    ---------
    learnt, held_out : Examples
        Clips to learn from, with the parts of background recordings; and clips
        of the eval split.
    window, longest : int
        Median and maximum length of the clips in samples, at most the model's.
    errors : dict
        Reasons by name of the clips and recordings that cannot be read.
    """

    learnt: Examples
    held_out: Examples
    window: int
    longest: int
    errors: Dict[str, str]


@dataclasses.dataclass
class Report:
    """What was learnt, and how well.

    Arguments
    ---------
    labels : list of str
        Names of the C classes.
    counts : list of int
        The number of clips of each class, ``[C]``.
    background_windows : int
        The number of windows of background.
    window_seconds : float
        Length of the windows in which the model finds events.
    validation : Validation
        With thresholds ``[C]`` and scores of cross-validation.
    eval_scores : dict of Score
        Scores of the clips of the eval split, if there are any.
    false_alarms : Background, optional
        False alarms in the second half of each recording of background.
    not_read : dict
        Reasons by name of the clips and recordings that cannot be read.
    """

    labels: List[str]
    counts: List[int]
    background_windows: int
    window_seconds: float
    validation: Validation
    eval_scores: Dict[str, Score]
    false_alarms: Optional[Background]
    not_read: Dict[str, str]


def learn(
    tagger: AudioTagger,
    data_folder: Union[str, os.PathLike],
    output: Union[str, os.PathLike],
    background: Optional[Union[str, os.PathLike]] = None,
    single_label: bool = True,
    num_workers: int = 4,
    progress: bool = False,
) -> Report:
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
    single_label : bool
        Whether a sound has one class or is background, so that probabilities
        of all classes and background sum to 1; unless a clip has several.
    num_workers : int
        Number of threads that read and encode.
    progress : bool
        Whether to show progress.

    Returns
    -------
    Report

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
    sounds = list_sounds(data_folder, background, single_label)
    labels, single_label = sounds.labels, sounds.single_label
    with tempfile.TemporaryDirectory() as scratch:
        encoder, n_token_features = make_encoder(
            tagger.model, Path(scratch, "encoder.onnx")
        )
        cache = FeatureCache(
            output.with_name(f"{output.name}.npz"),
            file_sha256(tagger.model.path),
        )
        encoded = encode_clips(encoder, sounds, cache, num_workers, progress)
        learnt, held_out = encoded.learnt, encoded.held_out
        validation = validate(labels, learnt, n_token_features, single_label)
        classifier = learnt.learn(single_label).soften(validation.temperature)
        write_learnt(encoder, output, sounds, encoded, validation, classifier)
    eval_scores = {}
    if held_out.names:
        probs = classifier.probabilities(held_out.pieces)
        tagged = probs >= validation.thresholds
        eval_scores = score_clips(held_out, probs, tagged)
    false_alarms = None
    if sounds.recordings:
        heard = [x for x in sounds.recordings if x not in encoded.errors]
        false_alarms = listen_to_background(
            AudioTagger(Model(output)), heard, is_second_half=True
        )
    return Report(
        labels=labels,
        counts=learnt.targets.sum(0).astype(int).tolist(),
        background_windows=learnt.count_background(),
        window_seconds=encoded.window / tagger.sample_rate,
        validation=validation,
        eval_scores=eval_scores,
        false_alarms=false_alarms,
        not_read=encoded.errors,
    )


def list_sounds(
    data_folder: Union[str, os.PathLike],
    background: Optional[Union[str, os.PathLike]],
    single_label: bool,
) -> Sounds:
    """Lists the clips without copies, and the recordings; see ``learn``."""
    if is_audioset(data_folder):
        raise InputError(
            f"{data_folder} holds AudioSet's lists: learn takes a folder of "
            "clips for each class, or a table clips.csv."
        )
    data = custom.list_clips(data_folder, min_classes=1)
    labels = list(data.classes)
    clips, _ = drop_copies(data.clips, data.folder)
    n_unlabelled = sum(not clip.labels for clip in clips)
    if data.tables and n_unlabelled:
        logger.info(
            "%s: %s without a label, learnt as background",
            data.tables[0],
            counted(n_unlabelled, "clip"),
        )
    if len(labels) == 1 and not n_unlabelled and background is None:
        raise InputError(
            f"{data_folder} has clips of one class only, {labels[0]}: add "
            "clips without the sound in a folder named background, or give a "
            "recording without the sound with --background."
        )
    return Sounds(
        folder=data.folder,
        labels=labels,
        clips=clips,
        single_label=single_label and all(len(x.labels) < 2 for x in clips),
        recordings=[] if background is None else list_recordings(background),
    )


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

    info = dataclasses.replace(model.info, labels=[], rules=None, steps=None)
    copy_model(model.path, path, info, change)
    # Clips are encoded in parallel, each by one thread
    encoder = Model(path, model.device, threads=1)
    return encoder, N_TOKEN_STATISTICS * tokens.shape[2]


def encode_clips(
    encoder: Model,
    sounds: Sounds,
    cache: FeatureCache,
    num_workers: int,
    progress: bool,
) -> Encoded:
    """Computes the features of clips, and of windows of background.

    Windows are as long as the clips.
    """
    compute = functools.partial(
        compute_features,
        encoder,
        cache=cache,
        num_workers=num_workers,
        progress=progress,
    )
    features, errors = compute(
        [recording_of(x) for x in sounds.clips if x.labels]
    )
    lengths = np.clip(
        [own.n_samples for own in features.values()] or [encoder.max_samples],
        encoder.min_samples,
        encoder.max_samples,
    )
    window = int(np.median(lengths))
    unlabelled = [recording_of(x, window) for x in sounds.clips if not x.labels]
    halves = [
        Recording(path, window=window, is_half=True)
        for path in sounds.recordings
    ]
    of_background, other_errors = compute(unlabelled + halves)
    features.update(of_background)
    errors.update(other_errors)
    cache.save()
    learnt, held_out = make_examples(sounds, window, features)
    check_examples(sounds, learnt, errors)
    for half in halves:
        if half in features:
            seconds = window / encoder.sample_rate
            add_recording(learnt, half.path, features[half].pieces, seconds)
    return Encoded(learnt, held_out, window, int(lengths.max()), errors)


def recording_of(clip: Clip, window: Optional[int] = None) -> Recording:
    """What is read of a clip; the length of windows is for background."""
    return Recording(
        str(clip.audio),
        clip.start,
        clip.end,
        window=None if clip.labels else window,
        has_copies=bool(clip.labels) and clip.split != "eval",
    )


def make_examples(
    sounds: Sounds, window: int, features: Dict[Recording, Features]
) -> Tuple[Examples, Examples]:
    """Clips to learn from, and clips of the eval split, if they could be read.

    Other clips in the groups of the eval split are left out.
    """
    found = [features.get(recording_of(x, window)) for x in sounds.clips]
    clips = [(clip, own) for clip, own in zip(sounds.clips, found) if own]
    targets = [[x in clip.labels for x in sounds.labels] for clip, _ in clips]
    examples = Examples(
        names=[
            part_name(
                os.path.relpath(str(clip.audio), sounds.folder),
                clip.start,
                clip.end,
            )
            for clip, _ in clips
        ],
        groups=[clip.fold or clip.group for clip, _ in clips],
        pieces=[own.pieces for _, own in clips],
        copies=[own.copies for _, own in clips],
        targets=np.array(targets, np.float32).reshape(-1, len(sounds.labels)),
    )
    eval_groups = {c.group for c in sounds.clips if c.split == "eval"}
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
    sounds: Sounds, examples: Examples, errors: Dict[str, str]
) -> None:
    """Raises an InputError if a class has no clips, or if no recording of
    background can be read; warns of other problems.
    """
    if errors:
        name, reason = next(iter(errors.items()))
        logger.warning(
            "%s cannot be read, such as %s: %s",
            counted(len(errors), "recording"),
            name,
            reason,
        )
    counts = dict(zip(sounds.labels, examples.targets.sum(0).astype(int)))
    missing = [label for label, count in counts.items() if count == 0]
    if missing:
        raise InputError(
            f"{sounds.folder}: there are no clips to learn "
            f"{', '.join(missing)} from: add clips, or remove the class."
        )
    if sounds.recordings and errors.keys() >= set(sounds.recordings):
        raise InputError(
            f"{sounds.recordings[0]}: none of the recordings can be read: give "
            "others with --background."
        )
    few = [f"{x} ({count})" for x, count in counts.items() if count < FEW_CLIPS]
    if few:
        logger.warning(
            "Fewer than %d clips of %s: more would help",
            FEW_CLIPS,
            ", ".join(few),
        )
    related = related_names(examples)
    if related:
        logger.warning(
            "%s look like parts of recordings. If they are, the scores are too "
            "high: give the parts of a recording one group in a table clips.csv",
            ", ".join(related[:3]),
        )


def add_recording(
    examples: Examples, path: str, windows: np.ndarray, seconds: float
) -> None:
    """Adds the windows of a recording of background, in some parts.

    Each part is a group, so that parts of a recording are in all folds.
    """
    start = 0.0
    for part in np.array_split(windows, min(PARTS, len(windows))):
        end = start + seconds * len(part)
        examples.add_background(part_name(path, start, end), part)
        start = end


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


def write_learnt(
    encoder: Model,
    output: Path,
    sounds: Sounds,
    encoded: Encoded,
    validation: Validation,
    classifier: ClipClassifier,
) -> None:
    """Writes a model.onnx: the encoder with the classifier."""
    rules = default_rules(len(sounds.labels)).replace(validation.thresholds)
    rules = dataclasses.replace(rules, is_learnt=True)
    info = dataclasses.replace(
        encoder.info,
        labels=sounds.labels,
        single_label=sounds.single_label,
        max_samples=encoded.longest,
        window_samples=encoded.window,
        note=None,
        rules=None if sounds.single_label else rules,
    )
    copy_model(encoder.path, output, info, classifier.add_to)
