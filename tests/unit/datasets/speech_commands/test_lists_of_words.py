"""Tests of finding and splitting the clips of Speech Commands.

Authors
 * The speechbrain_fftp authors 2026
"""

import hashlib
import re

import pytest

from speechbrain_fftp.datasets.speech_commands.lists import (
    hash_split,
    list_words,
    read_lists,
    speaker_of,
    split_clips,
)


def official_split(name):
    """The rule in the data set's README, as it stands there."""
    hash_name = re.sub(r"_nohash_.*$", "", name)
    hashed = hashlib.sha1(hash_name.encode("utf-8")).hexdigest()
    percentage = (int(hashed, 16) % (2**27 - 1 + 1)) * (100.0 / (2**27 - 1))
    if percentage < 10:
        return "valid"
    return "test" if percentage < 20 else "train"


def test_hash_split_is_the_official_one():
    names = [f"{i:08x}_nohash_{i % 5}.wav" for i in range(0, 10**8, 49999)]
    splits = {name: official_split(name) for name in names}
    assert split_clips([f"yes/{name}" for name in names])[0] == {
        f"yes/{name}": split for name, split in splits.items()
    }
    found = list(splits.values())
    assert 0.08 < found.count("valid") / len(found) < 0.12
    assert 0.08 < found.count("test") / len(found) < 0.12


def test_one_speaker_has_one_split():
    for speaker in ("0a7c2a8d", "john_smith", "é"):
        names = ("yes/{}_nohash_0.wav", "no/{}_nohash_12.flac")
        names += ("_unknown_/bed_{}_nohash_3.wav",)
        found = {speaker_of(name.format(speaker)) for name in names}
        assert found == {(speaker, True)}
        assert hash_split(speaker) == official_split(f"{speaker}_nohash_0.wav")
    assert speaker_of("_unknown_/0a7c2a8d_nohash_0.wav")[0] == "0a7c2a8d"
    assert speaker_of("dog/my dog.wav") == ("my dog", False)
    assert speaker_of("_silence_/12.wav") == ("12", False)


def test_lists_come_before_the_hash(tmp_path):
    (tmp_path / "validation_list.txt").write_text(
        "\ufeffyes/a_nohash_0.wav\r\n\r\n./yes/both.wav\nno/gone.wav\n", "utf-8"
    )
    with pytest.raises(ValueError, match="testing_list.txt is missing"):
        read_lists(tmp_path)
    (tmp_path / "testing_list.txt").write_text("yes\\b.wav\nyes/both.wav")
    lists = read_lists(tmp_path)
    paths = ["yes/a_nohash_0.flac", "yes/b.wav", "yes/both.wav", "yes/c.wav"]
    splits, absent, doubled = split_clips(paths, lists)
    assert list(splits.values()) == ["valid", "test", "test", "train"]
    assert absent == {
        "no/gone.wav": "listed in validation_list.txt, but missing"
    }
    assert doubled == 1
    (tmp_path / "testing_list.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="testing_list.txt is not UTF-8"):
        read_lists(tmp_path)


def test_words_are_found(tmp_path):
    for name in (
        "yes/a.wav",
        "yes/deep/b.FLAC",
        "yes/.c.wav",
        "no/notes.txt",
        ".git/d.wav",
        "results/x/flac/e.wav",
        "LICENSE",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    words, others = list_words(tmp_path, tmp_path / "results" / "x")
    assert words == {"yes": ["yes/a.wav", "yes/deep/b.FLAC"], "no": []}
    assert others == ["no/notes.txt"]
    assert "results" in list_words(tmp_path)[0]
