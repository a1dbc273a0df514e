"""Tests of checking and converting clips.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import pytest
import soundfile as sf

from speechbrain_fftp.datasets.speech_commands.clips import (
    usable_seconds,
    use_or_convert,
)


def test_whole_and_damaged_clips(tmp_path):
    rng = np.random.default_rng(0)
    noise = rng.uniform(-0.5, 0.5, 16000)
    for name in ("a.wav", "a.flac", "a.ogg"):
        sf.write(tmp_path / name, noise, 16000)
    assert usable_seconds(tmp_path / "a.wav") == 1.0
    assert usable_seconds(tmp_path / "a.flac") == 1.0
    assert usable_seconds(tmp_path / "a.ogg") is None  # to be converted
    assert usable_seconds(tmp_path / "a.wav", max_seconds=0.9) is None
    wav = (tmp_path / "a.wav").read_bytes()
    flac = (tmp_path / "a.flac").read_bytes()
    piped = wav[:40] + b"\xff\xff\xff\xff" + wav[44:]
    (tmp_path / "piped.wav").write_bytes(piped)
    assert usable_seconds(tmp_path / "piped.wav") == 1.0
    damaged = {
        "cut.wav": (wav[:-2], "truncated: 0.999938 of 1 s"),
        "cut.flac": (flac[: len(flac) // 2], "truncated"),
        "head.wav": (wav[:30], "unreadable or truncated"),
        "zero.wav": (b"", "empty file"),
        "text.wav": (b"no audio at all", "unreadable or truncated"),
    }
    for name, (content, message) in damaged.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=message):
            usable_seconds(tmp_path / name)
    sf.write(tmp_path / "none.wav", np.zeros(0), 16000)
    sf.write(tmp_path / "short.wav", np.zeros(399), 16000)
    sf.write(tmp_path / "nan.wav", [np.nan] * 800, 16000, subtype="FLOAT")
    for name, message in (
        ("none.wav", "empty file"),
        ("short.wav", "shorter than 25 ms"),
        ("nan.wav", "not finite"),
        ("absent.wav", "not a regular file"),
    ):
        with pytest.raises(ValueError, match=message):
            usable_seconds(tmp_path / name)


def test_clips_are_converted_once(tmp_path):
    t = np.arange(44100) / 44100
    tone = np.sin(2 * np.pi * 1000 * t) / 2
    sf.write(tmp_path / "stereo.wav", np.stack([tone, tone], 1), 44100)
    sf.write(tmp_path / "a$b.wav", tone[:8000], 16000)
    sf.write(tmp_path / "fits.wav", tone[:8000], 16000)
    ids = {"stereo.wav": "s", "a$b.wav": "d", "fits.wav": "f", "no.wav": "n"}
    flac = tmp_path / "flac"
    expected = {
        "fits.wav": (0.5, None),
        "stereo.wav": (1.0, ["downmixed", "resampled"]),
        "a$b.wav": (0.5, []),
    }
    for _ in range(2):
        usable, failed = use_or_convert(tmp_path, ids, flac)
        assert (usable, failed) == (expected, {"no.wav": "not a regular file"})
    samples, rate = sf.read(flac / "s.flac")
    assert rate == 16000 and samples.shape == (16000,)
    assert np.abs(np.fft.rfft(samples)).argmax() == 1000
    before = (flac / "s.flac").stat().st_mtime_ns
    use_or_convert(tmp_path, ids, flac)
    assert (flac / "s.flac").stat().st_mtime_ns == before


def test_containers_named_wav_are_converted(
    ffmpeg_encode, tmp_path, monkeypatch
):
    tone = np.sin(np.arange(8000) / 9) / 2
    for name in ("a.m4a", "b.m4a"):
        ffmpeg_encode(tmp_path / name, tone, 16000, "-c:a", "alac")
    (tmp_path / "b.m4a").rename(tmp_path / "b.wav")
    ids = {"a.m4a": "a", "b.wav": "b"}
    usable, failed = use_or_convert(tmp_path, ids, tmp_path / "flac")
    assert usable == {"a.m4a": (0.5, []), "b.wav": (0.5, [])} and not failed
    expected, _ = sf.read(tmp_path / "a.m4a.wav")
    for name in "ab":
        samples, _ = sf.read(tmp_path / "flac" / f"{name}.flac")
        np.testing.assert_array_equal(samples, expected)
    monkeypatch.setenv("PATH", str(tmp_path))
    usable, failed = use_or_convert(tmp_path, ids, tmp_path / "other")
    reasons = {reason.split(":")[0] for reason in failed.values()}
    assert (usable, reasons, len(failed)) == ({}, {"needs ffmpeg"}, 2)
