"""Tests of label statistics.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch

from speechbrain_fftp.datasets.batches import (
    class_balanced_weight,
    count_labels,
    prior_log_odds,
)

CLIPS = [["a", "b"], ["a"], ["a", "b", "c"], ["a", "c", "c"], ["a"]]


def test_log_odds_give_back_the_share_of_clips():
    odds = prior_log_odds(count_labels(CLIPS), 5, ["b", "never", "a"])
    expected = torch.tensor([2.1 / 5.2, 0.1 / 5.2, 5.1 / 5.2])
    torch.testing.assert_close(odds.sigmoid(), expected)


def test_weights_draw_every_class_equally_often():
    clips = [["a"], ["a"], ["a"], ["b"]]
    weights = [class_balanced_weight(k, count_labels(clips)) for k in clips]
    assert sum(weights[:3]) == pytest.approx(weights[3])
    weight = class_balanced_weight(CLIPS[3], count_labels(CLIPS))
    assert weight == pytest.approx(1 / 5 + 1 / 2)
