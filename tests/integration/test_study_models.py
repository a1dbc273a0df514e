"""Tests of runs of the study that take the models of others.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import pytest
import soundfile
import torch
from study_runs import run_study

pytestmark = pytest.mark.slow

WORDS = {"yes": 400, "no": 1600, "up": 900}
TINY = {
    "task": "folders",
    "batch_size": 8,
    "lr": 0.003,
    "mixup_prob": 0.0,
    "mask_budget": 0.0,
    "n_mels": 48,
    "embed_dim": 64,
    "depth": 1,
    "num_heads": 1,
    "patch_frames": 16,
}
PLAN = {
    "recipe": "recipes/SpeechCommands/train.py",
    "prepare": "recipes/SpeechCommands/speechcommands_prepare.py",
    "base": "hparams/speechcommands/ast_fftp.yaml",
    "metric": "accuracy",
    "seconds": 1.0,
    "n_classes": 2,
    "margin": 1.0,
    "groups": "speakers",
    "start_seconds": 6,
    "data": {
        "one": {"words": ["yes", "up"]},
        "two": {"words": ["yes", "no"], "clips": 5},
    },
    "options": TINY,
    "models": {
        name: {
            "yaml": f"hparams/speechcommands/ast_{name}.yaml",
            "epochs": 1,
            "epoch_seconds": 1,
            "options": {"stride_frames": stride},
        }
        for name, stride in (("fftp", 8), ("square", 16))
    },
}
USES = {"pretrained": "source"}, {"blocks": "source"}, {"teacher": "weights"}
ROWS = [
    {"label": "source", "model": "square", "data": "one"},
    {"label": "weights", "model": "fftp", "data": "two", "uses": USES[0]},
    {"label": "blocks", "model": "fftp", "data": "two", "uses": USES[1]},
    {
        "label": "taught",
        "model": "fftp",
        "data": "two",
        "uses": USES[2],
        "options": {"strides": [8, 16]},
    },
] + [
    {
        "label": f"stride {stride}",
        "model": "fftp",
        "data": "two",
        "uses": {"model": "taught"},
        "options": {"strides": [8, 16], "stride_frames": stride},
    }
    for stride in (8, 16)
]


@pytest.fixture(scope="module")
def studied(tmp_path_factory):
    """The study, its runs by label and the rows that they gave."""
    folder = tmp_path_factory.mktemp("study")
    rng = np.random.default_rng(0)
    for word, pitch in WORDS.items():
        (folder / "data" / word).mkdir(parents=True)
        for i in range(30):
            wave = np.sin(2 * np.pi * pitch / 16000 * np.arange(8000))
            wave = 0.3 * wave + 0.02 * rng.standard_normal(8000)
            name = f"{i // 2:08x}_nohash_{i % 2}.wav"
            soundfile.write(folder / "data" / word / name, wave, 16000)
    for name in ("validation_list.txt", "testing_list.txt"):
        (folder / "data" / name).write_text("", "utf-8")
    rows = [{"epochs": 1, **row} for row in ROWS]
    table = {"title": "Models", "folds": 1, "target": "blocks", "rows": rows}
    plan = {**PLAN, "tables": {"all": table}}
    with run_study(folder, plan) as (study, runs, rows):
        from study.report import Report

        yield study, runs, rows, Report(study.results)


def weights(study, run):
    path = study.folder(run) / "inference" / "embedding_model.ckpt"
    return torch.load(path, weights_only=True)


def test_subsets_have_their_words_and_clips(studied):
    study, runs, rows, _ = studied
    for label, words, count in (("source", 2, 48), ("weights", 2, 10)):
        assert rows[label]["clips"]["train"] <= count
        with np.load(
            study.results.path.with_suffix("") / f"{rows[label]['run']}.npz"
        ) as found:
            assert found["targets"].shape[1] == words
    assert rows["weights"]["clips"]["train"] == 10
    names = {
        path.name for path in study.data(runs["weights"], "folds").iterdir()
    }
    assert {"yes", "no"} < names and "up" not in names


def test_weights_come_from_the_other_run(studied):
    study, runs, _, _ = studied
    source = weights(study, runs["source"])
    blocks = torch.load(study.folder(runs["blocks"]) / "blocks.ckpt")
    for name, value in source.items():
        if name.startswith("blocks"):
            assert torch.equal(blocks[name], value)
    kernel = blocks["embedding.proj.weight"]
    assert kernel.shape[2:] == (48, 16)  # full-frequency
    assert kernel.std() > 0.001
    for label, source in (
        ("weights", study.folder(runs["source"]) / "inference"),
        ("blocks", study.folder(runs["blocks"]) / "blocks.ckpt"),
        ("taught", study.folder(runs["weights"]) / "inference"),
    ):
        hparams = study.folder(runs[label]) / "hyperparams.yaml"
        assert str(source) in hparams.read_text("utf-8")


def test_a_model_is_scored_at_another_stride(studied):
    study, runs, rows, _ = studied
    scores = {name: study.results.scores(runs[name]).probs for name in rows}
    # In half precision, at its own stride as in its own run
    np.testing.assert_allclose(scores["stride 8"], scores["taught"], atol=1e-3)
    assert np.abs(scores["stride 16"] - scores["stride 8"]).max() > 1e-3
    assert rows["stride 16"]["macs"] < rows["stride 8"]["macs"]
    assert rows["stride 16"]["trained"] == rows["taught"]["run"]
    training = {
        rows[n]["training_macs"] for n in ("taught", "stride 8", "stride 16")
    }
    mean = (rows["stride 8"]["macs"] + rows["stride 16"]["macs"]) / 2
    assert training == {3 * mean * 10}


def test_models_are_trained_again_where_they_are_missing(studied):
    study, runs, _, _ = studied
    assert all(study.is_done(run) for run in runs.values())
    folder = study.folder(runs["source"]) / "inference"
    folder.rename(folder.with_name("elsewhere"))
    assert not study.is_done(runs["source"])
    folder.with_name("elsewhere").rename(folder)


def test_epochs_until_a_target_are_reported(studied):
    _, _, rows, report = studied
    lines = report.lines("all")
    start = lines.index(
        "Epochs until the last validation score of blocks, in each fold that "
        "reaches it:"
    )
    assert "* blocks: 1, of 1 folds" in lines[start:]
    reached = rows["weights"]["valid"] >= rows["blocks"]["valid"]
    text = "1" if reached else "none"
    assert f"* weights: {text}, of 1 folds" in lines[start:]
