"""Tests of assigning splits.

Authors
 * The speechbrain_fftp authors 2026
"""

import random
from collections import Counter, defaultdict

import pytest

from speechbrain_fftp.dataio.clips import Clip
from speechbrain_fftp.datasets.splits import (
    assign_splits,
    choose_fold,
    drop_copies,
)

SPLITS = {"train", "valid", "eval"}


def make_clip(name, labels=("dog",), split="", group="", fold=""):
    return Clip(name, None, labels, split, group=group or name, fold=fold)


def random_clips(draw, labels_per_clip=1):
    """Clips of a few classes, some of them in groups."""
    clips = []
    for number in range(draw.randint(30, 60)):
        group = draw.choice(["", "", "a", "b", "c", "d", "e"])
        labels = draw.sample("uvwxyz", draw.randint(1, labels_per_clip))
        if labels_per_clip == 1 and group:  # a group of one class
            group += labels[0]
        clips.append(make_clip(f"{number}", tuple(labels), group=group))
    return clips


def splits_by(clips, key):
    found = defaultdict(set)
    for clip in clips:
        for name in key(clip):
            found[name].add(clip.split)
    return found


@pytest.mark.parametrize("seed", range(8))
def test_splits_of_clips_with_one_label(seed):
    draw = random.Random(seed)
    given = random_clips(draw)
    clips = assign_splits(given, "data")
    by_group = splits_by(clips, lambda clip: [clip.group])
    assert all(len(found) == 1 for found in by_group.values())
    for label, found in splits_by(clips, lambda clip: clip.labels).items():
        groups = {clip.group for clip in clips if label in clip.labels}
        expected = {1: {"train"}, 2: {"train", "eval"}}
        assert found == expected.get(len(groups), SPLITS)
    # The order of the rows is of no importance.
    mixed = assign_splits(draw.sample(given, len(given)), "data")
    assert set(mixed) == set(clips)


def test_no_class_is_missed_in_ordinary_sets():
    """Twenty sets of 60 clips, with one to three of eight labels each."""
    for seed in range(20):
        draw = random.Random(seed)
        clips = assign_splits(
            [
                make_clip(f"{i}", tuple(draw.sample("abcdefgh", 1 + i % 3)))
                for i in range(60)
            ],
            "data",
        )
        reached = splits_by(clips, lambda clip: clip.labels).values()
        assert all(found == SPLITS for found in reached)
        counts = Counter(clip.split for clip in clips)
        assert 33 <= counts["train"] <= 48
        assert 5 <= min(counts["valid"], counts["eval"])


@pytest.mark.parametrize(
    "given, counts",
    [
        (["train"] * 20, (14, 3, 3)),
        (["train"] * 20 + ["eval"] * 6, (17, 3, 6)),
        (["train"] * 20 + ["valid"] * 6, (17, 6, 3)),
        (["train", "valid", "eval", "eval"], (1, 1, 2)),
        ([""] * 18 + ["eval"] * 2, (14, 3, 3)),
        ([""] * 6 + ["eval"] * 14, (5, 1, 14)),
    ],
)
def test_given_splits_stay_and_others_are_assigned(given, counts):
    clips = [make_clip(f"{i}", split=split) for i, split in enumerate(given)]
    found = [clip.split for clip in assign_splits(clips, "data")]
    assert all(s == g for s, g in zip(found, given) if g in ("valid", "eval"))
    assert tuple(found.count(s) for s in ("train", "valid", "eval")) == counts


@pytest.mark.parametrize(
    "clips",
    [
        [make_clip("1", split="train"), make_clip("2", split="eval")],
        [make_clip("1"), make_clip("2")],
    ],
)
def test_too_few_clips(clips):
    with pytest.raises(ValueError, match="data.*valid"):
        assign_splits(clips, "data")


def test_a_group_in_two_splits_is_an_error():
    clips = [
        make_clip(s, split=s, group="a") for s in ("train", "valid", "eval")
    ]
    with pytest.raises(ValueError, match="data.*'a'"):
        assign_splits(clips, "data")


@pytest.mark.parametrize("test_fold", ["0", 1, "4"])
def test_a_fold_is_for_evaluation(test_fold):
    """Five folds of two classes; recordings of four clips each."""
    clips = [
        make_clip(f"{i}", ("ab"[i % 2],), group=f"{i // 4}", fold=f"{i // 40}")
        for i in range(200)
    ]
    for wrong in (None, "7", ""):
        with pytest.raises(ValueError, match="data.*0, 1, 2, 3, 4"):
            choose_fold(clips, wrong, "data")
    clips = assign_splits(choose_fold(clips, test_fold, "data"), "data")
    for clip in clips:
        assert (clip.split == "eval") == (clip.fold == str(test_fold))
    by_group = splits_by(clips, lambda clip: [clip.group])
    assert all(len(found) == 1 for found in by_group.values())
    assert sum(clip.split == "valid" for clip in clips) in (24, 28)


def test_copies_of_files_count_once(tmp_path, caplog):
    """The copy that is evaluated on stays."""
    clips = []
    for name, content, split in (
        ("a", "one", "train"),
        ("b", "two", "train"),
        ("c", "one", "eval"),
        ("d", "longer", "train"),
        ("e", "two", "train"),
    ):
        (tmp_path / name).write_text(content)
        clips.append(Clip(name, str(tmp_path / name), ("x",), split))
    clips.append(Clip("f", str(tmp_path / "f"), ("x",), "train"))  # missing
    kept, skipped = drop_copies(clips, tmp_path)
    assert [clip.id for clip in kept] == ["c", "b", "d", "f"]
    assert [row[0] for row in skipped] == ["a", "e"]
    assert skipped[0][2].endswith("c")
    assert "such as a" in caplog.text
