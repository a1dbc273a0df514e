"""Tests of the conversion of clips.

Authors
 * The speechbrain_fftp authors 2026
"""

import os

import numpy as np
import pytest
import soundfile as sf

from speechbrain_fftp.datasets.convert import convert_clips, encode_clip


def tone(frequency, seconds, rate, channels=1, amplitude=0.5):
    t = np.arange(round(seconds * rate)) / rate
    x = amplitude * np.sin(2 * np.pi * frequency * t)
    return np.stack([x] * channels, axis=1)


def convert_clip(source, target, **options):
    content, duration = encode_clip(source, **options)
    with open(target, "wb") as file:
        file.write(content)
    return duration


def kept(path, sample_rate=16000):
    """What is known of a file that need not be converted again, or None."""
    folder, name = os.path.split(path.removesuffix(".flac"))
    done, failed = convert_clips(
        {name: (10, 0)},
        lambda ids: [(i, None) for i in ids],
        folder,
        sample_rate,
    )
    assert len(done) + len(failed) == 1
    return done.get(name)


def peak_frequency(samples, rate):
    return np.argmax(np.abs(np.fft.rfft(samples))) * rate / len(samples)


@pytest.mark.parametrize("rate, channels", [(48000, 2), (8000, 1), (16000, 2)])
def test_rate_and_channels(tmp_path, rate, channels):
    source, target = str(tmp_path / "a.wav"), str(tmp_path / "a.flac")
    sf.write(source, tone(1000, 2.0, rate, channels), rate)
    assert convert_clip(source, target) == 2.0
    info = sf.info(target)
    assert (info.samplerate, info.channels, info.frames) == (16000, 1, 32000)
    assert (info.format, info.subtype) == ("FLAC", "PCM_16")
    samples, _ = sf.read(target)
    assert peak_frequency(samples, 16000) == 1000
    assert np.abs(samples[800:-800]).max() == pytest.approx(0.5, abs=2e-3)
    assert kept(target) == 2.0


def test_channels_are_averaged(tmp_path):
    source, target = str(tmp_path / "a.wav"), str(tmp_path / "a.flac")
    left = np.full(16000, 0.5)
    sf.write(source, np.stack([left, -left / 2], axis=1), 16000)
    convert_clip(source, target)
    assert set(sf.read(target)[0]) == {0.125}


def test_16_bit_samples_stay_as_they_are(tmp_path):
    source, target = str(tmp_path / "a.wav"), str(tmp_path / "a.flac")
    samples = np.arange(-32768, 32768, dtype=np.int16)
    sf.write(source, samples, 16000)
    convert_clip(source, target)
    assert np.array_equal(sf.read(target, dtype="int16")[0], samples)


def test_only_files_of_the_rate_are_kept(tmp_path):
    path = str(tmp_path / "a.flac")
    assert kept(path) is None
    sf.write(path, tone(440, 1, 16000), 16000)
    assert kept(path) == 1.0
    assert kept(path, sample_rate=8000) is None
    os.truncate(path, 10)
    assert kept(path) is None
