"""AudioTagger: tags, embeddings and events of audio files.

Authors
 * The speechbrain_fftp authors 2026
"""

import functools

import torch

from speechbrain_fftp.inference.events import check_thresholds
from speechbrain_fftp.inference.model import TaggingModel
from speechbrain_fftp.inference.timeline import (
    build_timeline,
    choose_window,
    rank_tags,
)
from speechbrain_fftp.inference.windows import (
    file_windows,
    frame_size,
    num_samples,
)


class AudioTagger(TaggingModel):
    """Finds tags, embeddings and events of audio files with a trained model.

    See ``TaggingModel`` for how to load a model and for batches of waveforms.

    Files may have any length, sampling rate and number of channels, and any
    format that soundfile reads. Memory does not grow with their length, except
    for the result of ``timeline``. A file that does not exist raises
    FileNotFoundError. One that cannot be read as audio, has no samples, or has
    samples that are not finite raises ValueError.

    Example
    -------
    >>> import numpy as np
    >>> import soundfile as sf
    >>> from speechbrain.dataio.encoder import CategoricalEncoder
    >>> from speechbrain_fftp.lobes import features
    >>> from speechbrain_fftp.lobes.models.AST import AST
    >>> labels = CategoricalEncoder()
    >>> labels.update_from_iterable(["Speech", "Music"])
    >>> hparams = {"label_encoder": labels, "sample_rate": 16000}
    >>> modules = {
    ...     "compute_features": features.KaldiFbank(),
    ...     "mean_var_norm": features.DatasetNormalization(),
    ...     "embedding_model": AST(embed_dim=48, depth=1, num_heads=3),
    ...     "classifier": torch.nn.Linear(48, 2),
    ... }
    >>> tagger = AudioTagger(modules, {**hparams, "max_frames": 1024})
    >>> path = str(getfixture("tmpdir") / "a.wav")
    >>> sf.write(path, np.zeros(24000), 8000)
    >>> len(tagger.tag_file(path))
    2
    >>> times, probs = tagger.timeline(path, window=1, hop=1)
    >>> times.tolist()
    [0.5, 1.5, 2.5]
    """

    def tag_file(self, path, top_k=5, threshold=None, progress=False):
        """Finds the most probable labels of an audio file.

        A file longer than the model's maximum clip length is cut into pieces
        of that length, of which the last two may overlap; the probability of a
        label is its maximum over the pieces.

        Arguments
        ---------
        path : str
            The audio file.
        top_k : int
            Maximum number of labels.
        threshold : float, optional
            Drops labels below this probability.
        progress : bool
            Whether to show a progress bar.

        Returns
        -------
        list of Tag
            Sorted by probability, the highest first.
        """
        best = (
            self.tag_batch(wavs).amax(0).cpu()
            for *_, wavs in self._windows(path, progress=progress)
        )
        probs = functools.reduce(torch.maximum, best)
        return rank_tags(probs, self.labels, top_k, threshold)

    def embed_file(self, path):
        """Computes the embedding of an audio file.

        Arguments
        ---------
        path : str
            The audio file.

        Returns
        -------
        torch.Tensor
            Embedding ``[D]``; of a file longer than the model's maximum clip
            length, the mean over the pieces of ``tag_file``.
        """
        total, count = 0.0, 0
        for *_, wavs in self._windows(path):
            with torch.no_grad(), self.inference_ctx:
                embeddings = self.encode_batch(wavs)
            total = total + embeddings.float().sum((0, 1)).cpu()
            count += len(embeddings)
        return total / count

    def analyze(self, source, window=None, hop=None, progress=False):
        """Computes the probabilities of all classes, over time and in all.

        Windows start every ``hop`` seconds; the last one ends with the file. A
        file shorter than a window is one window. What tags and events are found
        in is computed once: other thresholds need no further run of the model.

        Arguments
        ---------
        source : str
            The audio file.
        window, hop : float, optional
            Length of a window and step between windows, see ``check_window``.
        progress : bool
            Whether to show a progress bar.

        Returns
        -------
        Timeline
            Times and probabilities of the windows, and those of the file.
        """
        window, hop = self.check_window(window, hop)
        rate = self.hparams.sample_rate
        grid = round(window * rate), hop * rate
        batches = (
            (spans, members, self.tag_batch(wavs))
            for spans, members, wavs in self._windows(source, grid, progress)
        )
        return build_timeline(batches, rate, window, self.labels)

    def timeline(self, path, window=None, hop=None, progress=False):
        """Computes the probabilities of all classes over time.

        Arguments
        ---------
        path : str
            The audio file.
        window, hop : float, optional
            Length of a window and step between windows, see ``check_window``.
        progress : bool
            Whether to show a progress bar.

        Returns
        -------
        times : torch.Tensor
            Centres ``[W]`` of the windows in seconds.
        probs : torch.Tensor
            Probabilities ``[W, C]``, see ``analyze``.
        """
        found = self.analyze(path, window, hop, progress)
        return found.times, found.probs

    def tag_long(
        self,
        path,
        window=None,
        hop=None,
        threshold=0.5,
        low=None,
        progress=False,
    ):
        """Finds events with their start and end, see ``find_events``.

        Short windows and hops give precise times.

        Arguments
        ---------
        path : str
            The audio file.
        window, hop : float, optional
            Length of a window and step between windows, see ``check_window``.
        threshold, low : float, optional
            Probability that an event must reach, and below which it ends.
        progress : bool
            Whether to show a progress bar.

        Returns
        -------
        list of Event
            Sorted by start.
        """
        low = check_thresholds(threshold, low)
        return self.analyze(path, window, hop, progress).events(threshold, low)

    def check_window(self, window=None, hop=None):
        """Checks the window length and the hop of a timeline.

        Arguments
        ---------
        window, hop : float, optional
            Both, in seconds; see ``choose_window``.

        Returns
        -------
        window, hop : float
            The same, or their defaults.
        """
        rate = self.hparams.sample_rate
        frame = frame_size(self.mods.compute_features)[1]
        limits = (size / rate for size in (*self._window_limits(), frame))
        return choose_window(window, hop, *limits)

    @property
    def max_window(self):
        """Maximum clip length of the model in seconds."""
        return self._window_limits()[-1] / self.hparams.sample_rate

    def _window_limits(self):
        """Samples of a patch and of the maximum clip length."""
        embedding = getattr(self.mods.embedding_model, "embedding", None)
        patch_frames = getattr(embedding, "patch_frames", 1)
        return [
            num_samples(self.mods.compute_features, frames)
            for frames in (patch_frames, self.hparams.max_frames)
        ]

    def _windows(self, path, grid=None, progress=False):
        """Pieces of the maximum clip length, and the windows of a grid."""
        size = self._window_limits()[1]
        grids = [(size, size), *([grid] if grid else [])]
        rate = self.hparams.sample_rate
        return file_windows(path, rate, grids, progress)
