"""Tests of checking and converting clips, and of cutting background.

Authors
 * The speechbrain_fftp authors 2026
"""

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from speechbrain_fftp.datasets.speech_commands.clips import (
    cut_silence,
    recording_part,
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
    (tmp_path / "cut.wav").write_bytes(wav[:-2])
    (tmp_path / "cut.flac").write_bytes(flac[: len(flac) // 2])
    (tmp_path / "text.wav").write_bytes(b"no audio at all")
    sf.write(tmp_path / "none.wav", np.zeros(0), 16000)
    sf.write(tmp_path / "short.wav", np.zeros(399), 16000)
    sf.write(tmp_path / "nan.wav", [np.nan] * 800, 16000, subtype="FLOAT")
    for name in ("cut.wav", "cut.flac", "text", "none", "short", "nan"):
        path = (tmp_path / name).with_suffix(Path(name).suffix or ".wav")
        with pytest.raises(ValueError):
            usable_seconds(path)


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


def test_silence_of_splits_is_disjoint():
    samples = np.arange(1, 80001.0)
    places = {}
    for split in ("train", "valid", "test"):
        cuts = [cut_silence({"a": samples}, split, i, 4000) for i in range(30)]
        assert {len(cut) for cut in cuts} == {4000}
        volumes = [np.diff(cut).mean() for cut in cuts]  # of a ramp
        assert 0 < min(volumes) < 0.3 and 0.7 < max(volumes) < 1
        firsts = [round(cut[0] / v) for cut, v in zip(cuts, volumes)]
        assert len(set(firsts)) > 20
        places[split] = min(firsts), max(firsts) + 4000
        again = cut_silence({"a": samples}, split, 7, 4000)
        np.testing.assert_array_equal(again, cuts[7])
    assert 1 <= places["train"][0] and places["train"][1] <= 56001
    assert 56001 <= places["valid"][0] and places["valid"][1] <= 68001
    assert 68001 <= places["test"][0] and places["test"][1] <= 80001
    parts = [recording_part(samples, split) for split in places]
    np.testing.assert_array_equal(np.concatenate(parts), samples)
    short = cut_silence({"a": samples[:10000]}, "test", 0, 4000)
    assert len(short) == 1500
