"""AudioTagger: tags, events and embeddings of audio files.

Authors
 * The speechbrain_fftp authors 2026
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from fftp_tag.audio.pieces import (
    Batch,
    Pieces,
    Slide,
    Source,
    cut_pieces,
    read_blocks,
    through,
)
from fftp_tag.errors import InputError
from fftp_tag.files import PathLike
from fftp_tag.model.info import Framing, Rules
from fftp_tag.model.session import Model
from fftp_tag.parallel import ahead
from fftp_tag.tag.events import (
    Event,
    EventFinder,
    Numbers,
    Tag,
    Timeline,
    of_tags,
    rank_tags,
    tag_threshold,
)
from fftp_tag.tag.live import Stream
from fftp_tag.tag.predictions import (
    FRAME_OUTPUTS,
    Join,
    Middles,
    Predictions,
    TagPieces,
    TagWindows,
)

logger = logging.getLogger(__name__)


class AudioTagger:
    """Finds tags, events and embeddings of audio with a model.

    A source is the path of a file, its content (bytes), or an array of samples
    ``[S]``, ``[S, channels]`` or ``[channels, S]`` with its ``sample_rate``. It
    may have any length, sampling rate and format that libsndfile or, if it is
    installed, ffmpeg reads. A path that does not exist raises a
    FileNotFoundError; audio and arguments that cannot be used raise an
    InputError, a ValueError.

    All methods analyse a file in the same way, as ``ModelInfo`` says. A
    frame-level model runs on overlapping pieces of its maximum clip length. A
    model of clips runs on consecutive pieces, and on windows for timelines and
    events, while the file is read once. The probabilities of a file are the
    maximum over its pieces.

    It can be pickled, for a pool of processes, see docs/archives.md.

    Arguments
    ---------
    model : Model
        ``from_pretrained`` loads one.
    """

    def __init__(self, model: Model):
        self.model = model

    @classmethod
    def from_pretrained(
        cls,
        source: PathLike,
        threads: int | None = None,
    ) -> "AudioTagger":
        """Loads a model.

        Arguments
        ---------
        source : str
            A model.onnx; a folder that holds one, also as
            ``inference/model.onnx``; or a published checkpoint, on disk or as
            ``owner/name[@revision]`` on the Hugging Face hub, which the package
            speechbrain_fftp converts once, into a cache.
        threads : int, optional
            Number of CPU threads; by default, ONNX Runtime chooses it.

        Raises
        ------
        FileNotFoundError
            If the source cannot be found.
        InputError
            If the source is not such a model.
        """
        from fftp_tag.model.sources import find_or_convert

        model = Model(find_or_convert(source), threads)
        if model.info.note is not None:
            logger.warning("%s: %s", source, model.info.note)
        return cls(model)

    def select(
        self,
        labels: Iterable[str] | None = None,
        not_labels: Iterable[str] = (),
        thresholds: Mapping[str, float] | None = None,
    ) -> "AudioTagger":
        """A tagger of some classes, by the same loaded model.

        Arguments
        ---------
        labels : iterable of str, optional
            The classes; by default all. Each also stands for its kinds in
            AudioSet's ontology: of Dog, Bark and others, the highest probability
            counts.
        not_labels : iterable of str
            Those that are left out.
        thresholds : dict, optional
            Thresholds of tags and events by label. Those of other classes are
            the model's, or 0.5.

        Raises
        ------
        InputError
            If a label is unknown, a threshold is not in 0..1, or no class is
            left.
        """
        return AudioTagger(
            self.model.select(labels, not_labels, thresholds or {})
        )

    @property
    def labels(self) -> list[str]:
        """Names of the classes."""
        return self.model.labels

    @property
    def sample_rate(self) -> int:
        """Sampling rate of the model in Hz."""
        return self.model.sample_rate

    @property
    def max_seconds(self) -> float:
        """Maximum clip length in seconds."""
        return self.model.max_samples / self.model.sample_rate

    def tag_file(
        self,
        source: Source,
        sample_rate: int | None = None,
        top_k: int = 5,
        threshold: Numbers | None = None,
        progress: bool = False,
    ) -> list[Tag]:
        """Finds the most probable labels of an audio file.

        Arguments
        ---------
        source : str, bytes or numpy.ndarray
            See ``AudioTagger``.
        sample_rate : int, optional
            Sampling rate of an array in Hz.
        top_k : int
            Maximum number of tags.
        threshold : float, optional
            Minimum probability of a tag; by default the thresholds that the
            model has learnt, or 0.
        progress : bool
            Whether to show progress.

        Returns
        -------
        list of Tag
            The most probable first.
        """
        threshold = tag_threshold(self.model.rules, threshold)
        probs = self.clip_probabilities(source, sample_rate, progress)
        return rank_tags(probs, self.labels, top_k, threshold)

    def tag_long(
        self,
        source: Source,
        sample_rate: int | None = None,
        window: float | None = None,
        hop: float | None = None,
        threshold: Numbers | None = None,
        merge_gap: Numbers | None = None,
        min_duration: Numbers | None = None,
        progress: bool = False,
    ) -> list[Event]:
        """Finds events, sorted by start; see ``analyze`` and ``Timeline``.

        For a frame-level model, memory does not grow with the length.
        """
        rules = self.model.rules.replace(threshold, merge_gap, min_duration)
        whole, predictions = self.predictions(
            rules.is_learnt, source, sample_rate, window, hop, progress
        )
        middles = Middles(self.sample_rate)
        finder = EventFinder(self.labels, rules)
        found = [*through(predictions, middles, finder)]
        return of_tags(found, self.labels, whole.best, rules)

    def stream(
        self,
        labels: Iterable[str] | None = None,
        rules: Rules | None = None,
        window: float | None = None,
        hop: float | None = None,
    ) -> Stream:
        """Begins a stream, whose events are found while it is heard.

        Arguments
        ---------
        labels : iterable of str, optional
            The classes to find; by default all.
        rules : Rules, optional
            Of all classes; by default the model's, ``tagger.model.rules``.
        window, hop : float, optional
            For a model of clips, see ``analyze``. For a frame-level model,
            ``hop`` is 1 s by default, and ``window`` must be None.

        Raises
        ------
        InputError
            If an argument does not suit the model.
        """
        tagger = self.select(labels) if labels is not None else self
        rules = rules or self.model.rules
        classes = np.array([self.labels.index(x) for x in tagger.labels], int)
        return Stream(tagger, rules.select(classes), window, hop)

    def clip_probabilities(
        self,
        source: Source,
        sample_rate: int | None = None,
        progress: bool = False,
    ) -> np.ndarray:
        """Probabilities of the classes in a file ``[C]``."""
        best = [
            self.model.probabilities(wavs).max(0)
            for _, wavs in self.pieces(source, sample_rate, progress)
        ]
        return np.max(best, 0)

    def embed_file(
        self, source: Source, sample_rate: int | None = None
    ) -> np.ndarray:
        """The embedding of a file ``[D]``, the mean over its pieces."""
        found = [
            self.model.embeddings(wavs)
            for _, wavs in self.pieces(source, sample_rate)
        ]
        return np.concatenate(found).mean(0)

    def span_features(
        self, source: Source, sample_rate: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Centres of the spans of a file in seconds ``[N]``, and their features
        ``[N, F]``.

        For a model of ``make_span_model``, with a prediction for each span.
        """
        found = [*self.frame_level_predictions(["spans"], source, sample_rate)]
        times = np.concatenate([x.times for x in found])
        return times, np.concatenate([x.rows for x in found])

    def frame_probabilities(
        self, source: Source, sample_rate: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Times ``[T]`` in seconds of predictions or windows, and probabilities
        ``[T, C]``.
        """
        found = self.analyze(source, sample_rate)
        return found.times, found.probs

    def analyze(
        self,
        source: Source,
        sample_rate: int | None = None,
        window: float | None = None,
        hop: float | None = None,
        progress: bool = False,
    ) -> Timeline:
        """Computes probabilities over time and of the whole file.

        Arguments
        ---------
        source : str, bytes or numpy.ndarray
            See ``AudioTagger``.
        sample_rate : int, optional
            Sampling rate of an array in Hz.
        window, hop : float, optional
            For a model of clips: length of a window in seconds, by default 2 or
            the length that the model pads clips to; and step from one window to
            the next, by default 2, but at most a window and at least a quarter
            of one.
        progress : bool
            Whether to show progress.

        Returns
        -------
        Timeline
            Finds tags and events without running the model again.

        Raises
        ------
        InputError
            If the window or the hop does not suit the model.
        """
        whole, predictions = self.predictions(
            True, source, sample_rate, window, hop, progress
        )
        found = [*predictions]
        return Timeline(
            times=np.concatenate([x.times for x in found]),
            probs=np.concatenate([x.rows for x in found]),
            clip_probs=whole.best,
            duration=found[-1].end / self.sample_rate,
            labels=self.labels,
            rules=self.model.rules,
        )

    def predictions(
        self,
        of_file: bool,
        source: Source,
        sample_rate: int | None,
        window: float | None,
        hop: float | None,
        progress: bool,
    ) -> tuple[Join | TagPieces | TagWindows, Iterator[Predictions]]:
        """Predictions of a file while it is read, for ``analyze``.

        At their end, ``best`` of the first one has the probabilities of the
        file; unless ``of_file``, for a model of clips, the highest of windows.
        """
        if self.model.is_frame_level:
            if window is not None or hop is not None:
                raise InputError(
                    "This is a frame-level model and needs no windows: "
                    "leave --window and --hop out."
                )
            join = Join(self.model, FRAME_OUTPUTS)
            pieces = self.pieces(source, sample_rate, progress)
            return join, through(pieces, join)
        framing = self.check_window(window, hop)
        blocks = read_blocks(source, self.sample_rate, sample_rate, progress)
        windows = TagWindows(self.model)
        stages = Slide(*framing), Batch(), windows
        if not of_file or framing == self.model.info.pieces:
            return windows, through(ahead(blocks), *stages)
        tags = TagPieces(self.model)
        return tags, through(ahead(blocks), tags, *stages)

    def frame_level_predictions(
        self,
        outputs: Sequence[str],
        source: Source,
        sample_rate: int | None = None,
        progress: bool = False,
    ) -> Iterator[Predictions]:
        """Yields frame-level predictions of a file, while it is read.

        ``outputs`` are the frame-level one and, for models with classes,
        ``probabilities``.
        """
        pieces = self.pieces(source, sample_rate, progress)
        return through(pieces, Join(self.model, outputs))

    def pieces(
        self,
        source: Source,
        sample_rate: int | None = None,
        progress: bool = False,
    ) -> Iterator[Pieces]:
        """Yields a file in pieces, see ``ModelInfo.pieces``."""
        info = self.model.info
        blocks = read_blocks(source, info.sample_rate, sample_rate, progress)
        for pieces in cut_pieces(blocks, *info.pieces):
            starts, wavs = pieces
            first = info.piece_start(int(starts[-1]), int(pieces.ends[-1]))
            skip = first - starts[-1]
            if skip == 0:
                yield pieces
                continue
            if len(starts) > 1:
                yield Pieces(starts[:-1], wavs[:-1])
            yield Pieces(starts[-1:] + skip, wavs[-1:, skip:])

    def check_window(
        self, window: float | None = None, hop: float | None = None
    ) -> Framing:
        """The windows of a model of clips; for arguments see ``analyze``.

        Raises
        ------
        InputError
            If the window or the hop is out of range.
        """
        rate = self.sample_rate
        low = self.model.min_samples / rate
        if window is not None and not low <= window <= self.max_seconds:
            raise InputError(
                f"--window {window:g}: the model takes clips of {low:g} to "
                f"{self.max_seconds:g} seconds."
            )
        framing = self.model.info.windows(window)
        if hop is None:
            return framing
        frame, longest = self.model.frame_samples / rate, framing.size / rate
        if not frame <= hop <= max(longest, frame):
            raise InputError(
                f"--hop {hop:g} must be in {frame:g}..{longest:g} seconds: at "
                "least one frame, at most a window."
            )
        return framing._replace(hop=round(hop * rate))
