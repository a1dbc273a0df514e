"""Tests of ``fftp-tag share``.

Authors
 * The speechbrain_fftp authors 2026
"""

import shutil

import pytest
import tiny_onnx
import yaml

from fftp_tag.cli.main import main
from fftp_tag.model.session import Model
from fftp_tag.model.sources import STARTER_MODEL

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
        credit="It learnt from others.",
    )


def test_the_card_says_what_a_user_needs(model, tmp_path, capsys):
    about = tmp_path / "about.md"
    about.write_text("Learnt from *beeps*.")
    folder = tmp_path / "new" / "a folder"
    assert not share(model, folder, "--about", about)
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
        "## Credits\n\nIt learnt from others.\n",
        "fftp-tag clip.wav --model me/beeps\n",
        "- a\\|b\n- \\<b\\>\n- High\n",
    ):
        assert part in text, part


def test_a_training_brings_its_files_for_speechbrain(model, tmp_path):
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


def test_a_space_has_the_page(model, tmp_path, capsys):
    folder = tmp_path / "space"
    assert not share(model, folder, "--for", "space")
    assert {"index.html", "page.json", "model.onnx"} < names(folder)
    assert read_card(folder)[0]["sdk"] == "static"
    assert "--repo-type space" in capsys.readouterr().out


def test_what_cannot_be_shared_leaves_nothing(model, tmp_path, capsys):
    before = names(tmp_path)
    assert share(model, tmp_path)
    assert share(model, tmp_path / "x", "--about", tmp_path / "none")
    assert capsys.readouterr().err.count("\n") == 2
    assert names(tmp_path) == before


def test_the_attribution_is_copied(model, tmp_path):
    """Of the starter, of what is learnt on it, and of a model that has its own."""
    ours = STARTER_MODEL.with_name("attribution.csv").read_bytes()
    on_starter = tmp_path / "learnt.onnx"
    tiny_onnx.write_model(on_starter, credit=Model(STARTER_MODEL).info.credit)
    for source in (STARTER_MODEL, on_starter):
        for form in ("hub", "space"):
            folder = tmp_path / f"{source.stem} {form}"
            assert not share(source, folder, "--for", form)
            assert (folder / "attribution.csv").read_bytes() == ours
            _, text = read_card(folder)
            assert "[attribution.csv](attribution.csv)" in text
    (tmp_path / "attribution.csv").write_text("file,author\n", "utf-8")
    assert not share(model, tmp_path / "mine")
    copied = tmp_path / "mine" / "attribution.csv"
    assert copied.read_text("utf-8") == "file,author\n"
