"""What unit tests of several folders share.

Authors
 * The speechbrain_fftp authors 2026
"""

import shutil
import subprocess

import pytest
import soundfile as sf


@pytest.fixture(scope="session")
def ffmpeg_encode():
    """Encodes samples as NAME with ffmpeg, by way of NAME.wav."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed")

    def encode(path, samples, rate, *options):
        wav = path.with_name(path.name + ".wav")
        sf.write(wav, samples, rate)
        command = ["ffmpeg", "-nostdin", "-loglevel", "error", "-y", "-i", wav]
        subprocess.run([*command, *options, path], check=True)
        return path

    return encode
