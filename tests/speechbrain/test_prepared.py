"""Tests of prepared folders: clips of any audio, converted once into packs.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv

import numpy as np
import pytest
import soundfile as sf

RATE = 16000


def ramp(path, seconds, rate=RATE):
    """Writes audio whose samples tell the second."""
    sf.write(path, np.arange(seconds * rate) // rate / 64, rate)


def noise(number):
    """The samples of a clip, of a length of its own."""
    rng = np.random.default_rng(number)
    return rng.integers(-32768, 32768, 400 + number, np.int16)


def rows_of(path):
    """The rows of a table."""
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def read_part(row, folder):
    """The samples of a row of a manifest."""
    path = row["wav"].replace("$data_root", str(folder))
    start, stop = int(row["start"]), int(row["stop"])
    return sf.read(path, start=start, stop=stop, dtype="int16")[0]


@pytest.mark.parametrize(
    "seconds, start, end, may_be_cut, first",
    [
        (40, 0.0, np.inf, False, 0),  # the first 10 s
        (40, 20.0, 30.0, True, 20),  # a whole recording
        (12, 20.0, 30.0, True, 0),  # the clip itself
        (25, 20.0, 30.0, True, None),  # it ends within the clip
        (12, 2.0, 5.0, False, 2),
        (12, 20.0, 30.0, False, None),
    ],
)
def test_which_part_of_a_file(tmp_path, seconds, start, end, may_be_cut, first):
    from speechbrain.dataio.clips import Clip, convert_clip

    path = str(tmp_path / "a.wav")
    ramp(path, seconds)
    clip = Clip("a", path, start=start, end=end, may_be_cut=may_be_cut)
    if first is None:
        with pytest.raises(ValueError):
            convert_clip(clip, RATE)
        return
    found = convert_clip(clip, RATE)
    assert found[0] == 512 * first
    assert len(found) == RATE * min(clip.seconds, 10)


def test_16_bit_samples_stay_as_they_are(tmp_path):
    from speechbrain.dataio.clips import Clip, as_int16, convert_clip

    samples = np.arange(-32768, 32768, dtype=np.int16)
    sf.write(tmp_path / "a.wav", samples, RATE)
    clip = Clip("a", str(tmp_path / "a.wav"))
    np.testing.assert_array_equal(convert_clip(clip, RATE), samples)
    quiet = clip._replace(gain=0.5, start=1.0, end=1.5)
    expected = np.rint(samples[16000:24000] / 2)
    np.testing.assert_array_equal(convert_clip(quiet, RATE), expected)
    beyond = np.array([-2, -0.5, 0.4 / 32768, 0.6 / 32768, 1, 2])
    expected = [-32768, -16384, 0, 1, 32767, 32767]
    assert as_int16(beyond).tolist() == expected


def test_rate_and_channels(tmp_path):
    """A tone of 1 kHz stays one, in stereo at 48 kHz and in mono at 8 kHz."""
    pytest.importorskip("soxr")
    from speechbrain.dataio.clips import Clip, convert_clip

    for rate, channels in ((48000, 2), (8000, 1)):
        tone = 0.5 * np.sin(2000 * np.pi * np.arange(2 * rate) / rate)
        sf.write(tmp_path / "a.wav", np.stack([tone] * channels, 1), rate)
        samples = convert_clip(Clip("a", str(tmp_path / "a.wav")), RATE)
        assert samples.shape == (32000,) and samples.dtype == np.int16
        assert np.abs(np.fft.rfft(samples)).argmax() == 2000
        assert np.abs(samples[800:-800]).max() == pytest.approx(16384, abs=60)


def prepare(folder, count=40, fail=(3, 13), converted=None, **settings):
    """Prepares clips of two splits in turn; notes which are converted."""
    from speechbrain.dataio import prepared
    from speechbrain.dataio.clips import Clip

    def convert(clip):
        number = int(clip.id)
        if converted is not None:
            converted.append(number)
        if number in fail:
            raise ValueError("broken: it is, on purpose")
        return noise(number)

    clips = [
        Clip(f"{number}", None, ("a",), ("train", "eval")[number % 3 == 2])
        for number in range(count)
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
                num_workers=2,
            )
    return to_do


@pytest.fixture(autouse=True)
def small_packs(monkeypatch):
    """Packs of five clips of 10 s."""
    from speechbrain.dataio import prepared

    monkeypatch.setattr(prepared, "PACK_SECONDS", 50)


def test_manifests_have_the_clips_that_were_converted(tmp_path):
    from speechbrain.dataio.prepared import PackedClip, read_packed

    assert prepare(tmp_path)
    found = []
    for split in ("train", "eval"):
        for row in rows_of(tmp_path / f"{split}.csv"):
            expected = noise(int(row["ID"]))
            assert row["labels"] == "A" and f"/{split}-" in row["wav"]
            assert float(row["duration"]) == len(expected) / RATE
            np.testing.assert_array_equal(read_part(row, tmp_path), expected)
            path = row["wav"].replace("$data_root", str(tmp_path))
            clip = PackedClip(path, int(row["start"]), int(row["stop"]))
            np.testing.assert_array_equal(read_packed(clip)[0], expected)
            found.append(int(row["ID"]))
    assert sorted(found) == [n for n in range(40) if n not in (3, 13)]
    # Packs are of one split, in the order of the manifest
    assert len(list(tmp_path.glob("wav/train-*.wav"))) == 6
    skipped = rows_of(tmp_path / "skipped.csv")
    assert [row["ID"] for row in skipped] == ["x", "3", "13"]
    assert "on purpose" in skipped[1]["reason"]
    classes = rows_of(tmp_path / "classes.csv")
    assert [row["display_name"] for row in classes] == ["A", "B, loud"]


def test_a_complete_folder_is_reused_and_other_settings_are_refused(tmp_path):
    assert prepare(tmp_path, rate=16000, kinds=["a"])
    assert not prepare(tmp_path, rate=16000, kinds=["a"])
    assert not prepare(tmp_path, rate=16000)  # kinds are unknown
    with pytest.raises(ValueError, match="rate=16000, not 8000"):
        prepare(tmp_path, rate=8000, kinds=["a"])
    pack = tmp_path / "wav" / "train-0001.wav"
    content = pack.read_bytes()
    for damaged in (content[:-100], b""):
        pack.write_bytes(damaged)
        with pytest.raises(ValueError, match=str(pack)):
            prepare(tmp_path, rate=16000, kinds=["a"])


def test_other_content_is_refused(tmp_path):
    (tmp_path / "train.csv").write_text("precious")
    with pytest.raises(ValueError, match="train.csv"):
        prepare(tmp_path)
    assert (tmp_path / "train.csv").read_text() == "precious"


def test_an_interrupted_preparation_is_resumed(tmp_path):
    """Complete packs are kept, with the reasons of the clips that failed."""
    from speechbrain.dataio.prepared import is_complete

    class Killed(BaseException):
        """The end of the process."""

    whole, part = tmp_path / "whole", tmp_path / "part"
    prepare(whole)

    class Kill(list):
        """Ends the preparation in a later pack."""

        def append(self, number):
            """Notes a clip."""
            super().append(number)
            if number == 21:
                raise Killed

    with pytest.raises(Killed):
        prepare(part, converted=Kill())
    assert not is_complete(part)
    kept = [path.name for path in part.glob("wav/*.csv")]
    assert kept
    again = []
    assert prepare(part, converted=again) and is_complete(part)
    assert 0 not in again and 3 not in again and {21, 39} <= set(again)
    for path in whole.rglob("*.*"):
        same = part / path.relative_to(whole)
        assert same.read_bytes() == path.read_bytes(), path
    # Other settings begin again
    with pytest.raises(Killed):
        prepare(tmp_path / "other", converted=Kill(), rate=1)
    again = []
    prepare(tmp_path / "other", converted=again, rate=2)
    assert len(again) == 40


def test_a_split_without_clips_can_be_repaired(tmp_path):
    with pytest.raises(ValueError, match="eval.*skipped.csv"):
        prepare(tmp_path, 9, fail=(2, 5, 8))
    assert prepare(tmp_path, 9, fail=())
    assert len(rows_of(tmp_path / "eval.csv")) == 3


def test_too_many_missing_clips(tmp_path):
    from speechbrain.dataio.clips import Clip
    from speechbrain.dataio.prepared import check_missing

    (tmp_path / "a.wav").touch()
    clips = [
        Clip(f"{n}", None if n < 3 else str(tmp_path / "a.wav"), split=split)
        for split in ("train", "eval")
        for n in range(10 if split == "eval" else 20)
    ]
    with pytest.raises(ValueError, match="3 of 10 eval .*allow_missing 0.3"):
        check_missing(clips, 0.2)
    check_missing(clips, 0.3)


def test_each_clip_counts_once(caplog):
    from speechbrain.dataio.clips import Clip
    from speechbrain.dataio.prepared import usable_clips

    clips = [
        Clip("a", None, ("x",), "train"),
        Clip("b", None, ("x",), "train"),
        Clip("b", None, ("y",), "train"),
        Clip("a", None, ("x",), "eval"),
        Clip("c", None, (), "train"),
        Clip("", None, ("x",), "valid"),
    ]
    kept, skipped = usable_clips(clips, "data")
    assert [(c.id, c.split) for c in kept] == [("a", "eval"), ("b", "train")]
    assert [row[0] for row in skipped] == ["", "a", "b", "c"]
    assert "such as a" in caplog.text
    kept, _ = usable_clips(clips, "data", allow_no_label=True)
    assert [clip.id for clip in kept] == ["a", "b", "c"]


@pytest.mark.parametrize(
    "text",
    [
        "index,mid\n0,/m/1\n",
        "index,mid,display_name\n",
        "mid,display_name\n/m/1,a\n/m/1,b\n",
        "mid,display_name\n/m/1,a\n/m/2,a\n",
        "mid,display_name\n/m/1\n",
        "mid,display_name\n/m/1,a;b\n",
        "mid,display_name\n/m/1,a, b\n",
    ],
)
def test_errors_of_class_lists_name_the_file(tmp_path, text):
    from speechbrain.dataio.prepared import read_class_list

    path = tmp_path / "classes.csv"
    path.write_text(text, "utf-8")
    with pytest.raises(ValueError, match=str(path)):
        read_class_list(path)
