"""Tests of assigning splits.

Authors
 * The speechbrain_fftp authors 2026
"""

from collections import defaultdict

import pytest
from hypothesis import (
    given,
    settings,
    strategies as st,
)

from fftp_tag.data.clips import Clip
from fftp_tag.data.splits import assign_splits, choose_fold, drop_copies


def make_clip(name, labels=("dog",), split="", group="", fold=""):
    return Clip(name, None, labels, split, group=group or name, fold=fold)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    st.lists(
        st.tuples(st.sampled_from("uvwxyz"), st.sampled_from("--abcde")),
        min_size=30,
        max_size=60,
    ),
    st.randoms(),
)
def test_splits_of_clips_with_one_label(pairs, draw):
    """Some are in groups of one class; the order of clips means nothing."""
    given_clips = [
        make_clip(
            f"{number}",
            (label,),
            group=f"{group}{label}" if group != "-" else "",
        )
        for number, (label, group) in enumerate(pairs)
    ]
    clips = assign_splits(given_clips, "data")
    splits_of, groups_of = defaultdict(set), defaultdict(set)
    for clip in clips:
        splits_of[clip.group].add(clip.split)
        splits_of[clip.labels].add(clip.split)
        groups_of[clip.labels].add(clip.group)
    for labels, groups in groups_of.items():
        expected = {1: {"train"}, 2: {"train", "eval"}}
        everywhere = {"train", "valid", "eval"}
        assert splits_of[labels] == expected.get(len(groups), everywhere)
        assert all(len(splits_of[group]) == 1 for group in groups)
    mixed = draw.sample(given_clips, len(given_clips))
    assert set(assign_splits(mixed, "data")) == set(clips)


@pytest.mark.parametrize("labels", ["dog,a dog,b dog,c", "dog,a dog,a dog,b b"])
def test_classes_too_small_for_all_splits_come_last(labels):
    """They would put all clips of dogs into one split or two."""
    pairs = enumerate(labels.split())
    clips = [make_clip(str(n), tuple(x.split(","))) for n, x in pairs]
    found = assign_splits(clips, "data")
    splits = {clip.split for clip in found if "dog" in clip.labels}
    assert splits == {"train", "valid", "eval"}


@pytest.mark.parametrize(
    "given, counts",
    [
        (["train"] * 20, (14, 3, 3)),
        (["train"] * 20 + ["eval"] * 6, (17, 3, 6)),
        ([""] * 6 + ["eval"] * 14, (5, 1, 14)),
    ],
)
def test_given_splits_stay_and_others_are_assigned(given, counts):
    clips = [make_clip(f"{i}", split=split) for i, split in enumerate(given)]
    found = [clip.split for clip in assign_splits(clips, "data")]
    assert all(s == g for s, g in zip(found, given) if g in ("valid", "eval"))
    assert tuple(found.count(s) for s in ("train", "valid", "eval")) == counts


def test_a_fold_is_for_evaluation():
    clips = [make_clip(f"{i}", fold=f"{i // 40}") for i in range(200)]
    clips = assign_splits(choose_fold(clips, 1, "data"), "data")
    assert all((clip.split == "eval") == (clip.fold == "1") for clip in clips)
    assert 20 < sum(clip.split == "valid" for clip in clips) < 32


def test_copies_of_files_count_once(tmp_path, caplog):
    """The copy that is evaluated on stays."""
    contents = {"a": "one", "b": "two", "c": "one", "d": "longer", "e": "two"}
    for name, content in contents.items():
        (tmp_path / name).write_text(content)
    clips = [
        Clip(name, str(tmp_path / name), ("x",), "eval" if name == "c" else "")
        for name in "abcdef"  # f is missing
    ]
    kept, skipped = drop_copies(clips, tmp_path)
    assert [clip.id for clip in kept] == ["c", "b", "d", "f"]
    assert [row[0] for row in skipped] == ["a", "e"]
    assert skipped[0][2].endswith("c")
    assert "such as a" in caplog.text
