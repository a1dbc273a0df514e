"""Learns classes from a few clips: a linear classifier on a frozen encoder.

``learn`` lists the clips, finds the sounds in them, computes features of their
spans, cross-validates a classifier of these, and writes a frame-level model with
the classifier of all clips.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
import logging
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fftp_tag.audio.decode import MIN_SECONDS
from fftp_tag.data.clips import Clip
from fftp_tag.errors import InputError
from fftp_tag.files import PathLike, write_json
from fftp_tag.learning.bank import read_bank
from fftp_tag.learning.clips import (
    ClipReader,
    DataSet,
    find_all_sounds,
    list_data,
)
from fftp_tag.learning.features import Cache, Sample, compute_samples
from fftp_tag.learning.report import Compared, Report, report_path
from fftp_tag.learning.thresholds import (
    POINTS,
    Limit,
    choose_high,
    shift_thresholds,
)
from fftp_tag.learning.validate import (
    Validation,
    measure_gain,
    score_answers,
    validate,
)
from fftp_tag.model.edit import check_output, copy_model
from fftp_tag.model.info import Rules, default_rules
from fftp_tag.model.session import Model
from fftp_tag.model.spans import (
    SURROUNDINGS,
    make_span_model,
    make_views,
    token_size,
)
from fftp_tag.packages import require
from fftp_tag.score.background import analyze_background, listen_to_background
from fftp_tag.tag.tagger import AudioTagger

logger = logging.getLogger(__name__)

LENGTHS = 4  # of spans per octave: a new clip rarely changes their length
MAX_SPAN = 1.4  # seconds: events between other sounds are rarely longer
LOW, HIGH = 0.2, 0.7  # probabilities while an event lasts, and of its peak
# Of recordings of background, whose first half is learnt from
SECOND_HALF, THIRD_QUARTER, LAST_QUARTER = (0.5, 1), (0.5, 0.75), (0.75, 1)


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
    bank: list[Clip] | None = None,
    operate: str | None = None,
    other_encoders: Sequence[AudioTagger] = (),
    progress: bool = False,
) -> Report:
    """Learns classes from clips, and writes a model.onnx.

    The encoder is frozen: a linear classifier is learnt on it, from the sounds in
    the clips, five augmented copies of each, and a bank of other sounds, on
    which it is to be silent. If each clip has one class or is background,
    probabilities of all classes, background and other sounds sum to 1. Features
    are cached in ``OUTPUT.npz``, so that the encoder runs only on new clips when
    you learn again; the report is kept in ``OUTPUT.json``.

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
        extrapolated if it is short, and only the last quarter is used to count
        false alarms.
    reviewed : str, optional
        A folder of answers of ``fftp-tag review`` to learn from as well.
    bank : list of Clip, optional
        Other sounds, on which the model is to be silent, each of a kind; by
        default those of ``read_bank``.
    operate : str, optional
        The operating point: "cautious", "balanced" or "eager" thresholds tag a
        half, three quarters or nine tenths of the clips whose most probable class
        is right, by cross-validation. By default, a tag is more probable than not
        or, where clips have several classes, its threshold has the best F1.
    other_encoders : sequence of AudioTagger
        Other models to learn on as well, with equal folds: the one whose most
        probable class is right most often is taken, or the first if none is shown
        to be better.
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
    taggers = [tagger, *other_encoders]
    if output.resolve() in [Path(x.model.path).resolve() for x in taggers]:
        raise InputError(f"{output} is the input model: give another output.")
    if operate is not None and operate not in POINTS:
        raise InputError(
            f"operate is one of {', '.join(POINTS)}, not {operate}."
        )
    if false_alarms_per_hour is not None and background is None:
        raise InputError(
            "an upper limit of false alarms needs --background: a recording in "
            "which they are counted."
        )
    listed = list_data(
        data_folder,
        read_bank() if bank is None else bank,
        background,
        strong_labels,
        partly_labelled,
        numbered,
        reviewed,
    )
    with tempfile.TemporaryDirectory() as scratch:
        forms = []
        for number, encoder in enumerate(taggers):
            name = f"{output.name}.{number + 1}" if number else output.name
            own = Path(scratch, str(number))
            own.mkdir()
            forms.append(
                learn_best_form(
                    encoder,
                    listed,
                    output.with_name(name),
                    own,
                    operate,
                    progress,
                )
            )
        form, encoders = forms[0], []
        if len(forms) > 1:
            encoders = compare(taggers, forms)
            form = forms[[x.is_taken for x in encoders].index(True)]
        data, validation = form.data, form.validation
        if operate is not None and not validation.points:
            raise InputError(
                f"{data_folder}: an operating point needs held-out clips: add "
                "some of other recordings, or leave out --operate."
            )
        rules = write_learnt(form.encoder.model, output, data, validation)
    held_out = [x for x in form.samples if x.clip.split == "eval"]
    eval_scores = {}
    if held_out:
        eval_scores = score_answers(
            held_out,
            validation.encoder.answers(held_out),
            validation.spectrum.answers(held_out),
        )
    false_alarms = limit = None
    if data.recordings:
        judged = SECOND_HALF
        if false_alarms_per_hour is not None:
            rules, limit = limit_false_alarms(
                output, data.recordings, false_alarms_per_hour
            )
            judged = LAST_QUARTER
        false_alarms = listen_to_background(
            AudioTagger(Model(output)), data.recordings, judged
        )
    learnt = Model(output)
    spans = form.encoder.model
    counts = np.sum(
        [x.target for x in form.samples if x.clip.split != "eval"], 0
    )
    report = Report(
        labels=data.labels,
        counts=counts.astype(int).tolist(),
        event_thresholds=rules.high.tolist(),
        background_seconds=data.background_seconds,
        filled=data.filled,
        are_whole=data.are_whole,
        span_seconds=spans.span_samples / spans.sample_rate,
        hop_seconds=spans.hop_samples / spans.sample_rate,
        validation=validation,
        has_groups=data.has_groups,
        eval_scores=eval_scores,
        false_alarms=false_alarms,
        limit=limit,
        not_read=form.not_read,
        encoders=encoders,
    )
    write_json(report_path(output), report.to_json(learnt.digest), strict=True)
    return report


def limit_false_alarms(
    path: Path, recordings: list[str], per_hour: float
) -> tuple[Rules, Limit]:
    """Changes what events must reach, by the third quarter of recordings.

    Returns the rules that are written, and how they were chosen.
    """
    model = Model(path)
    heard = analyze_background(AudioTagger(model), recordings, THIRD_QUARTER)
    limit = choose_high(heard, model.rules, per_hour)
    rules = dataclasses.replace(model.rules, high=limit.high)
    copy_model(path, path, dataclasses.replace(model.info, rules=rules))
    return rules, limit


def check_data(data: DataSet) -> None:
    """Raises an InputError if no clips of a class can be read, or none of the
    recordings of background.
    """
    found = {label for clip in data.labelled for label in clip.labels}
    missing = [label for label in data.labels if label not in found]
    if missing:
        raise InputError(
            f"{data.folder}: there are no clips to learn "
            f"{', '.join(missing)} from: add clips, or remove the class."
        )
    if data.recordings and not any(
        clip.audio in data.recordings for clip in data.background
    ):
        raise InputError(
            f"{data.recordings[0]}: none of the recordings can be read: give "
            "others with --background."
        )


def choose_span(data: DataSet) -> float:
    """The length of spans in seconds: about the median of the clips, or of their
    longest sounds, at most ``MAX_SPAN``.
    """
    typical = max(float(np.median(data.longest)), MIN_SECONDS)
    if not data.are_whole:
        typical = min(typical, MAX_SPAN)
    octaves = math.log2(typical)
    return 2 ** (round(LENGTHS * octaves) / LENGTHS)


class Form(NamedTuple):
    """What is learnt from the sounds in clips, or from clips as a whole."""

    encoder: AudioTagger
    data: DataSet
    samples: list[Sample]
    not_read: dict[str, str]  # reasons by name
    validation: Validation


def learn_best_form(
    tagger: AudioTagger,
    listed: DataSet,
    output: Path,
    scratch: Path,
    operate: str | None,
    progress: bool,
) -> Form:
    """Learns from the sounds in clips or, if that is better, from whole clips."""
    cache = Cache(output.with_name(f"{output.name}.npz"))
    reader = ClipReader(tagger.sample_rate)
    data = find_all_sounds(listed, reader, cache.found)
    check_data(data)
    form = learn_form(tagger, data, reader, cache, scratch, operate, progress)
    are_longer = choose_span(data.whole()) > choose_span(data)
    if not are_longer or form.validation.encoder_helps:
        return form
    whole = learn_form(
        tagger,
        data.whole(),
        reader,
        Cache(output.with_name(f"{output.name}.whole.npz")),
        scratch,
        operate,
        progress,
    )
    is_better = whole.validation.share_right > form.validation.share_right
    return whole if is_better else form


def compare(taggers: list[AudioTagger], forms: list[Form]) -> list[Compared]:
    """Compares what was learnt on several encoders, from the same clips."""
    first, *others = (form.validation for form in forms)
    if not first.right.size:
        raise InputError(
            "encoders cannot be compared: that needs several classes, with clips of "
            "several recordings each; give one --model."
        )
    gains = [measure_gain(first, other) for other in others]
    shares = [form.validation.share_right for form in forms]
    better = [n for n, gain in enumerate(gains, start=1) if gain.low > 0]
    taken = max(better, key=lambda n: shares[n], default=0)
    return [
        Compared(tagger.model.path, share, gain, n == taken)
        for n, (tagger, share, gain) in enumerate(
            zip(taggers, shares, [None, *gains], strict=True)
        )
    ]


def learn_form(
    tagger: AudioTagger,
    data: DataSet,
    reader: ClipReader,
    cache: Cache,
    scratch: PathLike,
    operate: str | None,
    progress: bool,
) -> Form:
    """Computes the features of the clips, and learns from them."""
    path = Path(scratch, f"{'whole' if data.are_whole else 'sounds'}.onnx")
    surroundings = 1 if data.are_whole else SURROUNDINGS
    encoder = AudioTagger(
        make_span_model(tagger.model, path, choose_span(data), surroundings)
    )
    samples, not_read = compute_samples(encoder, data, reader, cache, progress)
    learnt = [x for x in samples if x.clip.split != "eval"]
    views = make_views(token_size(tagger.model), samples[0].spans.shape[1])
    if data.are_whole:  # the spectrum has told as much alone
        views = views._replace(encoder=views.encoder + views.spectrum)
    validation = validate(
        data.labels, learnt, views, data.single_label, operate
    )
    not_read = {**data.not_read, **not_read}
    return Form(encoder, data, samples, not_read, validation)


def write_learnt(
    encoder: Model,
    output: Path,
    data: DataSet,
    validation: Validation,
) -> Rules:
    """Writes a model.onnx: the encoder with the classifier; returns its rules."""
    thresholds = validation.thresholds
    high = shift_thresholds(np.array(HIGH), validation.encoder.shift)
    rules = dataclasses.replace(
        default_rules(len(data.labels)).replace(thresholds),
        low=np.minimum(thresholds, np.float32(LOW)),
        high=np.maximum(thresholds, high),
        is_learnt=True,
    )
    info = dataclasses.replace(
        encoder.info,
        labels=data.labels,
        single_label=data.single_label,
        rules=rules,
    )
    classifier = validation.encoder.classifier
    copy_model(encoder.path, output, info, classifier.add_to)
    return rules
