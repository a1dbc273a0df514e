"""Batches of prepared clips, in which unreadable clips are skipped.

Authors
 * The speechbrain_fftp authors 2026
"""

from speechbrain.dataio import audio_io
from speechbrain.dataio.batch import PaddedBatch
from speechbrain.utils.logger import get_logger

logger = get_logger(__name__)


def load_clip(path):
    """Reads a prepared clip, or logs why it cannot be read.

    Arguments
    ---------
    path : str
        The file.

    Returns
    -------
    torch.Tensor or None
        Samples ``[S]``; None if the file cannot be read or is empty.

    Example
    -------
    >>> load_clip("no_such_clip.flac") is None
    True
    """
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
    """Makes a batch of the clips that could be read.

    Arguments
    ---------
    clips : list of dict
        Items with the keys ``id`` and ``sig``, which ``load_clip`` returned.

    Returns
    -------
    speechbrain.dataio.batch.PaddedBatch
        The batch; its attribute ``unreadable`` has the ids of the other clips.

    Raises
    ------
    ValueError
        If no clip could be read.

    Example
    -------
    >>> import torch
    >>> clips = [{"id": "a", "sig": None}, {"id": "b", "sig": torch.zeros(9)}]
    >>> batch = collate_clips(clips)
    >>> batch.id, batch.unreadable
    (['b'], ['a'])
    """
    readable = [clip for clip in clips if clip["sig"] is not None]
    if not readable:
        raise ValueError(
            f"None of the {len(clips)} clips of a batch can be read, for "
            f"example {clips[0]['id']}: is the prepared folder still there?"
        )
    batch = PaddedBatch(readable)
    batch.unreadable = [clip["id"] for clip in clips if clip["sig"] is None]
    return batch
