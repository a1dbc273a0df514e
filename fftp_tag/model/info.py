"""The description of a model.onnx, which its metadata hold.

Training and conversion write it; whatever runs the file reads it.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from fftp_tag.audio.decode import MAX_RATE, MIN_RATE
from fftp_tag.data.class_names import are_class_names
from fftp_tag.errors import InputError

Numbers = float | np.ndarray  # for all classes, or one per class [C]

THRESHOLD = 0.5  # of a model without learnt rules
MAX_CLIP_SAMPLES = 2**31  # of a clip
WINDOW_SECONDS = 2.0  # of a model of clips
PIECE_OVERLAP = (
    0.1  # of consecutive pieces, as a fraction of the maximum clip length
)


@dataclasses.dataclass(frozen=True, eq=False)
class Rules:
    """Rules that turn probabilities into tags and events, per class ``[C]``.

    Arguments
    ---------
    threshold : numpy.ndarray
        Minimum probability of a tag, in the whole clip. Events of classes that
        are no tags are dropped.
    low, high : numpy.ndarray
        The probability of an event is at least ``low`` throughout, and reaches
        ``high`` at least once.
    merge_gap, min_duration : numpy.ndarray
        In seconds. Events less than ``merge_gap`` apart are joined; then events
        shorter than ``min_duration`` are dropped.
    is_learnt : bool
        Whether thresholds are learnt from labelled clips, or given by class.

    Raises
    ------
    InputError
        If a probability is not in 0..1, or a time is negative.
    """

    threshold: np.ndarray
    low: np.ndarray
    high: np.ndarray
    merge_gap: np.ndarray
    min_duration: np.ndarray
    is_learnt: bool = False

    def __post_init__(self) -> None:
        for name in RULES:
            values = getattr(self, name)
            largest = np.inf if name in SECONDS else 1
            if not ((0 <= values) & (values <= largest)).all():
                raise InputError(f"{name} must be in 0..{largest}.")

    def replace(
        self,
        threshold: Numbers | None = None,
        merge_gap: Numbers | None = None,
        min_duration: Numbers | None = None,
    ) -> "Rules":
        """A copy with other values; None keeps the present value.

        ``threshold`` also sets ``high``; ``low`` is kept, or lowered to it.
        """
        given = {
            "threshold": threshold,
            "high": threshold,
            "merge_gap": merge_gap,
            "min_duration": min_duration,
        }
        if threshold is not None:
            given["low"] = np.minimum(self.low, np.float32(threshold))
        values: dict[str, Any] = {}
        for name, value in given.items():
            if value is not None:
                before = getattr(self, name)
                value = np.asarray(value, before.dtype)
                values[name] = np.broadcast_to(value, before.shape)
        return dataclasses.replace(self, **values)

    def select(self, classes: np.ndarray) -> "Rules":
        """The rules of some classes, by their indices."""
        return dataclasses.replace(
            self, **{name: getattr(self, name)[classes] for name in RULES}
        )


def default_rules(n_classes: int) -> Rules:
    """The rules of a model that has learnt none: all thresholds are 0.5."""
    thresholds = np.full(n_classes, THRESHOLD, np.float32)
    return Rules(
        threshold=thresholds,
        low=thresholds,
        high=thresholds,
        merge_gap=np.zeros(n_classes),
        min_duration=np.zeros(n_classes),
    )


@dataclasses.dataclass(frozen=True)
class FrameLevel:
    """The times of frame-level predictions.

    The first prediction begins with the clip. The last one ends with the clip,
    or with its last whole token: it is less than a hop after the one before.

    Arguments
    ---------
    span_samples : int
        Length of the audio that a prediction is made from, such as a patch.
    hop_samples : int
        From one prediction to the next, of whole tokens.
    of_clips : bool
        Whether the classes were learnt from clips of about this length: then
        labels of clips do not tell how long events last.
    look_ahead : int, optional
        Number of later predictions whose audio one depends on, if the graph can
        have a state (``fftp_tag/model/state.py``).
    """

    span_samples: int
    hop_samples: int
    of_clips: bool = False
    look_ahead: int | None = None

    @property
    def look_ahead_samples(self) -> float:
        """How far a prediction hears after its span; infinite without a state."""
        if self.look_ahead is None:
            return math.inf
        return self.look_ahead * self.hop_samples


class Framing(NamedTuple):
    """Pieces of a recording that a model runs on, in samples.

    One begins every ``hop``; the last one ends with the recording. A recording
    that is shorter than a piece is one piece.
    """

    size: int
    hop: int


@dataclasses.dataclass(frozen=True, eq=False)
class ModelInfo:
    """What a program needs to know to run a model.onnx.

    The metadata of the file have these names, each with a value in JSON.

    Arguments
    ---------
    labels : list of str
        Names of the C classes; empty if the model has only embeddings.
    sample_rate : int
        Sampling rate of the waveforms in Hz.
    max_samples : int
        Maximum clip length. Longer clips are cut into ``pieces``.
    min_samples, frame_samples : int
        Length of a patch, and hop between frames.
    single_label : bool
        Whether the probabilities of a clip sum to 1, or to less where
        background was learnt.
    rules : Rules, optional
        The rules of tags and events that are learnt, in JSON an object of lists
        without ``is_learnt``. Default: a threshold of 0.5 for events.
    token_samples : int, optional
        From one token of the encoder to the next, if its tokens are in time, as
        those of a frame-level model are.
    frame_level : FrameLevel, optional
        For a frame-level model.
    note : str, optional
        A sentence that users of the model should read first.
    credit : str, optional
        A sentence on whom those name who pass the model on, also as the encoder
        of another one.
    fixed_length : bool
        Whether shorter clips are padded to the maximum clip length, and cost as
        much.

    Raises
    ------
    InputError
        If a value is out of range.

    Example
    -------
    >>> info = ModelInfo(["Siren"], 16000, 160000, 1840, 160)
    >>> ModelInfo.from_metadata(info.to_metadata()).labels
    ['Siren']
    """

    labels: list[str]
    sample_rate: int
    max_samples: int
    min_samples: int
    frame_samples: int
    single_label: bool = False
    rules: Rules | None = None
    token_samples: int | None = None
    frame_level: FrameLevel | None = None
    note: str | None = None
    credit: str | None = None
    fixed_length: bool = False

    def __post_init__(self) -> None:
        longest = self.max_samples
        is_right = {
            "labels": are_class_names(self.labels),
            "sample_rate": is_whole(self.sample_rate, MIN_RATE, MAX_RATE),
            "max_samples": is_whole(longest, 1, MAX_CLIP_SAMPLES),
            "min_samples": is_whole(self.min_samples, 1, longest),
            "frame_samples": is_whole(self.frame_samples, 1, longest),
            "single_label": isinstance(self.single_label, bool),
            "rules": self.rules is None
            or all(
                getattr(self.rules, name).shape == (len(self.labels),)
                for name in RULES
            ),
            "token_samples": self.token_samples is None
            or is_whole(self.token_samples, 1, longest),
            "frame_level": self.frame_level is None
            or self.token_samples is not None
            and is_whole(self.frame_level.hop_samples, 1, longest)
            and is_whole(self.frame_level.span_samples, 1, longest)
            and isinstance(self.frame_level.of_clips, bool)
            and (
                self.frame_level.look_ahead is None
                or is_whole(self.frame_level.look_ahead, 0, longest)
            ),
            "note": self.note is None or is_sentence(self.note),
            "credit": self.credit is None or is_sentence(self.credit),
            "fixed_length": isinstance(self.fixed_length, bool),
        }
        wrong = [name for name in is_right if not is_right[name]]
        if wrong:
            raise InputError(f"values that cannot be: {', '.join(wrong)}")

    @classmethod
    def from_metadata(cls, texts: Mapping[str, str]) -> "ModelInfo":
        """Reads the metadata of a file, which may have other keys as well.

        Raises
        ------
        InputError
            If a value is missing or wrong.
        """
        try:
            values = {x.name: json.loads(texts[x.name]) for x in FIELDS}
            if values["rules"] is not None:
                values["rules"] = Rules(
                    **{
                        name: np.array(
                            values["rules"][name],
                            np.float64 if name in SECONDS else np.float32,
                        )
                        for name in RULES
                    },
                    is_learnt=True,
                )
            if values["frame_level"] is not None:
                values["frame_level"] = FrameLevel(**values["frame_level"])
            return cls(**values)
        except (
            KeyError,
            OverflowError,
            RecursionError,
            TypeError,
            ValueError,
        ) as error:
            raise InputError(
                f"metadata that lack a value or have a wrong one ({error})"
            ) from error

    @property
    def pieces(self) -> Framing:
        """The pieces of a recording.

        Those of a frame-level model overlap by more than a prediction's span,
        unless they are too short: of a prediction, the piece is used in which
        at least half of the overlap follows its centre.
        """
        size = self.max_samples
        if self.frame_level is None:
            return Framing(size, size)
        step = self.frame_level.hop_samples
        overlap = max(
            PIECE_OVERLAP * size, self.frame_level.span_samples + step
        )
        return Framing(size, max(int(size - overlap) // step, 1) * step)

    def piece_start(self, start: int, end: int) -> int:
        """Where a piece begins that could hold the samples from ``start``.

        Frame-level predictions are in step in all pieces, unless a piece, the
        last one, would be too short for one.
        """
        if self.frame_level is None:
            return start
        step = self.frame_level.hop_samples
        first = -(-start // step) * step
        return first if end - first >= self.frame_level.span_samples else start

    def windows(self, seconds: float | None = None) -> Framing:
        """Windows for the timeline of a model of clips.

        By default of 2 s, or of the length that clips are padded to. They are
        consecutive up to 2 s: events that overlapping ones find are longer than
        the sounds, see docs/published.md.
        """
        size = round(
            (WINDOW_SECONDS if seconds is None else seconds) * self.sample_rate
        )
        if self.fixed_length and seconds is None:
            size = self.max_samples
        size = min(max(size, self.min_samples), self.max_samples)
        hop = min(size, round(WINDOW_SECONDS * self.sample_rate))
        return Framing(size, max(hop, round(size / 4)))

    def cost(self, windows: Framing) -> float:
        """How many times as much as tags a timeline of windows costs."""
        size = self.max_samples if self.fixed_length else windows.size
        return size / windows.hop

    def prediction_starts(self, n_samples: int) -> np.ndarray:
        """The first sample of each frame-level prediction of a clip, ``[N]``."""
        assert self.frame_level is not None and self.token_samples is not None
        hop, token = self.frame_level.hop_samples, self.token_samples
        more = max(n_samples - self.frame_level.span_samples, 0)
        last = more // token * token
        return np.minimum(hop * np.arange(-(-last // hop) + 1), last)

    def to_dict(self) -> dict[str, Any]:
        """The values by name, in JSON's types."""
        values = dataclasses.asdict(self)
        if self.rules is not None:
            values["rules"] = {
                name: getattr(self.rules, name).tolist() for name in RULES
            }
        return values

    def to_metadata(self) -> dict[str, str]:
        """The metadata for a file, also those that OpenSoundscape reads."""
        values = {
            **self.to_dict(),
            "classes": self.labels,
            "sample_duration": self.max_samples / self.sample_rate,
        }
        texts = {
            name: json.dumps(value, ensure_ascii=False)
            for name, value in values.items()
        }
        if self.labels:
            texts["class_outputs_key"] = "probabilities"
        return {**texts, "embedding_outputs_key": "embeddings"}


FIELDS = dataclasses.fields(ModelInfo)
SECONDS = ("merge_gap", "min_duration")
RULES = ("threshold", "low", "high", *SECONDS)


def is_sentence(value: Any) -> bool:
    """Whether a value is a text in one line."""
    return isinstance(value, str) and value.isprintable() and value != ""


def is_whole(value: Any, low: int, high: int) -> bool:
    """Whether a value is a whole number in a range."""
    return type(value) is int and low <= value <= high
