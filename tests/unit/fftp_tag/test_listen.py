"""Tests of ``fftp-tag listen``, with pipes.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import signal
import subprocess
import sys
import time

import pytest
from tiny_onnx import RATE, sounds, write_model

from fftp_tag import AudioTagger
from fftp_tag.audio.decode import resample
from fftp_tag.cli.output import rounded
from fftp_tag.tag.live import stream_events

COMMAND = [sys.executable, "-m", "fftp_tag.cli.main", "listen"]
WINDOWS = {"window": 0.5, "hop": 0.1, "threshold": 0.15}


@pytest.fixture(scope="module")
def listen(tmp_path_factory):
    """Starts the command with pipes; its ``model`` is an attribute."""
    model = write_model(tmp_path_factory.mktemp("listen") / "model.onnx")
    options = ["--model", str(model), "--format", "jsonl"]
    options += [f"--{name}={value}" for name, value in WINDOWS.items()]

    def start(*arguments):
        return subprocess.Popen(
            [*COMMAND, *options, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    start.model = model
    return start


def pcm(wav):
    """16-bit samples."""
    return (2**15 * wav).astype("<i2")


def test_a_pipe_has_the_events_of_its_samples(listen):
    """At another rate than the model's."""
    samples = pcm(sounds(20)).repeat(2)
    process = listen("--raw", str(2 * RATE))
    out, err = process.communicate(samples.tobytes(), timeout=120)
    assert process.returncode == 0 and err == b""
    tagger = AudioTagger.from_pretrained(listen.model)
    wav = resample(samples / 2**15, 2 * RATE, RATE)
    expected = list(stream_events(tagger, [wav], **WINDOWS))
    found = [json.loads(line) for line in out.splitlines()]
    assert found == [rounded(event.to_dict()) for event in expected]
    assert len(found) > 10
    assert list(found[0]) == ["start", "end", "label", "probability"]


def test_events_are_printed_while_audio_arrives(listen):
    """And Ctrl+C ends those that have begun."""
    process = listen("--raw", str(RATE), "--threshold", "0")
    process.stdin.write(pcm(sounds(3)).tobytes())
    process.stdin.flush()
    begun = [json.loads(process.stdout.readline()) for _ in range(3)]
    assert all(row["end"] is None and row["start"] == 0.0 for row in begun)
    time.sleep(0.5)  # until it waits for more, if the machine is not busy
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and err == b""
    rows = [json.loads(line) for line in out.splitlines()]
    [end] = {row["end"] for row in rows}
    assert len(rows) == 3 and 0.5 < end <= 3.0
