"""Tests of label statistics.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch

from speechbrain_fftp.datasets.batches import (
    class_balanced_weight,
    collate_clips,
    count_labels,
    prior_log_odds,
)

CLIPS = [["a", "b"], ["a"], ["a", "b", "c"], ["a", "c", "c"], ["a"]]


def test_unreadable_clips_are_skipped():
    """An error only if no clip of a batch, or three in a row, can be read."""
    good, bad = {"id": "a", "sig": torch.ones(10)}, {"id": "b", "sig": None}
    for clips in ([good, bad], [good]):
        batch = collate_clips(clips)
        assert batch.id == ["a"] and batch.unreadable == ["b"][: len(clips) - 1]
    for _ in range(2):
        batch = collate_clips([bad])
        assert batch.id == batch.unreadable == ["b"]
        assert not batch.sig.data.any()
    with pytest.raises(ValueError, match="the last 3 clips can be read.* b: "):
        collate_clips([bad])
    collate_clips([good])
    with pytest.raises(ValueError, match="the last 2 clips can be read.* b: "):
        collate_clips([bad, bad])
    collate_clips([good])


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
