"""Tests of the conversion of clips.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses

import numpy as np
import pytest
import soundfile as sf
import soxr
from prepared_clips import read_rows

from speechbrain_fftp.dataio.errors import InputError
from speechbrain_fftp.datasets.convert import (
    check_missing,
    convert_clip,
    write_prepared,
)
from speechbrain_fftp.datasets.manifests import Clip


def tone(frequency, seconds, rate, channels=1):
    t = np.arange(round(seconds * rate)) / rate
    x = 0.5 * np.sin(2 * np.pi * frequency * t)
    return np.stack([x] * channels, axis=1)


@pytest.mark.parametrize("rate, channels", [(48000, 2), (8000, 1), (16000, 2)])
def test_rate_and_channels(tmp_path, rate, channels):
    sf.write(tmp_path / "a.wav", tone(1000, 2.0, rate, channels), rate)
    samples = convert_clip(Clip("a", str(tmp_path / "a.wav")), 16000)
    assert samples.shape == (32000,) and samples.dtype == np.int16
    assert np.abs(np.fft.rfft(samples)).argmax() == 2000
    assert np.abs(samples[800:-800]).max() == pytest.approx(16384, abs=60)


def test_samples_are_those_of_soundfile_and_soxr(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "a.flac"
    sf.write(path, rng.uniform(-0.4, 0.4, (3 * 44100, 2)), 44100)
    source, rate = sf.read(path, dtype="float32")
    expected = soxr.resample(source.mean(1), rate, 16000, "VHQ")
    found = convert_clip(Clip("a", str(path), start=1.0, end=2.5), 16000)
    inside = slice(200, -200)  # a part is resampled without its surroundings
    np.testing.assert_allclose(
        found[inside] / 32768, expected[16000:40000][inside], atol=4e-5
    )
    whole = convert_clip(Clip("a", str(path)), 16000)
    np.testing.assert_allclose(whole / 32768, expected, atol=2e-5)


def test_16_bit_samples_stay_as_they_are(tmp_path):
    samples = np.arange(-32768, 32768, dtype=np.int16)
    sf.write(tmp_path / "a.wav", samples, 16000)
    clip = Clip("a", str(tmp_path / "a.wav"))
    np.testing.assert_array_equal(convert_clip(clip, 16000), samples)
    quiet = dataclasses.replace(clip, gain=0.5, start=1.0, end=1.5)
    expected = np.rint(samples[16000:24000] / 2)
    np.testing.assert_array_equal(convert_clip(quiet, 16000), expected)


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
    ramp = np.arange(seconds * 16000) // 16000 / 64  # tells the second
    sf.write(tmp_path / "a.wav", ramp, 16000)
    clip = Clip(
        "a",
        str(tmp_path / "a.wav"),
        start=start,
        end=end,
        may_be_cut=may_be_cut,
    )
    if first is None:
        with pytest.raises(InputError):
            convert_clip(clip, 16000)
        return
    found = convert_clip(clip, 16000)
    assert found[0] == 512 * first
    assert len(found) == 16000 * min(clip.seconds, 10)


def test_unusable_clips_are_listed(tmp_path):
    samples = tone(440, 1, 16000)
    clips = []
    for name in ("good", "short", "cut", "text", "empty", "missing"):
        path = tmp_path / f"{name}.flac"
        sf.write(path, samples[:100] if name == "short" else samples, 16000)
        content = {
            "cut": path.read_bytes()[:3000],
            "text": b"no sound",
            "empty": b"",
        }
        if name in content:
            path.write_bytes(content[name])
        clips.append(Clip(name, str(path), ("a",), "train"))
    (tmp_path / "missing.flac").unlink()
    save = tmp_path / "save"
    options = {"sample_rate": 16000, "num_workers": 2, "splits": ("train",)}
    write_prepared(save, clips, {"a": "A"}, **options)
    rows = (save / "train.csv").read_text().splitlines()
    assert rows == [
        "ID,duration,wav,start,stop,labels",
        "good,1.0,$data_root/wav/train-0000.wav,0,16000,A",
    ]
    skipped = [row["ID"] for row in read_rows(save / "skipped.csv")]
    assert skipped == [clip.id for clip in clips[1:]]
    with pytest.raises(ValueError, match="skipped.csv"):
        write_prepared(tmp_path / "no", clips[1:], {"a": "A"}, **options)


def test_too_many_missing_clips(tmp_path):
    (tmp_path / "a.wav").touch()
    clips = [
        Clip(f"{n}", None if n < 3 else str(tmp_path / "a.wav"), split=split)
        for split in ("train", "eval")
        for n in range(10 if split == "eval" else 20)
    ]
    with pytest.raises(ValueError, match="3 of 10 eval .*allow_missing 0.3"):
        check_missing(clips, 0.2)
    check_missing(clips, 0.3)
