"""Tests of reading audio: formats, damage, levels and kinds of sources.

Authors
 * The speechbrain_fftp authors 2026
"""

import os
import subprocess
import time
from io import BytesIO

import numpy as np
import pytest
import soundfile as sf

from speechbrain_fftp.dataio import audio
from speechbrain_fftp.dataio.audio import (
    MAX_LEVEL,
    TruncatedAudio,
    find_audio_files,
    open_audio,
    read_audio,
    read_duration,
    resample,
    resampled_blocks,
    stream_audio,
)
from speechbrain_fftp.dataio.errors import InputError

RATE = 16000
CODECS = {"alac.m4a": "alac", "aac.m4a": "aac", "a.webm": "libopus"}
M4A = b"\0\0\0\x1cftypM4A \0\0\2\0M4A isom"


def encoded(samples, format="WAV", subtype=None, rate=RATE):
    file = BytesIO()
    sf.write(file, samples, rate, format=format, subtype=subtype)
    return file.getvalue()


def noise(seconds=3.0, rate=RATE):
    """Noise that lossy codecs keep."""
    rng = np.random.default_rng(0)
    samples = rng.standard_normal(round(seconds * rate))
    samples = np.convolve(samples, np.hanning(101) / 100, "same")
    return samples.astype(np.float32)


def delay(found, expected):
    """By how many samples a sound comes later than in another one, and the
    correlation there.
    """
    size = len(found) + len(expected)
    spectra = np.fft.rfft(found, size), np.fft.rfft(expected, size)
    product = np.fft.irfft(spectra[0] * spectra[1].conj(), size)
    peak = int(product.argmax())
    norms = np.linalg.norm(found) * np.linalg.norm(expected)
    return (peak + size // 2) % size - size // 2, product[peak] / norms


def test_kinds_of_sources(tmp_path):
    content = encoded(noise(), subtype="FLOAT")
    path = tmp_path / "a.raw"  # whatever the name is
    path.write_bytes(content)
    for source in (path, str(path), content):
        np.testing.assert_array_equal(read_audio(source, RATE), noise())
        part = read_audio(source, RATE, start=1.25, seconds=0.5)
        np.testing.assert_array_equal(part, noise()[20000:28000])
        assert read_duration(source) == 3.0
        with open_audio(source, 2.0) as file:
            assert (file.rate, file.frames) == (RATE, 48000)
            blocks = list(file.blocks)
        np.testing.assert_array_equal(np.concatenate(blocks), noise()[32000:])
    assert read_audio(path, RATE, start=3.5).shape == (0,)
    assert len(read_audio(path, RATE, seconds=0.1 + 0.2)) == 4800


@pytest.mark.parametrize("rate", [8000, 44100, 48000])
def test_channels_are_averaged_and_resampled(tmp_path, rate, caplog):
    audio.warn_of_low_rate.cache_clear()
    time = np.arange(2 * rate) / rate
    tone = 0.4 * np.sin(2 * np.pi * 1000 * time)
    path = tmp_path / "a.wav"
    sf.write(path, np.stack([1.5 * tone, 0.5 * tone], 1), rate, "FLOAT")
    expected = 0.4 * np.sin(2 * np.pi * 1000 * np.arange(2 * RATE) / RATE)
    for start in (0.0, 0.5):
        found = read_audio(path, RATE, start)
        later = expected[round(start * RATE) :]
        assert found.dtype == np.float32 and found.shape == later.shape
        middle = slice(200, -200)
        assert np.abs(found[middle] - later[middle]).max() < 5e-3
    # Once
    assert caplog.text.count(f"{rate} Hz") == (1 if rate < RATE else 0)


def test_blocks_are_resampled_like_the_whole():
    import soxr

    samples = noise(rate=48000)
    blocks = np.split(samples, [1, 5000, 5001, 100000])
    found = np.concatenate(list(resampled_blocks(blocks, 48000, RATE)))
    expected = soxr.resample(samples, 48000, RATE, quality="VHQ")
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(resample(samples, 48000, RATE), found, atol=1e-6)


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
    with pytest.raises(InputError):
        read_audio(path, RATE)
    with pytest.raises(FileNotFoundError, match="none.wav"):
        read_audio(tmp_path / "none.wav", RATE)


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.01 * MAX_LEVEL])
def test_samples_that_are_no_sound(value):
    samples = np.zeros((40000, 2))
    samples[20000] = value, -value  # whose mean may be zero
    content = encoded(samples, subtype="FLOAT")
    with pytest.raises(InputError):
        read_audio(content, RATE)
    assert len(read_audio(content, RATE, seconds=1.0)) == RATE


@pytest.mark.parametrize(
    "format, subtype",
    [
        ("FLAC", None),
        ("MP3", None),
        ("WAV", None),
        ("AIFF", None),
        ("OGG", "OPUS"),
    ],
)
def test_truncated_files(format, subtype):
    content = encoded(noise(), format, subtype)
    whole = read_audio(content, RATE)
    cut = content[: len(content) // 2]
    found = []
    with pytest.raises(TruncatedAudio):
        found.extend(stream_audio(cut, RATE))
    found = np.concatenate(found)
    assert 0.3 * len(whole) < len(found) < 0.6 * len(whole)
    sure = round(0.9 * len(found))  # the last frames of an MP3 are guesses
    np.testing.assert_array_equal(found[:sure], whole[:sure])
    assert len(read_audio(cut, RATE, seconds=0.5)) == RATE // 2


@pytest.mark.parametrize("size", [2**31 - 2**12, 2**32 - 1])
def test_wav_files_that_were_streamed_are_whole(size):
    """As sox and ffmpeg write them into a pipe, without a known size."""
    content = bytearray(encoded(noise()))
    content[40:44] = size.to_bytes(4, "little")
    assert len(read_audio(bytes(content), RATE)) == len(noise())


def test_files_below_a_folder(tmp_path):
    for name in ("b.wav", "a/c.MP3", "a/notes.txt", "a/b/d.flac"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    files, errors = find_audio_files(str(tmp_path))
    names = [os.path.relpath(file, tmp_path) for file in files]
    assert names == ["b.wav", "a/c.MP3", "a/b/d.flac"] and not errors


@pytest.mark.parametrize("name", CODECS)
def test_formats_that_ffmpeg_decodes(ffmpeg_encode, tmp_path, name):
    samples = noise(rate=48000)
    path = ffmpeg_encode(
        *(tmp_path / name, samples, 48000, "-c:a", CODECS[name])
    )
    expected, _ = sf.read(tmp_path / (name + ".wav"), dtype="float32")
    found = read_audio(path, 48000)
    if CODECS[name] == "alac":
        np.testing.assert_array_equal(found, expected)
    assert delay(found, expected)[1] > 0.95
    np.testing.assert_array_equal(read_audio(path.read_bytes(), 48000), found)
    assert read_duration(path) == len(found) / 48000
    # Parts are where they are in the whole
    for start in (0.00001, 2.0001):
        part = read_audio(path, 48000, start, seconds=0.5)
        assert len(part) == 24000
        at = round(start * 48000)
        late, similar = delay(part, found[at : at + 24000])
        assert abs(late) < 0.003 * 48000 and similar > 0.9


def test_streamed_flac_has_no_known_length(ffmpeg, tmp_path):
    sf.write(tmp_path / "a.wav", noise(), RATE)
    content = ffmpeg("-i", tmp_path / "a.wav", "-f", "flac", "-")
    with open_audio(content) as file:
        assert file.frames is None
    assert read_duration(content) == 3.0
    part = read_audio(content, RATE, start=1.5)
    np.testing.assert_allclose(part, noise()[24000:], atol=1e-4)


def test_channels_of_ffmpeg_are_averaged(ffmpeg_encode, tmp_path):
    stereo = np.stack([noise(), -0.5 * noise()], 1)
    path = ffmpeg_encode(tmp_path / "a.m4a", stereo, RATE, "-c:a", "alac")
    expected = sf.read(tmp_path / "a.m4a.wav", dtype="float32")[0].mean(1)
    np.testing.assert_allclose(read_audio(path, RATE), expected, atol=1e-7)


def test_a_reader_that_stops_leaves_no_process(
    ffmpeg_encode, tmp_path, monkeypatch
):
    minutes = np.tile(noise(), 50)
    path = ffmpeg_encode(tmp_path / "a.mkv", minutes, RATE, "-c:a", "flac")
    started = []

    class Popen(subprocess.Popen):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            started.append(self)

    monkeypatch.setattr(subprocess, "Popen", Popen)
    blocks = stream_audio(path, RATE)
    next(blocks)
    assert started[0].poll() is None
    blocks.close()
    assert len(read_audio(path, RATE, seconds=1.0)) == RATE
    assert len(started) == 2
    assert all(process.returncode is not None for process in started)


def test_truncated_files_of_ffmpeg(ffmpeg_encode, tmp_path):
    path = ffmpeg_encode(tmp_path / "a.mkv", noise(), RATE)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert 0.2 < read_duration(path) / 3 < 0.8


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
    with pytest.raises(InputError):
        read_audio(path, RATE)


@pytest.fixture
def fake_ffmpeg(tmp_path, monkeypatch):
    """Replaces ffmpeg by a shell script; returns a file for it."""

    def replace(script):
        folder = tmp_path / "bin"
        folder.mkdir()
        (folder / "ffmpeg").write_text(f"#!/bin/sh\n{script}\n")
        (folder / "ffmpeg").chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
        path = tmp_path / "a.m4a"
        path.write_bytes(M4A)
        return path

    return replace


def test_ffmpeg_that_is_missing_or_fails(fake_ffmpeg, monkeypatch):
    path = fake_ffmpeg("echo first >&2; echo last >&2; exit 1")
    with pytest.raises(InputError, match="last"):
        read_audio(path, RATE)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match="Install ffmpeg"):
        read_audio(path, RATE)


# As ffmpeg writes it, with half a sample at the end
AU = audio.AU_HEADER.pack(b".snd", 24, 2**32 - 1, 6, RATE, 1) + bytes(4002)


@pytest.mark.parametrize("code", [0, 1])
def test_ffmpeg_may_have_much_to_say(fake_ffmpeg, tmp_path, code):
    """More than a pipe holds, before it writes samples."""
    (tmp_path / "content").write_bytes(AU)
    path = fake_ffmpeg(
        f"head -c 1000000 /dev/zero >&2; cat {tmp_path}/content; exit {code}"
    )
    found = []
    start = time.monotonic()
    if code:
        with pytest.raises(TruncatedAudio):
            found.extend(stream_audio(path, RATE))
    else:
        found.extend(stream_audio(path, RATE))
    assert sum(map(len, found)) == 1000
    assert time.monotonic() - start < 10
