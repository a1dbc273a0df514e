"""Scores and calibrates what a model hears when, on clips with strong labels.

Authors
 * The speechbrain_fftp authors 2026
"""

import functools
import statistics

import torch
from tqdm import tqdm

from speechbrain_fftp.datasets.audioset.lists import read_strong_labels
from speechbrain_fftp.inference.evaluation import _list_clips
from speechbrain_fftp.inference.frames import _smooth
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

    Or of windows, if their length or hop is given. Returns seconds, and the rows of ``learn_thresholds``, of the filter whose
    mean F1 over classes is the highest, the shortest one of several.
    """
    clips, truth = _list_events(
        tagger, data_folder, strong_labels, split, **settings
    )
    read, found, targets = tagger.frame_probabilities, [], []
    if window or hop:
        read = functools.partial(tagger.timeline, window=window, hop=hop)
    for clip, source in tqdm(clips.items(), unit="clip", disable=not progress):
        times, probs = read(source() if callable(source) else source)
        steps = torch.zeros_like(probs)
        for start, end, label in truth.get(clip, ()):
            inside = (times >= start) & (times < end)
            steps[inside, tagger.labels.index(label)] = 1.0
        found.append((times, probs))
        targets.append(steps)
    best = None
    for seconds in MEDIANS:
        probs = torch.cat([_smooth(*clip, seconds) for clip in found])
        rows = learn_thresholds(tagger.labels, torch.cat(targets), probs)
        mean = statistics.mean(row[3] for row in rows if row[2])
        if best is None or mean > best[0] + 1e-6:
            best = mean, seconds, rows
    return best[1:]


def evaluate_events(
    tagger,
    data_folder,
    strong_labels,
    split="eval",
    window=None,
    hop=None,
    progress=False,
    **settings,
):
    """Scores what a model hears when, see ``AudioTagger.evaluate``.

    ``strong_labels`` is a table as of the recipe: clips that it lacks have no
    events. Classes that the model lacks are left out. Returns ``event_metrics``
    with the model's thresholds, or 0.5 if it has none.
    """
    clips, truth = _list_events(
        tagger, data_folder, strong_labels, split, **settings
    )
    timelines = {
        clip: tagger.analyze(
            source() if callable(source) else source, window, hop
        )
        for clip, source in tqdm(
            clips.items(), unit="clip", disable=not progress
        )
    }
    threshold = 0.5 if tagger.thresholds is None else "auto"
    return event_metrics(timelines, truth, threshold)
