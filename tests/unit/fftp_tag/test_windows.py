"""Tests of windows of samples, and of reading files, bytes and arrays.

Authors
 * The speechbrain_fftp authors 2026
"""

import io

import numpy as np
import pytest
import soundfile as sf

from fftp_tag.tag import windows
from fftp_tag.tag.windows import (
    WindowCutter,
    cut_windows,
    read_blocks,
    read_part,
)
from speechbrain_fftp.dataio.errors import InputError

RATE = 16000
WAV = 0.2 * np.random.default_rng(0).standard_normal(8000).astype(np.float32)


def read(source, *options):
    return np.concatenate(list(read_blocks(source, RATE, *options)))


@pytest.mark.parametrize("size, hop", [(10, 10), (10, 3), (10, 25), (1, 1)])
@pytest.mark.parametrize("n_samples", [1, 9, 10, 11, 25, 30, 61, 400])
def test_windows_of_blocks_of_any_size(size, hop, n_samples, monkeypatch):
    monkeypatch.setattr(windows, "BATCH_SAMPLES", 40)
    wav = np.arange(n_samples, dtype=np.float32)
    starts = [*range(0, max(n_samples - size, 0), hop)]
    starts.append(max(n_samples - size, 0))
    rng = np.random.default_rng(n_samples)
    for n_cuts in (0, 3, 20):
        blocks = np.split(wav, np.sort(rng.integers(0, n_samples, n_cuts)))
        batches = list(cut_windows(iter(blocks), (size, hop), (5, 5)))
        assert {grid for grid, _ in batches} == {0, 1}
        of_grid = [found for grid, found in batches if grid == 0]
        assert all(len(x.starts) <= 40 // size for x in of_grid)
        assert [s for x in of_grid for s in x.starts] == starts
        for found in of_grid:
            for start, end, samples in zip(
                found.starts, found.ends, found.wavs
            ):
                np.testing.assert_array_equal(samples, wav[start:end])


def test_memory_is_that_of_a_window():
    cutter = WindowCutter(size=100, hop=50)
    for _ in range(1000):
        list(cutter.push(np.zeros(30, np.float32)))
        assert len(cutter.held) <= 200
    assert cutter.end == 30000


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
        (np.zeros((2, 8000)), RATE, "shape"),  # channels first
        (np.zeros(8000, np.int32), RATE, "type"),
        (WAV * 1000, RATE, "full scale"),
        (np.where(np.arange(8000) == 7, np.nan, WAV), RATE, "finite"),
        (WAV, None, "sample_rate"),
        (WAV, 999, "sample_rate"),
        (WAV[:399], RATE, "25 ms"),
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
    shown = list(read_blocks(path, RATE, progress=True))
    np.testing.assert_array_equal(np.concatenate(shown), expected)


def test_what_is_wrong_names_the_file(tmp_path, caplog):
    path = tmp_path / "a.flac"
    sf.write(path, np.zeros(399), RATE)
    with pytest.raises(InputError, match="a.flac is shorter than 25 ms"):
        read(path)
    path.write_text("no sound")
    with pytest.raises(InputError, match="a.flac is not readable audio") as e:
        read(path)
    assert "unreadable" not in str(e.value)  # once is enough
    with pytest.raises(FileNotFoundError, match="b.flac"):
        read(tmp_path / "b.flac")
    assert not caplog.text
    sf.write(path, WAV.repeat(10), RATE)
    path.write_bytes(path.read_bytes()[:50000])
    found = read(path)
    assert 0 < len(found) < 80000
    part = read_part(path, RATE, start=0.5)
    np.testing.assert_array_equal(part[:8000], found[8000:16000])
    assert caplog.text.count("a.flac is truncated") == 2
    caplog.clear()
    silent = io.BytesIO()
    sf.write(silent, np.zeros(400), RATE, format="WAV")
    assert len(read(silent.getvalue())) == 400
    assert "the audio is silent" in caplog.text
