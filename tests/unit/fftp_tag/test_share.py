"""Tests of ``fftp-tag share``.

Authors
 * The speechbrain_fftp authors 2026
"""

import shutil

import tiny_onnx
import yaml

from fftp_tag.cli.main import main


def share(*arguments):
    """Runs the verb; returns the exit code."""
    hub = ["--name", "me/beeps", "--license", "cc-by-4.0"]
    return main(["share", *map(str, arguments), *hub])


def names(folder):
    """The files of a folder."""
    return {path.name for path in folder.iterdir()}


def read_card(folder):
    """The front matter of a card, and its text."""
    _, head, text = (folder / "README.md").read_text("utf-8").split("---\n", 2)
    return yaml.safe_load(head), text


def test_a_training_brings_its_files_for_speechbrain(tmp_path):
    model = tiny_onnx.write_model(tmp_path / "model.onnx")
    run = tmp_path / "run"
    (run / "inference" / "__pycache__").mkdir(parents=True)
    shutil.copy(model, run / "inference" / "model.onnx")
    for name in ("hyperparams.yaml", "custom.py", "own.py"):
        (run / "inference" / name).write_text(name)
    (run / "inference" / "README.md").write_text(
        '# Title\n\nLoad it: `from_hparams(source="FOLDER")`.\n'
    )
    folder = tmp_path / "folder"
    folder.mkdir()
    assert not share(run, folder)
    assert names(folder) == {"README.md", *names(run / "inference")} - {
        "__pycache__"
    }
    head, text = read_card(folder)
    assert head["library_name"] == "speechbrain"
    assert "hf download me/beeps --local-dir beeps" in text
    assert 'from_hparams(source="beeps")' in text and "# Title" not in text
    # The folder of the training itself, with its data, stays where it is
    shutil.copy(model, run / "model.onnx")
    (run / "hyperparams.yaml").write_text("data_folder: my_sounds")
    (run / "README.md").touch()
    assert not share(run, tmp_path / "other")
    assert names(tmp_path / "other") == {"README.md", "model.onnx"}
