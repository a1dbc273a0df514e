"""A review: which candidate is heard next, and what was answered.

Authors
 * The speechbrain_fftp authors 2026
"""

import collections
import datetime
import math
import threading
from typing import Any

import numpy as np

from fftp_tag.audio.pieces import FilePiece, overlaps, read_wav
from fftp_tag.data.class_names import class_name
from fftp_tag.data.custom import BACKGROUND
from fftp_tag.data.reviewed import NO, OTHER, SKIP, YES, Answer, ReviewFolder
from fftp_tag.errors import InputError
from fftp_tag.review.candidates import ORDERS, Candidate

AROUND = 1.0  # seconds that are played before and after a candidate


def seconds_played(x: Candidate | Answer) -> float:
    """How long a candidate is heard, with what is around it."""
    return x.end - x.start + 2 * AROUND


class Session:
    """Asks for each candidate once; threads may call it.

    Arguments
    ---------
    candidates : list of Candidate
    folder : ReviewFolder
        Candidates that overlap one with an answer are not asked for.
    labels : list of str
        Names of the classes.
    model : str
        Checksum of the model.
    order : str
        A key of ``ORDERS``.
    label : str, optional
        The only class to ask for.
    minutes : float
        So long, candidates are asked for: as what is played of them takes.
    """

    def __init__(
        self,
        candidates: list[Candidate],
        folder: ReviewFolder,
        labels: list[str],
        model: str,
        order: str,
        label: str | None = None,
        minutes: float = math.inf,
    ):
        self.candidates = list(candidates)
        self.folder = folder
        self.labels = labels
        self.model = model
        self.order = order
        self.label = label
        self.seconds_left = 60 * minutes
        self.again: int | None = None  # the candidate whose answer was undone
        self.lock = threading.Lock()

    def taken(self) -> collections.defaultdict[str, list[tuple[float, float]]]:
        """Starts and ends that have an answer, by recording."""
        found = collections.defaultdict(list)
        for x in self.folder.answers:
            found[x.path].append((x.start, x.end))
        return found

    def open_candidates(self, order: str, label: str | None) -> list[int]:
        """Numbers of the candidates to ask for, the first one first."""
        taken = self.taken()
        found = [
            number
            for number, candidate in enumerate(self.candidates)
            if (candidate.is_event or not ORDERS[order].events_only)
            and label in (None, candidate.label)
            and not overlaps(
                candidate.start, candidate.end, taken[candidate.path]
            )
        ]
        key = ORDERS[order].key
        found.sort(key=lambda number: key(self.candidates[number]))
        seconds = [seconds_played(self.candidates[number]) for number in found]
        fits = np.cumsum(seconds) <= self.seconds_left
        return found[: int(fits.sum())]

    def all_labels(self) -> list[str]:
        """Names of the classes, and of those that answers have added."""
        heard = [x.label for x in self.folder.answers]
        names = dict.fromkeys([*self.labels, *heard])
        return [name for name in names if name not in ("", BACKGROUND)]

    def state(self) -> dict[str, Any]:
        """What the page shows: the candidate to hear, and all settings."""
        with self.lock:
            numbers = self.open_candidates(self.order, self.label)
            number = numbers[0] if numbers else None
            if self.again is not None:
                number = self.again
            candidate = None
            if number is not None:
                candidate = {
                    **self.candidates[number]._asdict(),
                    "number": number,
                }
                candidate["from"] = max(candidate["start"] - AROUND, 0.0)
                del candidate["folder"]
            return {
                "candidate": candidate,
                "left": len(numbers),
                "heard": len(self.folder.answers),
                "labels": self.all_labels(),
                "order": self.order,
                "label": self.label,
                "orders": list(ORDERS),
                "asked": self.labels,
            }

    def choose(self, order: str, label: str | None) -> None:
        """Changes the order, and the only class to ask for."""
        if order not in ORDERS:
            raise InputError(f"order {order!r} is not one of {list(ORDERS)}")
        if label is not None and label not in self.labels:
            raise InputError(f"{label!r} is no class of the model")
        with self.lock:
            self.order, self.label, self.again = order, label, None

    def answer(self, number: int, answer: str, label: str = "") -> None:
        """Writes an answer, unless the candidate has one.

        Arguments
        ---------
        number : int
            Of the candidate.
        answer : str
            ``yes``, ``no``, ``other`` or ``skip``.
        label : str
            The class that is heard, or background, if it is another one.
        """
        with self.lock:
            candidate = self.candidate(number)
            labels = {YES: candidate.label, NO: BACKGROUND, SKIP: ""}
            if answer == OTHER:
                labels[OTHER] = class_name(label)
                if labels[OTHER] == candidate.label:
                    answer = YES
            if answer not in labels:
                raise InputError(f"{answer!r} is no answer")
            if overlaps(
                candidate.start, candidate.end, self.taken()[candidate.path]
            ):
                return  # a key was pressed twice
            now = datetime.datetime.now()
            self.folder.add(
                Answer(
                    *candidate.asked,
                    answer=answer,
                    label=labels[answer],
                    order=self.order,
                    model=self.model,
                    time=now.isoformat(timespec="seconds"),
                )
            )
            self.again = None
            self.seconds_left -= seconds_played(candidate)

    def undo(self) -> None:
        """Removes the last answer; its candidate is asked for again."""
        with self.lock:
            if not self.folder.answers:
                return
            answer = self.folder.undo()
            self.seconds_left += seconds_played(answer)
            asked = [candidate.asked for candidate in self.candidates]
            if answer[:6] in asked:
                self.again = asked.index(answer[:6])
            else:  # found by another model
                self.again = len(asked)
                self.candidates.append(
                    Candidate(*answer[:6], 0.0, is_event=False)
                )

    def clip(self, number: int) -> bytes:
        """A WAV file of a candidate, and of what is around it."""
        x = self.candidate(number)
        start = max(x.start - AROUND, 0.0)
        return read_wav(FilePiece(x.path, start, x.end + AROUND), "PCM_16")

    def candidate(self, number: int) -> Candidate:
        """A candidate, by its number."""
        if not 0 <= number < len(self.candidates):
            raise InputError(f"there is no candidate {number}")
        return self.candidates[number]
