"""Tests of learned thresholds: in the model's folder, and in tagging.

Authors
 * The speechbrain_fftp authors 2026
"""

import codecs
import csv
import shutil

import numpy as np
import pytest
import soundfile as sf
import torch

from speechbrain_fftp.inference import AudioTagger
from speechbrain_fftp.inference.thresholds import (
    learn_thresholds,
    write_thresholds,
)

HEADER = "label,threshold,positives,f1\n"
ROWS = ["Speech,0.5,9,1.0", '"Bark, dog",0.25,0,0.0', "Siren,1.0,7,0.5"]
ROWS += ["Music,0.0,8,0.25", "Rain,0.75,3,0.0"]


@pytest.fixture
def model(exported, tmp_path):
    """A copy of the model's folder."""
    return shutil.copytree(exported[1], tmp_path / "model")


@pytest.fixture
def clip(tmp_path):
    noise = 0.2 * np.random.default_rng(0).standard_normal(3 * 16000)
    sf.write(tmp_path / "clip.wav", noise, 16000)
    return tmp_path / "clip.wav"


@pytest.mark.parametrize(
    "content",
    [
        "",
        HEADER,
        HEADER + "\n".join(ROWS[::-1]),
        HEADER + "\n".join([*ROWS[:4], "Rain,nan,3,0"]),
        "\0" * 100,
    ],
    ids=repr,
)
def test_tampered_files_are_refused(model, content):
    path = model / "thresholds.csv"
    path.write_bytes(content if type(content) is bytes else content.encode())
    with pytest.raises(ValueError, match="thresholds.csv"):
        AudioTagger.from_pretrained(model)


def test_files_that_excel_has_saved(model):
    """As CSV UTF-8, with a byte order mark and its ends of lines."""
    expected = AudioTagger.from_pretrained(model).labels
    rows = [(label, 0.25, 5, 0.5) for label in expected]
    write_thresholds(model, rows)
    for name in ("thresholds.csv", "labels.csv", "config.json"):
        content = (model / name).read_bytes().replace(b"\n", b"\r\n")
        (model / name).write_bytes(codecs.BOM_UTF8 + content)
    tagger = AudioTagger.from_pretrained(model)
    assert tagger.labels == expected
    assert tagger.thresholds.tolist() == [0.25] * 5


def test_learned_thresholds_read_back_exactly(exported, model):
    rng = np.random.default_rng(0)
    labels = exported[0]["labels"]
    targets = torch.from_numpy(rng.random((50, 5)) < 0.2).float()
    targets[:, 3] = 0
    probs = torch.from_numpy(rng.random((50, 5))).float()
    rows = learn_thresholds(labels, targets, probs)
    assert [row[0] for row in rows] == labels
    assert [row[2] for row in rows] == targets.sum(0).tolist()
    write_thresholds(model, rows)
    read = AudioTagger.from_pretrained(model).thresholds
    assert read.tolist() == [row[1] for row in rows]
    with open(model / "thresholds.csv", encoding="utf-8") as file:
        written = [float(row["f1"]) for row in csv.DictReader(file)]
    found = probs.numpy() >= read  # as the tagger decides
    for f1, true, tags in zip(written, targets.numpy().T > 0, found.T):
        total = true.sum() + tags.sum()
        assert f1 == pytest.approx(2 * (true & tags).sum() / total)


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


def learned(targets, scores, floor):
    """Thresholds, positive clips and F1 of the classes of arrays."""
    clips = torch.from_numpy(targets), torch.from_numpy(scores)
    labels = range(targets.shape[1])
    _, *values = zip(*learn_thresholds(labels, *clips, floor))
    return values


def best_cut(true, scores):
    """The highest of the scores above 0 with the most F1 as a threshold."""
    cuts = [x for x in np.unique(scores) if x > 0]
    f1 = [f1_by_counting(true, scores >= cut) for cut in cuts]
    most = max(f1)
    return max(cut for cut, x in zip(cuts, f1) if x > most - 1e-9), most


def few_positives(seed, decimals):
    """Classes with 0 to 8 positive clips of 60, and scores in 0..1."""
    rng = np.random.default_rng(seed)
    targets = np.zeros((60, 9), np.float32)
    for number in range(9):
        targets[rng.permutation(60)[:number], number] = 1.0
    scores = 0.6 * rng.random((60, 9)) + 0.3 * targets
    return targets, scores.astype(np.float32).round(decimals)


@pytest.mark.parametrize("decimals", [1, 7])  # with many ties, and without
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("floor", [1, 4, 9])
def test_thresholds_are_the_best_of_all_cuts(seed, decimals, floor):
    targets, scores = few_positives(seed, decimals)
    limits, positives, f1 = learned(targets, scores, floor)
    assert positives == tuple(range(9)) and len(limits) == 9
    assert list(np.float32(limits)) == list(limits)
    true = targets > 0
    assert set(limits[:floor]) == {0.5}
    for number, limit in enumerate(limits):
        column, own = scores[:, number], true[:, number]
        found = f1_by_counting(own, column >= limit)
        assert f1[number] == pytest.approx(found)
        if number < floor:
            continue
        cut, most = best_cut(own, column)
        assert f1[number] == pytest.approx(most)
        # Half way to the next lower score
        lower = max([x for x in column if x < cut], default=0)
        assert limit == pytest.approx((cut + lower) / 2, abs=1e-7)
        assert lower < limit < cut


def test_thresholds_by_hand():
    def learn(*pairs):
        targets, scores = np.array(pairs).T[:, :, None]
        (limit,), *_ = learned(targets, scores, 1)
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
