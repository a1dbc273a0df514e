"""Tests of ``fftp-tag share``.

Authors
 * The speechbrain_fftp authors 2026
"""

import shutil

import pytest
import tiny_onnx
import yaml

from fftp_tag.cli.main import main
from fftp_tag.files import write_json

HUB = ("--name", "me/beeps", "--license", "cc-by-4.0")


def share(*arguments):
    """Runs the verb; returns the exit code."""
    return main(["share", *map(str, arguments), *HUB])


def names(folder):
    """The files of a folder."""
    return {path.name for path in folder.iterdir()}


def read_card(folder):
    """The front matter of a card, and its text."""
    _, head, text = (folder / "README.md").read_text("utf-8").split("---\n", 2)
    return yaml.safe_load(head), text


@pytest.fixture
def model(tmp_path):
    """A frame-level model with thresholds and a note."""
    return tiny_onnx.write_model(
        tmp_path / "model.onnx",
        is_frame_level=True,
        thresholds=[0.25, 0.5, 0.75],
        pitches={"a|b": 40.0, "<b>": 100.0, "High": 200.0},
        note="Knows *little*.",
    )


def test_the_card_says_what_a_user_needs(model, tmp_path, capsys):
    about, scores = tmp_path / "about.md", tmp_path / "scores"
    about.write_text("Learnt from *beeps*.")
    scores.mkdir()
    write_json(
        scores / "metrics.json",
        {
            "mAP": 0.91234,
            "macro_F1": None,
            "num_clips": 12,
            "data": "/home/me/beeps_2",
            "split": "eval",
            "events": {"event_F1": 0.5},
        },
    )
    (scores / "per_class.csv").write_text(
        "label,positives,AP,AUC\na|b,3,0.8888,0.9\nHigh,0,,\n"
    )
    folder = tmp_path / "new" / "a folder"
    assert not share(model, folder, "--about", about, "--scores", scores)
    assert names(folder) == {"README.md", "model.onnx"}
    assert (folder / "model.onnx").read_bytes() == model.read_bytes()
    assert f"hf upload me/beeps '{folder}'" in capsys.readouterr().out
    head, text = read_card(folder)
    assert head["license"] == "cc-by-4.0"
    assert head["library_name"] == "speechbrain_fftp"
    for part in (
        "# beeps\n",
        "Learnt from *beeps*.",
        r"Knows \*little\*.",
        "fftp-tag clip.wav --model me/beeps\n",
        "On 12 clips that `fftp-tag evaluate` was given: beeps\\_2, split eval",
        "| mAP | 0.912 |",
        "| F1 of events, by their ends | 0.500 |",
        r"| a\|b | 0.250 | 0.889 |",
        r"| \<b\> | 0.500 | - |",
        "| High | 0.750 | - |",
    ):
        assert part in text, part
    assert "home" not in text and "macro" not in text


def test_a_training_brings_its_scores_and_its_files_for_speechbrain(
    model, tmp_path
):
    run = tmp_path / "run"
    (run / "inference" / "__pycache__").mkdir(parents=True)
    shutil.copy(model, run / "inference" / "model.onnx")
    for name in ("hyperparams.yaml", "custom.py", "own.py"):
        (run / "inference" / name).write_text(name)
    (run / "inference" / "README.md").write_text(
        '# Title\n\nLoad it: `from_hparams(source="FOLDER")`.\n'
    )
    write_json(run / "metrics.json", {"accuracy": 0.5, "num_clips": 7})
    (run / "per_class.csv").write_text("label,clips,recall\nHigh,3,1.0\n")
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
    assert "On 7 clips that its training did not learn from" in text
    assert "| accuracy | 0.500 |" in text
    assert "| High | 0.750 | 1.000 |" in text
    # The folder of the training itself, with its data, stays where it is
    shutil.copy(model, run / "model.onnx")
    (run / "hyperparams.yaml").write_text("data_folder: my_sounds")
    (run / "README.md").touch()
    assert not share(run, tmp_path / "other")
    assert names(tmp_path / "other") == {"README.md", "model.onnx"}


def test_a_space_has_the_page(model, tmp_path, capsys):
    folder = tmp_path / "space"
    assert not share(model, folder, "--for", "space")
    assert {"index.html", "page.json", "model.onnx"} < names(folder)
    assert read_card(folder)[0]["sdk"] == "static"
    assert "--repo-type space" in capsys.readouterr().out


def test_what_cannot_be_shared_leaves_nothing(model, tmp_path, capsys):
    before = names(tmp_path)
    assert share(model, tmp_path)
    assert share(model, tmp_path / "x", "--scores", tmp_path / "none")
    assert capsys.readouterr().err.count("\n") == 2
    write_json(tmp_path / "metrics.json", {"loss": 1.0})
    assert share(model, tmp_path / "x", "--scores", tmp_path)
    assert "fftp-tag evaluate" in capsys.readouterr().err
    assert names(tmp_path) == {*before, "metrics.json"}
