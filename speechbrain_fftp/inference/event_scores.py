"""Scores a model's events, and learns their thresholds, on strong labels.

Authors
 * The speechbrain_fftp authors 2026
"""

import functools
import statistics

import torch
from tqdm import tqdm

from speechbrain_fftp.datasets.audioset.lists import read_strong_labels
from speechbrain_fftp.inference.evaluation import _list_clips, _open
from speechbrain_fftp.inference.frames import _smooth, _step_targets
from speechbrain_fftp.inference.thresholds import learn_thresholds
from speechbrain_fftp.utils.event_metrics import event_metrics

# Seconds of the median filters that are tried
MEDIANS = (0.0, 0.15, 0.25, 0.35, 0.5, 0.7, 1.0)


def _list_events(tagger, data_folder, strong_labels, split, **settings):
    """The source of each clip by id, and start, end and label of its events."""
    names, clips, labels = _list_clips(tagger, data_folder, split, **settings)
    sources, truth = {clip: source for clip, source, _ in clips}, {}
    for clip, start, end, label in read_strong_labels(strong_labels, sources):
        if (label := names.get(label, label)) in labels:
            truth.setdefault(clip, []).append((start, end, label))
    if not truth:
        raise ValueError(f"{strong_labels} has no event of the {split} split.")
    return sources, truth


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
    """Learns a median filter and thresholds of time steps, by their F1.

    Or of windows, if their length or hop is given. Returns seconds, and the rows
    of ``learn_thresholds``, of the filter whose mean F1 over classes is the
    highest, the shortest one of several.
    """
    clips, truth = _list_events(
        tagger, data_folder, strong_labels, split, **settings
    )
    read, found, targets = tagger.frame_probabilities, [], []
    if window or hop:
        read = functools.partial(tagger.timeline, window=window, hop=hop)
    numbers = {label: number for number, label in enumerate(tagger.labels)}
    for clip, source in tqdm(clips.items(), unit="clip", disable=not progress):
        times, probs = read(_open(source))
        own = [(a, b, numbers[label]) for a, b, label in truth.get(clip, ())]
        found.append((times, probs))
        targets.append(_step_targets(times, own, len(numbers)))
    best, targets = None, torch.cat(targets)
    for seconds in MEDIANS:
        probs = torch.cat([_smooth(*clip, seconds) for clip in found])
        rows = learn_thresholds(tagger.labels, targets, probs)
        mean = statistics.mean(row[3] for row in rows if row[2])
        if best is None or mean > best[0] + 1e-6:
            best = mean, seconds, rows
    return best[1:]


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
    events. Classes that the model lacks are skipped.
    """
    clips, truth = _list_events(
        tagger, data_folder, strong_labels, split, **settings
    )
    clips = tqdm(clips.items(), unit="clip", disable=not progress)
    return {
        clip: tagger.analyze(_open(source), window, hop)
        for clip, source in clips
    }, truth


def evaluate_events(tagger, *tables, **options):
    """The ``event_metrics`` of ``find_events``.

    With the model's thresholds, or 0.5 if it has none.
    """
    threshold = 0.5 if tagger.thresholds is None else "auto"
    return event_metrics(*find_events(tagger, *tables, **options), threshold)
