"""Tests of the Speech Commands recipe, run as its users run it.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import os
import shutil
import signal
import subprocess
import time

import numpy as np
import pytest
import soundfile
import torch
from recipe_runs import command, fail, train

from speechbrain.inference.classifiers import EncoderClassifier
from speechbrain_fftp.cli.main import main as fftp_tag
from speechbrain_fftp.datasets.synthetic.words import make_word_set
from speechbrain_fftp.inference import AudioTagger

OPTIONS = {
    "recipe": "SpeechCommands",
    "hparams": "speechcommands/ast_fftp.yaml",
    "n_classes": None,
    "task": 12,
    "patch_frames": 10,
    "stride_frames": 10,
    "batch_size": 16,
    "num_threads": 1,
}


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    """Synthetic words, with clips that are not as they should be."""
    folder = tmp_path_factory.mktemp("words") / "set"
    make_word_set(folder, num_speakers=8, num_takes=1)
    rng = np.random.default_rng(0)
    noise = 0.1 * rng.standard_normal((220500, 2))
    soundfile.write(folder / "yes" / "0a_nohash_0.wav", noise, 44100)
    soundfile.write(folder / "no" / "0a_nohash_0.wav", noise[:1600, 0], 16000)
    (folder / "up" / "0a_nohash_0.wav").write_bytes(b"")
    return folder


@pytest.fixture(scope="module")
def trained(words, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained") / "run"
    output, metrics = train(folder, data_folder=words, **OPTIONS)
    return folder, output, metrics


def clips(folder, split):
    with open(folder / "prepared" / f"{split}.csv", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_results_agree_with_each_other(trained):
    folder, output, metrics = trained
    with open(folder / "confusion.csv", encoding="utf-8") as file:
        (_, *labels), *rows = csv.reader(file)
    counts = np.array([row[1:] for row in rows], dtype=int)
    assert [row[0] for row in rows] == labels
    assert len(labels) == 12
    assert counts.sum() == metrics["num_clips"] == len(clips(folder, "test"))
    assert metrics["accuracy"] == pytest.approx(counts.trace() / counts.sum())
    assert f"accuracy {metrics['accuracy']:.4f} of" in output
    with open(folder / "per_class.csv", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert [int(row["clips"]) for row in table] == counts.sum(1).tolist()
    with open(folder / "predictions.csv", encoding="utf-8") as file:
        said = {row["ID"]: row for row in csv.DictReader(file)}
    truth = {row["ID"]: row["label"] for row in clips(folder, "test")}
    assert {clip: row["labels"] for clip, row in said.items()} == truth
    hits = sum(row["tag_1"] == row["labels"] for row in said.values())
    assert hits == counts.trace()
    assert (folder / "confusion.png").stat().st_size > 5000
    assert "0a_nohash_0.wav" in (folder / "prepared/skipped.csv").read_text()


def test_exported_model_gives_the_measured_accuracy(trained, words):
    folder, _, metrics = trained
    model = str(folder / "inference")
    tagger = AudioTagger.from_pretrained(model)
    stock = EncoderClassifier.from_hparams(model)
    hits, rows = 0, clips(folder, "test")
    for row in rows:
        path = row["wav"].replace("$data_folder", str(words))
        path = path.replace("$data_root", str(folder / "prepared"))
        wav = tagger.load_wav(path)
        probs = tagger.tag_batch(wav)[0]
        assert probs.sum().item() == pytest.approx(1)
        assert stock.classify_batch(wav[None])[3] == [
            tagger.labels[probs.argmax()]
        ]
        assert tagger.tag_file(path)[0].label == tagger.labels[probs.argmax()]
        hits += tagger.labels[probs.argmax()] == row["label"]
    assert hits / len(rows) == pytest.approx(metrics["accuracy"])


def test_short_clip_counts_its_own_length_only(trained, words):
    """Embedded with a clip of a second, 0.1 s is what it is alone."""
    folder, _, _ = trained
    tagger = AudioTagger.from_pretrained(str(folder / "inference"))
    short = tagger.load_wav(str(words / "no" / "0a_nohash_0.wav"))
    assert len(short) == 1600
    batch = torch.nn.functional.pad(short, (0, 14400))
    batch = torch.stack([batch, torch.randn(16000)])
    # 8 frames are less than a patch: alone, zeros fill it up.
    alone = tagger.tag_batch(short[None])
    together = tagger.tag_batch(batch, torch.tensor([0.1, 1.0]))[:1]
    assert torch.isfinite(together).all()
    torch.testing.assert_close(alone.sum(1), together.sum(1))


@pytest.mark.parametrize("stored", [False, True])
def test_student_learns_what_its_teacher_thinks(
    stored, trained, words, tmp_path
):
    """The loss is the teacher's alone, so that labels cannot help."""
    source = trained[0] / "inference"
    if stored:
        out = str(tmp_path / "taught")
        args = ["evaluate", "--model", str(source), "--split", "train"]
        prepared = str(trained[0] / "prepared")
        assert (
            fftp_tag([*args, "--data_folder", prepared, "--output", out]) == 0
        )
        source = tmp_path / "taught" / "probabilities.npz"
    folder = tmp_path / "student"
    more = {"teacher": source, "distill_weight": 1.0, "seed": 5}
    train(folder, data_folder=words, **{**OPTIONS, **more, "lr": 0.003})
    with open(folder / "history.csv", encoding="utf-8") as file:
        losses = [float(row["train_loss"]) for row in csv.DictReader(file)]
    assert losses[-1] < 0.5 * losses[0]
    # Uniform guesses are this far from the teacher.
    with np.load(trained[0] / "probabilities.npz") as found:
        theirs = found["probs"]
    with np.load(folder / "probabilities.npz") as found:
        ours = found["probs"]
    uniform = np.full_like(theirs, 1 / theirs.shape[1])
    assert np.abs(ours - theirs).mean() < np.abs(uniform - theirs).mean()


@pytest.mark.slow
def test_killed_training_ends_as_an_unbroken_one(words, tmp_path):
    """Killed in mid-epoch; noise, shifts, speeds and masks included."""
    options = {
        **OPTIONS,
        "data_folder": words,
        "prepared_folder": tmp_path / "prepared",
        "ckpt_interval_steps": 2,
        "number_of_epochs": 3,
    }
    _, unbroken = train(tmp_path / "unbroken", **options)
    killed = tmp_path / "killed"
    process = subprocess.Popen(
        command(killed, **options),
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.time() + 120
    while not any((killed / "save").glob("CKPT+*/CKPT.yaml")):
        assert process.poll() is None and time.time() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    _, metrics = train(killed, **options)
    assert metrics["loss"] == pytest.approx(unbroken["loss"], abs=1e-3)
    assert metrics["accuracy"] == unbroken["accuracy"]


def test_demo_needs_nothing(tmp_path):
    options = {**OPTIONS, "task": None, "number_of_epochs": 1, "depth": 1}
    output, metrics = train(tmp_path / "run", **options)
    assert "SYNTHETIC" in output
    assert metrics["data"] == "synthetic demo set"
    assert metrics["num_clips"] > 50


@pytest.mark.parametrize(
    "hparams",
    [
        "ast_square.yaml",
        "aum_fftp.yaml",
        "aum_square.yaml",
        "convnext_fftp.yaml",
    ],
)
def test_each_yaml_trains_on_custom_words(hparams, words, tmp_path):
    folder = tmp_path / "own"
    for word in ("yes", "no", "cat"):
        shutil.copytree(words / word, folder / word)
    options = {
        **OPTIONS,
        "hparams": f"speechcommands/{hparams}",
        "task": "folders",
        "number_of_epochs": 1,
    }
    if "square" in hparams:
        options.update(patch_frames=16, stride_frames=16)
    # Without lists the hash decides, which leaves none of so few to test.
    lists = ("validation_list.txt", "testing_list.txt")
    for name in lists:
        shutil.copy(words / name, folder / name)
    output, metrics = train(tmp_path / "run", data_folder=folder, **options)
    assert "adding white noise instead" in output
    assert 0 <= metrics["accuracy"] <= 1


@pytest.mark.parametrize(
    "options, message",
    [
        ({"n_classes": 5}, "12 classes, but n_classes is 5: pass --n_classes"),
        ({"task": 13}, "task is '13', not one of 12, 35, folders"),
        ({"task": 35}, "has no folder backward, bird"),
        ({"data_folder": "nowhere"}, "data_folder nowhere is neither"),
        ({"patch_frames": 200}, "patch"),
    ],
)
def test_errors_say_what_to_do(options, message, words, tmp_path):
    options = {**OPTIONS, "data_folder": words, **options}
    assert message in fail(tmp_path / "run", **options)
