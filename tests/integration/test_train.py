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
from recipe_runs import TINY, fail, train

from fftp_tag import AudioTagger, evaluate
from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.nnet.patching import SquarePatchEmbedding


def test_results_agree_with_each_other_and_with_the_exported_model(
    data_folder, tmp_path
):
    """Clips of 10 s are cut to 3 s."""
    folder = tmp_path / "run"
    output, metrics = train(
        folder,
        hparams="aum_fftp.yaml",
        data_folder=data_folder,
        max_seconds=3,
        max_frames=300,
        export=True,
    )
    assert metrics["num_clips"] == 8
    assert f"test mAP: {metrics['mAP']:.4e}" in output
    precisions = [float(x["AP"]) for x in read_rows(folder / "per_class.csv")]
    assert np.mean(precisions) == pytest.approx(metrics["mAP"])
    best = max(re.findall(r"valid mAP: (\S+),", output), key=float)
    assert metrics["valid_mAP"] == pytest.approx(float(best), abs=1e-3)
    assert metrics["epochs"] == 2 and metrics["averaged_epochs"] == [1, 2]
    truth = {
        row["ID"]: set(row["labels"].split(";"))
        for row in read_rows(folder / "prepared/eval.csv")
    }
    with np.load(folder / "probabilities.npz") as found:
        measured, labels = (
            dict(zip(found["ids"], found["probs"])),
            found["labels"],
        )
        for clip, targets in zip(found["ids"], found["targets"]):
            assert truth[clip] == set(labels[targets])

    tagger = AudioTagger.from_pretrained(folder)
    assert tagger.max_seconds == 3
    scored = evaluate(tagger, folder / "prepared", "eval")
    assert scored.metrics["mAP"] == pytest.approx(metrics["mAP"])
    assert scored.labels == list(labels)
    clips = read_clips(folder / "prepared")
    assert {len(clip) for clip in clips.values()} == {48000}
    for clip, probs in zip(scored.ids, scored.probs):
        np.testing.assert_allclose(probs, measured[clip], atol=1e-4)
        tags = tagger.tag_file(clips[clip], sample_rate=16000, threshold=0)
        found = {tag.label: tag.probability for tag in tags}
        assert found == pytest.approx(dict(zip(labels, probs)), abs=1e-4)


def test_a_training_belongs_to_its_data(tmp_path):
    """One folder per class; it starts from pretrained square patches.

    Also after its prepared folder was deleted, as a message says.
    """
    data, run = tmp_path / "data", tmp_path / "run"
    write_class_folders(data)
    embedding = SquarePatchEmbedding(128, TINY["embed_dim"], 16, 16)
    encoder = AST(
        embed_dim=TINY["embed_dim"],
        depth=1,
        num_heads=1,
        embedding=embedding,
        max_frames=1000,
    )
    torch.save(encoder.state_dict(), tmp_path / "embedding_model.ckpt")
    options = {
        "data_folder": data,
        "pretrained": tmp_path / "embedding_model.ckpt",
        "patch": [16, 16],
        "stride": [16, 16],
        "grad_accumulation_factor": 3,
        "number_of_epochs": 1,
        "lr": "0.000000000001",
        "export": True,
    }
    train(run, **options)
    labels = (run / "inference" / "label_encoder.txt").read_text()
    assert labels.startswith("'cat' => 0\n'dog' => 1\n")
    found = torch.load(run / "inference" / "embedding_model.ckpt")
    torch.testing.assert_close(found, encoder.state_dict())

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
    (data / "cat" / "new.wav").unlink()
    shutil.rmtree(run / "prepared")

    # A test writes its own files, and leaves the training's as they are
    files = {path.name for path in run.iterdir()}
    options["batch_size"] = 3
    _, metrics = train(run, "--test_only", **options)
    assert metrics["batch_size"] == 3 and "waiting" not in metrics
    assert (run / "metrics.json").read_bytes() == before
    names = {"metrics.json", "per_class.csv"}
    names |= {"predictions.csv", "probabilities.npz"}
    assert {path.name for path in (run / "test").iterdir()} == names
    found = {path.name for path in run.iterdir()}
    assert found == files | {"prepared", "test"}
