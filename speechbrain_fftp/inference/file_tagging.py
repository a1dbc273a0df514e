"""Tags, embeddings and events of audio files of any length.

Authors
 * The speechbrain_fftp authors 2026
"""

import math

import torch

from speechbrain_fftp.inference.events import check_thresholds, find_events
from speechbrain_fftp.inference.results import Tag
from speechbrain_fftp.inference.windows import file_windows


class FileTagging:
    """What ``AudioTagger`` does with files, by what it does with batches.

    Memory does not grow with a file's length, but for ``timeline``'s result.
    The class it is mixed into has ``mods``, ``hparams``, ``encode_batch`` and
    ``tag_batch``.

    Example
    -------
    >>> import numpy as np
    >>> import soundfile as sf
    >>> from types import SimpleNamespace
    >>> class Loudness(FileTagging):
    ...     hparams = SimpleNamespace(
    ...         label_encoder=SimpleNamespace(ind2lab={0: "Loud"}),
    ...         sample_rate=8000,
    ...         max_frames=100,
    ...     )
    ...     mods = SimpleNamespace(
    ...         compute_features=SimpleNamespace(window=80, shift=80),
    ...         embedding_model=None,
    ...     )
    ...
    ...     def tag_batch(self, wavs, wav_lens):
    ...         return wavs.abs().amax(1, keepdim=True)
    >>> path = str(getfixture("tmpdir") / "a.wav")
    >>> sf.write(path, np.repeat([0.0, 0.75, 0.0], 8000), 8000)
    >>> Loudness().tag_file(path)
    [Tag(label='Loud', probability=0.75)]
    >>> times, probs = Loudness().timeline(path, window=1, hop=1)
    >>> times.tolist(), probs.flatten().tolist()
    ([0.5, 1.5, 2.5], [0.0, 0.75, 0.0])
    """

    def tag_file(self, path, top_k=10, threshold=None, progress=False):
        """The most probable labels of an audio file.

        Any format that soundfile reads, any sampling rate, length and number
        of channels. A file longer than the model's clips is cut into windows
        of their length, and a label has its highest probability over these.

        Arguments
        ---------
        path : str
            The audio file.
        top_k : int
            How many labels to return.
        threshold : float, optional
            Only labels with at least this probability are returned.
        progress : bool
            Whether to show a progress bar.

        Returns
        -------
        list of Tag
            At most ``top_k``, the most probable first.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If it cannot be read as audio, holds no sample, or holds samples
            that are not finite; if ``top_k`` is not positive or ``threshold``
            not in 0..1; or if the model has not one label per class.
        """
        if top_k < 1:
            raise ValueError(f"top_k={top_k} must be positive.")
        check_thresholds(threshold or 0.0)
        probs = torch.zeros(1)
        for *_, wavs, wav_lens in self._clips(path, progress):
            probs = self.tag_batch(wavs, wav_lens).amax(0).cpu().maximum(probs)
        labels = self.labels_of(probs)
        best, classes = probs.topk(min(top_k, len(probs)))
        tags = zip(classes.tolist(), best.tolist())
        found = [Tag(labels[number], p) for number, p in tags]
        if threshold is None:
            return found
        return [tag for tag in found if tag.probability >= threshold]

    def embed_file(self, path):
        """The embedding of an audio file.

        Arguments
        ---------
        path : str
            The audio file, see ``tag_file``.

        Returns
        -------
        torch.Tensor
            ``[D]``; for a file longer than the model's clips, the mean over
            consecutive windows of their length.
        """
        total, count = 0.0, 0
        for *_, wavs, wav_lens in self._clips(path):
            with torch.no_grad(), self.inference_ctx:
                embeddings = self.encode_batch(wavs, wav_lens)
            total = total + embeddings.float().sum((0, 1)).cpu()
            count += len(embeddings)
        return total / count

    def timeline(self, path, window=10.0, hop=5.0, progress=False):
        """Probabilities of all classes over time, in constant memory.

        Windows start every ``hop`` seconds. The last may be shorter, as is the
        only one of a file shorter than a window.

        Arguments
        ---------
        path : str
            The audio file, of any length.
        window : float
            Length of a window in seconds: at least one patch, at most
            ``max_window``.
        hop : float
            Seconds from one window's start to the next one's.
        progress : bool
            Whether to show a progress bar.

        Returns
        -------
        times : torch.Tensor
            Centres ``[W]`` of the windows, in seconds.
        probs : torch.Tensor
            ``[W, C]`` in 0..1, see ``probabilities``.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If it cannot be read as audio, holds no sample, or holds samples
            that are not finite; if ``window`` or ``hop`` is out of range; or
            if the model has not one label per class.
        """
        times, probs, _ = self._probabilities(
            path, window, hop, progress=progress
        )
        return times, probs

    def tag_long(
        self,
        path,
        window=10.0,
        hop=5.0,
        threshold=0.5,
        low=None,
        progress=False,
    ):
        """What is heard when, in a file of any length.

        An event begins and ends where its probability crosses ``low``, if it
        reaches ``threshold`` between, see ``find_events``. Short windows and
        hops give exact times. Before the first and after the last window of
        ``timeline``, there are windows down to a quarter of ``window``, so
        that times are as exact near the ends of the file.

        Arguments
        ---------
        path : str
            The audio file, of any length.
        window : float
            See ``timeline``.
        hop : float
            See ``timeline``.
        threshold : float
            The probability that an event has to reach.
        low : float, optional
            The probability down to which it goes on; half of ``threshold``
            when absent.
        progress : bool
            Whether to show a progress bar.

        Returns
        -------
        list of Event
            By start.
        """
        low = check_thresholds(threshold, low)
        times, probs, end = self._probabilities(
            path, window, hop, edges=True, progress=progress
        )
        labels = self.labels
        return find_events(times, probs, labels, end, window, threshold, low)

    def check_window(self, window, hop):
        """Checks the length and the distance of a timeline's windows.

        Arguments
        ---------
        window : float
            Length of a window, in seconds.
        hop : float
            Seconds from one window's start to the next one's.

        Returns
        -------
        int
            Samples of one patch, the shortest window.

        Raises
        ------
        ValueError
            If one of them is out of range.
        """
        embedding = getattr(self.mods.embedding_model, "embedding", None)
        patch = self.num_samples(getattr(embedding, "patch_frames", 1))
        shift = self.mods.compute_features.shift / self._rate
        low, high = patch / self._rate, self.max_window
        if not low - 1e-6 <= window <= high + 1e-6:
            raise ValueError(
                f"window={window} must be in {low:g}..{high:g} seconds: from "
                "one patch to the longest clip of this model."
            )
        if not shift - 1e-6 <= hop < math.inf:
            raise ValueError(
                f"hop={hop} must be at least {shift:g} seconds, one frame."
            )
        return patch

    @property
    def labels(self):
        """The label of each class, in their order: list of str."""
        labels = self.hparams.label_encoder.ind2lab
        return [labels[number] for number in range(len(labels))]

    @property
    def max_window(self):
        """Seconds of the longest window, the model's ``max_frames``."""
        return self.num_samples(self.hparams.max_frames) / self._rate

    @property
    def _rate(self):
        """The model's sampling rate."""
        return self.hparams.sample_rate

    def num_samples(self, frames):
        """Samples of so many frames.

        Arguments
        ---------
        frames : int
            Number of frames.

        Returns
        -------
        int
            From the beginning of the first to the end of the last.
        """
        fbank = self.mods.compute_features
        return fbank.window + (frames - 1) * fbank.shift

    def labels_of(self, probs):
        """The labels of probabilities, whose number is checked.

        Arguments
        ---------
        probs : torch.Tensor
            ``[..., C]``.

        Returns
        -------
        list of str
            The label of each class.

        Raises
        ------
        ValueError
            If the model has not one label per class.
        """
        if probs.shape[-1] != len(self.labels):
            raise ValueError(
                f"The model tells {probs.shape[-1]} classes apart, but its "
                f"label_encoder.ckpt has {len(self.labels)} labels."
            )
        return self.labels

    def _clips(self, path, progress=False):
        """Consecutive windows of the model's length, see ``file_windows``."""
        size = self.num_samples(self.hparams.max_frames)
        frame = self.mods.compute_features.window  # fewer samples are left out
        return file_windows(
            path, self._rate, size, size, frame, progress=progress
        )

    def _probabilities(self, path, window, hop, edges=False, progress=False):
        """Centres ``[W]``, probabilities ``[W, C]`` and the file's end."""
        patch = self.check_window(window, hop)
        size = round(window * self._rate)
        least = self.mods.compute_features.window
        if edges:
            least = min(max(size // 4, patch), size)
        times, probs = [], []
        batches = file_windows(
            path, self._rate, size, hop * self._rate, least, edges, progress
        )
        for centres, end, wavs, wav_lens in batches:
            times += centres
            probs.append(self.tag_batch(wavs, wav_lens).cpu())
        probs = torch.cat(probs)
        self.labels_of(probs)
        return torch.tensor(times), probs, end
