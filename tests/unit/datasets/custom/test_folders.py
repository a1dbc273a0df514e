"""Tests of custom data in folders named like splits.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest

from speechbrain_fftp.datasets.custom.listing import find_custom_data
from speechbrain_fftp.datasets.custom.splits import split_custom_data


def touch(folder, *paths):
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(path)
    return folder


def splits_of(folder):
    """From path to split, as assigned."""
    own = find_custom_data(folder)
    listed, _ = split_custom_data(own)
    paths = {i: path for path, i in own.ids.items()}
    return {paths[c.id]: s for s, clips in listed.items() for c in clips}


@pytest.mark.parametrize(
    "names",
    [
        ("bal_train", "eval"),
        ("Train", "Validation", "TEST"),
        ("dog", "cat", "test"),
        ("dog", "training"),
    ],
)
def test_names_of_splits_are_no_classes(tmp_path, names):
    for name in names:
        touch(tmp_path, *(f"{name}/{number}.wav" for number in range(4)))
    with pytest.raises(ValueError, match="names of splits, not of") as error:
        find_custom_data(tmp_path)
    for remedy in ("test/CLASS/", "clips.csv", "rename"):
        assert remedy in str(error.value)
    assert "'dog'" not in str(error.value)


@pytest.mark.parametrize(
    "tops, expected",
    [
        (("train", "val", "test"), {"train": 12, "valid": 12, "eval": 12}),
        (("development", "evaluation"), {"train": 10, "valid": 2, "eval": 12}),
        (("train",), {"train": 8, "valid": 2, "eval": 2}),
    ],
)
def test_splits_with_the_same_classes(tmp_path, tops, expected):
    for top in tops:
        for name in ("dog", "cat"):
            touch(tmp_path, *(f"{top}/{name}/a/{i}.wav" for i in range(6)))
    found = splits_of(tmp_path)
    assert list(find_custom_data(tmp_path).classes) == ["cat", "dog"]
    counts = {split: list(found.values()).count(split) for split in expected}
    assert counts == expected
    last = tops[-1]
    if len(tops) > 1:  # what was given stays
        assert {s for p, s in found.items() if p.startswith(last)} == {"eval"}


def test_classes_that_are_in_test_only(tmp_path):
    touch(tmp_path, "train/dog/1.wav", "train/cat/2.wav", "test/dog/3.wav")
    touch(tmp_path, "test/Cat/4.wav")
    with pytest.raises(ValueError, match="test/Cat/4.wav is not among those"):
        find_custom_data(tmp_path)


def test_spaces_around_names_of_folders(tmp_path):
    touch(tmp_path, "dog /1.wav", " cat/2.wav", "dog/3.wav")
    own = find_custom_data(tmp_path)
    assert list(own.classes) == ["cat", "dog"]
    assert sorted(own.ids) == [" cat/2.wav", "dog /1.wav", "dog/3.wav"]
