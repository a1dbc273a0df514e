"""Scores a model's events, and learns their thresholds, on strong labels.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import logging
from pathlib import Path

import numpy as np
from tqdm import tqdm

from speechbrain_fftp.dataio.files import write_json
from speechbrain_fftp.datasets.strong_labels import (
    cut_events,
    read_strong_labels,
)
from speechbrain_fftp.inference.evaluation import list_labelled_clips
from speechbrain_fftp.inference.event_metrics import (
    event_counts,
    event_metrics,
    mean_f1,
)
from speechbrain_fftp.inference.events import step_targets
from speechbrain_fftp.inference.many_files import READING_ERRORS
from speechbrain_fftp.inference.thresholds import (
    learn_thresholds,
    write_thresholds,
)

logger = logging.getLogger(__name__)

# Seconds of the moving averages that are tried
MEANS = (0.0, 0.15, 0.25, 0.35, 0.5, 0.7, 1.0)


def learn_events(tagger, data_folder, strong_labels, split="valid", **options):
    """Learns thresholds and a moving average of time steps.

    Or thresholds of windows, if their length or hop is given; for arguments,
    see ``find_events``.

    Returns
    -------
    seconds, rows : float, list
        The average whose events have the highest mean F1 over classes, the
        shortest one of several, and what ``learn_thresholds`` returns for it:
        thresholds of maximum F1 of time steps.
    """
    timelines, truth = find_events(
        tagger, data_folder, strong_labels, split, **options
    )
    uses_windows = options.get("window") or options.get("hop")
    numbers = {label: number for number, label in enumerate(tagger.labels)}
    targets = []
    for clip, timeline in timelines.items():
        events = [
            (start, end, numbers[label]) for start, end, label in truth[clip]
        ]
        targets.append(step_targets(timeline.times, events, len(numbers)))
    targets = np.concatenate(targets)
    best_f1, best = -1.0, None
    for seconds in (0.0,) if uses_windows else MEANS:
        smooth = {k: found.smooth(seconds) for k, found in timelines.items()}
        probs = np.concatenate([found.probs for found in smooth.values()])
        rows = learn_thresholds(tagger.labels, targets, probs)
        limits = np.array([threshold for _, threshold, *_ in rows])
        counts = event_counts(smooth, truth, tagger.labels, limits)
        counts = counts.events.sum(1)  # of all clips: [3, classes]
        f1 = mean_f1(counts[:, counts[1] > 0])
        if f1 > best_f1 + 1e-6:
            best_f1, best = f1, (seconds, rows)
    return best


def calibrate_events(folder, tagger, data_folder, strong_labels, **options):
    """Learns a model's thresholds and average, and writes them to its folder.

    See ``learn_events``, whose seconds it returns.
    """
    seconds, rows = learn_events(tagger, data_folder, strong_labels, **options)
    if tagger.has_frames:
        path = Path(folder, "config.json")
        config = json.loads(path.read_text("utf-8"))
        config["classifier"]["mean_seconds"] = seconds
        write_json(path, config)
    write_thresholds(folder, rows)
    return seconds


def find_events(
    tagger,
    data_folder,
    strong_labels,
    split=None,
    window=None,
    hop=None,
    progress=False,
    **settings,
):
    """Analyses the clips of a split that a table lists.

    Arguments
    ---------
    tagger : AudioTagger
    data_folder : str
        As of ``AudioTagger.evaluate``, with its further ``settings``.
    strong_labels : str
        A table as for the recipe. Events of classes that the model lacks are
        skipped.
    split : str, optional
    window, hop : float, optional
        Length and step of windows in seconds; by default, time steps without
        an average.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    timelines, truth : dict
        The ``Timeline`` of each clip by id, and start, end and label of its
        true events. Clips that cannot be read are skipped and logged.
    """
    split, names, ids, clips, labels = list_labelled_clips(
        tagger, data_folder, split, **settings
    )
    names = {name: label for name, label in names.items() if label in labels}
    listed = read_strong_labels(strong_labels, set(ids), names, split)
    truth = {
        clip: [event for event in events if event[2] in labels]
        for clip, events in listed.items()
    }
    if len(truth) < len(ids):
        logger.info(
            "%s lists %d of the %d clips of the %s split: the others are "
            "skipped.",
            strong_labels,
            len(truth),
            len(ids),
            split,
        )
    timelines = {}
    error = None
    for clip in tqdm(clips, total=len(ids), unit="clip", disable=not progress):
        if clip.id not in truth:
            continue
        try:
            source = clip.open()
            if window is None and hop is None:
                timelines[clip.id] = tagger.analyze_frames(source)
            else:
                timelines[clip.id] = tagger.analyze(source, window, hop)
        except READING_ERRORS as caught:
            if not tagger.has_frames and window is None and hop is None:
                raise  # it is the model that is wrong
            error = caught
            logger.warning("%s is skipped: %s", clip.id, error)
    if not timelines:
        raise error
    durations = {clip: found.duration for clip, found in timelines.items()}
    return timelines, cut_events(truth, durations, strong_labels)


def evaluate_events(tagger, data_folder, strong_labels, **options):
    """``event_metrics`` of a model, with its thresholds or 0.5 without them.

    For arguments, see ``find_events``.
    """
    timelines, truth = find_events(
        tagger, data_folder, strong_labels, **options
    )
    seconds = tagger.engine.mean_seconds if tagger.has_frames else 0.0
    if options.get("window") or options.get("hop"):
        seconds = 0.0
    timelines = {k: found.smooth(seconds) for k, found in timelines.items()}
    threshold = 0.5 if tagger.thresholds is None else "auto"
    return event_metrics(timelines, truth, threshold)
