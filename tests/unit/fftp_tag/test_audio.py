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
    DamagedAudio,
    open_audio,
    read_audio,
    read_duration,
    stream_audio,
)
from fftp_tag.errors import InputError

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


def read_damaged(content, start=0.0):
    """What can be read, and the error at its end."""
    found, error = [np.zeros(0, np.float32)], None
    try:
        found.extend(stream_audio(bytes(content), RATE, start))
    except DamagedAudio as raised:
        error = raised
    return np.concatenate(found), error


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
    with pytest.raises(DamagedAudio) as error:
        found.extend(stream_audio(cut, RATE))
    if format != "OGG":  # which does not tell
        assert error.value.stated == pytest.approx(3.0, abs=0.01)
    found = np.concatenate(found)
    assert 0.3 * len(whole) < len(found) < 0.6 * len(whole)
    assert error.value.seconds == len(found) / RATE
    sure = round(0.9 * len(found))  # the last frames of an MP3 are guesses
    np.testing.assert_array_equal(found[:sure], whole[:sure])
    assert len(read_audio(cut, RATE, seconds=0.5)) == RATE // 2
    # Starts before the end of what is left, and after it
    with pytest.raises(DamagedAudio):
        read_audio(cut, RATE, start=0.5)
    with contextlib.suppress(DamagedAudio):
        assert not len(read_audio(cut, RATE, start=2.9))


def differing(found, expected):
    """Which tenths of a second do not sound as expected."""
    size = RATE // 10
    found, expected = (x.reshape(-1, size) for x in (found, expected))
    product = (found * expected).sum(1)
    norms = np.linalg.norm(found, axis=1) * np.linalg.norm(expected, axis=1)
    return np.flatnonzero(product <= 0.9 * norms)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "format, subtype, most",
    [("FLAC", None, 0.4), ("OGG", "VORBIS", 4.0), ("OGG", "OPUS", 2.0)],
)
def test_what_follows_damage_is_read_where_it_is(format, subtype, most, seed):
    """One flipped bit: a frame of FLAC, or a page of Ogg, is silent."""
    content = bytearray(encoded(noise(16.0), format, subtype))
    whole, error = read_damaged(content)
    assert error is None and len(whole) == 16 * RATE
    rng = np.random.default_rng(seed)
    at = rng.integers(len(content) // 4, len(content) * 5 // 8)
    content[at] ^= 1 << rng.integers(8)
    found, error = read_damaged(content)
    assert len(found) == len(whole)
    assert error.stated == 16.0
    lost = 16.0 - error.seconds
    assert 0 < lost < 2
    differs = differing(found, whole)
    assert np.ptp(differs) / 10 <= most
    assert (found == 0).sum() / RATE >= 0.9 * lost
    # From later on, and from within what is lost
    after = differs[-1] // 10 + 2
    later, error = read_damaged(content, after)
    assert error is None and not len(differing(later, whole[after * RATE :]))
    if format == "FLAC":
        inside = np.median(differs) / 10
        later, error = read_damaged(content, inside)
        assert error.stated == pytest.approx(16.0 - inside)
        differs = differing(later, whole[round(inside * RATE) :])
        assert len(differs) and differs[-1] / 10 <= most


def ogg_pages(content):
    """The pages of an Ogg file."""
    pages = []
    while content:
        n_segments = content[26]
        size = 27 + n_segments + sum(content[27 : 27 + n_segments])
        pages.append(content[:size])
        content = content[size:]
    return pages


def ogg_checksum(page):
    """The CRC-32 of a page, whose own checksum counts as 0."""
    value = 0
    for byte in page[:22] + bytes(4) + page[26:]:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ (0x104C11DB7 if value >> 31 else 0)) % 2**32
    return value


def test_an_ogg_file_without_the_mark_of_a_last_page_is_complete():
    """Not one whose last page is cut."""
    content = encoded(noise(8.0), "OGG", "VORBIS")
    *pages, last = ogg_pages(content)
    last = bytearray(last)
    last[5] &= ~4  # the mark
    last[22:26] = ogg_checksum(bytes(last)).to_bytes(4, "little")
    unmarked = b"".join(pages) + last
    assert unmarked != content
    found, error = read_damaged(unmarked)
    np.testing.assert_array_equal(found, read_damaged(content)[0])
    assert error is None
    for end in (-1, -len(last) // 2, 10 - len(last)):
        found, error = read_damaged(unmarked[:end])
        assert len(found) and error.stated is None


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
    # Cut, and with zeros in it
    content = path.read_bytes()
    middle = len(content) // 2
    for damaged in (
        content[:middle],
        content[:middle] + bytes(3000) + content[middle + 3000 :],
    ):
        with contextlib.suppress(InputError):
            found, error = read_damaged(damaged)
            assert abs(error.seconds * RATE - len(found)) < 2
