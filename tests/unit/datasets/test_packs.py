"""Tests of packs of clips.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import pytest
from prepared_clips import read_part, read_rows

from speechbrain_fftp.dataio.errors import InputError
from speechbrain_fftp.datasets import packs
from speechbrain_fftp.datasets.manifests import Clip, write_manifest
from speechbrain_fftp.datasets.packs import (
    PackedClip,
    as_int16,
    cut_packs,
    read_packed,
    write_packs,
)

SPLITS = ("train", "eval")


def convert(clip):
    """Noise of a length of its own; two clips fail."""
    number = int(clip.id)
    if number in (3, 13):
        raise InputError("broken: it is, on purpose")
    rng = np.random.default_rng(number)
    return rng.integers(-32768, 32768, 400 + number, np.int16)


@pytest.fixture
def clips(monkeypatch):
    """Clips of two splits in turn, in packs of five."""
    monkeypatch.setattr(packs, "PACK_SECONDS", 5)
    return [
        Clip(f"{number}", None, ("a",), SPLITS[number % 3 == 2], end=1.0)
        for number in range(40)
    ]


def write(folder, clips, convert=convert):
    """Writes packs, and manifests; returns the reasons of failures."""
    packed, failed = write_packs(folder, clips, convert, 16000, 2)
    for split in SPLITS:
        kept = [c for c in clips if c.split == split and c.id in packed]
        write_manifest(folder / f"{split}.csv", kept, packed, 16000, {"a": "A"})
    return failed


def test_clips_are_read_as_they_were_converted(clips, tmp_path):
    failed = write(tmp_path, clips)
    assert list(failed) == ["3", "13"] and "on purpose" in failed["3"]
    found = []
    for split in SPLITS:
        for row in read_rows(tmp_path / f"{split}.csv"):
            found.append(row["ID"])
            expected = convert(Clip(row["ID"], None))
            assert f"/{split}-" in row["wav"]
            assert float(row["duration"]) == len(expected) / 16000
            np.testing.assert_array_equal(read_part(row, tmp_path), expected)
            path = row["wav"].replace("$data_root", str(tmp_path))
            clip = PackedClip(path, int(row["start"]), int(row["stop"]))
            samples, rate = read_packed(clip)
            np.testing.assert_array_equal(samples, expected)
            assert rate == 16000
    expected = [clip.id for clip in clips if clip.id not in failed]
    assert sorted(found, key=int) == expected
    with pytest.raises(InputError, match="gone.wav"):
        read_packed(PackedClip(str(tmp_path / "gone.wav"), 0, 400))


def test_packs_hold_clips_of_one_split_in_order(clips):
    found = cut_packs(clips)
    for name, of_pack in found.items():
        split, _, number = name.partition("-")
        of_split = [clip for clip in clips if clip.split == split]
        first = 5 * int(number)
        assert of_pack == of_split[first : first + 5]
    assert sum(map(len, found.values())) == len(clips)
    long = [Clip(f"{n}", None, (), "train", end=12.0) for n in range(3)]
    assert list(map(len, cut_packs(long).values())) == [1, 1, 1]


def test_complete_packs_are_kept(clips, tmp_path):
    """Also the reasons of the clips that failed."""
    failed = write(tmp_path, clips)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    (tmp_path / "wav" / "train-0001.csv").unlink()
    again = []

    def count(clip):
        """Converts a clip, and counts it."""
        again.append(clip.id)
        return convert(clip)

    assert write(tmp_path, clips, count) == failed
    assert sorted(again, key=int) == ["7", "9", "10", "12", "13"]
    assert before == {path: path.read_bytes() for path in before}


def test_a_failed_write_leaves_no_pack(clips, tmp_path):
    def fail(clip):
        """Fails in the second pack, as if the program had an error."""
        return 1 / 0 if clip.id == "12" else convert(clip)

    with pytest.raises(ZeroDivisionError):
        write(tmp_path, clips, fail)
    names = {path.name for path in (tmp_path / "wav").glob("train*")}
    assert names == {"train-0000.wav", "train-0000.csv"}


def test_rounding():
    samples = np.array([-2, -1, -0.5, 0.4 / 32768, 0.6 / 32768, 1, 2])
    expected = [-32768, -32768, -16384, 0, 1, 32767, 32767]
    assert as_int16(samples).tolist() == expected
