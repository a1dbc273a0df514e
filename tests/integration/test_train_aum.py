"""Tests of the AudioSet recipe with Audio Mamba, and of starting weights.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch
from recipe_runs import fail, train

from speechbrain.inference.classifiers import EncoderClassifier
from speechbrain_fftp.inference import AudioTagger


@pytest.fixture(scope="module")
def trained(data_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained") / "run"
    options = {"hparams": "aum_fftp.yaml", "data_folder": data_folder}
    output, metrics = train(folder, **options)
    return folder, options, metrics


def test_trains_and_exports_a_model_that_loads(trained, data_folder):
    folder, _, metrics = trained
    assert metrics["num_clips"] == 8 and 0 < metrics["mAP"] <= 1
    assert "nan" not in (folder / "train_log.txt").read_text()
    model = str(folder / "inference")
    clip = str(next((data_folder / "audio").iterdir()))
    tags = AudioTagger.from_hparams(source=model).tag_file(clip, top_k=14)
    classifier = EncoderClassifier.from_hparams(source=model)
    logits, _, _, label = classifier.classify_file(clip)
    assert label == [tags[0].label]
    best = logits.sigmoid().max().item()
    assert best == pytest.approx(tags[0].probability, abs=1e-6)


@pytest.mark.parametrize(
    "options",
    [
        {"bidirectional": "bi-bi", "patch_frames": 16, "stride_frames": 16},
        {"bidirectional": False, "hparams": "aum_fftp.yaml"},
    ],
    ids=["bi-bi-square", "forward-only"],
)
def test_other_forms(options, data_folder, tmp_path):
    options = {"hparams": "aum_square.yaml", **options}
    _, metrics = train(
        tmp_path / "run",
        data_folder=data_folder,
        precision="bf16",
        number_of_epochs=1,
        avg_checkpoints=1,
        **options,
    )
    assert 0 < metrics["mAP"] <= 1


def test_starts_from_a_trained_model(trained, tmp_path):
    folder, options, _ = trained
    # Nothing is learned: the weights stay what they started from.
    output, _ = train(
        tmp_path / "run",
        pretrained=folder / "inference",
        number_of_epochs=1,
        lr=1e-30,
        **options,
    )
    assert "tensors of the encoder from" in output
    states = [
        torch.load(run / "inference" / "embedding_model.ckpt")
        for run in (folder, tmp_path / "run")
    ]
    for name, value in states[0].items():
        torch.testing.assert_close(states[1][name], value)


def test_starting_weights_that_do_not_fit(trained, tmp_path):
    folder, options, _ = trained
    message = fail(
        tmp_path / "run", pretrained=folder / "inference", depth=2, **options
    )
    assert "embedding_model.ckpt" in message and "depth=2" in message
    message = fail(tmp_path / "run", pretrained="no/such.pth", **options)
    assert "no/such.pth" in message
