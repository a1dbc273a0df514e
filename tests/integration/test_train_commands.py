"""Tests of the Speech Commands recipe, run as its users run it.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import pytest
import soundfile as sf
import torch
from prepared_clips import read_part, read_rows
from recipe_runs import fail, train

from fftp_tag import AudioTagger, evaluate
from speechbrain.inference.classifiers import EncoderClassifier

WORDS = {"cat": 300, "dog": 1000, "owl": 3000}  # Hz
OPTIONS = {
    "recipe": "SpeechCommands/train.py",
    "hparams": "speechcommands/ast_fftp.yaml",
    "task": "folders",
    "patch_frames": 10,
    "stride_frames": 10,
    "mixup_prob": 0.0,
}


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    """Tones of ten speakers, some clips not as they should be, and noise."""
    folder = tmp_path_factory.mktemp("words")
    rng = np.random.default_rng(0)
    for word, frequency in WORDS.items():
        (folder / word).mkdir()
        for speaker in range(10):
            rate = 44100 if speaker == 3 else 16000
            t = np.arange(rate) / rate
            tone = 0.3 * np.sin(2 * np.pi * frequency * t)
            tone += 0.01 * rng.standard_normal(rate)
            seconds = 0.1 if speaker == 9 else 1
            clip = folder / word / f"s{speaker}_nohash_0.wav"
            sf.write(clip, tone[: round(seconds * rate)], rate)
    (folder / "dog" / "s0_nohash_1.wav").touch()
    (folder / "_background_noise_").mkdir()
    noise = 0.1 * rng.standard_normal(32000)
    sf.write(folder / "_background_noise_" / "white.wav", noise, 16000)
    for name, speakers in (("validation", (6, 7)), ("testing", (8, 9))):
        clips = [f"{w}/s{s}_nohash_0.wav\n" for w in WORDS for s in speakers]
        (folder / f"{name}_list.txt").write_text("".join(clips))
    return folder


@pytest.fixture
def trained(words, tmp_path):
    """A function that trains; returns the run's folder and its metrics."""

    def trained(export=False):
        options = {**OPTIONS, "number_of_epochs": 8, "data_folder": words}
        _, metrics = train(tmp_path / "run", export=export, **options)
        return tmp_path / "run", metrics

    return trained


def test_results_agree_with_each_other(trained):
    folder, metrics = trained()
    assert metrics["num_clips"] == 6
    assert metrics["accuracy"] > 0.5  # tones are easily told apart
    per_class = read_rows(folder / "per_class.csv")
    assert [row["label"] for row in per_class] == list(WORDS)
    assert [row["clips"] for row in per_class] == ["2", "2", "2"]
    recalls = [float(row["recall"]) for row in per_class]
    assert metrics["accuracy"] == pytest.approx(np.mean(recalls))
    said = {r["ID"]: r for r in read_rows(folder / "predictions.csv")}
    truth = read_rows(folder / "prepared/test.csv")
    hits = sum(said[row["ID"]]["tag_1"] == row["labels"] for row in truth)
    assert metrics["accuracy"] == pytest.approx(hits / 6)
    assert "s0_nohash_1" in (folder / "prepared/skipped.csv").read_text()


@pytest.mark.slow
def test_exported_model_gives_the_measured_accuracy(trained):
    """In this package and in SpeechBrain's own class."""
    folder, metrics = trained(export=True)
    model = str(folder / "inference")
    tagger = AudioTagger.from_pretrained(model)
    stock = EncoderClassifier.from_hparams(model)
    for row in read_rows(folder / "prepared/test.csv"):
        samples = read_part(row, folder / "prepared", "float32")
        tags = tagger.tag_file(samples, top_k=3, sample_rate=16000)
        assert sum(tag.probability for tag in tags) == pytest.approx(1)
        log_probs, *_, label = stock.classify_batch(
            torch.from_numpy(samples)[None]
        )
        assert label == [tags[0].label]
        assert log_probs.exp().max() == pytest.approx(tags[0].probability)
    found = evaluate(tagger, folder / "prepared", "eval").metrics
    assert found["accuracy"] == pytest.approx(metrics["accuracy"])


@pytest.mark.slow
def test_two_processes_train_and_score_each_clip_once(words, tmp_path):
    options = {**OPTIONS, "number_of_epochs": 8, "data_folder": words}
    _, metrics = train(tmp_path / "run", processes=2, **options)
    _, again = train(tmp_path / "run", "--test_only", **options)
    for name in ("accuracy", "num_clips"):
        assert metrics[name] == again[name]
    assert metrics["accuracy"] > 0.5 and metrics["num_clips"] == 6


def test_a_wrong_number_of_classes_is_named(words, tmp_path):
    options = {**OPTIONS, "data_folder": words, "n_classes": 5}
    assert "5" in fail(tmp_path / "run", **options)
