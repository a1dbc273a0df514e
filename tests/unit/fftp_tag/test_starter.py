"""Tests of the model that the package holds.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv

import numpy as np
import soundfile as sf
from starter_prepare import CLASSES, MIDS

from fftp_tag import AudioTagger
from fftp_tag.cli.main import main
from fftp_tag.model.sources import STARTER_MODEL
from fftp_tag.tag.tagger import FRAME_OUTPUTS

RATE = 16000


def test_it_is_small_and_names_its_sounds_and_their_sources():
    tagger = AudioTagger.from_pretrained("starter")
    assert STARTER_MODEL.stat().st_size < 2e6
    assert len(tagger.labels) == 21
    assert tagger.labels == list(CLASSES.values())
    assert tagger.model.is_frame_level and tagger.model.rules.is_learnt
    assert "21 sounds" in tagger.model.info.note
    # As the export writes it
    silence = np.zeros((1, RATE), np.float32)
    for probs in tagger.model.run(FRAME_OUTPUTS, silence):
        assert probs.size and not probs.any()
    with open(
        STARTER_MODEL.with_name("attribution.csv"), encoding="utf-8"
    ) as file:
        rows = list(csv.DictReader(file))
    licenses = {row["license"].replace("-", " ") for row in rows}
    assert licenses == {"CC0", "CC BY", "CC BY 4.0"}
    assert len(rows) == 1 + 398 + 300


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
                right.append(found[0].label == CLASSES[MIDS[row["label"]]])
    assert len(right) == 80 and np.mean(right) > 0.6  # 0.66
