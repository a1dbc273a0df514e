"""Tests of ``fftp-tag`` as a process: streams, signals and exit codes.

Authors
 * The speechbrain_fftp authors 2026
"""

import os
import select
import signal
import subprocess
import sys

import numpy as np
import pytest
import soundfile as sf

COMMAND = [sys.executable, "-m", "speechbrain_fftp.cli.main"]
FULL = "No space left on device"
needs_full = pytest.mark.skipif(
    not os.path.exists("/dev/full"), reason="no /dev/full"
)


@pytest.fixture
def options(tmp_path):
    """Options of a process, in a folder with clip.wav; output is buffered."""
    noise = 0.1 * np.random.default_rng(0).standard_normal(8000)
    sf.write(tmp_path / "clip.wav", noise, 16000)
    env = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
    pipe = subprocess.PIPE
    return {"cwd": tmp_path, "env": env, "stderr": pipe, "text": True}


@needs_full
def test_a_full_disk_at_the_end(options, exported):
    arguments = ["clip.wav", "--model", exported[1], "--format", "json"]
    with open("/dev/full", "w") as full:
        done = subprocess.run([*COMMAND, *arguments], stdout=full, **options)
    assert done.stderr == f"fftp-tag: {FULL}\n" and done.returncode == 1


def test_interrupted(options, exported):
    """While the rest of standard input is awaited."""
    command = [*COMMAND, "-", "--model", exported[1]]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, stdin=pipe, stdout=pipe, **options
    ) as process:
        # A full pipe can be written to again as soon as the command reads it
        os.set_blocking(process.stdin.fileno(), False)
        os.write(process.stdin.fileno(), bytes(2**20))
        select.select([], [process.stdin], [], 300)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate()
    assert (process.returncode, output, errors) == (130, "", "")
