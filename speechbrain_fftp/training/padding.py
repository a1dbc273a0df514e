"""Batches of one shape, which compiled code and CUDA graphs need.

Authors
 * The speechbrain_fftp authors 2026
"""

from torch.nn.functional import pad

from fftp_tag.errors import InputError
from speechbrain.dataio.batch import PaddedBatch, PaddedData
from speechbrain.utils.logger import get_logger
from speechbrain_fftp.onnx.export import num_samples

logger = get_logger(__name__)


class ClipBatch:
    """Pads a batch to ``n_samples``; the ``collate_fn`` of training clips.

    Padding is in no clip's lengths, so that encoders mask it. A batch with a
    longer clip has that clip's length, as all have while ``n_samples`` is 0.

    Example
    -------
    >>> import torch
    >>> collate = ClipBatch()
    >>> collate.n_samples = 8
    >>> batch = collate([{"sig": torch.ones(4)}, {"sig": torch.ones(2)}])
    >>> batch.sig.data.shape, batch.sig.lengths
    (torch.Size([2, 8]), tensor([0.5000, 0.2500]))
    """

    def __init__(self):
        self.n_samples = 0

    def __call__(self, examples):
        """A ``PaddedBatch`` of examples with ``sig``."""
        batch = PaddedBatch(examples)
        wavs, lengths = batch.sig
        size = wavs.shape[1]
        if size < self.n_samples:
            wavs = pad(wavs, (0, self.n_samples - size))
            lengths = lengths * (size / self.n_samples)
            batch.sig = PaddedData(wavs, lengths)
        return batch


def pad_to_one_shape(brain, datasets, *, collate, pad_frames):
    """Sets the length to which batches of training clips are padded.

    ``pad_frames`` is "longest", for that of the longest training clip; a number
    of frames; or None, for no more padding than a batch needs. Warns if most of
    a batch would be padding. For ``before`` in a yaml file.
    """
    if pad_frames is None:
        return
    hparams, front_end = brain.hparams, brain.modules["compute_features"]
    rows = datasets["train"].data.values()
    seconds = [float(row["duration"]) for row in rows]
    if pad_frames == "longest":
        collate.n_samples = round(max(seconds) * hparams.sample_rate)
    elif isinstance(pad_frames, int):
        collate.n_samples = num_samples(front_end, pad_frames)
    else:
        raise InputError(
            f"pad_frames {pad_frames} must be longest, a number of frames, or "
            "null: to the longest clip of a batch."
        )
    padded = collate.n_samples / hparams.sample_rate
    mean = sum(seconds) / len(seconds)
    if mean < padded / 2:
        logger.warning(
            "Training clips have %.1f s on average, and are padded to %.1f s: "
            "with --pad_frames null, to the longest clip of a batch, training "
            "takes less time, but what is compiled needs one shape.",
            mean,
            padded,
        )
