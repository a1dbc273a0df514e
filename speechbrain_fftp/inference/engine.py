"""What ``AudioTagger`` needs of a model: an engine, in terms of NumPy.

Authors
 * The speechbrain_fftp authors 2026
"""

from typing import Optional, Protocol

import numpy as np

NO_CLASSES = (
    "This model has no classes and gives embeddings only (embed_file, "
    "encode_batch). Learn your own classes on it, with fftp-tag learn, or with "
    "--pretrained in a recipe."
)


class Engine(Protocol):
    """A trained model that computes probabilities of batches of samples.

    ``TorchEngine`` and ``OnnxEngine`` are. Waveforms are float32, ``[B, S]``, at
    the model's sampling rate, and of equal lengths unless ``wav_lens`` ``[B]``
    are given, relative to S.
    """

    labels: list  # names of the C classes
    sample_rate: int  # in Hz
    min_samples: int  # of one patch
    max_samples: int  # of the longest clip
    frame_samples: int  # from the start of one frame to that of the next
    single_label: bool  # whether probabilities sum up to 1
    thresholds: Optional[np.ndarray]  # of the classes [C], if learned
    has_frames: bool  # whether the model classifies time steps
    step_samples: int  # from one time step to the next, if it does
    mean_seconds: float  # length of the moving average of its events

    def probabilities(self, wavs, wav_lens=None) -> np.ndarray:
        """Probabilities of the clips, ``[B, C]``."""

    def frame_probabilities(self, wavs) -> tuple:
        """Those of the clips, ``[B, C]``, and of time steps, ``[B, N, C]``."""

    def step_times(self, n_samples) -> np.ndarray:
        """The centre of each time step of a clip in seconds, ``[N]``."""

    def embeddings(self, wavs) -> np.ndarray:
        """Embeddings of the clips, ``[B, D]``."""

    def tag_batch(self, wavs, wav_lens=None):
        """As ``probabilities``; tensors on the model's device of ``torch``."""

    def encode_batch(self, wavs, wav_lens=None):
        """Embeddings of the clips, ``[B, 1, D]``, likewise."""
