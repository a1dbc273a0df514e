"""Tests of ``fftp-tag listen``, with pipes and a microphone that is none.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import os
import shutil
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
from safetensors.numpy import load_file, save_file

from speechbrain_fftp.cli.main import main
from speechbrain_fftp.inference import AudioTagger

ROOT = Path(__file__).resolve().parents[3]


def samples(seconds, rate=16000, seed=0):
    """Noise whose level changes, 16 bits."""
    rng, count = np.random.default_rng(seed), round(seconds * rate)
    levels = np.repeat(rng.random(count // 4000 + 1) ** 4, 4000)[:count]
    return (5000 * levels * rng.standard_normal(count)).astype("<i2")


def command(*arguments):
    return [sys.executable, "-m", "speechbrain_fftp.cli.main", *arguments]


def start(*arguments, **options):
    """Starts the command with pipes."""
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command(*arguments), env=environment, **{**pipes, **options}
    )


@pytest.fixture(scope="module")
def options(exported, tmp_path_factory):
    """Those of a model whose classes come and go in ``samples``."""
    folder = tmp_path_factory.mktemp("listen") / "model"
    shutil.copytree(exported[1], folder)
    blocks = [samples(6) / np.float32(2**15)]
    timeline = AudioTagger.from_pretrained(folder).analyze(blocks, 0.5, 0.1)
    logits = np.log(timeline.probs / (1 - timeline.probs))
    scale = 4 / logits.std(0)
    weights = load_file(folder / "model.safetensors")
    weights["classifier.1.weight"] *= scale[:, None]
    weights["classifier.1.bias"] -= logits.mean(0)
    weights["classifier.1.bias"] *= scale
    save_file(weights, folder / "model.safetensors")
    options = ["--model", str(folder), "--format", "jsonl"]
    return [*options, "--window", "0.5", "--hop", "0.1"]


def rows(text):
    return [json.loads(line) for line in text.splitlines()]


def ended(found):
    found = [row for row in found if row["end"] is not None]
    return sorted(found, key=lambda row: (row["start"], row["end"]))


def test_a_pipe_has_the_events_of_a_file(options, tmp_path, capsys):
    rate = 44100
    path, wav = tmp_path / "a.wav", samples(6, rate)
    sf.write(path, wav, rate)
    process = start("listen", "--raw", str(rate), *options)
    out, err = process.communicate(wav.tobytes(), timeout=120)
    assert process.returncode == 0 and err == b""
    assert main([str(path), "--timeline", *options]) == 0
    [expected] = rows(capsys.readouterr().out)
    found = rows(out)
    assert len(found) == 2 * len(expected["events"]) > 6
    for row, wanted in zip(ended(found), expected["events"]):
        assert row["label"] == wanted["label"]
        for key in ("start", "end", "probability"):
            assert row[key] == pytest.approx(wanted[key], abs=2e-5)
    assert list(found[0]) == ["start", "end", "label", "probability"]


def test_events_are_printed_while_audio_arrives(options):
    """And Ctrl+C ends those that have begun."""
    process = start("listen", "--raw", "16000", *options, "--threshold", "0")
    process.stdin.write(samples(3).tobytes())
    process.stdin.flush()
    begun = [json.loads(process.stdout.readline()) for _ in range(5)]
    assert all(row["end"] is None and row["start"] == 0.0 for row in begun)
    time.sleep(0.5)  # until it waits for more, if the machine is not busy
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and err == b""
    [end] = {row["end"] for row in rows(out)}
    assert len(rows(out)) == 5 and 0.5 < end <= 3.0


class Microphone:
    """A ``sounddevice.InputStream`` that hears what it is given."""

    heard = samples(4, 8000) / np.float32(2**15)

    def __init__(self, **options):
        self.options = options
        assert options["samplerate"] == 8000 and options["dtype"] == "float32"

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
        self.active = False

    def close(self):
        self.thread.join()


def test_microphone(options, monkeypatch, tmp_path, capsys):
    """It is heard until it is unplugged."""
    fake = types.SimpleNamespace(
        InputStream=Microphone,
        PortAudioError=OSError,
        query_devices=lambda *_: {"default_samplerate": 8000.0},
    )
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    sf.write(tmp_path / "a.wav", Microphone.heard, 8000)
    assert main(["listen", *options, "--microphone", "0"]) == 1
    captured = capsys.readouterr()
    assert "microphone" in captured.err
    assert 0 == main([str(tmp_path / "a.wav"), "--timeline", *options])
    [expected] = rows(capsys.readouterr().out)
    found = ended(rows(captured.out))
    assert len(found) == len(expected["events"]) > 2
    for row, wanted in zip(found, expected["events"]):
        assert row["label"] == wanted["label"]
        assert row["start"] == pytest.approx(wanted["start"], abs=1e-4)
        assert row["end"] == pytest.approx(wanted["end"], abs=1e-4)
