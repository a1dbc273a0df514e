"""Scores a model's events, and learns their thresholds, on strong labels.

Authors
 * The speechbrain_fftp authors 2026
"""

from dataclasses import replace

import torch
from tqdm import tqdm

from speechbrain.utils.logger import get_logger
from speechbrain_fftp.datasets.audioset.lists import read_strong_labels
from speechbrain_fftp.inference.evaluation import _list_clips, _open
from speechbrain_fftp.inference.frames import (
    _average,
    _frame_classifier,
    _step_targets,
)
from speechbrain_fftp.inference.many_files import READING_ERRORS
from speechbrain_fftp.inference.thresholds import learn_thresholds
from speechbrain_fftp.utils.event_metrics import (
    event_counts,
    event_metrics,
    mean_f1,
)

logger = get_logger(__name__)

# Seconds of the moving averages that are tried
MEANS = (0.0, 0.15, 0.25, 0.35, 0.5, 0.7, 1.0)


def learn_events(
    tagger,
    data_folder,
    strong_labels,
    split="valid",
    window=None,
    hop=None,
    progress=False,
    **settings,
):
    """Learns thresholds and a moving average of time steps, which it sets.

    Or thresholds of windows, if their length or hop is given. Returns seconds,
    and the rows of ``learn_thresholds``: thresholds of maximum F1 of time steps,
    and the average whose events have the highest mean F1 over classes, the
    shortest one of several.
    """
    lengths = (0.0,)
    if not (window or hop):
        lengths, classifier = MEANS, _frame_classifier(tagger)
        classifier.mean_seconds = 0.0
    found, truth = find_events(
        tagger, data_folder, strong_labels, split, window, hop, progress,
        **settings,
    )  # fmt: skip
    numbers = {label: number for number, label in enumerate(tagger.labels)}
    targets = torch.cat([
        _step_targets(
            each.times,
            [(a, b, numbers[label]) for a, b, label in truth.get(clip, ())],
            len(numbers),
        )
        for clip, each in found.items()
    ])  # fmt: skip
    best = None
    for seconds in lengths:
        smooth = {k: _smooth(x, seconds) for k, x in found.items()}
        probs = torch.cat([each.probs for each in smooth.values()])
        rows = learn_thresholds(tagger.labels, targets, probs)
        limits = torch.tensor([threshold for _, threshold, *_ in rows])
        counts = event_counts(smooth, truth, tagger.labels, limits)[0].sum(1)
        mean = mean_f1(counts[:, counts[1] > 0])
        if best is None or mean > best[0] + 1e-6:
            best = mean, seconds, rows
    if not (window or hop):
        classifier.mean_seconds = best[1]
    return best[1:]


def _smooth(found, seconds):
    """A ``Timeline`` whose time steps are averaged over some seconds."""
    if not seconds:
        return found
    probs, window = _average(found.times, found.probs, seconds)
    return replace(found, probs=probs, window=window)


def find_events(
    tagger,
    data_folder,
    strong_labels,
    split="eval",
    window=None,
    hop=None,
    progress=False,
    **settings,
):
    """The ``Timeline`` of each clip by id, and its true events.

    ``strong_labels`` is a table as of the recipe: clips that it lacks have no
    events. Classes that the model lacks are skipped, and so are clips that
    cannot be read, which are logged.
    """
    list(read_strong_labels(strong_labels, ()))  # its errors before the work
    names, clips, labels = _list_clips(tagger, data_folder, split, **settings)
    found, truth, errors = {}, {}, {}
    for clip, source, _ in tqdm(clips, unit="clip", disable=not progress):
        try:
            found[clip] = tagger.analyze(_open(source), window, hop)
        except READING_ERRORS as error:
            errors[clip] = error
    for clip, error in errors.items():
        if not found:
            raise error
        logger.warning(f"{clip} is skipped: {error}")
    for clip, start, end, label in read_strong_labels(strong_labels, found):
        if (label := names.get(label, label)) in labels:
            truth.setdefault(clip, []).append((start, end, label))
    if not truth:
        raise ValueError(f"{strong_labels} has no event of the {split} split.")
    return found, truth


def evaluate_events(tagger, *tables, **options):
    """The ``event_metrics`` of ``find_events``.

    With the model's thresholds, or 0.5 if it has none.
    """
    threshold = 0.5 if tagger.thresholds is None else "auto"
    return event_metrics(*find_events(tagger, *tables, **options), threshold)
