"""Tests of the AudioSet recipe, run as its users run it.

Authors
 * The speechbrain_fftp authors 2026
"""

import re

import numpy as np
import pytest
import torch
from prepared_clips import read_clips, read_rows
from recipe_runs import fail, kill_after_checkpoint, save_encoder, train

from fftp_tag import AudioTagger, evaluate
from speechbrain.inference.classifiers import EncoderClassifier


def weights(folder):
    """The weights of a trained model."""
    return {
        name: torch.load(folder / "inference" / f"{name}.ckpt")
        for name in ("embedding_model", "classifier")
    }


def assert_same_weights(folder, other):
    for name, state in weights(folder).items():
        expected = weights(other)[name]
        assert all(torch.equal(state[key], expected[key]) for key in expected)


@pytest.fixture(scope="module")
def trained(data_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained") / "run"
    output, metrics = train(folder, data_folder=data_folder)
    return folder, output, metrics


def test_writes_results(trained):
    folder, output, metrics = trained
    assert metrics["num_clips"] == 8
    assert f"test mAP: {metrics['mAP']:.4e}" in output
    per_class = read_rows(folder / "per_class.csv")
    assert len(per_class) == metrics["num_classes_scored"]
    average = np.mean([float(row["AP"]) for row in per_class])
    assert average == pytest.approx(metrics["mAP"])
    truth = {
        row["ID"]: set(row["labels"].split(";"))
        for row in read_rows(folder / "prepared/eval.csv")
    }
    with np.load(folder / "probabilities.npz") as found:
        for clip, targets in zip(found["ids"], found["targets"]):
            assert truth[clip] == set(found["labels"][targets])
    best = max(re.findall(r"valid mAP: (\S+),", output), key=float)
    assert metrics["valid_mAP"] == pytest.approx(float(best), abs=1e-3)
    assert metrics["epochs"] == 2 and metrics["averaged_epochs"] == [1, 2]
    assert metrics["seed"] == 1234


def test_stock_speechbrain_loads_the_model(trained):
    """Its log-probabilities are those of the test clips."""
    folder, *_ = trained
    stock = EncoderClassifier.from_hparams(str(folder / "inference"))
    clips = read_clips(folder / "prepared")
    with np.load(folder / "probabilities.npz") as found:
        for clip, probs in zip(found["ids"], found["probs"]):
            wav = torch.from_numpy(clips[clip] / np.float32(32768))
            log_probs, _, index, label = stock.classify_batch(wav[None])
            np.testing.assert_allclose(log_probs[0].exp(), probs, atol=1e-4)
            assert label == [found["labels"][index]]


def test_second_start_trains_no_more(trained, data_folder):
    folder, _, metrics = trained
    output, again = train(folder, data_folder=data_folder)
    assert "Going into epoch" not in output
    assert again == metrics


def test_other_settings_are_refused(trained, data_folder):
    folder, _, metrics = trained
    files = [p for p in folder.rglob("*") if p.is_file()]
    before = {path: path.read_bytes() for path in files}
    message = fail(folder, data_folder=data_folder, lr=0.1)
    assert "lr" in message and "0.1" in message
    assert "debug" in fail(folder, "--debug", data_folder=data_folder)
    assert before == {path: path.read_bytes() for path in files}
    # Another number of workers changes nothing
    assert train(folder, data_folder=data_folder, num_workers=0)[1] == metrics


@pytest.fixture(scope="module")
def plain(trained, data_folder, tmp_path_factory):
    """Another folder and its metrics: one epoch on the same clips."""
    folder = tmp_path_factory.mktemp("plain") / "run"
    options = {"prepared_folder": trained[0] / "prepared", "export": True}
    options["number_of_epochs"] = 1
    return folder, train(folder, data_folder=data_folder, **options)[1]


def test_another_folder_may_share_the_prepared_clips(plain):
    folder, _ = plain
    assert not (folder / "prepared").exists()


def test_the_exported_model_has_the_measured_scores(plain, trained):
    folder, metrics = plain
    tagger = AudioTagger.from_pretrained(folder)
    found = evaluate(tagger, trained[0] / "prepared", "eval").metrics
    assert found["mAP"] == pytest.approx(metrics["mAP"])


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"ckpt_interval_steps": 2}, id="mid-epoch"),
        pytest.param(
            {"ckpt_interval_steps": 2, "class_balanced": True, "dropout": 0.1},
            id="balanced",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_killed_training_ends_as_an_unbroken_one(
    options, data_folder, tmp_path
):
    """Bit by bit: sampling, augmentation, mixup and masks included."""
    options = {
        **options,
        "data_folder": data_folder,
        "prepared_folder": tmp_path / "prepared",
        "number_of_epochs": 2,
    }
    _, unbroken = train(tmp_path / "unbroken", **options)

    killed = tmp_path / "killed"
    mid_epoch = "ckpt_interval_steps" in options
    kill_after_checkpoint(killed, mid_epoch=mid_epoch, **options)
    output, resumed = train(killed, **options)
    assert "Loading a checkpoint" in output
    assert "Going into epoch 1\n" not in output
    assert resumed == unbroken
    assert_same_weights(killed, tmp_path / "unbroken")


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(
            {
                "patch": [16, 16],
                "stride": [16, 16],
                "precision": "bf16",
                "grad_accumulation_factor": 3,
            },
            id="square",
        ),
        pytest.param({"hparams": "convnext_fftp.yaml"}, id="convnext"),
        pytest.param(
            {"hparams": "aum_fftp.yaml", "number_of_epochs": 1}, id="aum"
        ),
    ],
)
def test_other_models(options, data_folder, tmp_path):
    options = {"number_of_epochs": 1, "avg_checkpoints": 1, **options}
    _, metrics = train(tmp_path / "run", data_folder=data_folder, **options)
    assert 0 < metrics["mAP"] <= 1


def test_starts_from_pretrained_weights(data_folder, tmp_path):
    pretrained = save_encoder(tmp_path)
    train(
        tmp_path / "run",
        data_folder=data_folder,
        pretrained=pretrained,
        number_of_epochs=1,
        lr="0.000000000001",
    )
    found = weights(tmp_path / "run")["embedding_model"]
    for name, tensor in torch.load(pretrained).items():
        torch.testing.assert_close(found[name], tensor)


def test_custom_data(data_folder, tmp_path):
    """One folder per class; their number is found."""
    clips = sorted((data_folder / "audio").iterdir())
    for number, clip in enumerate(clips[:40]):
        name = ("Dog", "Cat", "Rain")[number % 3]
        path = tmp_path / "sounds" / name / clip.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(clip)
    _, metrics = train(
        tmp_path / "run", data_folder=tmp_path / "sounds", number_of_epochs=1
    )
    assert metrics["num_classes_scored"] <= 3
    labels = (tmp_path / "run/inference/label_encoder.txt").read_text()
    assert labels.startswith("'Cat' => 0\n'Dog' => 1\n'Rain' => 2\n")


@pytest.mark.parametrize(
    "options, named",
    [
        ({"data_folder": "no/such/folder"}, "no/such/folder"),
        ({"patch_frames": 2000}, "patch_frames"),
        ({"grad_accumulation_factor": 100}, "grad_accumulation_factor"),
    ],
)
def test_errors_name_what_is_wrong(options, named, data_folder, tmp_path):
    options = {"data_folder": data_folder, **options}
    assert named in fail(tmp_path / "run", **options)


def test_a_damaged_pack_is_named(plain, trained, data_folder):
    """After the preparation, and before the training."""
    pack = trained[0] / "prepared/wav/train-0000.wav"
    content = pack.read_bytes()
    options = {"data_folder": data_folder, "prepared_folder": pack.parents[1]}
    try:
        pack.write_bytes(content[:-10000])
        assert str(pack) in fail(plain[0].parent / "other", **options)
    finally:
        pack.write_bytes(content)
