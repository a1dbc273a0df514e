"""Tests of assigning splits.

Authors
 * The speechbrain_fftp authors 2026
"""

import random
from collections import defaultdict

import pytest

from fftp_tag.data.clips import Clip
from fftp_tag.data.splits import assign_splits, choose_fold, drop_copies

SPLITS = {"train", "valid", "eval"}


def make_clip(name, labels=("dog",), split="", group="", fold=""):
    return Clip(name, None, labels, split, group=group or name, fold=fold)


def random_clips(draw):
    """Clips of a few classes, some of them in groups of one class."""
    clips = []
    for number in range(draw.randint(30, 60)):
        label = draw.choice("uvwxyz")
        group = draw.choice(["", "", "a", "b", "c", "d", "e"])
        group = group and group + label
        clips.append(make_clip(f"{number}", (label,), group=group))
    return clips


def splits_by(clips, key):
    found = defaultdict(set)
    for clip in clips:
        for name in key(clip):
            found[name].add(clip.split)
    return found


@pytest.mark.parametrize("seed", range(3))
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
    # The order of the rows is of no importance
    mixed = assign_splits(draw.sample(given, len(given)), "data")
    assert set(mixed) == set(clips)


@pytest.mark.parametrize(
    "given, counts",
    [
        (["train"] * 20, (14, 3, 3)),
        (["train"] * 20 + ["eval"] * 6, (17, 3, 6)),
        (["train", "valid", "eval", "eval"], (1, 1, 2)),
        ([""] * 6 + ["eval"] * 14, (5, 1, 14)),
    ],
)
def test_given_splits_stay_and_others_are_assigned(given, counts):
    clips = [make_clip(f"{i}", split=split) for i, split in enumerate(given)]
    found = [clip.split for clip in assign_splits(clips, "data")]
    assert all(s == g for s, g in zip(found, given) if g in ("valid", "eval"))
    assert tuple(found.count(s) for s in ("train", "valid", "eval")) == counts


def test_splits_that_cannot_be():
    """Too few clips, and a group that is in several splits."""
    few = [make_clip("1"), make_clip("2")]
    torn = [make_clip(s, split=s, group="a") for s in sorted(SPLITS)]
    for clips, message in ((few, "data.*valid"), (torn, "data.*'a'")):
        with pytest.raises(ValueError, match=message):
            assign_splits(clips, "data")


def test_a_fold_is_for_evaluation():
    clips = [make_clip(f"{i}", fold=f"{i // 40}") for i in range(200)]
    for wrong in (None, "7"):
        with pytest.raises(ValueError, match="data.*0, 1, 2, 3, 4"):
            choose_fold(clips, wrong, "data")
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
