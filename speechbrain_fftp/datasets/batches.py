"""Batches of prepared clips, and statistics of their labels.

Authors
 * The speechbrain_fftp authors 2026
"""

from collections import Counter

import torch

from speechbrain.dataio import audio_io
from speechbrain.dataio.batch import PaddedBatch
from speechbrain.utils.logger import get_logger

logger = get_logger(__name__)
_unread = []  # ids of the clips since the last batch with a readable one


def load_clip(path):
    """Samples ``[S]`` of a prepared clip; None, and a warning, without any."""
    reason = "it has no samples"
    try:
        samples = audio_io.load(path, always_2d=False)[0]
        if len(samples):
            return samples
    except RuntimeError as error:
        reason = error
    remedy = "If it is in the prepared folder, delete it and the manifests "
    remedy += "(train.csv, ...) there, so that it is converted again."
    logger.warning("Skipped %s: %s. %s", path, reason, remedy)
    return None


def collate_clips(clips):
    """Makes a PaddedBatch of the clips whose ``sig`` could be loaded.

    The batch's attribute ``unreadable`` has the ids of the other clips. For a
    clip that is alone in its batch, it has silence, which does not count.
    """
    readable = [clip for clip in clips if clip["sig"] is not None]
    unreadable = [clip["id"] for clip in clips if clip["sig"] is None]
    _unread[:] = [] if readable else [*_unread, *unreadable]
    if len(_unread) > 2 or (len(clips) > 1 and not readable):
        raise ValueError(
            f"None of the last {len(_unread)} clips can be read, for example "
            f"{_unread[0]}: is the prepared folder still there?"
        )
    batch = PaddedBatch(readable or [{**clips[0], "sig": torch.zeros(16000)}])
    batch.unreadable = unreadable
    return batch


def count_labels(rows):
    """Counts the clips that have each label; a row has the labels of a clip."""
    return Counter(label for row in rows for label in set(row))


def prior_log_odds(counts, num_clips, labels):
    """Log-odds ``[C]`` of each class in a training set, finite for empty ones.

    As the initial bias, they save hundreds of steps of learning that almost all
    targets are 0.
    """
    positive = torch.tensor([counts.get(k, 0) + 0.1 for k in labels])
    return torch.log(positive / (num_clips + 0.2 - positive))


def class_balanced_weight(row, counts):
    """Sampling weight of a clip: the sum of ``1 / count`` over its labels."""
    return sum(1 / counts[label] for label in set(row))
