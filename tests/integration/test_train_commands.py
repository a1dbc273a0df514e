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
    """Tones of nine speakers, some at another rate or short."""
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
    assert metrics["accuracy"] > 0.5  # tones are easily told apart
    said = {r["ID"]: r for r in read_rows(folder / "predictions.csv")}
    truth = read_rows(folder / "prepared/test.csv")
    hits = [said[row["ID"]]["tag_1"] == row["labels"] for row in truth]
    assert metrics["accuracy"] == pytest.approx(np.mean(hits))
