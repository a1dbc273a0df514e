"""Tests of the AudioSet recipe, from lists and recordings to a trained tagger.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch

RECIPE = Path("recipes/AudioSet/Tagging")
SMALL = ["--embed_dim=64", "--depth=1", "--n_classes=2", "--num_workers=0"]
CLASSES = {"/m/09x0r": "Speech", "/m/096m7z": "Noise, static"}
BOTH = ",".join(CLASSES)


def write_list(path, clips):
    """Writes a list of segments."""
    rows = [f'{clip}, 0.000, 1.000, "{mids}"' for clip, mids in clips.items()]
    path.write_text("\n".join(["# YTID, start, end, labels", *rows, ""]))


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
    lists = {"balanced_train": {}, "eval": {}}
    for number in range(48):
        split = "eval" if number % 4 == 3 else "balanced_train"
        samples = 16000 - 1000 * (number % 5)
        wav = 0.1 * torch.randn(1, samples)
        if number % 3:
            wav += 0.3 * torch.sin(torch.arange(samples) * 0.2)
        clip = f"-clip{number:06d}"
        lists[split][clip] = ("/m/096m7z", "/m/09x0r", BOTH)[number % 3]
        name = f"Y{clip}.wav" if number % 5 else f"part/{clip}.flac"
        audio_io.save(folder / "audio" / name, wav, 16000)
    for split, clips in lists.items():
        write_list(folder / f"{split}_segments.csv", clips)
    return folder


def prepare(folder, **options):
    """Runs the preparation; returns the manifests."""
    module = runpy.run_path(str(RECIPE / "audioset_prepare.py"))
    prepared = folder / "prepared"
    module["prepare_audioset"](folder, prepared, valid_fraction=0.3, **options)
    manifests = []
    for name in ("train", "valid", "eval"):
        with open(prepared / f"{name}.csv", encoding="utf-8") as file:
            manifests.append(list(csv.DictReader(file)))
    return manifests


def test_manifests(audioset):
    train, valid, test = prepare(audioset)
    assert len(train) + len(valid) == 36 and len(test) == 12 and len(valid) > 5
    row = next(row for row in test if row["ID"] == "-clip000011")
    assert row["labels"] == "Speech;Noise, static"
    assert float(row["duration"]) == 15000 / 16000
    assert row["wav"] == "$data_root/wav/eval-0000.wav"


def test_clips_without_audio_are_left_out(audioset):
    lost, broken, *_ = sorted(audioset.rglob("*.wav"))
    lost.unlink()
    broken.write_bytes(b"no audio")
    ids = {row["ID"] for rows in prepare(audioset) for row in rows}
    assert len(ids) == 46
    assert not ids & {lost.stem[1:], broken.stem[1:]}


@pytest.mark.parametrize(
    "content, message",
    [
        ('-clip000000, 0.0, 1.0, "/m/unknown"\n', "/m/unknown"),
        ("-clip000000, 0.0\n", "eval_segments.csv, line 1"),
        ('missing, 0.0, 1.0, "/m/09x0r"\n', "1 of 1 eval clips"),
    ],
)
def test_errors(audioset, content, message):
    (audioset / "eval_segments.csv").write_text(content)
    with pytest.raises(ValueError, match=message):
        prepare(audioset)


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
    log = train(audioset, tmp_path / "first", "--valid_fraction=0.3")
    assert "valid mAP" in log and "test d_prime" in log
    averaged = tmp_path / "first" / "inference"
    first = torch.load(averaged / "embedding_model.ckpt")
    # With a learning rate of 0, a second training keeps its initial weights
    train(
        audioset,
        tmp_path / "second",
        *("--valid_fraction=0.3", f"--pretrained={averaged}"),
        *("--lr=0.0", "--weight_decay=0.0", "--max_frames=504"),
    )
    path = tmp_path / "second/inference/embedding_model.ckpt"
    second = torch.load(path)
    assert first.keys() == second.keys()
    table = first.pop("position.table")
    expected = torch.nn.functional.interpolate(
        table.transpose(1, 2), size=96, mode="linear"
    ).transpose(1, 2)
    torch.testing.assert_close(second.pop("position.table"), expected)
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name
