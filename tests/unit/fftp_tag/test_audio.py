"""Tests of reading audio: formats, damage, levels and kinds of sources.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
from io import BytesIO

import numpy as np
import pytest
import scipy.signal
import soundfile as sf
import soxr

from fftp_tag.audio import decode as audio
from fftp_tag.audio.decode import (
    TruncatedAudio,
    open_audio,
    read_audio,
    read_duration,
    stream_audio,
)

RATE = 16000


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
    product = scipy.signal.correlate(found, expected)
    peak = product.argmax()
    norms = np.linalg.norm(found) * np.linalg.norm(expected)
    return peak - len(expected) + 1, product[peak] / norms


def test_kinds_of_sources(tmp_path):
    content = encoded(noise(), subtype="FLOAT")
    path = tmp_path / "a.raw"  # whatever the name is
    path.write_bytes(content)
    for source in (path, str(path), content):
        np.testing.assert_array_equal(read_audio(source, RATE), noise())
        part = read_audio(source, RATE, start=1.25, seconds=0.5)
        np.testing.assert_array_equal(part, noise()[20000:28000])
        with open_audio(source) as file:
            assert (file.rate, file.frames) == (RATE, 48000)
    with pytest.raises(ValueError, match="ends before 3.5 s"):
        read_audio(path, RATE, start=3.5)
    assert len(read_audio(path, RATE, seconds=0.1 + 0.2)) == 4800


@pytest.mark.parametrize("rate", [8000, 44100])
def test_channels_are_averaged_and_resampled(rate, caplog, monkeypatch):
    """In blocks as soxr does at once, also from a later start."""
    monkeypatch.setattr(audio, "low_rates", set())
    stereo = np.stack([noise(rate=rate), -0.5 * noise(rate=rate)[::-1]], 1)
    content = encoded(stereo, subtype="FLOAT", rate=rate)
    for start in (0.0, 0.5):
        mono = stereo[round(start * rate) :].mean(1)
        expected = soxr.resample(mono, rate, RATE, quality="VHQ")
        found = read_audio(content, RATE, start)
        np.testing.assert_allclose(found, expected, atol=1e-6)
    # Once
    assert caplog.text.count(f"{rate} Hz") == (1 if rate < RATE else 0)


@pytest.mark.parametrize("format", ["FLAC", "MP3", "WAV", "AIFF", "OGG"])
def test_truncated_files(format):
    content = encoded(noise(), format, "OPUS" if format == "OGG" else None)
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
    # Starts before the end of what is left, and after it
    with pytest.raises(TruncatedAudio):
        read_audio(cut, RATE, start=0.5)
    with contextlib.suppress(TruncatedAudio):
        assert not len(read_audio(cut, RATE, start=2.9))


@pytest.mark.parametrize(
    "name, codec",
    [("a.m4a", "alac"), ("a.m4a", "aac"), ("a.webm", "libopus")],
)
def test_formats_that_ffmpeg_decodes(ffmpeg_encode, tmp_path, name, codec):
    stereo = np.stack([noise(rate=48000), -0.5 * noise(rate=48000)], 1)
    path = ffmpeg_encode(tmp_path / name, stereo, 48000, "-c:a", codec)
    expected = sf.read(tmp_path / (name + ".wav"), dtype="float32")[0].mean(1)
    found = read_audio(path, 48000)
    if codec == "alac":
        np.testing.assert_allclose(found, expected, atol=1e-7)
    assert delay(found, expected)[1] > 0.95
    np.testing.assert_array_equal(read_audio(path.read_bytes(), 48000), found)
    assert read_duration(path) == len(found) / 48000
    # Parts are where they are in the whole
    for start in (0.00001, 2.0001):
        part = read_audio(path, 48000, start, seconds=0.5)
        at = round(start * 48000)
        late, similar = delay(part, found[at : at + 24000])
        assert abs(late) < 0.003 * 48000 and similar > 0.9
