"""Learns from, and is scored on, the times of sounds in clips.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
from collections import Counter
from pathlib import Path

import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from speechbrain.utils.distributed import run_on_main
from speechbrain.utils.logger import get_logger
from speechbrain_fftp.dataio.files import write_json
from speechbrain_fftp.datasets.manifests import read_classes_csv
from speechbrain_fftp.datasets.strong_labels import (
    cut_events,
    read_strong_labels,
)
from speechbrain_fftp.inference.events import step_targets

logger = get_logger(__name__)


def read_events(path, dataset, prepared_folder, split="train"):
    """Reads the events of a data set's clips from a table, cut at their ends.

    Arguments
    ---------
    path : str, optional
        A table that ``read_strong_labels`` reads; None for no events.
    dataset : DynamicItemDataset
        The clips.
    prepared_folder : str
        The folder of classes.csv, which maps labels of the table, such as mids,
        to those of the model. Events of other labels are dropped.
    split : str
        The name of the data set, for messages.

    Returns
    -------
    dict
        For each clip that the table lists: start and end in seconds, and the
        number of the class, of its events.
    """
    if path is None:
        return {}
    classes = read_classes_csv(prepared_folder)
    numbers = {label: number for number, label in enumerate(classes.values())}
    durations = {clip: row["duration"] for clip, row in dataset.data.items()}
    listed = read_strong_labels(path, durations, classes, split)
    listed = cut_events(listed, durations, path)
    events = {}
    unknown = Counter()
    for clip, rows in listed.items():
        events[clip] = []
        for start, end, label in rows:
            if label in numbers:
                events[clip].append((start, end, numbers[label]))
            else:
                unknown[label] += 1
    if not any(events.values()):
        raise ValueError(f"{path}: all events begin after their clip ends.")
    if unknown:
        logger.warning(
            "%s: skipped %d events of %d other classes, such as %s",
            path,
            unknown.total(),
            len(unknown),
            next(iter(unknown)),
        )
    logger.info(
        "%s: times of events in %d of %d clips",
        path,
        len(events),
        len(durations),
    )
    return events


def frame_loss(logits, targets, known):
    """Mean binary cross-entropy of the time steps whose targets are known.

    Arguments
    ---------
    logits, targets : torch.Tensor
        Of time steps, ``[B, N, C]``.
    known : torch.Tensor
        1.0 for known targets, 0.0 for others, ``[B, N, C]``.
    """
    loss = binary_cross_entropy_with_logits(logits, targets, reduction="none")
    return (loss * known).sum() / known.sum().clamp(min=1)


def score_events(
    brain, datasets, *, folder, prepared_folder, strong_valid, strong_eval
):
    """Scores the events of a trained model, which is in ``folder/inference``.

    With a table for validation clips, thresholds and a moving average of time
    steps are learnt and written to the model first. The scores of evaluation
    clips are added to metrics.json.
    """
    run_on_main(
        _score_events,
        args=[Path(folder), prepared_folder, strong_valid, strong_eval],
    )


def _score_events(folder, prepared_folder, strong_valid, strong_eval):
    """See ``score_events``."""
    from speechbrain_fftp.inference import AudioTagger
    from speechbrain_fftp.inference.event_scores import (
        calibrate_events,
        evaluate_events,
    )

    model = folder / "inference"
    if strong_valid is not None:
        tagger = AudioTagger.from_pretrained(model)
        calibrate_events(model, tagger, prepared_folder, strong_valid)
    if strong_eval is not None:
        tagger = AudioTagger.from_pretrained(model)
        scores = evaluate_events(tagger, prepared_folder, strong_eval)
        metrics = json.loads((folder / "metrics.json").read_text("utf-8"))
        metrics["events"] = scores
        write_json(folder / "metrics.json", metrics, strict=True)
        lines = [f"{name} {value:.4f}" for name, value in scores.items()]
        logger.info("Events:\n%s", "\n".join(lines))


def add_frame_targets(brain, datasets, *, strong_labels, prepared_folder):
    """Adds the targets of time steps to the training clips.

    They get the items ``frame_targets`` ``[N, C]``, and ``known`` ``[C]``: 1.0
    for the classes that have times in the table, if it lists the clip. It is
    called before the training.

    Arguments
    ---------
    brain : speechbrain.Brain
        The Brain of train_strong.py.
    datasets : dict
        Its data sets.
    strong_labels : str, optional
        The table of events; None: nothing is known.
    prepared_folder : str
        Where classes.csv is.
    """
    dataset = datasets["train"]
    events = read_events(strong_labels, dataset, prepared_folder)
    n_classes = len(brain.hparams.label_encoder)
    timed = torch.zeros(n_classes)
    for rows in events.values():
        for *_, number in rows:
            timed[number] = 1.0

    def pipeline(clip, sig):
        """Yields targets of time steps, and which of them are known."""
        times = brain.step_times(len(sig)).numpy()
        targets = step_targets(times, events.get(clip, ()), n_classes)
        yield torch.as_tensor(targets, dtype=torch.float32)
        yield timed if clip in events else torch.zeros(n_classes)

    dataset.add_dynamic_item(
        pipeline, takes=["id", "sig"], provides=["frame_targets", "known"]
    )
    dataset.set_output_keys(["id", "sig", "targets", "frame_targets", "known"])
