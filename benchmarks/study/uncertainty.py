"""What the study adds to the paired bootstrap of the package.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
from scipy import stats
from statsmodels.stats.multitest import multipletests
from study.comparison import accuracy, mean_precision

from speechbrain_fftp.inference.event_metrics import mean_f1


def event_f1(scores, weights):
    """Mean F1 of events; arguments and result as in ``accuracy``.

    The targets are counts of true events ``[clips, C]``, the probabilities
    those of events found where they are, and of all that are found
    ``[clips, 2 * C]``.
    """
    hits, found = np.split(weights @ scores.probs, 2, 1)
    return mean_f1((hits, weights @ scores.targets, found))


METRICS = {
    "accuracy": accuracy,
    "mAP": mean_precision,
    "event_F1": event_f1,
}


def t_interval(values):
    """The 95 % t interval of the mean of one value per fold; None for one."""
    if len(values) < 2:
        return None
    half = stats.sem(values) * stats.t.ppf(0.975, len(values) - 1)
    return float(np.mean(values) - half), float(np.mean(values) + half)


def verdicts(differences, margin):
    """Says what each difference, of all declared together, shows.

    Returns p-values with Holm's correction, and ``higher``, ``lower``, ``equal
    within`` the margin in points, or ``unresolved``.
    """
    if not differences:
        return []
    corrected = multipletests([d.p for d in differences], method="holm")[1]
    found = []
    for difference, p in zip(differences, corrected.tolist()):
        word = "unresolved"
        if p < 0.05:
            word = "higher" if difference.value > 0 else "lower"
        elif -margin < difference.low and difference.high < margin:
            word = f"equal within {margin:g}"
        found.append((p, word))
    return found
