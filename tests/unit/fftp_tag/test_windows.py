"""Tests of windows of samples, and of reading files, bytes and arrays.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import pytest
import soundfile as sf

from fftp_tag.audio.windows import read_blocks, read_part, slide
from fftp_tag.errors import InputError

RATE = 16000
WAV = 0.2 * np.random.default_rng(0).standard_normal(8000).astype(np.float32)


def read(source, *options):
    return np.concatenate(list(read_blocks(source, RATE, *options)))


def test_memory_is_that_of_a_window():
    blocks = np.zeros((1000, 30), np.float32)
    for _, window in slide(blocks, size=100, hop=50):
        assert window.base.size <= 200


@pytest.mark.parametrize(
    "wav",
    [
        WAV.astype(np.float64).tolist(),
        np.stack([1.5 * WAV, 0.5 * WAV], 1),
        np.round(WAV * 2**15).astype(np.int16),
    ],
    ids=["list", "stereo", "int16"],
)
def test_arrays_of_all_kinds_are_the_same_waveform(wav):
    np.testing.assert_allclose(read(wav, RATE), WAV, atol=2**-15)


@pytest.mark.parametrize(
    "wav, rate, word",
    [
        (np.zeros((9, 8000)), RATE, "shape"),
        (np.zeros(8000, np.int32), RATE, "type"),
        (WAV * 1000, RATE, "full scale"),
        (np.where(np.arange(8000) == 7, np.nan, WAV), RATE, "finite"),
        (WAV, None, "sample_rate"),
        (WAV, 999, "sample_rate"),
    ],
)
def test_arrays_that_are_no_audio(wav, rate, word):
    with pytest.raises(InputError, match=word):
        read(wav, rate)


def test_files_bytes_and_arrays_are_the_same(tmp_path):
    wav = np.stack([WAV, 0.3 * WAV[::-1]], 1)
    path = tmp_path / "a.wav"
    sf.write(path, wav, 44100, "FLOAT")
    expected = read(path)
    assert len(expected) == pytest.approx(8000 * RATE / 44100, abs=1)
    np.testing.assert_array_equal(read(str(path)), expected)
    np.testing.assert_array_equal(read(path.read_bytes()), expected)
    np.testing.assert_allclose(read(wav, 44100), expected, atol=1e-6)


def test_what_is_wrong_names_the_file(tmp_path, caplog):
    path = tmp_path / "a.flac"
    sf.write(path, np.zeros(399), RATE)
    with pytest.raises(InputError, match="a.flac is shorter than 25 ms"):
        read(path)
    sf.write(path, np.zeros(400), RATE)
    assert len(read(path)) == 400 and "a.flac is silent" in caplog.text
    path.write_text("no sound")
    with pytest.raises(InputError, match="a.flac is not readable audio"):
        read(path)
    with pytest.raises(FileNotFoundError, match="b.flac"):
        read(tmp_path / "b.flac")
    sf.write(path, WAV.repeat(10), RATE)
    path.write_bytes(path.read_bytes()[:50000])
    found = read(path)
    assert 0 < len(found) < 80000
    part = read_part(path, RATE, start=0.5)
    np.testing.assert_array_equal(part[:8000], found[8000:16000])
    assert caplog.text.count("a.flac is truncated") == 2
