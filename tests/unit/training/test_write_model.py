"""Tests of the export at the end of a training.

Authors
 * The speechbrain_fftp authors 2026
"""

import os
from types import SimpleNamespace

import numpy as np
import pytest
from hyperpyyaml import load_hyperpyyaml

from speechbrain_fftp.dataio.errors import InputError
from speechbrain_fftp.onnx.export import ExportError
from speechbrain_fftp.training import export


@pytest.fixture
def after_training(tmp_path, monkeypatch):
    """A function that ends a training; returns the steps that were taken.

    A step raises the error that is given for it.
    """
    brain = SimpleNamespace(
        test_only=False,
        hparams=SimpleNamespace(
            modules={},
            label_encoder=SimpleNamespace(lab2ind={"Cat": 0, "Dog": 1}),
            sample_rate=16000,
            output_folder=tmp_path,
            save_folder="scratch",
            average_by="mAP",
            avg_checkpoints=5,
        ),
    )
    clips = {"a": {"duration": "0.75"}, "b": {"duration": "1.5"}}
    datasets = {"train": SimpleNamespace(data=clips)}

    def after_training(**errors):
        steps = []

        def step(name, path):
            steps.append(name)
            if name in errors:
                raise errors[name]
            path.touch()

        def export_onnx(path, modules, labels, **options):
            assert labels == ["Cat", "Dog"]
            assert options["max_seconds"] == 1.5  # of the longest clip
            assert options["note"] == "Two animals."
            step("export", path)

        monkeypatch.setattr(export, "export_onnx", export_onnx)
        monkeypatch.setattr(
            export, "store_in_int8", lambda source, path: step("int8", path)
        )

        def convert_run(run_folder, folder, **options):
            assert run_folder == tmp_path and not options["single_label"]
            assert (options["max_key"], options["num"]) == ("mAP", 5)
            assert options["save_folder"] == "scratch"
            folder.mkdir(exist_ok=True)
            step("for SpeechBrain", folder / "hyperparams.yaml")
            (folder / "README.md").write_text("How to load it.\n")

        def calibrate(path, output):
            step("calibrate", output)
            rules = SimpleNamespace(threshold=np.array([0.25, 0.75]))
            return SimpleNamespace(
                is_written="too few" not in errors,
                objection="may be chance",
                rules=rules,
            )

        monkeypatch.setattr(export, "convert_run", convert_run)
        export.export_model(
            brain,
            datasets,
            folder=tmp_path / "inference",
            max_frames=100,
            int8=True,
            note="Two animals.",
            calibrate=calibrate,
        )
        return steps

    return after_training


def test_a_failed_export_is_a_warning(after_training, tmp_path, caplog):
    """And the model of an earlier training does not stay."""
    model = tmp_path / "inference" / "model.onnx"
    model.parent.mkdir()
    model.write_text("earlier")
    steps = after_training(export=ExportError("no operator"))
    assert steps == ["for SpeechBrain", "export"]
    assert not list(tmp_path.rglob("*.onnx"))
    assert str(tmp_path) in caplog.text and "no operator" in caplog.text


def test_failed_steps_after_it_are_warnings(after_training, tmp_path, caplog):
    steps = after_training(
        int8=InputError("only convolutions"),
        calibrate=InputError("no validation clips"),
    )
    assert steps == ["for SpeechBrain", "export", "int8", "calibrate"]
    assert (tmp_path / "inference" / "model.onnx").is_file()
    assert "only convolutions" in caplog.text
    assert "no validation clips" in caplog.text


def test_a_kill_leaves_no_model_without_thresholds(after_training, tmp_path):
    """And nothing that stays."""
    model = tmp_path / "inference" / "model.onnx"
    with pytest.raises(KeyboardInterrupt):
        after_training(calibrate=KeyboardInterrupt())
    assert not model.exists()
    after_training()
    assert model.exists() and os.listdir(tmp_path) == ["inference"]


def test_the_folder_tells_of_tagger_and_its_thresholds(
    after_training, tmp_path
):
    after_training()
    folder = tmp_path / "inference"
    lines = (folder / "README.md").read_text()
    assert lines.startswith("How to load it.\n") and "Tagger" in lines
    hparams = load_hyperpyyaml((folder / "hyperparams.yaml").read_text())
    assert hparams == {"thresholds": {"Cat": 0.25, "Dog": 0.75}}


def test_worse_thresholds_are_a_warning(after_training, tmp_path, caplog):
    after_training(**{"too few": None})
    assert "may be chance" in caplog.text
    text = (tmp_path / "inference" / "hyperparams.yaml").read_text()
    assert "thresholds" not in text


def test_what_cannot_be_loaded_ends_in_a_line(after_training):
    with pytest.raises(InputError, match="no weights.* repeat the command"):
        after_training(**{"for SpeechBrain": ValueError("no weights")})


def test_a_full_disk_ends_in_a_line(after_training, tmp_path):
    """For which torch raises a RuntimeError."""
    error = RuntimeError("unexpected pos 704 vs 598\nmore")
    with pytest.raises(InputError, match="704 vs 598; .* GB are free") as ended:
        after_training(**{"for SpeechBrain": error})
    assert str(tmp_path / "inference") in str(ended.value)
    assert "\n" not in str(ended.value)
