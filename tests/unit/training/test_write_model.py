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


@pytest.fixture
def called(monkeypatch):
    """The steps after the export, which fail if ``error`` is set."""

    def step(name):
        def run(*paths):
            called.append(name)
            assert all(path.is_file() for path in paths)
            if errors:
                raise errors[0]

        return run

    called, errors = [], []
    monkeypatch.setattr(export, "store_in_int8", step("int8"))
    return called, errors, step("calibrate")


def test_writes_and_calibrates_the_model(export_onnx, called, tmp_path):
    folder = tmp_path / "run" / "inference"
    names, _, calibrate = called
    options = {"folder": folder, "max_frames": 100, "int8": True}
    export.export_tagger(
        BRAIN, DATASETS, **options, note="Two animals.", calibrate=calibrate
    )
    assert names == ["int8", "calibrate"]
    assert (folder / "model.onnx").read_text() == "['Cat', 'Dog'] False"
    assert export_onnx.note == "Two animals."
    export.export_classifier(BRAIN, DATASETS, **options)
    assert (folder / "model.onnx").read_text() == "['Cat', 'Dog'] True"


def test_a_failed_export_is_a_warning(export_onnx, called, tmp_path, caplog):
    """And the model of an earlier training does not stay."""
    (tmp_path / "model.onnx").write_text("earlier")
    export_onnx.error = ExportError("no such operator")
    names, _, calibrate = called
    options = {"folder": tmp_path, "max_frames": 9, "calibrate": calibrate}
    export.export_tagger(BRAIN, DATASETS, **options)
    assert not any(tmp_path.iterdir()) and not names
    assert str(tmp_path) in caplog.text and "no such operator" in caplog.text


def test_failed_steps_after_it_are_warnings(
    export_onnx, called, tmp_path, caplog
):
    names, errors, calibrate = called
    errors.append(InputError("no validation clips"))
    options = {"folder": tmp_path, "max_frames": 9, "calibrate": calibrate}
    export.export_tagger(BRAIN, DATASETS, **options, int8=True)
    assert names == ["int8", "calibrate"]
    assert (tmp_path / "model.onnx").is_file()
    assert caplog.text.count("no validation clips") == 2
