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
from collections import Counter
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Dict,
    List,
    Optional,
    Sequence,
    Set,
    Tuple,
    Union,
)

import numpy as np

from fftp_tag.errors import counted
from fftp_tag.learning.classifier import ClipClassifier
from fftp_tag.learning.recordings import (
    FeatureCache,
    Features,
    Recording,
    compute_features,
)
from fftp_tag.learning.validate import (
    Examples,
    Validation,
    score_arrays,
    score_clips,
    validate,
)
from fftp_tag.parallel import in_order
from fftp_tag.score.background import Background, listen_to_background
from fftp_tag.score.groups import Score
from fftp_tag.search.clips import ClipSource, add_sources, list_sources
from fftp_tag.tag.edit import check_output, copy_model, model_digest
from fftp_tag.tag.model import Model
from fftp_tag.tag.spans import (
    HOPS,
    N_TOKEN_STATISTICS,
    make_span_model,
    token_size,
)
from fftp_tag.tag.tagger import AudioTagger
from fftp_tag.tag.windows import Part
from speechbrain_fftp import __version__
from speechbrain_fftp.dataio.audio import (
    MIN_SECONDS,
    list_recordings,
    read_duration,
)
from speechbrain_fftp.dataio.clips import Clip
from speechbrain_fftp.dataio.errors import InputError
from speechbrain_fftp.dataio.model_info import THRESHOLD, default_rules
from speechbrain_fftp.dataio.packages import require
from speechbrain_fftp.datasets import custom
from speechbrain_fftp.datasets.audioset import is_audioset
from speechbrain_fftp.datasets.splits import drop_copies

if TYPE_CHECKING:
    import onnx

logger = logging.getLogger(__name__)

LENGTHS = 4  # of spans per octave: a new clip rarely changes their length
LOW, HIGH = 0.3, 0.8  # probabilities while an event lasts, and of its peak
LONG = 4  # spans in a clip: more cause a warning
MOST_SPANS = 4000  # of recordings of background, about half an hour
N_OTHERS = 4  # clips, and recordings, around the copies of a clip
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

    @property
    def eval_groups(self) -> Set[str]:
        """Groups of the clips of the eval split, which are not learnt from."""
        return {clip.group for clip in self.clips if clip.split == "eval"}


@dataclasses.dataclass
class Report:
    """What was learnt, and how well.

    Arguments
    ---------
    labels : list of str
        Names of the C classes.
    counts : list of int
        The number of clips of each class, ``[C]``.
    background_spans : int
        The number of spans of background.
    span_seconds, hop_seconds : float
        Length of a span, which a prediction is made from, and hop.
    validation : Validation
        With thresholds ``[C]`` and scores of cross-validation.
    eval_scores : dict of Score
    eval_scores_without_encoder : dict of float
        Scores of the clips of the eval split, if there are any.
    false_alarms : Background, optional
        False alarms in the second half of each recording of background.
    not_read : dict
        Reasons by name of the clips and recordings that cannot be read.
    """

    labels: List[str]
    counts: List[int]
    background_spans: int
    span_seconds: float
    hop_seconds: float
    validation: Validation
    eval_scores: Dict[str, Score]
    eval_scores_without_encoder: Dict[str, float]
    false_alarms: Optional[Background]
    not_read: Dict[str, str]


def learn(
    tagger: AudioTagger,
    data_folder: Union[str, os.PathLike],
    output: Union[str, os.PathLike],
    background: Optional[Union[str, os.PathLike]] = None,
    single_label: bool = True,
    strong_labels: Optional[Union[str, os.PathLike]] = None,
    partly_labelled: bool = False,
    num_workers: int = 4,
    progress: bool = False,
) -> Report:
    """Learns classes from clips, and writes a model.onnx.

    The encoder is frozen: a linear classifier is learnt on it, from the clips
    and five augmented copies of each. Features are cached in ``OUTPUT.npz``, so
    that the encoder runs only on new clips when you learn again.

    Arguments
    ---------
    tagger : AudioTagger
        A model with an encoder; its classes are dropped.
    data_folder : str
        A folder of clips for each class, and ``background`` for clips without
        any of the sounds; or a table, see ``speechbrain_fftp.datasets.custom``;
        or recordings with label tracks beside them. Clips of the eval split are
        only scored.
    output : str
        The model.onnx to write.
    background : str, optional
        A recording without any of the sounds, or a folder of recordings. The
        first half of each is used to learn, the second to count false alarms.
    single_label : bool
        Whether a sound has one class or is background, so that probabilities
        of all classes and background sum to 1; unless a clip has several.
    strong_labels : str, optional
        A table of events of the recordings, or a folder of label tracks.
    partly_labelled : bool
        Whether recordings have sounds that are not labelled; otherwise, what is
        around events is background.
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
    sounds = list_sounds(
        data_folder, background, single_label, strong_labels, partly_labelled
    )
    lengths = measure_lengths(sounds, num_workers)
    sources = list_sources(
        [Part(str(x.audio), x.start, x.end) for x in sounds.clips], num_workers
    )
    span = choose_span(sounds, lengths)
    with tempfile.TemporaryDirectory() as scratch:
        encoder = AudioTagger(
            make_span_model(tagger.model, Path(scratch, "spans.onnx"), span)
        )
        cache = FeatureCache(
            output.with_name(f"{output.name}.npz"),
            f"{__version__} {model_digest(encoder.model.path)}",
        )
        learnt, held_out, errors = encode_clips(
            encoder, sounds, lengths, cache, num_workers, progress
        )
        n_of_tokens = N_TOKEN_STATISTICS * token_size(tagger.model)
        validation = validate(
            sounds.labels, learnt, n_of_tokens, sounds.single_label
        )
        classifier = learnt.learn(sounds.single_label)
        classifier = classifier.soften(validation.temperature)
        write_learnt(
            encoder.model, output, sounds, sources, validation, classifier
        )
    eval_scores, without_encoder = {}, {}
    if held_out.names:
        probs = classifier.probabilities(held_out.spans)
        tagged = probs >= validation.thresholds
        eval_scores = score_clips(held_out, probs, tagged)
        spectrum = learnt.features_from(n_of_tokens).learn(sounds.single_label)
        spectrum = spectrum.soften(validation.temperature_without_encoder)
        bands = held_out.features_from(n_of_tokens)
        probs = spectrum.probabilities(bands.spans)
        without_encoder = score_arrays(
            held_out.targets, probs, probs >= THRESHOLD
        )
    false_alarms = None
    if sounds.recordings:
        heard = [path for path in sounds.recordings if path not in errors]
        false_alarms = listen_to_background(
            AudioTagger(Model(output)), heard, is_second_half=True
        )
    return Report(
        labels=sounds.labels,
        counts=learnt.targets.sum(0).astype(int).tolist(),
        background_spans=learnt.count_background(),
        span_seconds=encoder.model.span_samples / tagger.sample_rate,
        hop_seconds=encoder.model.hop_samples / tagger.sample_rate,
        validation=validation,
        eval_scores=eval_scores,
        eval_scores_without_encoder=without_encoder,
        false_alarms=false_alarms,
        not_read=errors,
    )


def list_sounds(
    data_folder: Union[str, os.PathLike],
    background: Optional[Union[str, os.PathLike]],
    single_label: bool,
    strong_labels: Optional[Union[str, os.PathLike]],
    partly_labelled: bool,
) -> Sounds:
    """Lists the clips without copies, and the recordings; see ``learn``."""
    if is_audioset(data_folder):
        raise InputError(
            f"{data_folder} holds AudioSet's lists: learn takes a folder of "
            "clips for each class, or a table clips.csv."
        )
    data = custom.list_clips(data_folder, 1, strong_labels, partly_labelled)
    labels = list(data.classes)
    clips, _ = drop_copies(data.clips, data.folder)
    has_background = background is not None or not all(x.labels for x in clips)
    if len(labels) == 1 and not has_background:
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


def measure_lengths(sounds: Sounds, num_workers: int) -> Dict[str, float]:
    """Lengths in seconds of the files that can be read, by path."""
    paths = [str(clip.audio) for clip in sounds.clips] + sounds.recordings
    found = in_order(read_duration, dict.fromkeys(paths), num_workers)
    return {path: seconds for path, seconds, _ in found if seconds is not None}


def choose_span(sounds: Sounds, lengths: Dict[str, float]) -> float:
    """About the median length of the clips of the classes, in seconds.

    Warns of far longer clips.
    """
    seconds = [
        min(clip.end, lengths[str(clip.audio)]) - clip.start
        for clip in sounds.clips
        if clip.labels and str(clip.audio) in lengths
    ]
    if not seconds:
        return 1.0  # no clip can be read, which is reported later
    octaves = math.log2(max(float(np.median(seconds)), MIN_SECONDS))
    span = 2 ** (round(LENGTHS * octaves) / LENGTHS)
    n_long = sum(length > LONG * span for length in seconds)
    if n_long:
        logger.warning(
            "longer than %.1f s, %d times the typical length: %s. If a sound "
            "is only in a part of them, give its start and end in clips.csv",
            LONG * span,
            LONG,
            counted(n_long, "clip"),
        )
    return span


def encode_clips(
    encoder: AudioTagger,
    sounds: Sounds,
    lengths: Dict[str, float],
    cache: FeatureCache,
    num_workers: int,
    progress: bool,
) -> Tuple[Examples, Examples, Dict[str, str]]:
    """Computes the features of clips and of background.

    Returns examples to learn from, examples of the eval split, and reasons by
    name of the clips and recordings that cannot be read.
    """
    others = list_others(sounds, lengths)
    hop = choose_hop(sounds, lengths, encoder.model)
    of_clips = {clip: recording_of(clip, others, hop) for clip in sounds.clips}
    halves = [
        Recording(
            Part(path, end=lengths.get(path, 0.0) / 2),
            is_background=True,
            hop=hop,
        )
        for path in sounds.recordings
    ]
    features, errors = compute_features(
        encoder, [*of_clips.values(), *halves], cache, num_workers, progress
    )
    learnt, held_out = make_examples(
        sounds,
        {
            clip: features[recording]
            for clip, recording in of_clips.items()
            if recording in features
        },
    )
    check_examples(sounds, learnt, errors)
    for half in halves:
        if half in features:
            add_background(learnt, half.part, features[half].spans)
    return learnt, held_out, errors


def choose_hop(sounds: Sounds, lengths: Dict[str, float], model: Model) -> int:
    """Predictions from one span of background to the next.

    Spans overlap by half, or less if there would be too many for the memory.
    """
    seconds = sum(lengths.get(path, 0.0) for path in sounds.recordings) / 2
    seconds += sum(
        min(clip.end, lengths.get(str(clip.audio), 0.0)) - clip.start
        for clip in sounds.clips
        if not clip.labels
    )
    n_predictions = seconds * model.sample_rate / model.hop_samples
    return max(HOPS // 2, math.ceil(n_predictions / MOST_SPANS))


def list_others(
    sounds: Sounds, lengths: Dict[str, float]
) -> Tuple[List[Part], List[Part]]:
    """Sound around copies: clips; and background, of recordings one half."""
    eval_groups = sounds.eval_groups
    clips: List[Part] = []
    rooms: List[Part] = []
    for clip in sounds.clips:
        path = str(clip.audio)
        if path in lengths and clip.group not in eval_groups:
            part = Part(path, clip.start, min(clip.end, lengths[path]))
            (clips if clip.labels else rooms).append(part)
    rooms += [
        Part(path, end=lengths[path] / 2)
        for path in sounds.recordings
        if path in lengths
    ]
    return clips, rooms


def recording_of(
    clip: Clip, others: Tuple[Sequence[Part], Sequence[Part]], hop: int
) -> Recording:
    """What is read of a clip.

    A few others are chosen by their names and the clip's, so that a new clip
    changes the choice for few of the clips.
    """
    own = Part(str(clip.audio), clip.start, clip.end)
    if not clip.labels:
        return Recording(own, is_background=True, hop=hop)
    if clip.split == "eval":
        return Recording(own)
    clips, rooms = others
    return Recording(
        own,
        has_copies=True,
        clips=choose_parts(clips, own),
        rooms=choose_parts(rooms, own),
    )


def choose_parts(parts: Sequence[Part], own: Part) -> Tuple[Part, ...]:
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


def make_examples(
    sounds: Sounds, features: Dict[Clip, Features]
) -> Tuple[Examples, Examples]:
    """Clips to learn from, and clips of the eval split, that could be read.

    Other clips in the groups of the eval split are left out.
    """
    clips = list(features)
    names = [
        Part(os.path.relpath(str(x.audio), sounds.folder), x.start, x.end)
        for x in clips
    ]
    targets = [[x in clip.labels for x in sounds.labels] for clip in clips]
    examples = Examples(
        names=[str(name) for name in names],
        groups=[clip.fold or clip.group for clip in clips],
        spans=[own.spans for own in features.values()],
        copies=[own.copies for own in features.values()],
        targets=np.array(targets, np.float32).reshape(-1, len(sounds.labels)),
    )
    eval_groups = sounds.eval_groups
    held_out = [n for n, clip in enumerate(clips) if clip.split == "eval"]
    learnt = [n for n, x in enumerate(clips) if x.group not in eval_groups]
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
    counts = examples.targets.sum(0)
    missing = [x for x, count in zip(sounds.labels, counts) if count == 0]
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
    related = related_names(examples)
    if related:
        logger.warning(
            "%s look like parts of recordings. If they are, the scores are too "
            "high: give the parts of a recording one group in a table clips.csv",
            ", ".join(related[:3]),
        )


def add_background(examples: Examples, half: Part, spans: np.ndarray) -> None:
    """Adds the spans of a half of a background recording, in some parts.

    Each part is a group, so that parts of a recording are in all folds.
    """
    n_parts = min(PARTS, len(spans))
    seconds = half.end / n_parts
    for number, part in enumerate(np.array_split(spans, n_parts)):
        start = number * seconds
        name = str(Part(half.path, start, start + seconds))
        examples.add_background(name, part)


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
    sources: List[ClipSource],
    validation: Validation,
    classifier: ClipClassifier,
) -> None:
    """Writes a model.onnx: the encoder with the classifier."""
    thresholds = validation.thresholds
    rules = default_rules(len(sounds.labels)).replace(thresholds)
    info = dataclasses.replace(
        encoder.info,
        labels=sounds.labels,
        single_label=sounds.single_label,
        rules=dataclasses.replace(
            rules,
            low=np.minimum(thresholds, np.float32(LOW)),
            high=np.maximum(thresholds, np.float32(HIGH)),
            is_learnt=True,
        ),
    )

    def change(graph: "onnx.GraphProto") -> None:
        """Adds the classifier, and where its clips are from."""
        classifier.add_to(graph)
        add_sources(graph, sources)

    copy_model(encoder.path, output, info, change)
