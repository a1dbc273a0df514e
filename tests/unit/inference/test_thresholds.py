"""Tests of learned thresholds: in the model's folder, and in tagging.

Authors
 * The speechbrain_fftp authors 2026
"""

import shutil

import numpy as np
import pytest
import soundfile as sf

from speechbrain_fftp.inference import AudioTagger
from speechbrain_fftp.inference.thresholds import (
    learn_thresholds,
    write_thresholds,
)


@pytest.fixture
def model(exported, tmp_path):
    """A copy of the model's folder."""
    return shutil.copytree(exported[1], tmp_path / "model")


@pytest.fixture
def clip(tmp_path):
    noise = 0.2 * np.random.default_rng(0).standard_normal(3 * 16000)
    sf.write(tmp_path / "clip.wav", noise, 16000)
    return tmp_path / "clip.wav"


def test_tagging_with_the_thresholds_of_the_model(model, clip):
    plain = AudioTagger.from_pretrained(model)
    everything = plain.tag_file(clip)
    probs = {tag.label: tag.probability for tag in everything}
    # The second and the fourth tag reach their thresholds exactly
    kept = {everything[1].label, everything[3].label}
    rows = [
        (label, probs[label] if label in kept else 1.0, 5, 0.5)
        for label in plain.labels
    ]
    write_thresholds(model, rows)
    tagger = AudioTagger.from_pretrained(model)
    expected = [everything[1], everything[3]]
    assert tagger.tag_file(clip, threshold="auto") == expected
    assert tagger.tag_file(clip, 1, "auto") == expected[:1]
    [row] = tagger.tag_files([clip], threshold="auto")
    assert [tag.label for tag in row.tags] == [tag.label for tag in expected]
    found = tagger.tag(sf.read(clip)[0], 16000, threshold="auto")
    assert [tag.label for tag in found] == [tag.label for tag in expected]
    timeline = tagger.analyze(clip, window=0.5)
    assert timeline.tags(threshold="auto") == expected
    events = tagger.tag_long(clip, window=0.5, threshold="auto")
    assert events == timeline.events(tagger.thresholds)
    assert {event.label for event in events} <= kept
    assert tagger.tag_file(clip) == everything  # no thresholds by default


def f1_by_counting(true, found):
    hits = (true & found).sum()
    return 2 * hits / max(true.sum() + found.sum(), 1)


def few_positives(seed, decimals):
    """Classes with 0 to 8 positive clips of 60, and scores in 0..1."""
    rng = np.random.default_rng(seed)
    targets = np.zeros((60, 9), np.float32)
    for number in range(9):
        targets[rng.permutation(60)[:number], number] = 1.0
    scores = 0.6 * rng.random((60, 9)) + 0.3 * targets
    return targets, scores.astype(np.float32).round(decimals)


@pytest.mark.parametrize("decimals", [1, 7])  # with many ties, and without
def test_thresholds_are_the_best_of_all_cuts(decimals):
    targets, scores = few_positives(0, decimals)
    rows = learn_thresholds(range(9), targets, scores, min_positives=4)
    for number, limit, positives, f1 in rows:
        true, column = targets[:, number] > 0, scores[:, number]
        assert positives == number
        assert f1 == pytest.approx(f1_by_counting(true, column >= limit))
        if number < 4:
            assert limit == 0.5
            continue
        cuts = [x for x in np.unique(column) if x > 0]
        scored = [f1_by_counting(true, column >= cut) for cut in cuts]
        assert f1 == pytest.approx(max(scored))
        # Half way from the highest of the best cuts to the next lower score
        cut = max(x for x, y in zip(cuts, scored) if y > max(scored) - 1e-9)
        lower = max([x for x in column if x < cut], default=0)
        assert limit == pytest.approx((cut + lower) / 2, abs=1e-7)
        assert lower < limit < cut


def test_thresholds_by_hand():
    def learn(*pairs):
        targets, scores = np.array(pairs, np.float32).T[:, :, None]
        [(_, limit, *_)] = learn_thresholds("a", targets, scores, 1)
        return limit

    assert learn((1, 0.75), (0, 0.5)) == 0.625
    # Down to 0, where all clips are tagged; but never 0 itself
    assert learn((1, 0.5), (1, 0.5)) == 0.25
    assert 0 < learn((1, 0.0), (1, 0.0), (0, 0.0)) < 1e-30
    assert learn((1, 0.0), (1, 0.0), (1, 0.0), (1, 0.5), (0, 0)) == 0.25
    # F1 of 2/3 at 0.9 and at 0.3: the higher one
    assert learn((1, 0.9), (0, 0.5), (1, 0.3), (0, 0.4)) == pytest.approx(0.7)
    # Nothing lies between neighbours in float32
    low = np.float32(0.3)
    high = np.nextafter(low, np.float32(1))
    assert learn((1, high), (0, low)) == high
