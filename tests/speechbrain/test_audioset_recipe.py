"""Tests of the AudioSet recipe, from lists and recordings to a trained tagger.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import subprocess
import sys
from pathlib import Path

import pytest
import torch

RECIPE = Path("recipes/AudioSet/Tagging")
SMALL = ["--embed_dim=64", "--depth=1", "--n_classes=2", "--num_workers=0"]
CLASSES = {"/m/09x0r": "Speech", "/m/096m7z": "Noise, static"}
BOTH = ",".join(CLASSES)


@pytest.fixture
def audioset(tmp_path):
    """A folder in AudioSet's format, with clips of tones and of noise."""
    from speechbrain.dataio import audio_io

    folder = tmp_path / "AudioSet"
    (folder / "audio" / "part").mkdir(parents=True)
    with open(folder / "class_labels_indices.csv", "w") as file:
        writer = csv.writer(file)
        writer.writerow(["index", "mid", "display_name"])
        writer.writerows([n, *row] for n, row in enumerate(CLASSES.items()))
    torch.manual_seed(0)
    lists = {"balanced_train": [], "eval": []}
    for number in range(48):
        samples = 16000 - 1000 * (number % 5)
        wav = 0.1 * torch.randn(1, samples)
        if number % 3:
            wav += 0.3 * torch.sin(torch.arange(samples) * 0.2)
        clip = f"-clip{number:06d}"
        mids = ("/m/096m7z", "/m/09x0r", BOTH)[number % 3]
        name = f"Y{clip}.wav" if number % 5 else f"part/{clip}.flac"
        audio_io.save(folder / "audio" / name, wav, 16000)
        split = "eval" if number % 4 == 3 else "balanced_train"
        lists[split].append(f'{clip}, 0.000, 1.000, "{mids}"\n')
    for split, lines in lists.items():
        (folder / f"{split}_segments.csv").write_text("".join(lines))
    return folder


def train(folder, out, *options):
    """Runs the command of the README for one epoch; returns the log."""
    command = [sys.executable, RECIPE / "train.py"]
    command += [RECIPE / "hparams" / "ast_fftp.yaml"]
    command += [f"--data_folder={folder}", f"--output_folder={out}"]
    command += ["--number_of_epochs=1", "--device=cpu", *SMALL, *options]
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-5000:]
    return (out / "train_log.txt").read_text(encoding="utf-8")


def test_training_and_initial_weights(audioset, tmp_path):
    lost, broken, *_ = sorted(audioset.rglob("*.wav"))  # of training clips
    lost.unlink()
    broken.write_bytes(b"no audio")
    log = train(audioset, tmp_path / "first", "--valid_fraction=0.3")
    assert "valid mAP" in log and "test d_prime" in log
    rows = {}
    for name in ("train", "valid", "eval"):
        path = tmp_path / "first" / "prepared" / f"{name}.csv"
        with open(path, encoding="utf-8") as file:
            rows.update((row["ID"], row) for row in csv.DictReader(file))
    assert len(rows) == 46
    row = rows["-clip000011"]
    assert row["labels"] == "Speech;Noise, static"
    assert float(row["duration"]) == 15000 / 16000
    assert row["wav"] == "$data_root/wav/eval-0000.wav"

    # With a learning rate of 0, a second training keeps its initial weights
    averaged = tmp_path / "first" / "inference"
    options = ("--lr=0.0", "--weight_decay=0.0", f"--pretrained={averaged}")
    train(audioset, tmp_path / "second", "--valid_fraction=0.3", *options)
    first = torch.load(averaged / "embedding_model.ckpt")
    path = tmp_path / "second" / "inference" / "embedding_model.ckpt"
    second = torch.load(path)
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name
