"""Tests of the model that the package holds.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv

import numpy as np
import soundfile as sf

from fftp_tag import AudioTagger, learn
from fftp_tag.cli.main import main
from fftp_tag.data.audioset import read_classes
from fftp_tag.learning import learn as learning
from fftp_tag.learning.bank import read_bank

RATE = 16000
# AudioSet's names of the classes of ESC-10
NAMES = {
    "baby_cry": "Baby cry, infant cry",
    "chainsaw": "Chainsaw",
    "clock_tick": "Tick-tock",
    "dog_bark": "Bark",
    "fire_crackling": "Crackle",
    "helicopter": "Helicopter",
    "person_sneeze": "Sneeze",
    "rain": "Rain",
    "rooster": "Crowing, cock-a-doodle-doo",
    "sea_waves": "Waves, surf",
}


def test_it_is_the_default(tmp_path, monkeypatch, capsys):
    """Whatever is in the folder where the command runs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "starter").mkdir()
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, 3 * RATE)
    sf.write("clip.wav", noise, RATE)
    assert main(["clip.wav", "--format", "csv", "--threshold", "0"]) == 0
    out, _ = capsys.readouterr()
    tagger = AudioTagger.from_pretrained("starter")
    assert tagger.labels == list(read_classes().values())
    for tag in tagger.tag_file("clip.wav", top_k=3, threshold=0.0):
        assert tag.label in out
    assert main(["import", "starter", "copy.onnx"]) == 1
    assert "--model" in capsys.readouterr().err


def test_everyday_sounds_of_recordings_that_it_has_not_learnt(shared):
    """ESC-10's fold 5: the best of ten classes is mostly right."""
    folder = shared / "data" / "esc10"
    tagger = AudioTagger.from_pretrained("starter", threads=1)
    names = list(NAMES.values())
    columns = [tagger.labels.index(name) for name in names]
    right = []
    with open(folder / "esc10.csv", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["fold"] == "5":
                path = folder / "audio" / row["file"]
                probs = tagger.clip_probabilities(path)[columns]
                right.append(names[probs.argmax()] == NAMES[row["label"]])
    assert len(right) == 80 and np.mean(right) > 0.8


def test_what_is_not_learnt_is_rarely_tagged(shared, tmp_path, monkeypatch):
    """Of ESC-10's fold 5, by four classes of five clips and the whole bank."""
    monkeypatch.setattr(learning, "read_bank", read_bank)
    folder = shared / "data" / "esc10"
    clips = {}
    with open(folder / "esc10.csv", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            path = folder / "audio" / row["file"]
            clips.setdefault((row["fold"], row["label"]), []).append(path)
    known = ("clock_tick", "dog_bark", "person_sneeze", "rooster")
    for label in known:
        (tmp_path / "clips" / label).mkdir(parents=True)
        for path in clips["1", label][:5]:
            (tmp_path / "clips" / label / path.name).symlink_to(path)
    report = learn(
        AudioTagger.from_pretrained("starter"),
        tmp_path / "clips",
        tmp_path / "my.onnx",
    )
    tagger = AudioTagger.from_pretrained(tmp_path / "my.onnx", threads=1)
    is_right, is_tagged = [], []
    for (fold, label), paths in clips.items():
        for path in paths if fold == "5" else ():
            tags = [tag.label for tag in tagger.tag_file(path, top_k=1)]
            if label in known:
                is_right.append(tags == [label])
            else:
                is_tagged.append(bool(tags))
    assert len(is_right) == 32 and len(is_tagged) == 48
    assert np.mean(is_right) > 0.75 and np.mean(is_tagged) < 0.3
    assert report.validation.others_tagged < 0.3
