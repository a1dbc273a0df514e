"""Tests of the Speech Commands recipe, run as its users run it.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import pytest
import soundfile as sf
from data_folders import write_words
from prepared_clips import read_rows
from recipe_runs import train

WORDS = {"cat": 300, "dog": 1000, "owl": 3000}  # Hz


@pytest.fixture
def words(tmp_path):
    """Tones of nine speakers, some clips not as they should be, and noise."""
    folder = tmp_path / "words"
    write_words(folder, WORDS, num_speakers=9)
    rng = np.random.default_rng(0)
    for path in sorted(folder.glob("*/*.wav")):
        rate = 44100 if path.stem.startswith("s3_") else 16000
        seconds = 0.1 if path.stem.startswith("s2_") else 1
        time = np.arange(round(seconds * rate)) / rate
        tone = 0.3 * np.sin(2 * np.pi * WORDS[path.parent.name] * time)
        tone += 0.01 * rng.standard_normal(len(time))
        sf.write(path, tone, rate)
    (folder / "dog" / "s0_nohash_1.wav").touch()
    (folder / "_background_noise_").mkdir()
    noise = 0.1 * rng.standard_normal(32000)
    sf.write(folder / "_background_noise_" / "white.wav", noise, 16000)
    return folder


def test_words_are_learnt(words, tmp_path):
    """And the results agree with each other."""
    folder = tmp_path / "run"
    _, metrics = train(
        folder,
        recipe="SpeechCommands/train.py",
        hparams="speechcommands/ast_fftp.yaml",
        data_folder=words,
        task="folders",
        patch_frames=10,
        stride_frames=10,
        mixup_prob=0.0,
        number_of_epochs=8,
    )
    assert metrics["num_clips"] == 3
    assert metrics["accuracy"] > 0.5  # tones are easily told apart
    per_class = read_rows(folder / "per_class.csv")
    found = [(row["label"], row["clips"]) for row in per_class]
    assert found == [(word, "1") for word in WORDS]
    recalls = [float(row["recall"]) for row in per_class]
    assert metrics["accuracy"] == pytest.approx(np.mean(recalls))
    said = {r["ID"]: r for r in read_rows(folder / "predictions.csv")}
    truth = read_rows(folder / "prepared/test.csv")
    hits = [said[row["ID"]]["tag_1"] == row["labels"] for row in truth]
    assert metrics["accuracy"] == pytest.approx(np.mean(hits))
    assert "s0_nohash_1" in (folder / "prepared/skipped.csv").read_text()
