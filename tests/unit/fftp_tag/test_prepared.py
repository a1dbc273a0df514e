"""Tests of prepared folders: clips of any audio, converted once.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import os

import numpy as np
import pytest
import soundfile as sf

from fftp_tag.data import prepared
from fftp_tag.data.class_lists import read_class_list
from fftp_tag.data.clips import (
    Clip,
    as_int16,
    check_missing,
    convert_clip,
    usable_clips,
)
from fftp_tag.errors import InputError

RATE = 16000


def noise(number):
    """The samples of a clip, of a length of its own."""
    rng = np.random.default_rng(number)
    return rng.integers(-32768, 32768, 400 + number, np.int16)


def rows_of(path):
    """The rows of a table."""
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    "start, end, first", [(0.0, np.inf, 0), (2.0, 5.0, 2), (20.0, 30.0, None)]
)
def test_which_part_of_a_file(tmp_path, start, end, first):
    path = str(tmp_path / "a.wav")
    # Samples tell the second
    sf.write(path, np.arange(12 * RATE) // RATE / 64, RATE)
    clip = Clip("a", path, start=start, end=end)
    if first is None:
        with pytest.raises(ValueError, match="a.wav ends before 20 s"):
            convert_clip(clip, RATE)
        return
    found = convert_clip(clip, RATE)
    assert found[0] == 512 * first
    assert len(found) == RATE * min(clip.seconds, 12)


def test_16_bit_samples_stay_as_they_are(tmp_path):
    samples = np.arange(-32768, 32768, dtype=np.int16)
    sf.write(tmp_path / "a.wav", samples, RATE)
    clip = Clip("a", str(tmp_path / "a.wav"))
    np.testing.assert_array_equal(convert_clip(clip, RATE), samples)
    beyond = np.array([-2, -0.5, 0.4 / 32768, 0.6 / 32768, 1, 2])
    expected = [-32768, -16384, 0, 1, 32767, 32767]
    assert as_int16(beyond).tolist() == expected


class Killed(BaseException):
    """The end of the process."""


@pytest.fixture
def prepare(tmp_path, monkeypatch):
    """Prepares clips of two splits in turn.

    Clips in ``fail`` cannot be read; the process ends at the clip ``kill_at``.
    Returns the numbers of the clips that were converted.
    """
    monkeypatch.setattr(os, "cpu_count", lambda: 1)

    def prepare(
        folder=tmp_path, count=40, fail=(3, 13), kill_at=None, **settings
    ):
        converted = []

        def convert(clip):
            number = int(clip.id)
            converted.append(number)
            if number == kill_at:
                raise Killed
            if number in fail:
                raise InputError("broken: it is, on purpose")
            return noise(number)

        clips = [
            Clip(f"{n}", None, ("a",), ("train", "eval")[n % 3 == 2], end=10)
            for n in range(count)
        ]
        with prepared.preparing(folder, settings) as to_do:
            if to_do:
                prepared.write_prepared(
                    folder,
                    clips,
                    {"a": "A", "b": "B, loud"},
                    sample_rate=RATE,
                    splits=("train", "eval"),
                    skipped=[("x", "train", "no label")],
                    convert=convert,
                )
        return converted

    return prepare


def test_manifests_have_the_clips_that_were_converted(prepare, tmp_path):
    prepare()
    found = []
    for split in ("train", "eval"):
        for row in rows_of(tmp_path / f"{split}.csv"):
            expected = noise(int(row["ID"]))
            assert row["labels"] == "A"
            assert float(row["duration"]) == len(expected) / RATE
            path = row["wav"].replace("$data_root", str(tmp_path))
            start, stop = int(row["start"]), int(row["stop"])
            samples = sf.read(path, start=start, stop=stop, dtype="int16")[0]
            np.testing.assert_array_equal(samples, expected)
            found.append(int(row["ID"]))
    assert sorted(found) == [n for n in range(40) if n not in (3, 13)]
    skipped = rows_of(tmp_path / "skipped.csv")
    assert [row["ID"] for row in skipped] == ["x", "3", "13"]
    assert "on purpose" in skipped[1]["reason"]
    classes = rows_of(tmp_path / "classes.csv")
    assert [row["display_name"] for row in classes] == ["A", "B, loud"]


def test_a_complete_folder_is_reused_or_refused(prepare, tmp_path):
    prepare(rate=16000, kinds=["a"])
    assert not prepare(rate=16000, kinds=["a"])
    assert not prepare(rate=16000)  # kinds are unknown
    with pytest.raises(ValueError, match="rate=16000, not 8000"):
        prepare(rate=8000, kinds=["a"])
    for name in ("audio/1.wav", "eval.csv"):
        path = tmp_path / name
        content = path.read_bytes()
        for damaged in (content[:-100], b"", None):
            path.unlink() if damaged is None else path.write_bytes(damaged)
            with pytest.raises(ValueError, match=str(path)):
                prepare(rate=16000, kinds=["a"])
        path.write_bytes(content)
    assert not prepare(rate=16000, kinds=["a"])


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "1", '{"tables": {}}', '{"settings": 1}', "\xff"]
)
def test_a_damaged_record_is_named(prepare, tmp_path, text):
    prepare()
    path = tmp_path / "prepared.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=f"{path}.*delete"):
        prepare()


def test_other_content_is_refused(prepare, tmp_path):
    (tmp_path / "train.csv").write_text("precious")
    with pytest.raises(ValueError, match="train.csv"):
        prepare()
    assert (tmp_path / "train.csv").read_text() == "precious"


def test_an_interrupted_preparation_is_resumed(prepare, tmp_path):
    """Clips are kept; those that failed are tried again."""
    whole, part = tmp_path / "whole", tmp_path / "part"
    prepare(whole)
    with pytest.raises(Killed):
        prepare(part, kill_at=21)
    assert not prepared.is_complete(part)
    assert prepare(part)[:2] == [3, 13]
    for path in whole.rglob("*.*"):
        same = part / path.relative_to(whole)
        assert same.read_bytes() == path.read_bytes(), path
    # Other settings begin again
    with pytest.raises(Killed):
        prepare(tmp_path / "other", kill_at=21, rate=1)
    assert len(prepare(tmp_path / "other", rate=2)) == 40


def test_ids_are_names_of_files(tmp_path):
    """Others' tables may hold paths."""
    clip = Clip("../a", __file__, ("a",), "train")
    with pytest.raises(InputError, match="../a"):
        prepared.convert_clips(tmp_path, [clip], noise, RATE)


def test_a_full_disk_is_named(prepare, tmp_path):
    """Here, files may have 700 bytes."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (700, before[1]))
    try:
        with pytest.raises(OSError, match="audio/0.wav"):
            prepare()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.glob("audio/*.wav"))
    assert len(prepare()) == 40


def test_a_split_without_clips_can_be_repaired(prepare, tmp_path):
    with pytest.raises(ValueError, match="eval.*skipped.csv"):
        prepare(count=9, fail=(2, 5, 8))
    prepare(count=9, fail=())
    assert len(rows_of(tmp_path / "eval.csv")) == 3


def test_too_many_missing_clips():
    clips = [
        Clip(f"{n}", None if n < 3 else __file__, split=split)
        for split, count in (("train", 20), ("eval", 10))
        for n in range(count)
    ]
    with pytest.raises(ValueError, match="3 of 10 eval .*allow_missing 0.3"):
        check_missing(clips, 0.2)
    check_missing(clips, 0.3)


def test_each_clip_counts_once(caplog):
    clips = [
        Clip("a", None, ("x",), "train"),
        Clip("b", None, ("x",), "train"),
        Clip("b", None, ("y",), "train"),
        Clip("a", None, ("x",), "eval"),
        Clip("c", None, (), "train"),
    ]
    kept, skipped = usable_clips(clips, "data")
    assert [(c.id, c.split) for c in kept] == [("a", "eval"), ("b", "train")]
    assert [row[0] for row in skipped] == ["a", "b", "c"]
    assert "such as a" in caplog.text
    kept, _ = usable_clips(clips, "data", allow_no_label=True)
    assert [clip.id for clip in kept] == ["a", "b", "c"]


@pytest.mark.parametrize(
    "rows",
    [
        "index,mid\n0,/m/1",
        "mid,display_name",
        "mid,display_name\n/m/1,a\n/m/1,b",
        "mid,display_name\n/m/1,a\n/m/2,a",
        "mid,display_name\n/m/1",
        "mid,display_name\n/m/1,a;b",
        "mid,display_name\n/m/1,a, b",
    ],
)
def test_errors_of_class_lists_name_the_file(tmp_path, rows):
    path = tmp_path / "classes.csv"
    path.write_text(f"{rows}\n", "utf-8")
    with pytest.raises(ValueError, match=str(path)):
        read_class_list(path)
