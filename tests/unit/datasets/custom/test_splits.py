"""Tests of assigning splits to custom data.

Authors
 * The speechbrain_fftp authors 2026
"""

import random
from collections import defaultdict

import pytest

from speechbrain_fftp.datasets.custom.splits import (
    CustomClip,
    assign_splits,
    choose_fold,
)

SPLITS = {"train", "valid", "eval"}


def random_clips(draw, labels_per_clip=1):
    """Clips of a few classes, some of them in groups."""
    clips = []
    for number in range(draw.randint(1, 40)):
        group = draw.choice(["", "", "a", "b", "c", "d", "e"])
        labels = draw.sample("uvwxyz", draw.randint(1, labels_per_clip))
        if labels_per_clip == 1 and group:  # a group of one class
            group += labels[0]
        clips.append(CustomClip(f"{number}.wav", tuple(labels), "", group))
    return clips


def by_group(clips, splits):
    """Splits of each group; a clip without one is a group."""
    found = defaultdict(set)
    for clip, split in zip(clips, splits):
        found[clip.group or clip.path].add(split)
    return found


def groups_and_splits(clips, splits):
    """For each label: its groups and its splits."""
    groups, reached = defaultdict(set), defaultdict(set)
    for clip, split in zip(clips, splits):
        for label in clip.labels:
            groups[label].add(clip.group or clip.path)
            reached[label].add(split)
    return groups, reached


@pytest.mark.parametrize("seed", range(8))
def test_splits_of_clips_with_one_label(seed):
    draw = random.Random(seed)
    clips = random_clips(draw)
    splits = assign_splits(clips)
    assert all(len(found) == 1 for found in by_group(clips, splits).values())
    groups, reached = groups_and_splits(clips, splits)
    for label in groups:
        if len(groups[label]) >= 3:
            assert reached[label] == SPLITS
        elif len(groups[label]) == 2:
            assert reached[label] == {"train", "eval"}
        else:
            assert reached[label] == {"train"}
    # The order of the rows is of no importance.
    mixed = draw.sample(clips, len(clips))
    assert dict(zip(mixed, assign_splits(mixed))) == dict(zip(clips, splits))


@pytest.mark.parametrize("seed", range(8))
def test_splits_of_clips_with_several_labels(seed):
    clips = random_clips(random.Random(seed), labels_per_clip=4)
    splits = assign_splits(clips)
    assert set(splits) <= SPLITS
    assert all(len(found) == 1 for found in by_group(clips, splits).values())
    groups, reached = groups_and_splits(clips, splits)
    widest = [label for label in groups if len(groups[label]) >= 3]
    if widest:  # the one whose turn is first has its choice
        first = min(widest, key=lambda label: (len(groups[label]), label))
        assert reached[first] == SPLITS


def test_no_class_is_missed_in_ordinary_sets():
    """Twenty sets of 60 clips, with one to three of eight labels each."""
    for seed in range(20):
        draw = random.Random(seed)
        clips = [
            CustomClip(f"{i}.wav", tuple(draw.sample("abcdefgh", 1 + i % 3)))
            for i in range(60)
        ]
        splits = assign_splits(clips)
        assert set(
            map(frozenset, groups_and_splits(clips, splits)[1].values())
        ) == {frozenset(SPLITS)}
        assert 33 <= splits.count("train") <= 48
        assert 5 <= min(splits.count("valid"), splits.count("eval"))


@pytest.mark.parametrize(
    "given, counts",
    [
        (["train"] * 20, (14, 3, 3)),
        (["train"] * 20 + ["eval"] * 6, (17, 3, 6)),
        (["train"] * 20 + ["valid"] * 6, (17, 6, 3)),
        (["train", "valid", "eval", "eval"], (1, 1, 2)),
        ([""] * 18 + ["eval"] * 2, (14, 3, 3)),
        ([""] * 6 + ["eval"] * 14, (5, 1, 14)),
        (["eval"] * 3, (0, 0, 3)),
    ],
)
def test_given_splits_stay_and_others_are_dealt(given, counts):
    clips = [CustomClip(f"{i}.wav", ("dog",), s) for i, s in enumerate(given)]
    splits = assign_splits(clips)
    assert all(s == g for s, g in zip(splits, given) if g in ("valid", "eval"))
    assert tuple(splits.count(s) for s in ("train", "valid", "eval")) == counts


def test_a_group_in_two_splits_is_an_error():
    clips = [CustomClip("1.wav", ("dog",), s, "a") for s in ("train", "eval")]
    with pytest.raises(ValueError, match="group 'a' .* eval and train"):
        assign_splits(clips)


def fold_clips():
    """Five folds of two classes; recordings of four clips each."""
    return [
        CustomClip(
            f"{i}.wav", ("ab"[i % 2],), "", f"rec {i // 4}", f"{i // 40}"
        )
        for i in range(200)
    ]


@pytest.mark.parametrize("test_fold", ["0", 1, "4"])
def test_a_fold_is_for_evaluation(test_fold):
    clips = fold_clips()
    splits = assign_splits(choose_fold(clips, test_fold, "data"))
    groups = defaultdict(set)
    for clip, split in zip(clips, splits):
        assert (split == "eval") == (clip.fold == str(test_fold))
        groups[clip.group].add(split)
    assert all(len(found) == 1 for found in groups.values())
    assert splits.count("valid") in (24, 28)
    assert splits == assign_splits(choose_fold(clips, test_fold, "data"))


@pytest.mark.parametrize("test_fold", [None, "7", ""])
def test_folds_must_be_chosen(test_fold):
    with pytest.raises(
        ValueError, match="data has the folds 0, 1, 2, 3, 4: give"
    ):
        choose_fold(fold_clips(), test_fold, "data")


def test_a_group_in_two_folds():
    clips = fold_clips()
    clips[0] = clips[0]._replace(fold="2")
    with pytest.raises(ValueError, match="group 'rec 0' .* eval and train"):
        assign_splits(choose_fold(clips, 2, "data"))
