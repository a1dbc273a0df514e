"""AudioTagger: tags, embeddings and events of audio files.

Authors
 * The speechbrain_fftp authors 2026
"""

import functools
from typing import TYPE_CHECKING, Any, Iterable, Iterator, List, Optional, Tuple

import numpy as np

from speechbrain_fftp.dataio.audio import Source
from speechbrain_fftp.inference.engine import Engine
from speechbrain_fftp.inference.events import (
    Event,
    Tag,
    Threshold,
    Timeline,
    check_thresholds,
    rank_tags,
)
from speechbrain_fftp.inference.many_files import FileTags, tag_many
from speechbrain_fftp.inference.onnx_engine import OnnxEngine
from speechbrain_fftp.inference.windows import (
    Windows,
    mono_waveform,
    read_blocks,
    read_windows,
)

if TYPE_CHECKING:
    from speechbrain_fftp.inference.evaluation import Evaluation

DEFAULT_WINDOW = 2.0  # seconds
OVERLAP = 0.1  # of consecutive pieces, as a share of the maximum clip length
ROUNDING = 1e-6  # seconds by which a window may be out of range

Array = Any  # numpy.ndarray or torch.Tensor


class AudioTagger:
    """Finds tags, embeddings and events of audio files with a trained model.

    Files are given by their path, their content (bytes) or as binary file
    objects. They may have any length, sampling rate and number of channels, and
    any format that libsndfile or, if it is installed, ffmpeg reads. Memory does
    not grow with their length, except for the result of ``analyze``. A path
    that does not exist raises FileNotFoundError. What cannot be read as audio,
    is shorter than 25 ms, or has samples that are not finite raises ValueError.
    What is shorter than one patch of the model is tagged with a warning.

    Arguments
    ---------
    engine : Engine
        The model; ``from_pretrained`` loads one.

    Example
    -------
    >>> import torch
    >>> from speechbrain.dataio.encoder import CategoricalEncoder
    >>> from speechbrain_fftp.inference.torch_engine import TorchEngine
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
    >>> engine = TorchEngine(modules, {**sizes, "label_encoder": labels})
    >>> len(AudioTagger(engine).tag(np.zeros((24000, 2)), sample_rate=16000))
    2
    """

    def __init__(self, engine: Engine):
        self.engine = engine

    @classmethod
    def from_pretrained(
        cls,
        source: str,
        device: str = "cpu",
        threads: Optional[int] = None,
    ) -> "AudioTagger":
        """Loads a model without executing code from its folder.

        Arguments
        ---------
        source : str
            An inference folder, as training writes it; an ONNX file that
            ``fftp-tag export`` has written, which needs no torch; a published
            AST, CED or Dasheng in Hugging Face's form, on disk or as
            ``owner/name[@revision]`` on the hub; or the authors' ``.pth`` or
            ``.pt`` file of an AST, an Audio Mamba, an ATST-Frame or a Dasheng.
        device : str
            cpu, cuda:0, ...
        threads : int, optional
            Number of CPU threads in each call; by default, as many as are worth
            it, at most torch's number.

        Returns
        -------
        AudioTagger

        Raises
        ------
        OSError
            If the source cannot be found or read.
        ValueError
            If it is no such model, or an argument is wrong.
        """
        if str(source).endswith(".onnx"):
            if device != "cpu":
                raise ValueError(
                    f"{source} runs on the CPU: for {device}, use the model "
                    "that it was exported from."
                )
            return cls(OnnxEngine(source, threads))

        from speechbrain_fftp.inference.torch_engine import load_engine

        return cls(load_engine(source, device=device, threads=threads))

    @property
    def labels(self) -> List[str]:
        """Names of the classes."""
        return self.engine.labels

    @property
    def thresholds(self) -> Optional[np.ndarray]:
        """Learned thresholds of the classes ``[C]``, or None without them."""
        return self.engine.thresholds

    @property
    def sample_rate(self) -> int:
        """Sampling rate of the model in Hz."""
        return self.engine.sample_rate

    @property
    def has_frames(self) -> bool:
        """Whether the model classifies time steps, and not only clips."""
        return self.engine.has_frames

    @property
    def max_window(self) -> float:
        """Maximum clip length in seconds."""
        return self.engine.max_samples / self.engine.sample_rate

    def tag_batch(self, wavs: Array, wav_lens: Optional[Array] = None) -> Array:
        """Probabilities ``[B, C]``, see ``TorchEngine.tag_batch``."""
        return self.engine.tag_batch(wavs, wav_lens)

    def encode_batch(
        self, wavs: Array, wav_lens: Optional[Array] = None
    ) -> Array:
        """Embeddings ``[B, 1, D]``, see ``TorchEngine.encode_batch``."""
        return self.engine.encode_batch(wavs, wav_lens)

    def tag(
        self,
        wav: Array,
        sample_rate: float,
        top_k: int = 5,
        threshold: Threshold = None,
    ) -> List[Tag]:
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
        samples = mono_waveform(wav, sample_rate, self.sample_rate)
        return self.tag_file([samples], top_k, threshold)

    def tag_file(
        self,
        source: Source,
        top_k: int = 5,
        threshold: Threshold = None,
        progress: bool = False,
    ) -> List[Tag]:
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
        best = [
            self.engine.probabilities(piece.wavs).max(0)
            for piece in self.pieces(source, progress)
        ]
        return rank_tags(np.max(best, 0), self.labels, top_k, threshold)

    def tag_files(
        self,
        paths: Iterable[str],
        top_k: int = 5,
        threshold: Threshold = None,
        num_workers: int = 4,
    ) -> Iterator[FileTags]:
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
        for file in tag_many(
            paths,
            read=self.pieces,
            predict=self.engine.probabilities,
            num_workers=num_workers,
        ):
            if file.error is not None:
                yield FileTags(str(file.path), error=file.error)
            else:
                tags = rank_tags(file.probs, self.labels, top_k, threshold)
                yield FileTags(str(file.path), tags)

    def embed_file(self, source: Source) -> np.ndarray:
        """Computes the embedding ``[D]`` of an audio file.

        It is the mean over the pieces of ``tag_file``.
        """
        embeddings = [
            self.engine.embeddings(piece.wavs) for piece in self.pieces(source)
        ]
        return np.concatenate(embeddings).mean(0)

    def analyze(
        self,
        source: Source,
        window: Optional[float] = None,
        hop: Optional[float] = None,
        progress: bool = False,
    ) -> Timeline:
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
        """
        if self.has_frames and window is None and hop is None:
            timeline = self.analyze_frames(source, progress)
            return timeline.smooth(self.engine.mean_seconds)
        return self.analyze_windows(source, window, hop, progress)

    def analyze_windows(
        self,
        source: Source,
        window: Optional[float] = None,
        hop: Optional[float] = None,
        progress: bool = False,
    ) -> Timeline:
        """The ``Timeline`` of windows of a file."""
        window, hop = self.check_window(window, hop)
        rate, size = self.sample_rate, self.engine.max_samples
        grids = {
            "pieces": (size, size),
            "windows": (round(window * rate), hop * rate),
        }
        times, probs, clip_probs = [], [], []
        duration = 0.0
        for grid, batch in read_windows(
            source, rate, grids, self.engine.min_samples, progress
        ):
            duration = max(duration, batch.ends[-1] / rate)
            found = self.engine.probabilities(batch.wavs)
            if grid == "pieces":
                clip_probs.append(found.max(0))
            else:
                times.append((batch.starts + batch.ends) / (2 * rate))
                probs.append(found)
        return Timeline(
            times=np.concatenate(times),
            probs=np.concatenate(probs),
            clip_probs=np.max(clip_probs, 0),
            duration=float(duration),
            window=window,
            labels=self.labels,
            thresholds=self.thresholds,
        )

    def analyze_frames(
        self, source: Source, progress: bool = False
    ) -> Timeline:
        """The ``Timeline`` of the time steps of a file, without an average.

        Pieces of the maximum clip length overlap by at least a patch and a
        step, so that no time step is missed, and fade into each other.

        Raises
        ------
        ValueError
            If the model classifies only whole clips.
        """
        if not self.has_frames:
            raise ValueError(
                "This model does not classify time steps, only whole clips: "
                "train one that does, such as hparams/ast_fftp_frames.yaml."
            )
        engine = self.engine
        step = engine.step_samples
        overlap = max(OVERLAP * engine.max_samples, engine.min_samples + step)
        hop = max(int(engine.max_samples - overlap) // step, 1) * step
        grids = {"pieces": (engine.max_samples, hop)}
        pieces, clip_probs = [], []
        end = 0
        for _, batch in read_windows(
            source, self.sample_rate, grids, engine.min_samples, progress
        ):
            end = batch.ends[-1]
            # The last piece may begin between steps: the next step counts
            skip = -batch.starts % step
            for count in np.unique(skip):
                rows = skip == count
                clips, probs = engine.frame_probabilities(
                    batch.wavs[rows, count:]
                )
                clip_probs.append(clips.max(0))
                first = (batch.starts[rows] + count) // step
                pieces += zip(first.tolist(), probs)
        probs = join_pieces(pieces)
        return Timeline(
            times=engine.step_times(int(end))[: len(probs)],
            probs=probs,
            clip_probs=np.max(clip_probs, 0),
            duration=float(end / self.sample_rate),
            window=0.0,
            labels=self.labels,
            thresholds=self.thresholds,
        )

    def frame_probabilities(
        self, source: Source, progress: bool = False
    ) -> Tuple[np.ndarray, np.ndarray]:
        """Computes the probabilities of all classes at each time step.

        For models with a ``FrameClassifier``.

        Arguments
        ---------
        source : str, bytes or file
        progress : bool

        Returns
        -------
        times, probs : numpy.ndarray
            The centre of each time step ``[T]`` in seconds, and probabilities
            ``[T, C]``.

        Raises
        ------
        ValueError
            If the model classifies only whole clips.
        """
        found = self.analyze_frames(source, progress)
        return found.times, found.probs

    def tag_long(
        self,
        source: Source,
        window: Optional[float] = None,
        hop: Optional[float] = None,
        threshold: Threshold = 0.5,
        low: Optional[float] = None,
        merge_gap: float = 0.0,
        min_duration: float = 0.0,
        progress: bool = False,
    ) -> List[Event]:
        """Finds events with their start and end, see ``Timeline.events``.

        Arguments
        ---------
        source : str, bytes or file
        window, hop : float, optional
            See ``check_window``.
        threshold, low : float or "auto", float, optional
            See ``Timeline.events``.
        merge_gap, min_duration : float
            See ``Timeline.events``.
        progress : bool

        Returns
        -------
        list of Event
        """
        threshold, low = check_thresholds(threshold, self.thresholds, low)
        found = self.analyze(source, window, hop, progress)
        return found.events(threshold, low, merge_gap, min_duration)

    def evaluate(
        self,
        data_folder: str,
        split: Optional[str] = None,
        window: Optional[float] = None,
        hop: Optional[float] = None,
        num_workers: int = 4,
        progress: bool = False,
        **options,
    ) -> "Evaluation":
        """Scores the model on labelled clips.

        Arguments
        ---------
        data_folder : str
            One that a recipe has prepared, or AudioSet or custom data.
        split : str, optional
            ``train``, ``valid``, ``eval`` or ``all``. By default, ``eval``, or
            ``all`` for custom data without splits or folds of their own.
        window, hop : float, optional
            With one of them, see ``check_window``, the probability of a label
            is its maximum over windows; by default, as ``tag_file``.
        num_workers, progress : int, bool
            As of ``tag_files``, and whether to show a progress bar.
        **options
            For data that are not prepared: ``allow_missing``, ``unbalanced``
            and ``test_fold`` of the recipe.

        Returns
        -------
        Evaluation
        """
        from speechbrain_fftp.inference.evaluation import evaluate

        read = self.pieces
        if window is not None or hop is not None:
            window, hop = self.check_window(window, hop)
            read = functools.partial(self.windows, window=window, hop=hop)
        return evaluate(
            self,
            read,
            data_folder,
            split=split,
            num_workers=num_workers,
            progress=progress,
            **options,
        )

    def learn(
        self,
        data_folder: str,
        output_folder: str,
        background: Optional[str] = None,
        max_false_alarms: Optional[float] = None,
        keep_classes: bool = False,
        single_label: bool = False,
        num_workers: int = 4,
        progress: bool = False,
    ) -> dict:
        """Learns classes from a few clips, and writes a model of them.

        The encoder stays as it is: each clip passes through it once, and a
        logistic regression replaces the last layer of the classifier.

        Arguments
        ---------
        data_folder : str
            Custom data, such as one folder per class, see docs/data.md. Clips
            of the split ``eval`` are not learned from, but scored.
        output_folder : str
            A new inference folder, or one to learn again, with ``report.json``;
            what the encoder makes of the clips is kept there.
        background : str, optional
            A recording without any of the sounds, or a folder of such. The
            first half of each is learned from; false alarms are counted in the
            second one.
        max_false_alarms : float, optional
            Raises thresholds until there are at most so many false alarms of a
            class in an hour of background.
        keep_classes : bool
            Whether the new classes are added to those of the model.
        single_label : bool
            Whether each clip has exactly one class, so that probabilities sum
            up to 1.
        num_workers, progress : int, bool
            Threads that read, and whether to show a progress bar.

        Returns
        -------
        dict
            What ``report.json`` holds: ``scores`` of grouped cross-validation
            with 95 % intervals, ``confusions``, ``thresholds``,
            ``false_alarms_per_hour`` and more.

        Raises
        ------
        OSError
            If there are no such files.
        ValueError
            If clips do not suffice, the output folder holds something else, or
            an option does not suit the model.
        """
        from speechbrain_fftp.inference.learn import learn

        return learn(
            self,
            data_folder,
            output_folder,
            background=background,
            max_false_alarms=max_false_alarms,
            keep_classes=keep_classes,
            single_label=single_label,
            num_workers=num_workers,
            progress=progress,
        )

    def load_wav(self, source: Source) -> np.ndarray:
        """Reads a whole audio file as a waveform ``[S]`` for the model."""
        return np.concatenate(list(read_blocks(source, self.sample_rate)))

    def check_window(
        self, window: Optional[float] = None, hop: Optional[float] = None
    ) -> Tuple[float, float]:
        """Checks the window length and the hop of a timeline, in seconds.

        Arguments
        ---------
        window, hop : float, optional
            Length of a window, by default 2 or ``max_window`` if that is less,
            and step from one start to the next, by default a quarter of it.

        Returns
        -------
        window, hop : float

        Raises
        ------
        ValueError
            If one of them is out of range.
        """
        low = self.engine.min_samples / self.sample_rate
        frame = self.engine.frame_samples / self.sample_rate
        if window is None:
            window = min(DEFAULT_WINDOW, self.max_window)
        if hop is None:
            hop = window / 4
        if not low - ROUNDING <= window <= self.max_window + ROUNDING:
            raise ValueError(
                f"window={window} must be in {low:g}..{self.max_window:g} "
                "seconds: at least one patch, at most the model's maximum clip "
                "length."
            )
        if not frame - ROUNDING <= hop < np.inf:
            raise ValueError(
                f"hop={hop} must be at least {frame:g} seconds, one frame."
            )
        return window, hop

    def pieces(
        self, source: Source, progress: bool = False
    ) -> Iterator[Windows]:
        """Yields a file as ``Windows`` of the maximum clip length."""
        return self.windows(source, self.max_window, self.max_window, progress)

    def windows(
        self, source: Source, window: float, hop: float, progress: bool = False
    ) -> Iterator[Windows]:
        """Yields the ``Windows`` of a file; lengths are in seconds."""
        rate = self.sample_rate
        grids = {"windows": (round(window * rate), hop * rate)}
        for _, batch in read_windows(
            source, rate, grids, self.engine.min_samples, progress
        ):
            yield batch


def join_pieces(pieces):
    """Joins overlapping pieces of a file, each of which fades into the next.

    Each of the ``pieces``, in order, is the number of its first time step and
    probabilities ``[N, C]``. Returns probabilities ``[T, C]``.
    """
    size = max(first + len(probs) for first, probs in pieces)
    total = np.zeros((size, pieces[0][1].shape[1]), np.float32)
    weights = np.zeros((size, 1), np.float32)
    for first, probs in pieces:
        step = np.arange(1, len(probs) + 1, dtype=np.float32)
        weight = np.minimum(step, step[::-1])[:, None]
        total[first : first + len(probs)] += weight * probs
        weights[first : first + len(probs)] += weight
    return total / weights
