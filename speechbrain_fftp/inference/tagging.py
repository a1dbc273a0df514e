"""AudioTagger: tags, embeddings and events of audio files.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
import math

import torch

from speechbrain_fftp.inference.events import check_thresholds, find_events
from speechbrain_fftp.inference.model import TaggingModel
from speechbrain_fftp.inference.windows import file_windows, frame_size


@dataclasses.dataclass(frozen=True)
class Tag:
    """A label and its probability; ``to_dict`` returns both by name.

    Arguments
    ---------
    label : str
        The label.
    probability : float
        Probability in 0..1.

    Example
    -------
    >>> Tag("Siren", 0.9).to_dict()
    {'label': 'Siren', 'probability': 0.9}
    """

    label: str
    probability: float

    to_dict = dataclasses.asdict


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

    def tag_file(self, path, top_k=10, threshold=None, progress=False):
        """Finds the most probable labels of an audio file.

        A file longer than the model's maximum clip length is cut into windows
        of that length; the probability of a label is its maximum over them.

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

        Raises
        ------
        ValueError
            If ``top_k`` is not positive or ``threshold`` not in 0..1.
        """
        if top_k < 1:
            raise ValueError(f"top_k={top_k} must be positive.")
        check_thresholds(threshold or 0.0)
        probs = torch.zeros(1)
        for *_, wavs, wav_lens in self._clips(path, progress):
            probs = self.tag_batch(wavs, wav_lens).amax(0).cpu().maximum(probs)
        best, classes = probs.topk(min(top_k, len(probs)))
        labels = self.labels
        return [
            Tag(labels[number], probability)
            for number, probability in zip(classes.tolist(), best.tolist())
            if threshold is None or probability >= threshold
        ]

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
            length, the mean over consecutive windows of that length.
        """
        total, count = 0.0, 0
        for *_, wavs, wav_lens in self._clips(path):
            with torch.no_grad(), self.inference_ctx:
                embeddings = self.encode_batch(wavs, wav_lens)
            total = total + embeddings.float().sum((0, 1)).cpu()
            count += len(embeddings)
        return total / count

    def timeline(self, path, window=10.0, hop=5.0, progress=False):
        """Computes the probabilities of all classes over time.

        Windows start every ``hop`` seconds. The last one may be shorter, as is
        the only one of a file shorter than a window.

        Arguments
        ---------
        path : str
            The audio file.
        window : float
            Length of a window in seconds, see ``check_window``.
        hop : float
            Seconds from the start of one window to the start of the next.
        progress : bool
            Whether to show a progress bar.

        Returns
        -------
        times : torch.Tensor
            Centres ``[W]`` of the windows in seconds.
        probs : torch.Tensor
            Probabilities ``[W, C]``.
        """
        return self._window_probabilities(path, window, hop, progress)[:2]

    def tag_long(
        self,
        path,
        window=10.0,
        hop=5.0,
        threshold=0.5,
        low=None,
        progress=False,
    ):
        """Finds events with their start and end, see ``find_events``.

        Short windows and hops give precise times. For precision near the ends
        of the file, windows that overlap it by at least a quarter of their
        length are added before and after those of ``timeline``.

        Arguments
        ---------
        path : str
            The audio file.
        window : float
            Length of a window in seconds, see ``check_window``.
        hop : float
            Seconds from the start of one window to the start of the next.
        threshold : float
            Probability that an event must reach.
        low : float, optional
            Probability below which an event ends; by default, half the other.
        progress : bool
            Whether to show a progress bar.

        Returns
        -------
        list of Event
            Sorted by start.
        """
        low = check_thresholds(threshold, low)
        times, probs, end = self._window_probabilities(
            path, window, hop, progress, edges=True
        )
        labels = self.labels
        return find_events(times, probs, labels, end, window, threshold, low)

    def check_window(self, window, hop):
        """Checks the window length and the hop of a timeline.

        Arguments
        ---------
        window : float
            Length of a window in seconds: one patch to ``max_window``.
        hop : float
            Seconds from the start of one window to the start of the next: at
            least one frame.

        Raises
        ------
        ValueError
            If one of them is out of range.
        """
        rate = self.hparams.sample_rate
        low, high = (size / rate for size in self._window_limits()[1:])
        shift = frame_size(self.mods.compute_features)[1] / rate
        if not low - 1e-6 <= window <= high + 1e-6:
            raise ValueError(
                f"window={window} must be in {low:g}..{high:g} seconds: at "
                "least one patch, at most the model's maximum clip length."
            )
        if not shift - 1e-6 <= hop < math.inf:
            raise ValueError(
                f"hop={hop} must be at least {shift:g} seconds, one frame."
            )

    @property
    def max_window(self):
        """Maximum clip length of the model in seconds."""
        return self._window_limits()[-1] / self.hparams.sample_rate

    def num_samples(self, frames):
        """Returns the length of the shortest clip with a number of frames.

        Arguments
        ---------
        frames : int
            Number of frames.

        Returns
        -------
        int
            Number of samples, at least one window.
        """
        window, shift, margin = frame_size(self.mods.compute_features)
        return max((frames - 1) * shift + window - margin, window)

    def _window_limits(self):
        """Samples of the shortest part of a clip, of a patch and of a clip."""
        embedding = getattr(self.mods.embedding_model, "embedding", None)
        patch_frames = getattr(embedding, "patch_frames", 1)
        return [
            self.num_samples(frames)
            for frames in (1, patch_frames, self.hparams.max_frames)
        ]

    def _clips(self, path, progress=False):
        """Consecutive windows of the model's maximum clip length."""
        rate = self.hparams.sample_rate
        shortest, _, size = self._window_limits()
        return file_windows(path, rate, size, size, shortest, progress=progress)

    def _window_probabilities(self, path, window, hop, progress, edges=False):
        """Centres ``[W]``, probabilities ``[W, C]`` and the file's end."""
        self.check_window(window, hop)
        rate = self.hparams.sample_rate
        size = round(window * rate)
        shortest, patch, _ = self._window_limits()
        if edges:
            shortest = min(max(size // 4, patch), size)
        times, probs = [], []
        for centres, end, wavs, wav_lens in file_windows(
            path, rate, size, hop * rate, shortest, edges, progress
        ):
            times += centres
            probs.append(self.tag_batch(wavs, wav_lens).cpu())
        return torch.tensor(times), torch.cat(probs), end
