"""The front end of a published model.

Authors
 * The speechbrain_fftp authors 2026
"""

from typing import NamedTuple

import torch


class FrontEnd(NamedTuple):
    """Features, their normalisation, and the maximum clip length in frames."""

    compute_features: torch.nn.Module
    mean_var_norm: torch.nn.Module
    max_frames: int
