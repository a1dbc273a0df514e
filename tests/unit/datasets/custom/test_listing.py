"""Tests of finding custom data and assigning its splits.

Authors
 * The speechbrain_fftp authors 2026
"""

import os
import random
from collections import defaultdict

import pytest

from speechbrain_fftp.datasets.custom.listing import (
    LAYOUTS,
    find_custom_data,
    list_class_folders,
    read_clip_list,
)
from speechbrain_fftp.datasets.custom.splits import (
    CustomClip,
    assign_splits,
    split_custom_data,
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


def touch(folder, *paths):
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).touch()
    return folder


def test_class_folders(tmp_path):
    touch(tmp_path, "dog/1.WAV", "dog/far/away/2.flac", "cat/.3.wav", "x.wav")
    touch(tmp_path, "cat/4.ogg", "cat/notes.txt", ".git/5.wav", "cat/.t/6.wav")
    touch(tmp_path, "1/7.mp3", "1/8.M4A", "1/9.webm")
    clips = list_class_folders(tmp_path)
    assert [(clip.path, *clip.labels) for clip in clips] == [
        ("1/7.mp3", "1"),
        ("1/8.M4A", "1"),
        ("1/9.webm", "1"),
        ("cat/4.ogg", "cat"),
        ("dog/1.WAV", "dog"),
        ("dog/far/away/2.flac", "dog"),
    ]
    (tmp_path / "cat" / "loop").symlink_to(tmp_path)
    (tmp_path / "linked").symlink_to(tmp_path / "dog")
    clips = list_class_folders(tmp_path)
    assert [clip.labels[0] for clip in clips].count("linked") == 2
    assert len(clips) == 8
    (tmp_path / "empty").mkdir()
    touch(tmp_path, "other/notes.txt")
    with pytest.raises(
        ValueError, match="'empty', 'other': add some, or remove"
    ):
        list_class_folders(tmp_path)


@pytest.mark.parametrize("paths", [(), ("1.wav",), ("dog/1.txt",)])
def test_a_folder_of_no_layout(tmp_path, paths):
    assert find_custom_data(touch(tmp_path, *paths)) is None


def test_one_class_is_too_few(tmp_path):
    touch(tmp_path, "audio/1.wav", "audio/2.wav", "audio/3.wav")
    with pytest.raises(ValueError, match="least two .* found audio") as error:
        find_custom_data(tmp_path)
    assert LAYOUTS in str(error.value)


def test_two_clips_are_too_few(tmp_path):
    touch(tmp_path, "cat/1.wav", "dog/1.wav")
    with pytest.raises(
        ValueError, match="few clips.* valid, eval. At least one class"
    ):
        split_custom_data(find_custom_data(tmp_path))


def test_names_of_files_that_are_no_text(tmp_path):
    for number in range(6):
        path = os.path.join(
            os.fsencode(tmp_path), b"dog" if number % 2 else b"c"
        )
        os.makedirs(path, exist_ok=True)
        open(os.path.join(path, b"\xff%d.wav" % number), "w").close()
    sounds = find_custom_data(tmp_path)
    assert len(sounds.files) == 6
    assert all(name.isascii() for name in sounds.files)
    assert all(map(os.path.isfile, sounds.files.values()))


def write_list(folder, *rows, header="path,labels,split,group"):
    path = folder / "clips.csv"
    path.write_text("\n".join([header, *rows]) + "\n", "utf-8-sig")
    return path


def test_clip_list(tmp_path):
    path = write_list(
        tmp_path,
        './a//1.wav, "dog, large; cat ;cat;", Test , g',
        "b\\2.wav,cat,,",
        "3.wav",
    )
    assert read_clip_list(path) == [
        CustomClip("a/1.wav", ("dog, large", "cat"), "eval", "g"),
        CustomClip("b/2.wav", ("cat",)),
        CustomClip("3.wav", ()),
    ]


@pytest.mark.parametrize(
    "row",
    [
        "1.wav,dog,training,",
        ",dog,,",
        "a/../../1.wav,dog,,",
        "a\\..\\1.wav,dog,,",
        "/etc/passwd,dog,,",
        "C:\\1.wav,dog,,",
        "1.wav,dog,,,,x",
        "./0.wav,cat,,",
        "1.wav,$dog;cat,,",
    ],
)
def test_lists_that_make_no_sense(tmp_path, row):
    path = write_list(tmp_path, "0.wav,dog,,", row)
    with pytest.raises(ValueError) as error:
        find_custom_data(tmp_path)
    assert str(path) in str(error.value)


def test_lists_without_a_column_or_that_are_none(tmp_path):
    path = tmp_path / "clips.csv"
    for content in (
        b"",
        b"file,labels\n1.wav,dog\n",
        b"path,label\n1.wav,dog\n",
        b"path,labels\n\xff.wav,dog\n",
        b"path,labels\n",
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError) as error:
            find_custom_data(tmp_path)
        assert str(path) in str(error.value)
