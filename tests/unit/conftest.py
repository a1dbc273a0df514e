"""What unit tests of several folders share.

Authors
 * The speechbrain_fftp authors 2026
"""

import shutil
import struct
import subprocess

import numpy as np
import pytest
import soundfile as sf


def claim_six_hours(path):
    """Makes the header of a WAV file of 16 kHz, 16 bits say so."""
    content = bytearray(path.read_bytes())
    place = content.index(b"data") + 4
    content[place : place + 4] = struct.pack("<I", 6 * 3600 * 16000 * 2)
    path.write_bytes(content)


@pytest.fixture
def odd_audio(tmp_path):
    """Files that are unusual, and files that are no usable audio.

    Returns
    -------
    good : dict
        By name, the file and its samples at 16 kHz.
    bad : dict
        By name, the file and part of what is to be said about it.
    """
    folder = tmp_path / "odd"
    folder.mkdir()
    noise = 0.1 * np.random.default_rng(0).standard_normal(48000)

    def write(name, samples, rate=16000, **options):
        sf.write(folder / name, samples, rate, **options)
        return folder / name

    good = {
        "silent": (write("silent.wav", np.zeros(8000)), 8000),
        "8 channels": (write("eight.wav", noise.reshape(-1, 8)), 6000),
        "192 kHz": (write("fast.flac", noise, 192000), 4000),
        "six hours": (write("six.wav", noise[:8000]), 8000),
        "short": (write("short.wav", noise[:20000]), 4978),
        "truncated": (write("cut.flac", noise), 4096),
    }
    claim_six_hours(good["six hours"][0])
    short = good["short"][0]
    short.write_bytes(short.read_bytes()[:10000])  # 44 bytes of them header
    nan = noise[:8000].copy()
    nan[4000] = np.nan
    bad = {
        "text": (folder / "text.wav", "is not readable audio: unreadable"),
        "empty": (folder / "empty.wav", "is not readable audio: empty file"),
        "one sample": (write("one.wav", noise[:1]), "shorter than 25 ms"),
        "nan": (write("nan.wav", nan, subtype="FLOAT"), "not finite"),
        "no samples": (write("no.wav", noise[:0]), "has no samples"),
        "missing": (folder / "missing.wav", "missing.wav"),
        "folder": (folder / "folder.wav", "not a regular file"),
    }
    bad["text"][0].write_text("no sound", "utf-8")
    bad["empty"][0].write_bytes(b"")
    cut = good["truncated"][0]
    cut.write_bytes(cut.read_bytes()[:9000])
    bad["folder"][0].mkdir()
    return good, bad


@pytest.fixture(scope="session")
def ffmpeg():
    """Runs ffmpeg, if it is installed, and returns its standard output."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed")

    def run(*arguments):
        command = ["ffmpeg", "-nostdin", "-loglevel", "error", "-y"]
        command += map(str, arguments)
        return subprocess.run(command, stdout=-1, check=True).stdout

    return run


@pytest.fixture(scope="session")
def ffmpeg_encode(ffmpeg):
    """Encodes samples as NAME with ffmpeg, by way of NAME.wav."""

    def encode(path, samples, rate, *options):
        wav = path.with_name(path.name + ".wav")
        sf.write(wav, samples, rate)
        ffmpeg("-i", wav, *options, path)
        return path

    return encode
