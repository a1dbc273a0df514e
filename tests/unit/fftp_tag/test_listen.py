"""Tests of ``fftp-tag listen``, with pipes and a microphone that is none.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
import types
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from small_models import hear_shares

from fftp_tag import AudioTagger
from fftp_tag.cli.main import main
from fftp_tag.cli.output import rounded

ROOT = Path(__file__).resolve().parents[3]


def samples(seconds, rate):
    """Levels that the model of ``options`` hears, 16 bits."""
    rng = np.random.default_rng(0)
    levels = rng.choice([0, 8192, 16384, 24576], 2 * seconds)
    return np.repeat(levels, rate // 2).astype("<i2")


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    """Those of a model that hears shares of levels, at 1000 Hz."""
    path = tmp_path_factory.mktemp("listen") / "model.onnx"
    hear_shares(path, 4000)
    options = ["--model", str(path), "--format", "jsonl"]
    return [*options, "--window", "0.5", "--hop", "0.1"]


def start(*arguments):
    """Starts the command with pipes."""
    return subprocess.Popen(
        [sys.executable, "-m", "fftp_tag.cli.main", "listen", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def rows(text):
    return [json.loads(line) for line in text.splitlines()]


def ended(found):
    found = [row for row in found if row["end"] is not None]
    return sorted(found, key=lambda row: (row["start"], row["end"]))


def events_of_a_file(path, options):
    """All of them: a stream has no tags of a whole file."""
    given = dict(zip(options[::2], options[1::2]))
    tagger = AudioTagger.from_pretrained(given["--model"])
    window, hop = float(given["--window"]), float(given["--hop"])
    timeline = tagger.analyze(path, window=window, hop=hop)
    timeline = dataclasses.replace(timeline, windows_are_clips=True)
    rules = {
        name: float(given[option])
        for name, option in (
            ("merge_gap", "--merge-gap"),
            ("min_duration", "--min-duration"),
        )
        if option in given
    }
    return [
        {
            name: rounded(getattr(event, name))
            for name in ("start", "end", "label", "probability")
        }
        for event in timeline.events(**rules)
    ]


def test_a_pipe_has_the_events_of_a_file(options, tmp_path):
    rate = 2000
    wav = samples(20, rate)
    sf.write(tmp_path / "a.wav", wav, rate)
    options = [*options, "--merge-gap", "0.7", "--min-duration", "0.6"]
    process = start("--raw", str(rate), *options)
    out, err = process.communicate(wav.tobytes(), timeout=120)
    assert process.returncode == 0 and err == b""
    expected = events_of_a_file(tmp_path / "a.wav", options)
    found = rows(out)
    assert ended(found) == expected
    assert len(found) == 2 * len(expected) > 6
    assert list(found[0]) == ["start", "end", "label", "probability"]


def test_events_are_printed_while_audio_arrives(options):
    """And Ctrl+C ends those that have begun."""
    process = start("--raw", "1000", *options, "--threshold", "0")
    process.stdin.write(samples(3, 1000).tobytes())
    process.stdin.flush()
    begun = [json.loads(process.stdout.readline()) for _ in range(3)]
    assert all(row["end"] is None and row["start"] == 0.0 for row in begun)
    time.sleep(0.5)  # until it waits for more, if the machine is not busy
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and err == b""
    [end] = {row["end"] for row in rows(out)}
    assert len(rows(out)) == 3 and 0.5 < end <= 3.0


@pytest.mark.parametrize("encoding", ["WAV", "FLAC", "OGG"])
def test_an_audio_file_is_not_taken_for_samples(options, encoding):
    content = io.BytesIO()
    sf.write(content, np.zeros(8000), 1000, format=encoding)
    process = start("--raw", "1000", *options)
    out, err = process.communicate(content.getvalue(), timeout=60)
    assert process.returncode == 1 and not out and b"ffmpeg" in err


class Microphone:
    """A ``sounddevice.InputStream`` that hears what it is given."""

    heard = samples(6, 1000) / np.float32(2**15)

    def __init__(self, **options):
        self.options = options
        assert options["samplerate"] == 1000 and options["dtype"] == "float32"

    def start(self):
        self.active = True
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        size = self.options["blocksize"]
        buffer = np.zeros((size, 1), np.float32)  # used again, as PortAudio's
        for first in range(0, len(self.heard) - size + 1, size):
            buffer[:, 0] = self.heard[first : first + size]
            self.options["callback"](buffer, size, None, None)
            time.sleep(0.01)
        self.active = False

    def close(self):
        self.thread.join()


def test_microphone(options, monkeypatch, tmp_path, capsys):
    """It is heard until it is unplugged."""
    fake = types.SimpleNamespace(
        InputStream=Microphone,
        PortAudioError=OSError,
        query_devices=lambda *_: {"default_samplerate": 1000.0},
    )
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    sf.write(tmp_path / "a.wav", Microphone.heard, 1000)
    assert main(["listen", *options, "--microphone", "0"]) == 1
    captured = capsys.readouterr()
    assert "microphone" in captured.err
    found = ended(rows(captured.out))
    assert found == events_of_a_file(tmp_path / "a.wav", options)
    assert len(found) > 2
