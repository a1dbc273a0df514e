"""Tests of ``fftp-tag listen``, with pipes.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile as sf
from tiny_onnx import PITCHES, RATE, cosines, write_model

from fftp_tag import AudioTagger
from fftp_tag.cli.output import rounded


def sounds(seconds):
    """Tones of half a second or more, 16 bits."""
    rng = np.random.default_rng(0)
    is_heard = rng.random((len(PITCHES), 2 * seconds)) < 0.4
    wav = (is_heard.repeat(RATE // 2, 1) * cosines(seconds * RATE)).sum(0)
    return (0.3 * 2**15 * wav).astype("<i2")


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    """Options of a model of clips."""
    path = write_model(tmp_path_factory.mktemp("listen") / "model.onnx")
    options = ["--model", str(path), "--format", "jsonl"]
    return [*options, "--window", "0.5", "--hop", "0.1", "--threshold", "0.15"]


def start(*arguments):
    """Starts the command with pipes."""
    return subprocess.Popen(
        [sys.executable, "-m", "fftp_tag.cli.main", "listen", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def rows(text):
    return [json.loads(line) for line in text.splitlines()]


def ended(found):
    found = [row for row in found if row["end"] is not None]
    return sorted(found, key=lambda row: (row["start"], row["end"]))


def events_of_a_file(tmp_path, wav, rate, options):
    """All of them: a stream has no tags of a whole file."""
    sf.write(tmp_path / "a.wav", wav, rate)
    tagger = AudioTagger.from_pretrained(options[1])
    timeline = tagger.analyze(tmp_path / "a.wav", window=0.5, hop=0.1)
    everything = np.ones_like(timeline.clip_probs)
    timeline = dataclasses.replace(timeline, clip_probs=everything)
    events = timeline.events(0.15)
    assert len(events) > 5
    return ended([rounded(event.to_dict()) for event in events])


def test_a_pipe_has_the_events_of_a_file(options, tmp_path):
    wav, rate = sounds(20).repeat(2), 2 * RATE
    process = start("--raw", str(rate), *options)
    out, err = process.communicate(wav.tobytes(), timeout=120)
    assert process.returncode == 0 and err == b""
    expected = events_of_a_file(tmp_path, wav, rate, options)
    found = rows(out)
    assert ended(found) == expected and len(found) == 2 * len(expected)
    assert list(found[0]) == ["start", "end", "label", "probability"]


def test_events_are_printed_while_audio_arrives(options):
    """And Ctrl+C ends those that have begun."""
    process = start("--raw", str(RATE), *options, "--threshold", "0")
    process.stdin.write(sounds(3).tobytes())
    process.stdin.flush()
    begun = [json.loads(process.stdout.readline()) for _ in range(3)]
    assert all(row["end"] is None and row["start"] == 0.0 for row in begun)
    time.sleep(0.5)  # until it waits for more, if the machine is not busy
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and err == b""
    [end] = {row["end"] for row in rows(out)}
    assert len(rows(out)) == 3 and 0.5 < end <= 3.0
