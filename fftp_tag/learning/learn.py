"""Learns classes from a few clips: a linear classifier on a frozen encoder.

``learn`` lists the clips, encodes their spans, cross-validates a classifier of
these, and writes a frame-level model with the classifier of all clips.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
import logging
import math
import os
import re
import tempfile
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fftp_tag.audio.decode import MIN_SECONDS, list_recordings, read_duration
from fftp_tag.audio.sounds import Interval, find_sounds
from fftp_tag.audio.windows import Part, read_part
from fftp_tag.data import custom
from fftp_tag.data.clips import Clip
from fftp_tag.data.reviewed import reviewed_clips
from fftp_tag.data.splits import drop_copies
from fftp_tag.errors import InputError, counted
from fftp_tag.files import PathLike
from fftp_tag.learning.bank import read_bank
from fftp_tag.learning.classifier import ClipClassifier
from fftp_tag.learning.recordings import (
    COPIES,
    LONGEST,
    Recording,
    compute_features,
)
from fftp_tag.learning.thresholds import choose_high
from fftp_tag.learning.validate import (
    Example,
    Learnt,
    Score,
    Validation,
    score_clips,
    validate,
)
from fftp_tag.model.edit import check_output, copy_model
from fftp_tag.model.info import Rules, default_rules
from fftp_tag.model.session import Model
from fftp_tag.model.spans import (
    HOPS,
    SURROUNDINGS,
    make_span_model,
    make_views,
    token_size,
)
from fftp_tag.packages import require
from fftp_tag.parallel import in_order
from fftp_tag.score.background import (
    Background,
    analyze_background,
    listen_to_background,
)
from fftp_tag.tag.tagger import AudioTagger

logger = logging.getLogger(__name__)

LENGTHS = 4  # of spans per octave: a new clip rarely changes their length
MAX_SPAN = 1.4  # seconds: events between other sounds are rarely longer
LOW, HIGH = 0.2, 0.7  # probabilities while an event lasts, and of its peak
RATE = 16000  # Hz, to find the sounds in clips
MOST_SPANS = 4000  # of background, about half an hour
N_OTHERS = 4  # clips, and recordings, around the copies of a clip
PARTS = 5  # of a recording of background, for cross-validation
# Of recordings of background, whose first half is learnt from
SECOND_HALF, THIRD_QUARTER, LAST_QUARTER = (0.5, 1), (0.5, 0.75), (0.75, 1)


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
    asked : dict
        By id of reviewed clips, the classes that are known to be there or not;
        by default all.
    """

    folder: str
    labels: list[str]
    clips: list[Clip]
    single_label: bool
    recordings: list[str]
    asked: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)

    @property
    def has_groups(self) -> bool:
        """Whether most clips are known to be of one recording with others, and
        no recording is in several groups.
        """
        groups: Counter[str] = Counter()
        of_files: dict[str, set[str]] = defaultdict(set)
        for clip in self.clips:
            if (
                clip.labels
                and clip.split != "eval"
                and clip.id not in self.asked
            ):
                groups[clip.group] += 1
                of_files[clip.audio].add(clip.group)
        if any(len(found) > 1 for found in of_files.values()):
            return False
        together = sum(count for count in groups.values() if count > 1)
        return 2 * together > groups.total()


@dataclasses.dataclass
class Report:
    """What was learnt, and how well.

    Arguments
    ---------
    labels : list of str
        Names of the C classes.
    counts : list of int
        The number of clips of each class, ``[C]``.
    event_thresholds : list of float
        What the probability of events must reach, ``[C]``.
    background_seconds : float
        Length of the background that was learnt from.
    filled : float
        How much of the clips their sounds fill, from 0 to 1.
    are_whole : bool
        Whether clips are learnt as a whole, since the encoder does not clearly
        help with the sounds in them.
    span_seconds, hop_seconds : float
        Length of a span, which a prediction is made from, and hop.
    validation : Validation
        With thresholds ``[C]`` and scores of cross-validation.
    has_groups : bool
        See ``Sounds``.
    eval_scores : dict of Score
        Scores of the clips of the eval split, if there are any.
    false_alarms : Background, optional
        False alarms in what of each recording of background is not used to
        learn.
    not_read : dict
        Reasons by name of the clips and recordings that cannot be read.
    """

    labels: list[str]
    counts: list[int]
    event_thresholds: list[float]
    background_seconds: float
    filled: float
    are_whole: bool
    span_seconds: float
    hop_seconds: float
    validation: Validation
    has_groups: bool
    eval_scores: dict[str, Score]
    false_alarms: Background | None
    not_read: dict[str, str]


def learn(
    tagger: AudioTagger,
    data_folder: PathLike,
    output: PathLike,
    background: PathLike | None = None,
    strong_labels: PathLike | None = None,
    partly_labelled: bool = False,
    numbered: bool = False,
    false_alarms_per_hour: float | None = None,
    reviewed: PathLike | None = None,
    progress: bool = False,
) -> Report:
    """Learns classes from clips, and writes a model.onnx.

    The encoder is frozen: a linear classifier is learnt on it, from the sounds in
    the clips, five augmented copies of each, and a bank of other sounds, on
    which it is to be silent. If each clip has one class or is background,
    probabilities of all classes, background and other sounds sum to 1. Features
    are cached in ``OUTPUT.npz``, so that the encoder runs only on new clips when
    you learn again.

    Arguments
    ---------
    tagger : AudioTagger
        A model with an encoder; its classes are dropped.
    data_folder : str
        A folder of clips for each class, and ``background`` for clips without
        any of the sounds; or a table, see ``fftp_tag.data.custom``;
        or recordings with label tracks beside them. Clips of the eval split are
        only scored.
    output : str
        The model.onnx to write.
    background : str, optional
        A recording without any of the sounds, or a folder of recordings. The
        first half of each is used to learn, the second to count false alarms.
    strong_labels : str, optional
        A table of events of the recordings, or a folder of label tracks.
    partly_labelled : bool
        Whether recordings have sounds that are not labelled; otherwise, what is
        around events is background.
    numbered : bool
        Whether clips whose names differ in a last number are of one recording.
    false_alarms_per_hour : float, optional
        So many false alarms of each class are accepted: events must then be as
        probable as the third quarter of each recording of background demands,
        and only the last quarter is used to count false alarms.
    reviewed : str, optional
        A folder of answers of ``fftp-tag review`` to learn from as well.
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
    if false_alarms_per_hour is not None and background is None:
        raise InputError(
            "an upper limit of false alarms needs --background: a recording in "
            "which they are counted."
        )
    sounds = list_sounds(
        data_folder,
        background,
        strong_labels,
        partly_labelled,
        numbered,
        reviewed,
    )
    found = find_all(sounds)
    with tempfile.TemporaryDirectory() as scratch:
        form = learn_form(
            tagger, sounds, found, Path(scratch), output, progress
        )
        are_longer = choose_span(found.whole()) > choose_span(found)
        if are_longer and not form.result.validation.encoder_helps:
            whole = learn_form(
                tagger, sounds, found.whole(), Path(scratch), output, progress
            )
            if whole.share_right > form.share_right:
                form = whole
        encoder, found, learnt, held_out, errors, result = form
        classifier, spectrum, spectrum_thresholds, validation = result
        rules = write_learnt(
            encoder.model, output, sounds, validation, classifier
        )
    eval_scores = {}
    if held_out:
        spans = [clip.spans for clip in held_out]
        probs = classifier.probabilities(spans)
        spectrum_probs = spectrum.probabilities(spans)
        eval_scores = score_clips(
            held_out,
            probs,
            probs >= validation.thresholds,
            spectrum_probs,
            spectrum_probs >= spectrum_thresholds,
        )
    false_alarms = None
    if sounds.recordings:
        judged = SECOND_HALF
        if false_alarms_per_hour is not None:
            rules = limit_false_alarms(
                output, sounds.recordings, false_alarms_per_hour
            )
            judged = LAST_QUARTER
        false_alarms = listen_to_background(
            AudioTagger(Model(output)), sounds.recordings, judged
        )
    counts = np.sum([clip.target for clip in learnt], 0)
    return Report(
        labels=sounds.labels,
        counts=counts.astype(int).tolist(),
        event_thresholds=rules.high.tolist(),
        background_seconds=found.background_seconds,
        filled=found.filled,
        are_whole=found.are_whole,
        span_seconds=encoder.model.span_samples / tagger.sample_rate,
        hop_seconds=encoder.model.hop_samples / tagger.sample_rate,
        validation=validation,
        has_groups=sounds.has_groups,
        eval_scores=eval_scores,
        false_alarms=false_alarms,
        not_read=errors,
    )


def limit_false_alarms(
    path: Path, recordings: list[str], per_hour: float
) -> Rules:
    """Raises what events must reach, by the third quarter of recordings.

    Returns the rules that are written.
    """
    model = Model(path)
    heard = analyze_background(AudioTagger(model), recordings, THIRD_QUARTER)
    high = choose_high(heard, model.rules, per_hour)
    rules = dataclasses.replace(model.rules, high=high)
    copy_model(path, path, dataclasses.replace(model.info, rules=rules))
    return rules


def list_sounds(
    data_folder: PathLike,
    background: PathLike | None,
    strong_labels: PathLike | None,
    partly_labelled: bool,
    numbered: bool,
    reviewed: PathLike | None,
) -> Sounds:
    """Lists the clips and the recordings, see ``learn``.

    Without copies, and without other clips in the groups of the eval split.
    """
    data = custom.list_clips(data_folder, 1, strong_labels, partly_labelled)
    heard = {} if reviewed is None else reviewed_clips(reviewed)
    new = {label for clip in heard for label in clip.labels}
    labels = sorted({*data.classes, *new})
    clips = data.clips
    if numbered:
        clips = [x._replace(group=without_number(x.group)) for x in clips]
    clips, _ = drop_copies([*clips, *heard], data.folder)
    held_out = {
        group
        for clip in clips
        if clip.split == "eval"
        for group in (clip.group, clip.audio)  # of what is reviewed
    }
    clips = [x for x in clips if x.split == "eval" or x.group not in held_out]
    has_background = background is not None or not all(x.labels for x in clips)
    if len(labels) == 1 and not has_background:
        raise InputError(
            f"{data_folder} has clips of one class only, {labels[0]}: add "
            "clips without the sound in a folder named background, or give a "
            "recording without the sound with --background."
        )
    recordings = [] if background is None else list_recordings(background)
    if {clip.audio for clip in heard} & set(map(os.path.abspath, recordings)):
        logger.warning(
            "recordings of %s were also reviewed: there are more false alarms "
            "in others than are counted here",
            background,
        )
    return Sounds(
        folder=data.folder,
        labels=labels,
        clips=clips,
        single_label=all(len(x.labels) < 2 for x in clips),
        recordings=recordings,
        asked={clip.id: classes for clip, classes in heard.items()},
    )


def without_number(group: str) -> str:
    """A group that is a file, without a last number in its name."""
    stem, extension = os.path.splitext(group)
    return re.sub(r"[ _-]?\d+$", "", stem) if extension else group


@dataclasses.dataclass
class Found:
    """What there is to learn from, of what can be read.

    Arguments
    ---------
    lengths : dict of float
        Of files in seconds, by path.
    intervals : dict of tuple
        Where the sounds of clips are, by id; see ``find_sounds``.
    longest : list of float
        Seconds of the longest sound of each clip that is learnt from.
    filled : float
        How much of these clips their sounds fill, from 0 to 1.
    clips, rooms : list of Part
        Clips with a class, and background, that are learnt from: of recordings,
        one half.
    are_whole : bool
        Whether clips are learnt as a whole.
    """

    lengths: dict[str, float]
    intervals: dict[str, tuple[Interval, ...]]
    longest: list[float]
    filled: float
    clips: list[Part]
    rooms: list[Part]
    are_whole: bool = False

    @property
    def background_seconds(self) -> float:
        """Length of the background."""
        return sum(part.end - part.start for part in self.rooms)

    def whole(self) -> "Found":
        """The same with clips as a whole, in place of the sounds in them."""
        return dataclasses.replace(
            self,
            intervals={},
            longest=[part.end - part.start for part in self.clips],
            filled=1.0,
            are_whole=True,
        )


def find_all(sounds: Sounds) -> Found:
    """Measures files, and finds the sounds in clips that are whole files.

    Events, whose start and end are given, are sounds as they are.
    """
    paths = [str(clip.audio) for clip in sounds.clips] + sounds.recordings
    read = in_order(read_duration, dict.fromkeys(paths))
    lengths = {path: length for path, length, _ in read if length is not None}
    parts = {
        clip.id: Part(
            str(clip.audio),
            clip.start,
            min(clip.end, lengths[str(clip.audio)]),
        )
        for clip in sounds.clips
        if clip.start < lengths.get(str(clip.audio), 0.0)
    }

    def find(clip: Clip) -> tuple[Interval, ...]:
        """Where the sounds of a clip are."""
        path, start, end = parts[clip.id]
        if clip.end < math.inf:
            return ((0.0, end - start),)
        return tuple(find_sounds(read_part(path, RATE, start, LONGEST), RATE))

    has_sound = [x for x in sounds.clips if x.labels and x.id in parts]
    intervals = {
        clip.id: found
        for clip, found, _ in in_order(find, has_sound)
        if found is not None
    }
    learnt = [
        x.id for x in has_sound if x.id in intervals and x.split != "eval"
    ]
    heard = sum(end - start for x in learnt for start, end in intervals[x])
    length = sum(parts[x].end - parts[x].start for x in learnt)
    longest = [intervals[x][0][1] - intervals[x][0][0] for x in learnt]
    clips: list[Part] = []
    rooms: list[Part] = []
    for clip in sounds.clips:
        if clip.id in parts and clip.split != "eval":
            (clips if clip.labels else rooms).append(parts[clip.id])
    rooms += [
        Part(path, end=lengths[path] / 2)
        for path in sounds.recordings
        if path in lengths
    ]
    filled = heard / max(length, MIN_SECONDS)
    return Found(lengths, intervals, longest, filled, clips, rooms)


def choose_span(found: Found) -> float:
    """The length of spans in seconds: about the median of the clips, or of their
    longest sounds, at most ``MAX_SPAN``.
    """
    if not found.longest:
        return 1.0  # no clip can be read, which is reported later
    typical = max(float(np.median(found.longest)), MIN_SECONDS)
    if not found.are_whole:
        typical = min(typical, MAX_SPAN)
    octaves = math.log2(typical)
    return 2 ** (round(LENGTHS * octaves) / LENGTHS)


class Form(NamedTuple):
    """What is learnt from the sounds in clips, or from clips as a whole."""

    encoder: AudioTagger
    found: Found
    learnt: list[Example]
    held_out: list[Example]  # of the eval split
    errors: dict[str, str]  # reasons by name of what cannot be read
    result: Learnt

    @property
    def share_right(self) -> float:
        """The share of held-out clips whose most probable class is right."""
        return float(self.result.validation.right.mean())


def learn_form(
    tagger: AudioTagger,
    sounds: Sounds,
    found: Found,
    scratch: Path,
    output: Path,
    progress: bool,
) -> Form:
    """Encodes the clips, and learns from them; a form has a cache of its own."""
    name = "whole" if found.are_whole else "sounds"
    encoder = AudioTagger(
        make_span_model(
            tagger.model,
            scratch / f"{name}.onnx",
            choose_span(found),
            1 if found.are_whole else SURROUNDINGS,
        )
    )
    ending = ".whole.npz" if found.are_whole else ".npz"
    learnt, others, held_out, errors = encode_clips(
        encoder,
        sounds,
        found,
        output.with_name(f"{output.name}{ending}"),
        progress,
    )
    views = make_views(token_size(tagger.model), learnt[0].spans.shape[1])
    if found.are_whole:  # the spectrum has told as much alone
        views = views._replace(encoder=views.encoder + views.spectrum)
    result = validate(sounds.labels, learnt, others, views, sounds.single_label)
    return Form(encoder, found, learnt, held_out, errors, result)


def encode_clips(
    encoder: AudioTagger,
    sounds: Sounds,
    found: Found,
    cache: Path,
    progress: bool,
) -> tuple[list[Example], list[Example], list[Example], dict[str, str]]:
    """Computes the features of clips, of background and of the bank.

    Returns examples to learn from, those of the bank, those of the eval split,
    and reasons by name of the clips and recordings that cannot be read.
    """
    hop = choose_hop(found.background_seconds, encoder.model)
    recordings = {}
    for clip in sounds.clips:
        own = Part(str(clip.audio), clip.start, clip.end)
        if not clip.labels and clip.id not in sounds.asked:
            recordings[clip] = Recording(own, hop=hop)
            continue
        intervals = found.intervals.get(clip.id, ())
        recordings[clip] = Recording(own, sounds=intervals)
        if clip.split != "eval":
            recordings[clip] = Recording(
                own,
                sounds=intervals,
                copies=COPIES,
                clips=choose_parts(found.clips, own),
                rooms=choose_parts(found.rooms, own),
            )
    halves = [
        Recording(
            Part(path, end=found.lengths.get(path, math.inf) / 2), hop=hop
        )
        for path in sounds.recordings
    ]
    bank = read_bank()
    features, errors = compute_features(
        encoder,
        [*recordings.values(), *halves, *(x for x, _ in bank)],
        cache,
        progress,
    )
    learnt: list[Example] = []
    held_out: list[Example] = []
    for clip, recording in recordings.items():
        if recording not in features:
            continue
        own = recording.part
        path = os.path.relpath(own.path, sounds.folder)
        asked = sounds.asked.get(clip.id) or sounds.labels
        example = Example(
            str(own._replace(path=path)),
            clip.group,
            np.array([x in clip.labels for x in sounds.labels], np.float32),
            *features[recording],
            is_known=np.array([x in asked for x in sounds.labels]),
            is_reviewed=clip.id in sounds.asked,
            fold=clip.fold,
        )
        (held_out if clip.split == "eval" else learnt).append(example)
    check_examples(sounds, learnt, errors)
    if halves and not any(half in features for half in halves):
        raise InputError(
            f"{sounds.recordings[0]}: none of the recordings can be read: give "
            "others with --background."
        )
    for half in halves:
        if half in features:
            learnt += split_background(half.part, features[half].spans, sounds)
    no_class = np.zeros(len(sounds.labels), np.float32)
    kinds = list(dict.fromkeys(kind for _, kind in bank))
    others = [
        Example(kind, "", no_class, *features[x], kind=kinds.index(kind))
        for x, kind in bank
    ]
    return learnt, others, held_out, errors


def choose_hop(seconds: float, model: Model) -> int:
    """Predictions from one span to the next, of so much background.

    Spans overlap by half, or less if there would be too many for the memory.
    """
    n_predictions = seconds * model.sample_rate / model.hop_samples
    return max(HOPS // 2, math.ceil(n_predictions / MOST_SPANS))


def choose_parts(parts: Sequence[Part], own: Part) -> tuple[Part, ...]:
    """A few parts that do not overlap with a clip, at random for each clip."""
    others = [
        part
        for part in parts
        if part.path != own.path
        or part.end <= own.start
        or part.start >= own.end
    ]
    return tuple(sorted(others, key=lambda part: rank(own, part))[:N_OTHERS])


def rank(own: Part, part: Part) -> int:
    """A number that is random for each pair of a clip and a part."""
    names = [(os.path.basename(x.path), x.start) for x in (own, part)]
    return zlib.crc32(repr(names).encode())


def check_examples(
    sounds: Sounds, examples: list[Example], errors: dict[str, str]
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
    missing = [
        label
        for c, label in enumerate(sounds.labels)
        if not any(clip.target[c] for clip in examples)
    ]
    if missing:
        raise InputError(
            f"{sounds.folder}: there are no clips to learn "
            f"{', '.join(missing)} from: add clips, or remove the class."
        )


def split_background(
    half: Part, spans: np.ndarray, sounds: Sounds
) -> Iterator[Example]:
    """Yields the parts of a half of a background recording.

    Each part is a group, so that parts of a recording are in all folds.
    """
    no_class = np.zeros(len(sounds.labels), np.float32)
    n_parts = min(PARTS, len(spans))
    seconds = half.end / n_parts
    for number, part in enumerate(np.array_split(spans, n_parts)):
        start = number * seconds
        name = str(Part(half.path, start, start + seconds))
        yield Example(name, name, no_class, part, sounds=part[:0])


def write_learnt(
    encoder: Model,
    output: Path,
    sounds: Sounds,
    validation: Validation,
    classifier: ClipClassifier,
) -> Rules:
    """Writes a model.onnx: the encoder with the classifier; returns its rules."""
    thresholds = validation.thresholds
    rules = dataclasses.replace(
        default_rules(len(sounds.labels)).replace(thresholds),
        low=np.minimum(thresholds, np.float32(LOW)),
        high=np.maximum(thresholds, np.float32(HIGH)),
        is_learnt=True,
    )
    info = dataclasses.replace(
        encoder.info,
        labels=sounds.labels,
        single_label=sounds.single_label,
        rules=rules,
    )
    copy_model(encoder.path, output, info, classifier.add_to)
    return rules
