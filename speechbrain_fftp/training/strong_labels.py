"""Learns from the times of sounds in clips (strong labels).

Authors
 * The speechbrain_fftp authors 2026
"""

import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from fftp_tag.data.class_lists import read_classes_csv
from fftp_tag.data.strong_labels import (
    cut_events,
    make_frame_targets,
    read_strong_labels,
)
from speechbrain.utils.logger import get_logger
from speechbrain_fftp.lobes.frame_classifier import frame_level_times

logger = get_logger(__name__)


def read_events(path, dataset, prepared_folder):
    """Reads the events of training clips from a table, cut at the clips' ends.

    Arguments
    ---------
    path : str, optional
        A table that ``read_strong_labels`` reads; None for no events.
    dataset : DynamicItemDataset
        The clips.
    prepared_folder : str
        The folder of classes.csv, which maps labels of the table, such as mids,
        to labels of the model. Events with other labels are dropped.

    Returns
    -------
    dict
        For each clip in the table, its events: start and end in seconds, and
        the index of the class.
    """
    if path is None:
        return {}
    classes = read_classes_csv(prepared_folder)
    numbers = {label: number for number, label in enumerate(classes.values())}
    durations = {clip: row["duration"] for clip, row in dataset.data.items()}
    listed = read_strong_labels(path, durations, classes, "the training clips")
    listed = cut_events(listed, durations, path)
    logger.info(
        "%s: times of events in %d of %d clips",
        path,
        len(listed),
        len(durations),
    )
    return {
        clip: [
            (start, end, numbers[label])
            for start, end, label in events
            if label in numbers
        ]
        for clip, events in listed.items()
    }


def add_frame_targets(
    dataset,
    strong_labels,
    prepared_folder,
    *,
    n_classes,
    front_end,
    embedding,
):
    """Adds the frame-level targets to training clips.

    The clips get the items ``frame_targets`` ``[N, C]`` and ``known`` ``[C]``:
    1.0 for the classes with events in the table, if it lists the clip.

    Arguments
    ---------
    dataset : DynamicItemDataset
        The training clips.
    strong_labels : str, optional
        The table of events; None if there is none.
    prepared_folder : str
        The folder of classes.csv.
    n_classes : int
        Number of classes.
    front_end, embedding : torch.nn.Module
        The features and the patches, which decide the times of targets.
    """
    events = read_events(strong_labels, dataset, prepared_folder)
    timed = torch.zeros(n_classes)
    for rows in events.values():
        for _, _, number in rows:
            timed[number] = 1.0

    def pipeline(clip, sig):
        """Yields the frame-level targets, and a mask of known classes."""
        times = frame_level_times(front_end, embedding, len(sig)).numpy()
        targets = make_frame_targets(times, events.get(clip, ()), n_classes)
        yield torch.as_tensor(targets, dtype=torch.float32)
        yield timed if clip in events else torch.zeros(n_classes)

    dataset.add_dynamic_item(
        pipeline, takes=["id", "sig"], provides=["frame_targets", "known"]
    )
    dataset.set_output_keys(["id", "sig", "targets", "frame_targets", "known"])


def frame_loss(logits, targets, known):
    """Mean binary cross-entropy of the predictions whose targets are known.

    Arguments
    ---------
    logits, targets : torch.Tensor
        Frame-level logits and targets ``[B, N, C]``.
    known : torch.Tensor
        1.0 for known targets ``[B, N, C]``, 0.0 for unknown ones.
    """
    loss = binary_cross_entropy_with_logits(logits, targets, reduction="none")
    return (loss * known).sum() / known.sum().clamp(min=1)
