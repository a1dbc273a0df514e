"""Batches of prepared clips that survive one which cannot be read.

Authors
 * The speechbrain_fftp authors 2026
"""

from speechbrain.dataio import audio_io
from speechbrain.dataio.batch import PaddedBatch
from speechbrain.utils.logger import get_logger

logger = get_logger(__name__)


def load_clip(path):
    """Reads a prepared clip, or says that it cannot be read.

    Arguments
    ---------
    path : str
        The file.

    Returns
    -------
    torch.Tensor or None
        Samples ``[S]``; None, after a warning, if there are none to be read.

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
    logger.warning(
        "Left out %s: %s. If it lies in the prepared folder, delete it and the "
        "manifests (train.csv, ...) there to have it converted anew.",
        path,
        reason,
    )
    return None


def collate_clips(clips):
    """Makes a batch of those clips that could be read.

    Arguments
    ---------
    clips : list of dict
        Items with the keys ``id`` and ``sig``, which ``load_clip`` gave.

    Returns
    -------
    speechbrain.dataio.batch.PaddedBatch
        The batch; its attribute ``left_out`` has the ids of the others.

    Raises
    ------
    ValueError
        If none of them could be read.

    Example
    -------
    >>> import torch
    >>> clips = [{"id": "a", "sig": None}, {"id": "b", "sig": torch.zeros(9)}]
    >>> batch = collate_clips(clips)
    >>> batch.id, batch.left_out
    (['b'], ['a'])
    """
    readable = [clip for clip in clips if clip["sig"] is not None]
    if not readable:
        raise ValueError(
            f"None of the {len(clips)} clips of a batch can be read, from "
            f"{clips[0]['id']} on: is the prepared folder still there?"
        )
    batch = PaddedBatch(readable)
    batch.left_out = [clip["id"] for clip in clips if clip["sig"] is None]
    return batch
