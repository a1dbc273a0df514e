"""Tests of the model that the package holds.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv

import numpy as np
import soundfile as sf

from fftp_tag import AudioTagger
from fftp_tag.cli.main import main

RATE = 16000
# AudioSet's names of the classes of ESC-10
NAMES = {
    "baby_cry": "Baby cry, infant cry",
    "chainsaw": "Chainsaw",
    "clock_tick": "Tick-tock",
    "dog_bark": "Dog",
    "fire_crackling": "Fire",
    "helicopter": "Helicopter",
    "person_sneeze": "Sneeze",
    "rain": "Rain",
    "rooster": "Chicken, rooster",
    "sea_waves": "Waves, surf",
}


def test_it_is_the_default(tmp_path, monkeypatch, capsys):
    """Whatever is in the folder where the command runs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "starter").mkdir()
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, 3 * RATE)
    sf.write("clip.wav", noise, RATE)
    assert main(["clip.wav", "--format", "csv", "--threshold", "0"]) == 0
    out, err = capsys.readouterr()
    assert "21 sounds" in err
    tagger = AudioTagger.from_pretrained("starter")
    for tag in tagger.tag_file("clip.wav", top_k=3, threshold=0.0):
        assert tag.label in out
    assert main(["import", "starter", "copy.onnx"]) == 1
    assert "--model" in capsys.readouterr().err


def test_everyday_sounds_of_recordings_that_it_has_not_learnt(shared):
    """ESC-10's fold 5: most of the first tags are right."""
    folder = shared / "data" / "esc10"
    tagger = AudioTagger.from_pretrained("starter", threads=1)
    right = []
    with open(folder / "esc10.csv", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["fold"] == "5":
                found = tagger.tag_file(
                    folder / "audio" / row["file"], top_k=1, threshold=0.0
                )
                right.append(found[0].label == NAMES[row["label"]])
    assert len(right) == 80 and np.mean(right) > 0.6  # 0.66
