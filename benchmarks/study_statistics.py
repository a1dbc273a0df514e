"""Statistics of a study: means over seeds, and what a difference is worth.

Authors
 * The speechbrain_fftp authors 2026
"""

import math
import statistics
from typing import NamedTuple, Optional


class Difference(NamedTuple):
    """The difference of two means.

    Arguments
    ---------
    value : float
        The first mean less the second one.
    error : float or None
        Its standard error, None if a mean is of one value.
    """

    value: float
    error: Optional[float]

    @property
    def verdict(self):
        """What can be said about it."""
        if self.error is None:
            return "too few seeds"
        if abs(self.value) > 2 * self.error:
            return "beyond the noise"
        return "inside the noise"

    def __str__(self):
        error = "" if self.error is None else f" ± {self.error:.2f}"
        return f"{self.value:+.2f}{error}"


def welch(first, second):
    """The difference of the means of two samples.

    Arguments
    ---------
    first : list of float
        The values of one.
    second : list of float
        Those of the other.

    Returns
    -------
    Difference
        With the standard error of Welch's test.

    Example
    -------
    >>> str(welch([3.0, 5.0], [1.0, 1.0]))
    '+3.00 ± 1.00'
    """
    value = statistics.mean(first) - statistics.mean(second)
    if min(len(first), len(second)) < 2:
        return Difference(value, None)
    error = math.sqrt(
        sum(statistics.variance(each) / len(each) for each in (first, second))
    )
    return Difference(value, error)


def mean_and_deviation(values):
    """For a table: mean and sample standard deviation."""
    if len(values) < 2:
        return f"{values[0]:.2f}"
    deviation = statistics.stdev(values)
    return f"{statistics.mean(values):.2f} ± {deviation:.2f}"


def sampling_note(share, clips):
    """What the number of test clips alone leaves uncertain, in words.

    Arguments
    ---------
    share : float
        Accuracy in 0..1.
    clips : int
        Number of test clips.

    Returns
    -------
    str
        A sentence for the report.

    Example
    -------
    >>> "3.0 points" in sampling_note(0.9, clips=100)
    True
    """
    points = 100 * math.sqrt(share * (1 - share) / clips)
    return (
        f"All seeds are scored on the same {clips} clips. Other {clips} clips"
        f" would give accuracies that are off by {points:.1f} points (one"
        " standard error of a share), those of other speakers or places by"
        " more, for which nothing below allows; as all rows are scored on the"
        " same clips, their differences are off by less.\n"
    )
