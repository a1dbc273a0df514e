"""AudioTagger: tags, embeddings and events of audio files.

Authors
 * The speechbrain_fftp authors 2026
"""

import functools

import torch

from speechbrain_fftp.inference.evaluation import evaluate
from speechbrain_fftp.inference.events import check_thresholds
from speechbrain_fftp.inference.many_files import tag_many
from speechbrain_fftp.inference.model import TaggingModel
from speechbrain_fftp.inference.timeline import (
    build_timeline,
    choose_window,
    rank_tags,
)
from speechbrain_fftp.inference.waveforms import mono_waveform
from speechbrain_fftp.inference.windows import (
    file_windows,
    frame_size,
    num_samples,
)


class AudioTagger(TaggingModel):
    """Finds tags, embeddings and events of audio files with a trained model.

    See ``TaggingModel`` for how to load a model and for batches of waveforms.

    Files are given by their path, as bytes or as binary file objects, in any
    format that ``open_audio`` reads. Memory does not grow with their length,
    except for the result of ``timeline``. A path that does not exist raises
    FileNotFoundError, what is no usable audio ValueError.

    Example
    -------
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
    >>> len(tagger.tag(torch.zeros(24000), sample_rate=8000))
    2
    """

    def tag(self, wav, sample_rate, top_k=5, threshold=None):
        """Finds the most probable labels of samples in memory.

        The result is that of ``tag_file`` for a file with the same samples.

        Arguments
        ---------
        wav : numpy.ndarray or torch.Tensor
            Samples ``[S]``, ``[S, C]`` or ``[C, S]``, see ``mono_waveform``.
        sample_rate : float
            Their sampling rate in Hz.
        top_k : int
            Maximum number of labels.
        threshold : float, optional
            Drops labels below this probability.

        Returns
        -------
        list of Tag
            Sorted by probability, the highest first.
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
            The files; may be endless.
        top_k : int
            Maximum number of labels.
        threshold : float, optional
            Drops labels below this probability.
        num_workers : int
            Number of threads that read.

        Returns
        -------
        generator of FileTags
            For each file its tags, or why it cannot be read.
        """

        def read(path):
            return (wavs for *_, wavs in self._windows(path))

        def rank(probs):
            return rank_tags(probs, self.labels, top_k, threshold)

        return tag_many(self.tag_batch, read, rank, paths, num_workers)

    def tag_file(self, source, top_k=5, threshold=None, progress=False):
        """Finds the most probable labels of an audio file.

        A file longer than the model's maximum clip length is cut into pieces
        of that length, of which the last two may overlap; the probability of a
        label is its maximum over the pieces.

        Arguments
        ---------
        source : str, bytes or file
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
            for *_, wavs in self._windows(source, progress=progress)
        )
        probs = functools.reduce(torch.maximum, best)
        return rank_tags(probs, self.labels, top_k, threshold)

    def evaluate(self, data_folder, split="eval", **options):
        """Scores the model on labelled clips.

        Arguments
        ---------
        data_folder : str
            A folder that a recipe has prepared, or AudioSet or custom data.
        split : str
            ``train``, ``valid`` or ``eval``.
        **options : dict
            Further arguments of ``speechbrain_fftp.inference.evaluation.evaluate``,
            such as ``window`` and ``hop``.

        Returns
        -------
        Evaluation
            Metrics, probabilities, and the clips that are not scored.
        """
        return evaluate(self, data_folder, split, **options)

    def embed_file(self, source):
        """Computes the embedding of an audio file.

        Arguments
        ---------
        source : str, bytes or file
            The audio file.

        Returns
        -------
        torch.Tensor
            Embedding ``[D]``; of a file longer than the model's maximum clip
            length, the mean over the pieces of ``tag_file``.
        """
        total, count = 0.0, 0
        for *_, wavs in self._windows(source):
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
        source : str, bytes or file
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

    def timeline(self, source, window=None, hop=None, progress=False):
        """Computes the probabilities of all classes over time.

        Arguments
        ---------
        source : str, bytes or file
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
        found = self.analyze(source, window, hop, progress)
        return found.times, found.probs

    def tag_long(
        self,
        source,
        window=None,
        hop=None,
        threshold=0.5,
        low=None,
        progress=False,
    ):
        """Finds events with their start and end, see ``find_events``.

        Arguments
        ---------
        source : str, bytes or file
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
        found = self.analyze(source, window, hop, progress)
        return found.events(threshold, low)

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
        frames = getattr(embedding, "patch_frames", 1), self.hparams.max_frames
        return [num_samples(self.mods.compute_features, n) for n in frames]

    def _windows(self, source, grid=None, progress=False):
        """Pieces of the maximum clip length, and the windows of a grid."""
        size, rate = self._window_limits()[1], self.hparams.sample_rate
        grids = [(size, size), *([grid] if grid else [])]
        return file_windows(source, rate, grids, progress)
