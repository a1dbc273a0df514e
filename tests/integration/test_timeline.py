"""Tests the onsets that a model trained by the recipe finds.

Authors
 * The speechbrain_fftp authors 2026
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from speechbrain_fftp.datasets.demo import CLASSES, SAMPLE_RATE
from speechbrain_fftp.inference import AudioTagger

ROOT = Path(__file__).resolve().parents[2]
ONSETS = {"White noise": 1.0, "Mains hum": 4.3, "Dial tone": 7.9}


def write_mixture(path):
    """Writes three events of the demo set's classes, three seconds each."""
    rng = np.random.default_rng(0)
    wav = 1e-3 * rng.standard_normal(12 * SAMPLE_RATE)
    sounds = {label: make for _, label, make in CLASSES}
    for label, onset in ONSETS.items():
        event = sounds[label](rng, np.arange(3 * SAMPLE_RATE) / SAMPLE_RATE)
        start = round(onset * SAMPLE_RATE)
        event = 0.2 * event / np.abs(event).max()
        wav[start : start + len(event)] += event
    sf.write(path, wav, SAMPLE_RATE)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The inference folder of `make demo`."""
    folder = tmp_path_factory.mktemp("demo")
    command = [sys.executable, "recipes/AudioSet/train.py"]
    command += ["hparams/demo.yaml", "--output_folder", str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder / "inference"


@pytest.mark.slow
def test_onsets_of_three_events(model, tmp_path):
    write_mixture(tmp_path / "mixture.wav")
    tagger = AudioTagger.from_pretrained(model)
    # What begins within the first window, and is heard in it, begins at 0
    events = tagger.tag_long(tmp_path / "mixture.wav", window=1.0, hop=0.25)
    for label, onset in ONSETS.items():
        starts = [event.start for event in events if event.label == label]
        assert any(abs(start - onset) <= 0.5 for start in starts), (
            label,
            events,
        )
