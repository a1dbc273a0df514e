"""Tests of the AudioSet recipe, run as its users run it.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import os
import shutil
import signal
import subprocess
import time

import pytest
import yaml
from recipe_runs import command, fail, save_encoder, train
from tensorboard.backend.event_processing.event_accumulator import (
    EventAccumulator,
)


@pytest.fixture(scope="module")
def trained(data_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained") / "run"
    output, metrics = train(folder, data_folder=data_folder)
    return folder, output, metrics


def test_ends_with_table_metrics_and_pictures(trained):
    folder, output, metrics = trained
    assert metrics["num_clips"] == 8
    assert 0 < metrics["num_classes_scored"] <= 14
    assert f"mAP      {metrics['mAP']:.4f}" in output
    per_class = (folder / "per_class.csv").read_text().splitlines()
    assert len(per_class) == 1 + metrics["num_classes_scored"]
    average = sum(float(row.split(",")[-2]) for row in per_class[1:])
    assert average / (len(per_class) - 1) == pytest.approx(metrics["mAP"])
    with open(folder / "predictions.csv", encoding="utf-8", newline="") as file:
        said = {row["ID"]: row["labels"] for row in csv.DictReader(file)}
    with open(folder / "prepared/eval.csv", encoding="utf-8") as file:
        truth = {row["ID"]: row["labels"] for row in csv.DictReader(file)}
    split = {clip: set(labels.split(";")) for clip, labels in said.items()}
    assert split == {clip: set(row.split(";")) for clip, row in truth.items()}

    events = EventAccumulator(str(folder / "tensorboard"))
    tags = events.Reload().Tags()
    assert {"loss/step", "lr/step", "mAP/valid"} <= set(tags["scalars"])
    assert [event.step for event in events.Scalars("loss/step")] == list(
        range(1, 13)
    )
    assert events.Scalars("lr/step")[0].value == pytest.approx(0.001)
    assert events.Scalars("lr/step")[-1].value == 0.0
    assert tags["images"] == ["spectrogram/masked_above_plain"]
    assert set(tags["tensors"]) == {
        "predictions/text_summary",
        "classes/text_summary",
    }
    with open(folder / "history.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    for tag, column in (
        ("AUC/valid", "valid_AUC"),
        ("d_prime/valid", "valid_d_prime"),
        ("loss/train", "train_loss"),
        ("grad_norm/train", "train_grad_norm"),
        ("clips_per_second/train", "train_clips_per_second"),
    ):
        drawn = [event.value for event in events.Scalars(tag)]
        assert drawn == pytest.approx([float(row[column]) for row in rows])
    for name in ("mAP", "AUC", "d_prime", "loss"):
        (event,) = events.Scalars(f"{name}/test")
        assert event.value == pytest.approx(metrics[name])
    for name in ("micro_F1", "macro_F1"):
        (event,) = events.Scalars(f"{name}/test")
        assert event.value == pytest.approx(metrics[name])
    best = max(rows, key=lambda row: float(row["valid_mAP"]))
    assert metrics["valid_mAP"] == float(best["valid_mAP"])
    assert metrics["epochs"] == 2 and metrics["averaged_epochs"] == [1, 2]


def test_exported_model_loads_and_tags(trained, data_folder, capsys, tmp_path):
    from speechbrain.inference.classifiers import EncoderClassifier
    from speechbrain_fftp.cli import main as cli
    from speechbrain_fftp.inference import AudioTagger

    model = str(shutil.copytree(trained[0] / "inference", tmp_path / "moved"))
    clip = str(next((data_folder / "audio").iterdir()))
    tags = AudioTagger.from_hparams(source=model).tag_file(clip, top_k=14)
    classifier = EncoderClassifier.from_hparams(source=model)
    logits, _, index, label = classifier.classify_file(clip)
    assert label == [tags[0].label]
    assert logits.sigmoid().max().item() == pytest.approx(
        tags[0].probability, abs=1e-6
    )
    assert cli.main([clip, "--model", model, "--top-k", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == clip
    assert lines[1].split(maxsplit=1)[1] == tags[0].label
    assert len(lines) == 3


def test_thresholds_are_learned_on_validation_clips(trained, capsys, tmp_path):
    """Those of fftp-tag calibrate, of the same clips and probabilities."""
    from speechbrain_fftp.cli import main as cli
    from speechbrain_fftp.inference import AudioTagger

    folder, output, metrics = trained
    model = shutil.copytree(folder / "inference", tmp_path / "model")
    tagger = AudioTagger.from_pretrained(model)
    found = tagger.evaluate(folder / "prepared", "eval")
    for name in ("micro", "macro"):
        value = metrics[f"{name}_F1"]
        assert f"{name} F1 {value:.4f}  (threshold per class)" in output
        assert found.metrics[f"{name}_F1"] == pytest.approx(value)
    assert metrics["threshold"] == found.metrics["threshold"] == "per class"
    (model / "thresholds.csv").unlink()
    words = ["--model", str(model), "--data_folder", str(folder / "prepared")]
    assert cli.main(["calibrate", *words]) == 0
    again = AudioTagger.from_pretrained(model).thresholds
    assert again.tolist() == pytest.approx(tagger.thresholds.tolist(), abs=1e-4)


def test_second_start_trains_no_more(trained, data_folder):
    folder, _, metrics = trained
    learned = folder / "inference" / "thresholds.csv"
    before = learned.read_text("utf-8")
    output, again = train(folder, data_folder=data_folder)
    assert "Going into epoch" not in output
    assert again == metrics
    assert learned.read_text("utf-8") == before


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"ckpt_interval_steps": 2}, id="mid-epoch"),
        pytest.param(
            {
                "ckpt_interval_steps": 2,
                "format": "webdataset",
                "class_balanced": True,
                "num_workers": 2,
            },
            id="shards",
        ),
        pytest.param(
            {"ckpt_interval_minutes": 0},
            id="end-of-epoch",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {
                "ckpt_interval_steps": 2,
                "class_balanced": True,
                "grad_accumulation_factor": 2,
                "dropout": 0.1,
                "num_workers": 0,
            },
            id="balanced-accumulated",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {
                "ckpt_interval_steps": 2,
                "frozen_epochs": 2,
                "weight_decay": 0.1,
            },
            id="frozen",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {"ckpt_interval_steps": 2, "dynamic_batching": True},
            id="by-length",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_killed_training_ends_as_an_unbroken_one(
    options, data_folder, tmp_path
):
    """Killed in mid-epoch: same metrics, sampling and augmentation included."""
    options = {
        **options,
        "data_folder": data_folder,
        "prepared_folder": tmp_path / "prepared",
        "number_of_epochs": 3,
    }
    if "frozen_epochs" in options:
        options["pretrained"] = save_encoder(tmp_path)
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
    mid_epoch = "ckpt_interval_steps" in options
    while not saved(killed / "save", mid_epoch, epoch=2 if mid_epoch else 1):
        assert process.poll() is None and time.time() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()

    output, resumed = train(killed, **options)
    assert "Loading a checkpoint" in output
    assert "Going into epoch 1\n" not in output
    for key in ("mAP", "AUC", "loss"):
        assert resumed[key] == pytest.approx(unbroken[key], abs=1e-3)
    same_logs(killed, tmp_path / "unbroken")


def same_logs(folder, other):
    """Logs of a resumed run: one line an epoch, one value a step."""
    tables = []
    for run in (folder, other):
        with open(run / "history.csv", encoding="utf-8", newline="") as file:
            tables.append(list(csv.DictReader(file)))
        lines = (run / "train_log.txt").read_text().splitlines()
        starts = ["epoch: 1 - train", "epoch: 2 - train", "epoch: 3 - train"]
        assert [line[:16] for line in lines] == [*starts, "epoch: 3 - test "]
    assert len(tables[0]) == len(tables[1]) == 3
    for mine, unbroken in zip(*tables):
        assert float(mine["seconds"]) > 0
        for key in set(mine) - {"seconds", "train_clips_per_second"}:
            value = pytest.approx(float(unbroken[key]), abs=1e-3)
            assert float(mine[key]) == value
    curves = []
    for run in (folder, other):
        events = EventAccumulator(str(run / "tensorboard")).Reload()
        curves.append([event.step for event in events.Scalars("loss/step")])
    assert curves[0] == curves[1] == sorted(set(curves[0]))


def saved(save_folder, mid_epoch, epoch):
    """Whether there is a checkpoint within, or at the end of, an epoch."""
    for meta in save_folder.glob("CKPT+*/CKPT.yaml"):
        try:
            end_of_epoch = yaml.safe_load(meta.read_text())["end-of-epoch"]
            counter = int((meta.parent / "epoch_counter.ckpt").read_text())
            if end_of_epoch != mid_epoch and counter == epoch:
                return True
        except FileNotFoundError:  # just deleted in favour of a newer one
            continue
    return False


def test_square_patches_bf16_and_accumulation(data_folder, tmp_path):
    options = {
        "hparams": "ast_square.yaml",
        "data_folder": data_folder,
        "patch_frames": 16,
        "stride_frames": 16,
        "precision": "bf16",
        "grad_accumulation_factor": 3,
        "number_of_epochs": 1,
        "avg_checkpoints": 1,
    }
    _, metrics = train(tmp_path / "run", **options)
    assert 0 < metrics["mAP"] <= 1
    log = (tmp_path / "run" / "train_log.txt").read_text()
    assert "nan" not in log


def test_without_data_folder_trains_on_the_demo_set(tmp_path):
    output, metrics = train(tmp_path / "run", "--debug", **{"n_classes": 14})
    assert "SYNTHETIC" in output
    assert "Evaluation on synthetic demo set" in output
    assert metrics["data"] == "synthetic demo set"
    assert (tmp_path / "run" / "demo_data" / "events.csv").is_file()
    assert not (tmp_path / "run" / "inference").exists()


def test_missing_data_folder(tmp_path):
    message = fail(tmp_path / "run", data_folder="no/such/folder")
    assert "no/such/folder does not exist" in message


def test_wrong_number_of_classes(data_folder, tmp_path):
    message = fail(tmp_path / "run", data_folder=data_folder, n_classes=527)
    assert "pass --n_classes 14" in message


def test_patch_longer_than_the_clips(data_folder, tmp_path):
    message = fail(tmp_path / "run", data_folder=data_folder, patch_frames=1025)
    assert "1025 frames" in message and "max_frames=1024" in message


def test_evaluating_without_a_checkpoint(data_folder, tmp_path):
    message = fail(tmp_path / "run", "--test_only", data_folder=data_folder)
    assert "train first" in message


def test_model_of_another_size(trained, data_folder):
    folder, _, metrics = trained
    message = fail(
        folder, data_folder=data_folder, embed_dim=128, number_of_epochs=3
    )
    assert "embed_dim: 64 -> 128" in message
    output, again = train(folder, data_folder=data_folder)
    assert again == metrics


def test_split_in_which_nothing_can_be_scored(data_folder, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("audio", "class_labels_indices.csv", "eval_segments.csv"):
        (folder / name).symlink_to(data_folder / name)
    for name in ("balanced_train_segments.csv", "valid_segments.csv"):
        lines = (data_folder / name).read_text().splitlines(keepends=True)
        keep = 3 if name.startswith("valid") else len(lines)
        (folder / name).write_text("".join(lines[:keep]))
    message = fail(tmp_path / "run", data_folder=folder)
    assert "valid.csv" in message and "nothing to score" in message
