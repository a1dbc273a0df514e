"""Tests of the export at the end of a training.

Authors
 * The speechbrain_fftp authors 2026
"""

from types import SimpleNamespace

import pytest

from speechbrain_fftp.dataio.errors import InputError
from speechbrain_fftp.onnx.export import ExportError
from speechbrain_fftp.training import export

BRAIN = SimpleNamespace(
    hparams=SimpleNamespace(
        modules={},
        label_encoder=SimpleNamespace(lab2ind={"Cat": 0, "Dog": 1}),
        sample_rate=16000,
    )
)
CLIPS = {"a": {"duration": "0.75"}, "b": {"duration": "1.5"}}
DATASETS = {"train": SimpleNamespace(data=CLIPS)}


@pytest.fixture
def export_onnx(monkeypatch):
    """Replaces the exporter; ``error`` is what it raises."""

    def write(path, modules, labels, **options):
        if write.error is not None:
            raise write.error
        assert options["max_seconds"] == 1.5  # of the longest clip
        path.write_text(f"{labels} {options['single_label']}")
        write.note = options["note"]

    write.error = None
    monkeypatch.setattr(export, "export_onnx", write)
    return write


def test_writes_and_calibrates_the_model(export_onnx, tmp_path):
    folder = tmp_path / "run" / "inference"
    calibrated = []
    export.export_tagger(
        BRAIN,
        DATASETS,
        folder=folder,
        max_frames=100,
        note="Two animals.",
        calibrate=calibrated.append,
    )
    model = folder / "model.onnx"
    assert calibrated == [model]
    assert model.read_text() == "['Cat', 'Dog'] False"
    assert export_onnx.note == "Two animals."
    export.export_classifier(BRAIN, DATASETS, folder=folder, max_frames=100)
    assert model.read_text() == "['Cat', 'Dog'] True"


def test_a_failed_export_is_a_warning(export_onnx, tmp_path, caplog):
    """And the model of an earlier training does not stay."""
    (tmp_path / "model.onnx").write_text("earlier")
    export_onnx.error = ExportError("no such operator")
    calibrated = []
    export.export_tagger(
        BRAIN,
        DATASETS,
        folder=tmp_path,
        max_frames=9,
        calibrate=calibrated.append,
    )
    assert not any(tmp_path.iterdir()) and not calibrated
    assert str(tmp_path) in caplog.text and "no such operator" in caplog.text


def test_a_failed_calibration_is_a_warning(export_onnx, tmp_path, caplog):
    def calibrate(path):
        raise InputError("no validation clips")

    export.export_tagger(
        BRAIN, DATASETS, folder=tmp_path, max_frames=9, calibrate=calibrate
    )
    assert (tmp_path / "model.onnx").is_file()
    assert "no validation clips" in caplog.text


def test_weights_in_int8(export_onnx, tmp_path, monkeypatch, caplog):
    """Are stored before thresholds are learnt, or there is a warning."""
    called = []

    def store(source, path):
        assert source == path == tmp_path / "model.onnx"
        called.append("int8")
        if called.count("int8") > 1:
            raise InputError("only convolutions")

    def calibrate(path):
        called.append("calibrate")

    monkeypatch.setattr(export, "store_in_int8", store)
    options = {"folder": tmp_path, "max_frames": 9, "int8": True}
    export.export_tagger(BRAIN, DATASETS, **options, calibrate=calibrate)
    assert called == ["int8", "calibrate"]
    export.export_classifier(BRAIN, DATASETS, **options)
    assert "only convolutions" in caplog.text
    assert (tmp_path / "model.onnx").is_file()
