"""Tests of reading audio: formats, damage, levels and kinds of sources.

Authors
 * The speechbrain_fftp authors 2026
"""

import io
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from speechbrain_fftp.dataio import audio
from speechbrain_fftp.dataio.audio import (
    MAX_LEVEL,
    TruncatedAudio,
    cut_audio,
    mono_blocks,
    open_audio,
    read_audio,
    resampled_blocks,
)

RATE = 16000


def encoded(samples, format="WAV", subtype=None, rate=RATE):
    file = io.BytesIO()
    sf.write(file, samples, rate, format=format, subtype=subtype)
    return file.getvalue()


def noise(seconds=3.0, rate=RATE):
    """Noise that lossy codecs keep."""
    rng = np.random.default_rng(0)
    samples = rng.standard_normal(round(seconds * rate))
    return np.convolve(samples, np.hanning(101) / 100, "same")


def test_kinds_of_sources(tmp_path):
    content = encoded(noise())
    expected = (noise() * 32768).round() / 32768
    path = tmp_path / "a.raw"  # whatever the name is
    path.write_bytes(content)
    at_its_end = io.BytesIO(content)
    at_its_end.read()
    for source in (path, str(path), content, at_its_end):
        samples, rate = read_audio(source)
        assert rate == RATE
        np.testing.assert_allclose(samples, expected, atol=1e-4)
    part, _ = read_audio(path, max_seconds=0.5, start_seconds=1.25)
    np.testing.assert_array_equal(part, read_audio(path)[0][20000:28000])
    stereo = np.stack([expected, -expected / 2], axis=1)
    found, _ = read_audio(encoded(stereo, subtype="FLOAT"))
    np.testing.assert_allclose(found, expected / 4, atol=1e-6)


@pytest.mark.parametrize("make", ["folder", "fifo", "empty", "text", "rate"])
def test_sources_that_are_no_audio(tmp_path, make):
    path = tmp_path / "a.wav"
    if make == "folder":
        path.mkdir()
    elif make == "fifo":  # opening it would wait for ever
        os.mkfifo(path)
    else:
        content = {"empty": b"", "text": b"no sound"}
        content["rate"] = encoded(np.zeros(999), rate=999)
        path.write_bytes(content[make])
    with pytest.raises(ValueError):
        read_audio(path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.01 * MAX_LEVEL])
def test_samples_that_are_no_sound(value):
    samples = np.zeros((2000, 2))
    samples[1000] = value, -value  # whose mean may be zero
    content = encoded(samples, subtype="FLOAT")
    with pytest.raises(ValueError):
        read_audio(content)
    assert len(read_audio(content, 1000 / RATE)[0]) == 1000


@pytest.mark.parametrize("format", ["FLAC", "MP3"])
def test_truncated_files(format):
    content = encoded(noise(), format)
    whole, _ = read_audio(content)
    cut = content[: len(content) // 2]
    found = []
    with open_audio(cut) as file, pytest.raises(TruncatedAudio):
        found.extend(mono_blocks(file))
    found = np.concatenate(found)
    assert 0.3 * len(whole) < len(found) < 0.6 * len(whole)
    sure = round(0.9 * len(found))  # the last frames of an MP3 are guesses
    np.testing.assert_array_equal(found[:sure], whole[:sure])
    with pytest.raises(TruncatedAudio):
        read_audio(cut)
    assert len(read_audio(cut, 0.5)[0]) == RATE // 2


def test_blocks_are_resampled_like_the_whole():
    import soxr

    samples = noise(rate=48000).astype(np.float32)
    blocks = np.split(samples, [1, 5000, 5001, 100000])
    found = np.concatenate(list(resampled_blocks(blocks, 48000, RATE)))
    expected = soxr.resample(samples, 48000, RATE, quality="VHQ")
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_part_has_the_samples_of_the_source(tmp_path):
    source = tmp_path / "a.flac"
    samples = np.random.default_rng(0).uniform(-0.9, 0.9, (30000, 2))
    sf.write(source, samples, 22050, "PCM_24")
    part = tmp_path / "part.wav"
    cut_audio(source, part, start_seconds=0.3, end_seconds=1.1)
    whole, _ = sf.read(source)
    found, rate = sf.read(part)
    assert rate == 22050
    np.testing.assert_array_equal(found, whole[6615:24255])
    with pytest.raises(FileExistsError):
        cut_audio(source, part, 0.0, 1.0)
    with pytest.raises(ValueError):
        cut_audio(source, tmp_path / "no.wav", 2.0, 3.0)
    assert not (tmp_path / "no.wav").exists()


@pytest.mark.parametrize(
    "name, codec",
    [
        ("a.m4a", "alac"),
        ("a.mkv", "flac"),
        ("a.m4a", "aac"),
        ("a.aac", "aac"),
        ("a.wma", "wmav2"),
        ("a.webm", "libopus"),
    ],
)
def test_formats_that_ffmpeg_decodes(ffmpeg_encode, tmp_path, name, codec):
    samples = noise(rate=48000)
    path = ffmpeg_encode(tmp_path / name, samples, 48000, "-c:a", codec)
    expected, _ = sf.read(tmp_path / (name + ".wav"), dtype="float32")
    for source in (path, path.read_bytes()):
        found, rate = read_audio(source)
        assert rate == 48000
        if codec in ("alac", "flac"):
            np.testing.assert_array_equal(found, expected)
            continue
        size = 2 * len(samples)  # for correlation at any delay of the codec
        spectra = np.fft.rfft(found, size), np.fft.rfft(expected, size)
        product = np.fft.irfft(spectra[0] * spectra[1].conj()).max()
        norms = np.linalg.norm(found) * np.linalg.norm(expected)
        assert product / norms > 0.95


@pytest.mark.parametrize(
    "playlist",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{path}\n",
        "ffconcat version 1.0\nfile '{path}'\n",
    ],
)
def test_playlists_are_not_followed(ffmpeg, tmp_path, playlist):
    sf.write(tmp_path / "a.wav", noise(), RATE)
    path = tmp_path / "a.m4a"
    path.write_text(playlist.format(path=tmp_path / "a.wav"))
    with pytest.raises(ValueError):
        read_audio(path)


@pytest.mark.parametrize("script", [None, "exit 1", "exec sleep 60", "exit 0"])
def test_faults_of_ffmpeg(tmp_path, monkeypatch, script):
    """It is absent, fails, hangs, or writes nothing."""
    folder = tmp_path / "bin"
    folder.mkdir()
    if script is not None:
        (folder / "ffmpeg").write_text(f"#!/bin/sh\n{script}\n")
        (folder / "ffmpeg").chmod(0o755)
    others = "" if script is None else ":/usr/bin:/bin"
    monkeypatch.setenv("PATH", f"{folder}{others}")
    monkeypatch.setattr(audio, "FFMPEG_TIMEOUT", 0.5)
    path = Path(tmp_path, "a.m4a")
    path.write_bytes(b"\0\0\0\x1cftypM4A \0\0\2\0M4A isom")
    with pytest.raises(ValueError):
        read_audio(path)
