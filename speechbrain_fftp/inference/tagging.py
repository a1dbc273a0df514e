"""AudioTagger: tags, embeddings and events of audio files.

Authors
 * The speechbrain_fftp authors 2026
"""

import functools

import torch

from speechbrain_fftp.inference import events
from speechbrain_fftp.inference.events import check_thresholds
from speechbrain_fftp.inference.frames import analyze_frames, moving_average
from speechbrain_fftp.inference.many_files import FileTags, tag_many
from speechbrain_fftp.inference.model import TaggingModel
from speechbrain_fftp.inference.windows import mono_waveform


class AudioTagger(TaggingModel):
    """Finds tags, embeddings and events of audio files with a trained model.

    See ``TaggingModel`` for how to load a model and for batches of waveforms.

    Files are given by their path, their content (bytes) or as binary file
    objects. They may have any length, sampling rate and number of channels, and
    any format that libsndfile or, if it is installed, ffmpeg reads. Memory does
    not grow with their length, except for the result of ``timeline``. A path
    that does not exist raises FileNotFoundError. What cannot be read as audio,
    is shorter than 25 ms, or has samples that are not finite raises ValueError.
    What is shorter than one patch of the model is tagged with a warning.

    Example
    -------
    >>> from speechbrain.dataio.encoder import CategoricalEncoder
    >>> from speechbrain_fftp.lobes import features
    >>> from speechbrain_fftp.lobes.models.AST import AST
    >>> labels = CategoricalEncoder()
    >>> labels.update_from_iterable(["Speech", "Music"])
    >>> modules = {
    ...     "compute_features": features.KaldiFbank(),
    ...     "mean_var_norm": features.DatasetNormalization(),
    ...     "embedding_model": AST(embed_dim=48, depth=1, num_heads=3),
    ...     "classifier": torch.nn.Linear(48, 2),
    ... }
    >>> sizes = {"sample_rate": 16000, "max_frames": 1024}
    >>> tagger = AudioTagger(modules, {**sizes, "label_encoder": labels})
    >>> len(tagger.tag(torch.zeros(24000, 2), sample_rate=16000))
    2
    """

    def tag(self, wav, sample_rate, top_k=5, threshold=None):
        """Tags a waveform in memory, like ``tag_file``.

        Arguments
        ---------
        wav, sample_rate : numpy.ndarray or torch.Tensor, float
            Samples ``[S]``, or ``[S, C]`` or ``[C, S]`` with up to 8 channels,
            which are averaged: floating-point numbers of full scale 1, or
            integers of 8 (unsigned ones as in WAV files, with silence at 128),
            16 or 32 bits. Their sampling rate in Hz.
        top_k, threshold : int, float or "auto", optional
            See ``tag_file``.

        Returns
        -------
        list of Tag
        """
        blocks = [mono_waveform(wav, sample_rate, self.hparams.sample_rate)]
        return self.tag_file(blocks, top_k, threshold)

    def tag_files(self, paths, top_k=5, threshold=None, num_workers=4):
        """Finds the most probable labels of many files, one after the other.

        Faster than ``tag_file`` in a loop: threads read the next files, and
        short clips share a batch, so that results come up to 32 files late.

        Arguments
        ---------
        paths : iterable of str
            The files, which may be endless.
        top_k, threshold : int, float or "auto", optional
            See ``tag_file``.
        num_workers : int
            Number of threads that read.

        Yields
        ------
        FileTags
            The tags of the next file, or why it cannot be read.
        """
        threshold, _ = check_thresholds(threshold, self.thresholds)
        about = self.tag_batch, self._windows, paths, num_workers
        for path, found in tag_many(*about):
            if isinstance(found, str):
                yield FileTags(str(path), error=found)
            else:
                tags = events.rank_tags(found, self.labels, top_k, threshold)
                yield FileTags(str(path), tags)

    def tag_file(self, source, top_k=5, threshold=None, progress=False):
        """Finds the most probable labels of an audio file.

        A file longer than the model's maximum clip length is cut into pieces
        of that length, of which the last two may overlap; the probability of a
        label is its maximum over the pieces.

        Arguments
        ---------
        source : str, bytes or file
        top_k, threshold : int, float or "auto", optional
            Maximum number of labels, and their lowest probability; "auto" means
            the model's ``thresholds``, which are one for each class.
        progress : bool

        Returns
        -------
        list of Tag
            Sorted by probability, the highest first.
        """
        threshold, _ = check_thresholds(threshold, self.thresholds)
        best = (
            self.tag_batch(wavs).amax(0).cpu()
            for *_, wavs in self._windows(source, progress=progress)
        )
        probs = functools.reduce(torch.maximum, best)
        return events.rank_tags(probs, self.labels, top_k, threshold)

    def embed_file(self, source):
        """Computes the embedding of an audio file.

        Arguments
        ---------
        source : str, bytes or file

        Returns
        -------
        torch.Tensor
            Embedding ``[D]``, the mean over the pieces of ``tag_file``.
        """
        total, count = 0.0, 0
        for *_, wavs in self._windows(source):
            # Leaving it restores this thread's autocast; the context is shared
            with torch.inference_mode(), self.inference_ctx:
                total = total + self.encode_batch(wavs).float().sum((0, 1))
            count += len(wavs)
        return total.cpu() / count

    def analyze(self, source, window=None, hop=None, progress=False):
        """Computes the probabilities of all classes, over time and in all.

        A model with a ``FrameClassifier`` gives those of its time steps, or
        their moving average, unless a window or a hop is given; others, those
        of windows. Windows start every ``hop`` seconds; the last one ends with
        the file. A file shorter than a window is one window. What tags and
        events are found in is computed once: other thresholds need no further
        run of the model.

        Arguments
        ---------
        source : str, bytes or file
        window, hop : float, optional
            Length of a window and step between windows, see ``check_window``.
        progress : bool

        Returns
        -------
        Timeline
            Its ``window`` is half the length of the average of time steps, 0.0
            without one.
        """
        about = self.labels, self.thresholds
        if self.has_frames and window is None and hop is None:
            times, probs, *found = analyze_frames(self, source, progress)
            seconds = self.mods.classifier.mean_seconds
            probs, window = moving_average(times, probs, seconds)
            return events.Timeline(times, probs, *found, window, *about)
        window, hop = self.check_window(window, hop)
        rate = self.hparams.sample_rate
        sizes = self.max_samples / rate, self.piece_samples / rate
        grids = [*zip(sizes, sizes), (window, hop)]
        found = (
            (*places, self.tag_batch(wavs).float().cpu())
            for *places, wavs in self._windows(source, grids, progress)
        )
        spans, members, probs = map(torch.cat, zip(*found))
        is_clip, is_piece, is_window = members.T
        clip_probs = probs[is_clip].amax(0)
        pieces = zip(*spans[is_piece].T.tolist(), probs[is_piece].numpy())
        spans, probs = spans[is_window], probs[is_window]
        limits = torch.zeros_like(probs)
        events.raise_limits(limits.numpy(), spans.numpy(), pieces)
        times = spans.double().mean(1).div(rate).float()
        probs, duration = probs.minimum(limits), spans[-1, 1].item() / rate
        places = duration, window
        return events.Timeline(times, probs, clip_probs, *places, *about)

    def timeline(self, source, window=None, hop=None, progress=False):
        """Computes the probabilities of all classes over time.

        Arguments
        ---------
        source : str, bytes or file
        window, hop : float, optional
            See ``check_window``.
        progress : bool

        Returns
        -------
        times, probs : torch.Tensor
            Those of ``analyze``.
        """
        found = self.analyze(source, window, hop, progress)
        return found.times, found.probs

    def frame_probabilities(self, source, progress=False):
        """Computes the probabilities of all classes at each time step.

        For models with a ``FrameClassifier``. A file longer than the model's
        maximum clip length is cut into pieces that overlap, each of which fades
        into the next.

        Arguments
        ---------
        source : str, bytes or file
        progress : bool

        Returns
        -------
        times, probs : torch.Tensor
            The center of each time step ``[T]`` in seconds, and probabilities
            ``[T, C]``. A model with another classifier is a ValueError.
        """
        return analyze_frames(self, source, progress)[:2]

    def tag_long(
        self,
        source,
        window=None,
        hop=None,
        threshold=0.5,
        low=None,
        progress=False,
    ):
        """Finds events with their start and end, see ``Timeline.events``.

        Arguments
        ---------
        source : str, bytes or file
        window, hop : float, optional
            See ``check_window``.
        threshold, low : float or "auto", float, optional
            See ``Timeline.events``.
        progress : bool

        Returns
        -------
        list of Event
        """
        threshold, low = check_thresholds(threshold, self.thresholds, low)
        found = self.analyze(source, window, hop, progress)
        return found.events(threshold, low)
