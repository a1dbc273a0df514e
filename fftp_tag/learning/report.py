"""What was learnt, and how well: the report of ``learn``.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from fftp_tag.files import PathLike, read_json
from fftp_tag.learning.thresholds import Limit
from fftp_tag.learning.unknown import Unknown
from fftp_tag.learning.validate import Gain, Score, Validation
from fftp_tag.score.background import Background

if TYPE_CHECKING:
    from fftp_tag.model.session import Model


class Compared(NamedTuple):
    """What was learnt on one of several encoders."""

    model: str  # its file
    share_right: float
    # To the first, with its interval (95 %); None: it is the first
    gain: Gain | None
    is_taken: bool


@dataclasses.dataclass
class Report:
    """What was learnt, and how well.

    Arguments
    ---------
    labels : list of str
        Names of the C classes.
    counts : list of int
        The number of clips of each class, ``[C]``.
    event_thresholds : list of float
        What the probability of events must reach, ``[C]``.
    background_seconds : float
        Length of the background that was learnt from.
    filled : float
        How much of the clips their sounds fill, from 0 to 1.
    are_whole : bool
        Whether clips are learnt as a whole, since the encoder does not clearly
        help with the sounds in them.
    span_seconds, hop_seconds : float
        Length of a span, which a prediction is made from, and hop.
    validation : Validation
        With thresholds ``[C]`` and scores of cross-validation.
    has_groups : bool
        See ``DataSet``.
    eval_scores : dict of Score
        Scores of the clips of the eval split, if there are any.
    false_alarms : Background, optional
        False alarms in what of each recording of background is not used to
        learn.
    limit : Limit, optional
        What events must reach, if an upper limit of false alarms was given.
    not_read : dict
        Reasons by name of the clips and recordings that cannot be read.
    encoders : list of Compared
        What was learnt on each encoder, if several were given.
    """

    labels: list[str]
    counts: list[int]
    event_thresholds: list[float]
    background_seconds: float
    filled: float
    are_whole: bool
    span_seconds: float
    hop_seconds: float
    validation: Validation
    has_groups: bool
    eval_scores: dict[str, Score]
    false_alarms: Background | None
    limit: Limit | None
    not_read: dict[str, str]
    encoders: list[Compared]

    def to_json(self, digest: str) -> dict[str, Any]:
        """What is kept beside the model with a digest, by name."""
        validation = self.validation

        def of_unknown(found: Unknown | None) -> dict[str, Any] | None:
            """What is tagged of unknown sounds."""
            return None if found is None else found._asdict()

        return {
            "digest": digest,
            "clips": dict(zip(self.labels, self.counts, strict=True)),
            "background_seconds": self.background_seconds,
            "span_seconds": self.span_seconds,
            "thresholds": validation.thresholds.tolist(),
            "event_thresholds": self.event_thresholds,
            "folds": validation.n_folds,
            "grouped": self.has_groups,
            "scores": as_dicts(validation.scores),
            "eval_scores": as_dicts(self.eval_scores),
            "other_sounds_tagged": of_unknown(validation.others),
            "left_out_classes_tagged": of_unknown(validation.near),
            "hardly_told": validation.not_told,
            "points": as_dicts(validation.points),
            "not_measured": validation.unmeasured,
            "confusions": [x._asdict() for x in validation.confusions],
            "false_alarms": self.false_alarms
            and dataclasses.asdict(self.false_alarms),
            "models": [
                {**x._asdict(), "gain": x.gain and x.gain._asdict()}
                for x in self.encoders
            ],
            "not_read": self.not_read,
        }


def as_dicts(records: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Named tuples by name, as dictionaries."""
    return {name: record._asdict() for name, record in records.items()}


def report_path(model: PathLike) -> Path:
    """Where the report of a model is kept."""
    return Path(f"{model}.json")


def read_report(model: "Model") -> dict[str, Any] | None:
    """The report of a learnt model, if it is beside it and of it."""
    path = report_path(model.path)
    if not path.is_file():
        return None
    report = read_json(path)
    return report if report.get("digest") == model.digest else None
