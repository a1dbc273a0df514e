"""Tests of the lists, splits and classes of Speech Commands.

Authors
 * The speechbrain_fftp authors 2026
"""

import hashlib
import re

import pytest
from speechcommands_prepare import (
    COMMANDS,
    OTHER_WORDS,
    SILENCE,
    UNKNOWN,
    draw_silence,
    task_classes,
)

from fftp_tag.data.clips import Clip
from fftp_tag.data.word_splits import read_lists, speaker_of, split_of


def official_split(name):
    """The rule in the data set's README, as it stands there."""
    hash_name = re.sub(r"_nohash_.*$", "", name)
    hashed = hashlib.sha1(hash_name.encode("utf-8")).hexdigest()
    percentage = (int(hashed, 16) % (2**27 - 1 + 1)) * (100.0 / (2**27 - 1))
    if percentage < 10:
        return "valid"
    return "test" if percentage < 20 else "train"


def test_splits_are_the_official_ones():
    """By the speaker, who may have other names in other copies."""
    names = [f"{i:08x}_nohash_{i % 5}.wav" for i in range(0, 10**8, 49999)]
    found = [split_of(f"yes/{name}") for name in names]
    assert found == [official_split(name) for name in names]
    for path, speaker in (
        ("no/john_smith_nohash_12.flac", "john_smith"),
        ("_unknown_/bed_0a7c2a8d_nohash_3.wav", "0a7c2a8d"),
        ("dog/my dog.wav", "my dog"),
    ):
        assert speaker_of(path) == speaker


def test_lists_come_before_the_hash(tmp_path):
    assert read_lists(tmp_path) is None
    (tmp_path / "validation_list.txt").write_text("yes/a_nohash_0.wav\r\n\r\n")
    with pytest.raises(ValueError, match="testing_list.txt"):
        read_lists(tmp_path)
    (tmp_path / "testing_list.txt").write_text("yes/b.wav\nyes/gone.wav")
    lists = read_lists(tmp_path)
    paths = ["yes/a_nohash_0.flac", "yes/b.wav", "yes/c.wav"]
    splits = [split_of(path, lists) for path in paths]
    assert splits == ["valid", "test", "train"]


def test_classes_of_the_tasks():
    official = sorted(COMMANDS + OTHER_WORDS)
    assert len(official) == 35
    words = {word: [f"{word}/1.wav"] for word in (*official, "tortoise")}
    words["empty"] = []
    classes, folders, pool = task_classes("12", words, True, "data")
    assert classes == [*COMMANDS, UNKNOWN, SILENCE]
    assert folders == list(COMMANDS)
    assert sorted(pool) == sorted((*OTHER_WORDS, "tortoise"))
    given = {**words, UNKNOWN: ["1"], SILENCE: ["1"]}
    assert task_classes("12", given, False, "data") == (classes, classes, [])
    found = task_classes("35", words, False, "data")
    assert found == (official, official, [])
    classes, *_ = task_classes("folders", words, False, "data")
    assert classes == sorted((*official, "tortoise"))
    for task, missing in (("12", SILENCE), ("35", "happy")):
        with pytest.raises(ValueError, match=missing):
            task_classes(task, {**words, "happy": []}, False, "data")


@pytest.mark.parametrize("seconds", [10, 1])
@pytest.mark.parametrize(
    "split, first, last",
    [("train", 0.0, 0.7), ("valid", 0.7, 0.85), ("test", 0.85, 1.0)],
)
def test_silence_of_splits_is_disjoint(seconds, split, first, last):
    """Clips are shorter where the split's part of the recording is."""
    noise = [Clip("a", "a.wav", end=0.7 * seconds)]
    clips = [draw_silence(noise, split, i, 0.5) for i in range(30)]
    assert clips[7] == draw_silence(noise, split, 7, 0.5)
    assert len({(clip.id, clip.gain) for clip in clips}) == 30
    length = min(0.5, (last - first) * seconds)
    for clip in clips:
        assert first * seconds <= clip.start + 1e-9
        assert clip.end <= last * seconds + 1e-9
        assert clip.seconds == pytest.approx(length)
