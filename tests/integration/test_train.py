"""Tests of the AudioSet recipe, run as its users run it.

Authors
 * The speechbrain_fftp authors 2026
"""

import re
import shutil

import numpy as np
import pytest
import torch
from data_folders import write_class_folders, write_sound
from prepared_clips import read_clips, read_rows
from recipe_runs import ROOT, TINY, fail, run_words, train

from fftp_tag import AudioTagger, evaluate
from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.nnet.patching import SquarePatchEmbedding


@pytest.fixture(scope="module")
def trained(data_folder, tmp_path_factory):
    """Clips of 10 s are cut to 3 s."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    output, metrics = train(
        folder,
        hparams="aum_fftp.yaml",
        data_folder=data_folder,
        max_seconds=3,
        max_frames=300,
        export=True,
    )
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


def test_the_exported_model_has_the_measured_scores(trained):
    folder, _, metrics = trained
    tagger = AudioTagger.from_pretrained(folder)
    assert tagger.max_seconds == 3
    scored = evaluate(tagger, folder / "prepared", "eval")
    assert scored.metrics["mAP"] == pytest.approx(metrics["mAP"])
    clips = read_clips(folder / "prepared")
    assert {len(clip) for clip in clips.values()} == {48000}
    with np.load(folder / "probabilities.npz") as measured:
        of_clip = dict(zip(measured["ids"], measured["probs"]))
        labels = list(measured["labels"])
    assert scored.labels == labels
    for clip, probs in zip(scored.ids, scored.probs):
        np.testing.assert_allclose(probs, of_clip[clip], atol=1e-4)
        tags = tagger.tag_file(
            clips[clip], top_k=3, sample_rate=16000, threshold=0
        )
        found = {tag.label: tag.probability for tag in tags}
        assert found == pytest.approx(dict(zip(labels, probs)), abs=1e-4)


def test_custom_data_and_pretrained_square_patches(data_folder, tmp_path):
    """One folder per class; their number is found."""
    clips = sorted((data_folder / "audio").iterdir())
    for number, clip in enumerate(clips[:40]):
        name = ("Dog", "Cat", "Rain")[number % 3]
        path = tmp_path / "sounds" / name / clip.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(clip)
    embedding = SquarePatchEmbedding(128, TINY["embed_dim"], 16, 16)
    encoder = AST(
        embed_dim=TINY["embed_dim"],
        depth=1,
        num_heads=1,
        embedding=embedding,
        max_frames=1000,
    )
    pretrained = tmp_path / "embedding_model.ckpt"
    torch.save(encoder.state_dict(), pretrained)
    _, metrics = train(
        tmp_path / "run",
        data_folder=tmp_path / "sounds",
        pretrained=pretrained,
        patch=[16, 16],
        stride=[16, 16],
        grad_accumulation_factor=3,
        number_of_epochs=1,
        lr="0.000000000001",
        export=True,
    )
    assert metrics["num_classes_scored"] <= 3
    inference = tmp_path / "run" / "inference"
    labels = (inference / "label_encoder.txt").read_text()
    assert labels.startswith("'Cat' => 0\n'Dog' => 1\n'Rain' => 2\n")
    found = torch.load(inference / "embedding_model.ckpt")
    torch.testing.assert_close(found, encoder.state_dict())


def test_a_training_belongs_to_its_data(tmp_path):
    """Also after its prepared folder was deleted, as a message says."""
    data, run = tmp_path / "data", tmp_path / "run"
    write_class_folders(data)
    options = {
        "data_folder": data,
        "patch_frames": 10,
        "stride_frames": 10,
        "number_of_epochs": 1,
    }
    train(run, **options)
    before = (run / "metrics.json").read_bytes()
    (data / "cat").rename(data / "zcat")
    assert "output_folder" in fail(run, **options)
    shutil.rmtree(run / "prepared")
    for flags in ((), ("--test_only",)):
        line = fail(run, *flags, **options)
        assert str(run) in line and "-cat, +zcat" in line
    (data / "zcat").rename(data / "cat")
    write_sound(data / "cat" / "new.wav", 99)
    elsewhere = {**options, "prepared_folder": tmp_path / "prepared"}
    assert "clips" in fail(run, "--test_only", **elsewhere)
    assert (run / "metrics.json").read_bytes() == before
    (data / "cat" / "new.wav").unlink()
    shutil.rmtree(run / "prepared")
    # A test writes its own files, and leaves the training's as they are
    files = {path.name for path in run.iterdir()} - {"prepared"}
    options["batch_size"] = 3
    _, metrics = train(run, "--test_only", **options, export=True)
    assert metrics["batch_size"] == 3 and "waiting" not in metrics
    assert (run / "metrics.json").read_bytes() == before
    names = {"metrics.json", "per_class.csv"}
    names |= {"predictions.csv", "probabilities.npz"}
    assert {path.name for path in (run / "test").iterdir()} == names
    found = {path.name for path in run.iterdir()} - {"prepared", "test"}
    assert found == files


def test_modules_beside_the_yaml_are_found(tmp_path):
    (tmp_path / "my_sounds.py").write_text(
        "def stop():\n    raise SystemExit('called my module')\n", "utf-8"
    )
    path = tmp_path / "own.yaml"
    text = f"output_folder: {tmp_path}/run\nstop: !apply:my_sounds.stop\n"
    path.write_text(text, "utf-8")
    script = ROOT / "recipes" / "AudioSet" / "train.py"
    _, output = run_words([str(script), str(path)], ROOT)
    assert "called my module" in output
