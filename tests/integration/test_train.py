"""Tests of the AudioSet recipe, run as its users run it.

Authors
 * The speechbrain_fftp authors 2026
"""

import shutil

import torch
from data_folders import write_class_folders
from recipe_runs import TINY, fail, train

from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.nnet.patching import SquarePatchEmbedding


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
    log, _ = train(run, **options)
    assert "embedding_model.ckpt: 0.1 M weights" in log
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
    shutil.rmtree(run / "prepared")

    # A test writes its own files, and leaves the training's as they are
    files = {path.name for path in run.iterdir()}
    options["batch_size"] = 3
    _, metrics = train(run, "--test_only", **options)
    assert metrics["batch_size"] == 3 and "waiting" not in metrics
    assert (run / "metrics.json").read_bytes() == before
    found = {path.name for path in run.iterdir()}
    assert found == files | {"prepared", "test"}
