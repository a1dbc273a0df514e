"""Tests of the lists, splits and classes of Speech Commands.

Authors
 * The speechbrain_fftp authors 2026
"""

import hashlib
import re

import numpy as np
import pytest
import soundfile as sf
from speechcommands_prepare import convert_word, draw_silence

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


@pytest.mark.parametrize(
    "split, first, last",
    [("train", 0.0, 7.0), ("valid", 7.0, 8.5), ("test", 8.5, 10.0)],
)
def test_silence_of_splits_is_disjoint(split, first, last, tmp_path):
    """And of any level."""
    path = tmp_path / "noise.wav"
    sf.write(path, np.full(160000, 0.5), 16000)
    noise = [Clip("a", str(path), end=7.0)]
    clips = [draw_silence(noise, split, i, 0.5) for i in range(40)]
    assert clips[7] == draw_silence(noise, split, 7, 0.5)
    assert len({clip.id for clip in clips}) == 40
    for clip in clips:
        assert first <= clip.start < clip.end <= last + 1e-9
        assert clip.seconds == pytest.approx(0.5)
    levels = [convert_word(clip, 16000).mean() / 16384 for clip in clips]
    assert min(levels) < 0.1 < 0.9 < max(levels) < 1
