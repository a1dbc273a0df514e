"""Exact intervals of shares.

Authors
 * The speechbrain_fftp authors 2026
"""


def exact_interval(share: float, count: int) -> tuple[float, float]:
    """The Clopper-Pearson interval (95 %) of a share of so many.

    Example
    -------
    >>> low, high = exact_interval(1.0, 32)
    >>> round(low, 3), high
    (0.891, 1.0)
    """
    from scipy.stats import beta

    right = share * count
    low, high = 0.0, 1.0
    if right > 0:
        low = float(beta.ppf(0.025, right, count - right + 1))
    if right < count:
        high = float(beta.ppf(0.975, right + 1, count - right))
    return low, high
