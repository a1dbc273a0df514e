"""Tests of ``fftp-tag listen``, with pipes.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import subprocess
import sys

import numpy as np
import pytest
from tiny_onnx import RATE, sounds, write_model

from fftp_tag import AudioTagger
from fftp_tag.audio.decode import resampled_blocks
from fftp_tag.cli.output import rounded

COMMAND = [sys.executable, "-m", "fftp_tag.cli.main", "listen"]
WINDOWS = {"window": 0.5, "hop": 0.1}


def test_a_pipe_has_the_events_of_its_samples(tmp_path):
    """At another rate than the model's."""
    model = write_model(tmp_path / "model.onnx")
    samples = (2**15 * sounds(20)).astype("<i2").repeat(2)
    options = [f"--{name}={value}" for name, value in WINDOWS.items()]
    options += [
        "--threshold=0.15",
        "--labels=Low,High",
        "--model",
        model,
        "--format",
        "jsonl",
        "--raw",
        str(2 * RATE),
    ]
    done = subprocess.run(
        [*COMMAND, *options], input=samples.tobytes(), capture_output=True
    )
    assert done.returncode == 0 and done.stderr == b""
    tagger = AudioTagger.from_pretrained(model)
    blocks = [np.float32(samples / 2**15)]
    wav = np.concatenate([*resampled_blocks(blocks, 2 * RATE, RATE)])
    stream = tagger.stream(
        ["High", "Low"], tagger.model.rules.replace(0.15), **WINDOWS
    )
    expected = stream.push(wav) + stream.finish()
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert found == [rounded(event.to_dict()) for event in expected]
    assert len(found) > 10


@pytest.mark.parametrize(
    "begin", [b"RIFF", b"ID3\x04", b"OggS", b"\0\0\0\x20ftypM4A "]
)
def test_a_file_is_no_raw_audio(tmp_path, begin):
    """Whose bytes would be noise, with tags."""
    model = write_model(tmp_path / "model.onnx")
    done = subprocess.run(
        [*COMMAND, "--model", model, "--raw", str(RATE)],
        input=begin + bytes(range(256)) * 100,
        capture_output=True,
    )
    assert done.returncode == 1 and done.stdout == b""
    assert done.stderr.count(b"\n") == 1 and b"s16le" in done.stderr
