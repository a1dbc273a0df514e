"""Tests of F1 of tags, against scikit-learn.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from fftp_tag.score.tags import f1_of_tags


def test_f1_is_scikit_learns():
    """Classes 3 and 4, of no clip and of all clips, say nothing."""
    rng = np.random.default_rng(0)
    true = rng.random((40, 5)) < 0.3
    true[:, 3], true[:, 4] = False, True
    tagged = true ^ (rng.random((40, 5)) < 0.2)
    micro = f1_score(true[:, :4], tagged[:, :4], average="micro")
    macro = f1_score(true[:, :3], tagged[:, :3], average="macro")
    found = f1_of_tags(true, tagged)
    assert found == pytest.approx({"micro_F1": micro, "macro_F1": macro})
    found = f1_of_tags(true[:, 4:], tagged[:, 4:])
    assert found == {"micro_F1": None, "macro_F1": None}
