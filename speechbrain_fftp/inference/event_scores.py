"""Scores a model's events, and learns their thresholds, on strong labels.

Authors
 * The speechbrain_fftp authors 2026
"""

from dataclasses import replace
from pathlib import Path

import torch
from tqdm import tqdm

from speechbrain.utils.logger import get_logger
from speechbrain_fftp.dataio.files import write_json
from speechbrain_fftp.datasets.strong_labels import (
    cut_events,
    read_strong_labels,
)
from speechbrain_fftp.inference import frames, thresholds
from speechbrain_fftp.inference.evaluation import list_labelled_clips
from speechbrain_fftp.inference.many_files import READING_ERRORS
from speechbrain_fftp.metrics import events as event_metrics
from speechbrain_fftp.pretrained.tensors import read_json_file

logger = get_logger(__name__)

# Seconds of the moving averages that are tried
MEANS = (0.0, 0.15, 0.25, 0.35, 0.5, 0.7, 1.0)


def learn_events(tagger, *tables, split="valid", **options):
    """Learns thresholds and a moving average of time steps, which it sets.

    Or thresholds of windows, if their length or hop is given, see
    ``find_events``. Returns seconds, and the rows of ``learn_thresholds``:
    thresholds of maximum F1 of time steps, and the average whose events have
    the highest mean F1 over classes, the shortest one of several.
    """
    lengths, classifier = (0.0,), None
    if not (options.get("window") or options.get("hop")):
        lengths, classifier = MEANS, frames.frame_classifier(tagger)
        classifier.mean_seconds = 0.0
    found, truth = find_events(tagger, *tables, split=split, **options)
    numbers = {label: number for number, label in enumerate(tagger.labels)}
    targets = []
    for clip, each in found.items():
        events = [(a, b, numbers[label]) for a, b, label in truth[clip]]
        targets.append(frames.step_targets(each.times, events, len(numbers)))
    targets = torch.cat(targets)
    best = None
    for seconds in lengths:
        smooth = {}
        for clip, each in found.items():
            probs, window = frames.moving_average(
                each.times, each.probs, seconds
            )
            window = window or each.window
            smooth[clip] = replace(each, probs=probs, window=window)
        probs = torch.cat([each.probs for each in smooth.values()])
        rows = thresholds.learn_thresholds(tagger.labels, targets, probs)
        limits = torch.tensor([threshold for _, threshold, *_ in rows])
        about = smooth, truth, tagger.labels, limits
        counts = event_metrics.event_counts(*about)[0].sum(1)
        mean = event_metrics.mean_f1(counts[:, counts[1] > 0])
        if best is None or mean > best[0] + 1e-6:
            best = mean, seconds, rows
    if classifier is not None:
        classifier.mean_seconds = best[1]
    return best[1:]


def calibrate_events(folder, tagger, *tables, **options):
    """Learns a model's thresholds and average, and writes them to its folder.

    See ``learn_events``, whose seconds it returns.
    """
    seconds, rows = learn_events(tagger, *tables, **options)
    path = Path(folder, "config.json")
    config = read_json_file(path)
    config["classifier"]["mean_seconds"] = seconds
    write_json(path, config)
    thresholds.write_thresholds(folder, rows)
    return seconds


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

    ``strong_labels`` is a table as for the recipe. Clips that it does not list
    and events of classes that the model lacks are skipped. Clips that cannot be
    read are skipped and logged.
    """
    about = list_labelled_clips(tagger, data_folder, split, **settings)
    names, ids, clips, labels = about
    names = {name: label for name, label in names.items() if label in labels}
    listed = read_strong_labels(strong_labels, set(ids), names, split)
    truth = {
        clip: [event for event in events if event[2] in labels]
        for clip, events in listed.items()
    }
    if len(truth) < len(ids):
        logger.info(
            f"{strong_labels} lists {len(truth)} of the {len(ids)} clips of "
            f"the {split} split: the others are skipped."
        )
    found, errors = {}, {}
    for clip, source, _ in tqdm(
        clips, total=len(ids), unit="clip", disable=not progress
    ):
        if clip not in truth:
            continue
        try:
            found[clip] = tagger.analyze(source(), window, hop)
        except READING_ERRORS as error:
            errors[clip] = error
    for clip, error in errors.items():
        if not found:
            raise error
        logger.warning(f"{clip} is skipped: {error}")
    durations = {clip: each.duration for clip, each in found.items()}
    return found, cut_events(truth, durations, strong_labels)


def evaluate_events(tagger, *tables, **options):
    """``event_metrics`` of a model, with its thresholds or 0.5 without them."""
    found = find_events(tagger, *tables, **options)
    threshold = 0.5 if tagger.thresholds is None else "auto"
    return event_metrics.event_metrics(*found, threshold)
