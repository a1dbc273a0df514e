"""Lengths of the clips of a model, and windows of files that suit it.

Authors
 * The speechbrain_fftp authors 2026
"""

import math

import numpy as np
import torch

from speechbrain_fftp.inference import windows


class ClipSizes:
    """The limits of a model's clips, a part of ``TaggingModel``."""

    @property
    def frame_samples(self):
        """Samples from the start of one frame to that of the next."""
        return windows.frame_size(self.mods.compute_features)[1]

    @property
    def min_samples(self):
        """Samples of one patch."""
        embedding = getattr(self.mods.embedding_model, "embedding", None)
        frames = getattr(embedding, "patch_frames", 1)
        return self._num_samples(frames)

    @property
    def max_samples(self):
        """Samples of the maximum clip length."""
        return self._num_samples(self.hparams.max_frames)

    @property
    def max_window(self):
        """Maximum clip length in seconds."""
        return self.max_samples / self.hparams.sample_rate

    @property
    def piece_samples(self):
        """Samples that the encoder sees at once: some cut longer ones."""
        frames = getattr(self.mods.embedding_model, "max_frames", math.inf)
        frames = min(frames, self.hparams.max_frames)
        return self._num_samples(frames)

    def _num_samples(self, frames):
        """Samples of the shortest clip with so many frames, at least one."""
        window, shift, margin = windows.frame_size(self.mods.compute_features)
        return max((frames - 1) * shift + window - margin, window)

    def load_wav(self, path):
        """Reads a whole audio file as a waveform ``[S]`` for the model."""
        blocks = list(windows.audio_blocks(path, self.hparams.sample_rate))
        return torch.from_numpy(np.concatenate(blocks))

    def check_window(self, window=None, hop=None):
        """Checks the window length and the hop of a timeline, in seconds.

        Arguments
        ---------
        window, hop : float, optional
            Length of a window, by default 10 or ``max_window`` if that is less,
            and step from one start to the next, by default half a window.

        Returns
        -------
        window, hop : float

        Raises
        ------
        ValueError
            If one of them is out of range.
        """
        limits = self.frame_samples, self.min_samples, self.max_samples
        frame, low, high = (n / self.hparams.sample_rate for n in limits)
        window = min(10.0, high) if window is None else window
        hop = window / 2 if hop is None else hop
        if not low - 1e-6 <= window <= high + 1e-6:
            raise ValueError(
                f"window={window} must be in {low:g}..{high:g} seconds: at "
                "least one patch, at most the model's maximum clip length."
            )
        if not frame - 1e-6 <= hop < math.inf:
            raise ValueError(
                f"hop={hop} must be at least {frame:g} seconds, one frame."
            )
        return window, hop

    def _windows(self, source, grids=(), progress=False):
        """Windows of a file; by default, pieces of the maximum clip length."""
        rate, size = self.hparams.sample_rate, self.max_samples
        grids = [(round(w * rate), hop * rate) for w, hop in grids]
        grids = grids or [(size, size)]
        return windows.file_windows(
            source, rate, grids, self.min_samples, progress
        )
