"""Tests of the export at the end of a training.

Authors
 * The speechbrain_fftp authors 2026
"""

import os
from types import SimpleNamespace

import pytest
import tiny_onnx
import torch
import yaml
from hyperpyyaml import load_hyperpyyaml

from fftp_tag.errors import InputError
from fftp_tag.learning.calibrate import write_rules
from fftp_tag.model.info import default_rules
from fftp_tag.model.session import Model
from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain_fftp.onnx.export import ExportError
from speechbrain_fftp.training import export

LABELS = list(tiny_onnx.PITCHES)
YAML = """
sample_rate: 16000
compute_features: &feats !new:speechbrain_fftp.lobes.features.KaldiFbank
    n_mels: 40
mean_var_norm: &norm !new:speechbrain_fftp.lobes.features.DatasetNormalization
embedding_model: &encoder !new:speechbrain_fftp.lobes.models.ConvNeXt1d.ConvNeXt1d
    n_mels: 40
    embed_dim: 16
    depth: 1
    embedding: !new:speechbrain_fftp.nnet.patching.FFTPEmbedding [40, 16, 10, 5]
classifier: &classifier !new:torch.nn.Linear [16, 3]
modules:
    compute_features: *feats
    mean_var_norm: *norm
    embedding_model: *encoder
    classifier: *classifier
checkpointer:
    recoverables:
        embedding_model: *encoder
        classifier: *classifier
"""


@pytest.fixture
def brain(tmp_path):
    """A small model after its training."""
    (tmp_path / "hyperparams.yaml").write_text(YAML)
    hparams = load_hyperpyyaml(YAML)
    labels = CategoricalEncoder()
    labels.update_from_iterable(LABELS)
    return SimpleNamespace(
        test_only=False,
        checkpointer=SimpleNamespace(**hparams["checkpointer"]),
        hparams=SimpleNamespace(
            modules=hparams["modules"],
            label_encoder=labels,
            sample_rate=16000,
            output_folder=tmp_path,
        ),
    )


@pytest.fixture
def after_training(brain, tmp_path, monkeypatch):
    """A function that ends a training; returns the steps that were taken.

    A step raises the error that is given for it.
    """
    clips = {"a": {"duration": "0.75"}, "b": {"duration": "1.5"}}
    datasets = {"train": SimpleNamespace(data=clips)}

    def after_training(**errors):
        steps = []

        def step(name):
            steps.append(name)
            if name in errors:
                raise errors[name]

        def export_onnx(path, modules, labels, **options):
            assert labels == LABELS
            assert options["max_seconds"] == 1.5  # of the longest clip
            assert options["note"] == "Two animals."
            step("export")
            tiny_onnx.write_model(path)

        def calibrate(path, output):
            step("calibrate")
            rules = default_rules(3).replace([0.25, 0.5, 0.75])
            write_rules(Model(path), output, rules)

        monkeypatch.setattr(export, "export_onnx", export_onnx)
        monkeypatch.setattr(
            export, "store_in_int8", lambda *args, **options: step("int8")
        )
        monkeypatch.setattr(export, "check_folder", lambda *args: step("check"))
        export.export_model(
            brain,
            datasets,
            folder=tmp_path / "inference",
            max_frames=1024,
            int8=True,
            note="Two animals.",
            calibrate=calibrate,
        )
        return steps

    return after_training


def test_failed_steps_are_warnings(after_training, tmp_path, caplog):
    """And what only an earlier training has does not stay."""
    folder = tmp_path / "inference"
    after_training()
    errors = InputError("only convolutions"), InputError("no clips")
    after_training(int8=errors[0], calibrate=errors[1])
    assert (folder / "model.onnx").is_file()
    assert not (folder / "thresholds.json").exists()
    (folder / "hyperparams.yaml").write_text("earlier")
    assert after_training(export=ExportError("no operator")) == [
        "export",
        "check",
    ]
    assert not list(tmp_path.rglob("*.onnx"))
    assert "earlier" not in (folder / "hyperparams.yaml").read_text()
    for reason in ("only convolutions", "no clips", "no operator"):
        assert reason in caplog.text


@pytest.mark.parametrize("step", ["calibrate", "check"])
def test_a_kill_leaves_the_earlier_folder(after_training, tmp_path, step):
    steps = after_training()
    assert steps == ["export", "int8", "calibrate", "check"]
    folder = tmp_path / "inference"
    text = (folder / "hyperparams.yaml").read_text()
    pieces = yaml.safe_load(text[text.index("pieces:") :])["pieces"]
    assert pieces == {"size": 24000, "hop": 24000, "step": 1}  # 1.5 s
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    names = {path.name for path in before}
    assert {"model.onnx", "thresholds.json", "README.md"} <= names
    with pytest.raises(KeyboardInterrupt):
        after_training(**{step: KeyboardInterrupt()})
    assert {x: x.stat().st_mtime_ns for x in folder.iterdir()} == before
    after_training()
    assert os.listdir(tmp_path).count("inference") == 1
    assert not list(tmp_path.glob("*.unfinished"))


@pytest.mark.slow
def test_the_folder_is_loaded_in_a_new_process(brain, tmp_path):
    """As it is handed over; weights in no checkpoint are found out."""
    folder, hparams = tmp_path / "inference", brain.hparams
    options = {"sample_rate": 16000, "max_frames": 100, "single_label": False}
    modules = {name: x.eval() for name, x in hparams.modules.items()}
    folder.mkdir()
    export.write_for_speechbrain(brain, folder, modules, LABELS, options)
    export.check_folder(folder, modules, options)
    (folder / "thresholds.json").write_text("{")
    with pytest.raises(InputError, match="new process .*JSON"):
        export.check_folder(folder, modules, options)
    (folder / "thresholds.json").unlink()
    torch.nn.init.normal_(modules["classifier"].weight)
    with pytest.raises(InputError, match="Tagger finds something else"):
        export.check_folder(folder, modules, options)
