"""Tests of the lists, splits and classes of Speech Commands.

Authors
 * The speechbrain_fftp authors 2026
"""

import hashlib
import re

import pytest

from speechbrain_fftp.dataio.clips import Clip
from speechbrain_fftp.datasets.speech_commands import (
    COMMANDS,
    OTHER_WORDS,
    SILENCE,
    UNKNOWN,
    draw_silence,
    read_lists,
    speaker_of,
    split_of,
    task_classes,
)


def official_split(name):
    """The rule in the data set's README, as it stands there."""
    hash_name = re.sub(r"_nohash_.*$", "", name)
    hashed = hashlib.sha1(hash_name.encode("utf-8")).hexdigest()
    percentage = (int(hashed, 16) % (2**27 - 1 + 1)) * (100.0 / (2**27 - 1))
    if percentage < 10:
        return "valid"
    return "test" if percentage < 20 else "train"


def test_splits_are_the_official_ones():
    names = [f"{i:08x}_nohash_{i % 5}.wav" for i in range(0, 10**8, 49999)]
    found = [split_of(f"yes/{name}") for name in names]
    assert found == [official_split(name) for name in names]
    assert 0.08 < found.count("valid") / len(found) < 0.12


def test_speakers():
    for speaker in ("0a7c2a8d", "john_smith", "é"):
        for name in (
            "yes/{}_nohash_0.wav",
            "no/{}_nohash_12.flac",
            "_unknown_/bed_{}_nohash_3.wav",
        ):
            assert speaker_of(name.format(speaker)) == speaker
    assert speaker_of("_unknown_/0a7c2a8d_nohash_0.wav") == "0a7c2a8d"
    assert speaker_of("dog/my dog.wav") == "my dog"


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
    words = {word: [f"{word}/1.wav"] for word in sorted(COMMANDS + OTHER_WORDS)}
    extra = {**words, "tortoise": ["tortoise/1.wav"], "empty": []}
    classes, used, pool = task_classes("35", extra, False, "data")
    assert classes == used == sorted(words) and not pool
    classes, used, pool = task_classes("12", extra, True, "data")
    assert classes == [*COMMANDS, UNKNOWN, SILENCE]
    assert used == list(COMMANDS)
    assert sorted(pool) == sorted((*OTHER_WORDS, "tortoise"))
    both = {**words, UNKNOWN: ["1"], SILENCE: ["1"]}
    _, used, pool = task_classes("12", both, False, "data")
    assert used == classes and not pool
    classes, *_ = task_classes("folders", extra, False, "data")
    assert classes == sorted([*words, "tortoise"])


def test_silence_of_splits_is_disjoint():
    noise = [Clip("a", "a.wav", end=7.0), Clip("b", "b.wav", end=0.7)]
    for split, first, last in (
        ("train", 0, 7),
        ("valid", 7, 8.5),
        ("test", 8.5, 10),
    ):
        clips = [draw_silence(noise, split, i, 0.5) for i in range(60)]
        assert clips[7] == draw_silence(noise, split, 7, 0.5)
        assert min(clip.gain for clip in clips) < 0.2
        assert len({clip.id for clip in clips}) == 60
        for path, scale in (("a.wav", 1), ("b.wav", 0.1)):
            drawn = [clip for clip in clips if clip.audio == path]
            assert len({clip.start for clip in drawn}) > 10 or scale < 1
            for clip in drawn:
                assert first * scale <= clip.start + 1e-9
                assert clip.end <= last * scale + 1e-9
                # Shorter if the split's part of the recording is
                length = min(0.5, (last - first) * scale)
                assert clip.seconds == pytest.approx(length)
