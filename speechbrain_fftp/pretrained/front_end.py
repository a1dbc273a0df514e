"""The front end of a published model: features, normalisation, clip length.

Authors
 * The speechbrain_fftp authors 2026
"""

from typing import NamedTuple

import torch

from speechbrain_fftp.lobes.features import DatasetNormalization, KaldiFbank


class FrontEnd(NamedTuple):
    """What comes before an encoder, and its maximum clip length in frames."""

    compute_features: torch.nn.Module
    mean_var_norm: torch.nn.Module
    max_frames: int


def audioset_fbank(encoder, settings) -> FrontEnd:
    """Kaldi filterbanks, normalised by AudioSet's statistics."""
    return FrontEnd(KaldiFbank(), DatasetNormalization(), encoder.max_frames)


def check_number(settings, name, low, high, default=None):
    """A number of a preprocessor_config.json that must be in a range."""
    value = settings.get(name, default)
    if type(value) not in (int, float) or not low <= value <= high:
        raise ValueError(
            f"{name} must be a number from {low:g} to {high:g}, not "
            f"{str(value)[:80]!r}."
        )
    return value


def sampling_rate(settings):
    """The sampling rate in Hz of a preprocessor_config.json."""
    return int(check_number(settings, "sampling_rate", 8000, 192000))
