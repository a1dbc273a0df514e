"""What tagging gives: labels with probabilities, and with times.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Tag:
    """A label and how probable the model finds it.

    Arguments
    ---------
    label : str
        The label.
    probability : float
        In 0..1.

    Example
    -------
    >>> tag = Tag("Siren", 0.9)
    >>> tag.label
    'Siren'
    """

    label: str
    probability: float

    def to_dict(self):
        """The fields by name: a row of a table, ready for JSON and pandas.

        Returns
        -------
        dict
            ``label`` and ``probability``.
        """
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class Event:
    """A label with the part of a file in which it is heard.

    Arguments
    ---------
    start : float
        Where it begins, in seconds.
    end : float
        Where it ends, in seconds.
    label : str
        The label.
    probability : float
        The highest one within the event.

    Example
    -------
    >>> Event(1.5, 4.0, "Siren", 0.9).to_dict()
    {'start': 1.5, 'end': 4.0, 'label': 'Siren', 'probability': 0.9}
    """

    start: float
    end: float
    label: str
    probability: float

    def to_dict(self):
        """The fields by name: a row of a table, ready for JSON and pandas.

        Returns
        -------
        dict
            ``start``, ``end``, ``label`` and ``probability``.
        """
        return dataclasses.asdict(self)
