"""What unit tests of several folders share.

Authors
 * The speechbrain_fftp authors 2026
"""

import shutil
import subprocess

import pytest
import soundfile as sf


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
