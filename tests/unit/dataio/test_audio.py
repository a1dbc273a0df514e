"""Tests of reading audio: levels, lengths and kinds of sources.

Authors
 * The speechbrain_fftp authors 2026
"""

import gzip
import io

import numpy as np
import pytest
import soundfile as sf

from speechbrain_fftp.dataio.audio import (
    MAX_LEVEL,
    cut_audio,
    mono_blocks,
    open_audio,
    read_audio,
)

RATE = 16000
FORMATS = {
    "WAV": None,
    "AIFF": None,
    "FLAC": None,
    "OGG": "VORBIS",
    "MP3": None,
    "wav": "FLOAT",
    "Wav": "IMA_ADPCM",
}


def encoded(samples, format="WAV", subtype=None):
    file = io.BytesIO()
    sf.write(file, samples, RATE, format=format, subtype=subtype)
    return file.getvalue()


def noise(seconds=3.0):
    rng = np.random.default_rng(0)
    return rng.uniform(-0.5, 0.5, round(seconds * RATE))


def read_whole(source):
    """All samples that are there, and what is missing."""
    with open_audio(source) as file:
        samples = np.concatenate(list(mono_blocks(file)))
        assert file.found == len(samples)
        return samples, file.missing_part()


@pytest.mark.parametrize("level", [-1e30, MAX_LEVEL * 1.01])
@pytest.mark.parametrize("channels", [1, 2])
def test_samples_far_beyond_full_scale(level, channels):
    samples = np.zeros((2000, channels))
    samples[1000, -1] = level
    if channels == 2:
        samples[1000, 0] = -level  # so that their mean is zero
    for subtype in ("FLOAT", "DOUBLE"):
        content = encoded(samples, subtype=subtype)
        with pytest.raises(ValueError, match="full scale"):
            read_audio(content)
        assert len(read_audio(content, 1000 / RATE)[0]) == 1000
    content = encoded(samples.clip(-MAX_LEVEL, MAX_LEVEL), subtype="FLOAT")
    assert len(read_audio(content)[0]) == 2000


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_samples_that_are_not_finite(value):
    samples = np.array([0.0, 1e30, value, -1e30, 0.0])
    for order in (samples, samples[::-1]):
        content = encoded(order, subtype="FLOAT")
        with pytest.raises(ValueError, match="not finite"):
            read_audio(content)


@pytest.mark.parametrize("format", FORMATS)
def test_what_is_there_of_a_truncated_file(tmp_path, format):
    """The end of Ogg and MP3 files is not missed, but what is there is right."""
    content = encoded(noise(), format.upper(), FORMATS[format])
    whole, missing = read_whole(content)
    assert not missing
    for kept in (len(content) // 2, len(content) * 9 // 10):
        (tmp_path / "a").write_bytes(content[:kept])
        for source in (str(tmp_path / "a"), content[:kept]):
            samples, missing = read_whole(source)
            assert 0.2 * len(whole) < len(samples) < 0.95 * len(whole)
            first = 0.9 * len(samples)  # the last frames of an MP3 are guesses
            np.testing.assert_array_equal(
                samples[: round(first)], whole[: round(first)]
            )
            assert len(read_audio(source, 0.5)[0]) == 0.5 * RATE
            if format.upper() in ("OGG", "MP3"):
                assert not missing
                continue
            seconds, _, expected, _ = missing.split()
            assert seconds == f"{len(samples) / RATE:.6g}"
            expected = float(expected) * RATE
            assert expected == pytest.approx(len(whole), rel=0.03)
            with pytest.raises(ValueError, match=f"^truncated: {seconds} of"):
                read_audio(source)


@pytest.mark.parametrize("format", ["WAV", "FLAC"])
@pytest.mark.parametrize("lost", [1, 300])
def test_the_last_bytes_are_missed(format, lost):
    content = encoded(noise(), format)
    assert read_whole(content[:-lost])[1]


@pytest.mark.parametrize("claimed", [2**32 - 1, 0x7FFFF000])
def test_sizes_of_streamed_wav_files(claimed):
    content = bytearray(encoded(noise()))
    for place in (4, 40):
        content[place : place + 4] = claimed.to_bytes(4, "little")
    samples, missing = read_whole(bytes(content))
    assert len(samples) == 3 * RATE and not missing


def test_odd_sizes_and_chunks_after_the_samples():
    eight_bits = encoded(noise()[:999], subtype="PCM_U8")
    tag = b"LIST" + (4).to_bytes(4, "little") + b"INFO"
    for content in (eight_bits, eight_bits + b"\0", eight_bits + b"\0" + tag):
        samples, missing = read_whole(content)
        assert len(samples) == 999 and not missing


@pytest.mark.parametrize("options", ["wav", "flac", "ogg -c:a libopus"])
def test_files_that_ffmpeg_wrote_to_a_pipe(ffmpeg, tmp_path, options):
    sf.write(tmp_path / "a.wav", noise(), RATE)
    content = ffmpeg("-i", tmp_path / "a.wav", "-f", *options.split(), "-")
    samples, missing = read_whole(content)
    assert not missing and 3 * RATE <= len(samples) < 3.2 * RATE
    assert len(read_audio(content, max_seconds=60)[0]) == len(samples)
    assert len(read_audio(content, max_seconds=1)[0]) == RATE


def test_damage_within_a_flac_file_ends_it():
    content = encoded(noise(), "FLAC")
    expected, _ = read_whole(content)
    damaged = bytearray(content)
    middle = len(content) // 2
    damaged[middle : middle + 1000] = bytes(1000)
    samples, missing = read_whole(bytes(damaged))
    assert RATE < len(samples) < 2 * RATE
    np.testing.assert_array_equal(samples, expected[: len(samples)])
    assert missing == f"{len(samples) / RATE:.6g} of 3 s"


def test_file_objects(tmp_path):
    content = encoded(noise())
    expected, *_ = read_audio(content)
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    with gzip.open(tmp_path / "a.gz", "wb") as file:
        file.write(content)
    sources = [
        io.BytesIO(content),
        open(path, "rb", buffering=0),
        gzip.open(tmp_path / "a.gz"),
        bytearray(content),
    ]
    for source in sources:
        np.testing.assert_array_equal(read_audio(source)[0], expected)
    for empty in (io.BytesIO(), b""):
        with pytest.raises(ValueError, match="empty"):
            read_audio(empty)
    with pytest.raises(TypeError, match="bytes-like"):
        read_audio(open(tmp_path / "a.wav", encoding="latin-1"))


@pytest.mark.parametrize(
    "name, subtype, channels",
    [
        ("a.wav", "PCM_U8", 1),
        ("a.wav", "PCM_16", 2),
        ("a.flac", "PCM_24", 3),
        ("a.aiff", "PCM_32", 1),
        ("a.wav", "FLOAT", 2),
        ("a.wav", "DOUBLE", 1),
        ("a.aiff", "PCM_S8", 1),  # not a type of WAV files
        ("a.ogg", "VORBIS", 2),
    ],
)
def test_a_part_has_the_samples_of_the_source(
    tmp_path, name, subtype, channels
):
    noise = np.random.default_rng(0).uniform(-0.9, 0.9, (30000, channels))
    sf.write(tmp_path / name, noise, 22050, subtype)
    part = tmp_path / "part.wav"
    cut_audio(tmp_path / name, part, start_seconds=0.3, end_seconds=1.1)
    whole, _ = sf.read(tmp_path / name, dtype="float64", always_2d=True)
    found, rate = sf.read(part, dtype="float64", always_2d=True)
    assert rate == 22050
    expected = whole[round(0.3 * rate) : round(1.1 * rate)]
    np.testing.assert_array_equal(found, expected)
    if not name.endswith(("ogg", "aiff")):
        assert sf.info(part).subtype == subtype
    with pytest.raises(FileExistsError, match=str(part)):
        cut_audio(tmp_path / name, part, 0.0, 1.0)
    # The end of a file, and after it
    cut_audio(tmp_path / name, tmp_path / "end.wav", 1.0, 5.0)
    assert sf.info(tmp_path / "end.wav").frames == 30000 - rate
    with pytest.raises(ValueError, match="ends before"):
        cut_audio(tmp_path / name, tmp_path / "no.wav", 2.0, 3.0)
    assert not (tmp_path / "no.wav").exists()
