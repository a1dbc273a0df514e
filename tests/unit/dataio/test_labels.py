"""Tests of label statistics.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch

from speechbrain_fftp.dataio.labels import (
    class_balanced_weights,
    prior_log_odds,
    scorable_labels,
)

CLIPS = [["a", "b"], ["a"], ["a", "b", "c"], ["a", "c", "c"], ["a"]]


def test_log_odds_give_back_the_share_of_clips():
    odds = prior_log_odds(CLIPS, ["b", "never", "a"])
    expected = torch.tensor([2.1 / 5.2, 0.1 / 5.2, 5.1 / 5.2])
    torch.testing.assert_close(odds.sigmoid(), expected)


def test_weights_draw_every_class_equally_often():
    weights = class_balanced_weights([["a"], ["a"], ["a"], ["b"]])
    assert sum(weights[:3]) == pytest.approx(weights[3])
    assert class_balanced_weights(CLIPS)[3] == pytest.approx(1 / 5 + 1 / 2)


def test_labels_of_all_clips_cannot_be_scored():
    assert scorable_labels(CLIPS) == {"b", "c"}
    assert scorable_labels([["a"], ["a"]]) == set()
