"""Tests of the guard of a run folder.

Authors
 * The speechbrain_fftp authors 2026
"""

import subprocess
import sys

import pytest

from speechbrain.utils.checkpoints import Checkpointer
from speechbrain_fftp.training import run_folder

YAML = """\
seed: 1
lr: 0.1
number_of_epochs: 3
data_folder: !PLACEHOLDER
output_folder: results
cost: !name:builtins.abs
    x: !ref <lr>
"""


@pytest.fixture
def start(tmp_path):
    """Claims a folder as ``train.py`` would, and lets it go."""
    yaml = tmp_path / "train.yaml"
    yaml.write_text(YAML)
    folder = tmp_path / "run"

    def claim(*options):
        try:
            run_folder.claim(folder, [str(yaml), *options])
        finally:
            while run_folder._locks:
                run_folder._locks.pop().release()

    claim.folder, claim.yaml = folder, yaml
    return claim


def train(folder):
    """Leaves a checkpoint, as a training does."""
    (folder / "save" / "CKPT+1").mkdir(parents=True)


def test_an_untrained_folder_is_free(start):
    start("--lr", "0.1")
    start("--lr", "0.2")
    train(start.folder)
    start("--lr", "0.2")


@pytest.mark.parametrize(
    "option, name",
    [
        (("--lr", "0.3"), "lr"),
        (("--precision", "bf16"), "precision"),
        (("--number_of_epochs", "2"), "number_of_epochs"),
    ],
)
def test_other_settings_are_refused(option, name, start):
    start()
    train(start.folder)
    with pytest.raises(ValueError, match=name) as error:
        start(*option)
    assert str(start.folder) in str(error.value)
    start()


def test_what_may_differ(start):
    start()
    train(start.folder)
    start("--data_folder", "elsewhere", "--output_folder", "other")
    start("--number_of_epochs", "4")
    start("--debug", "--lr", "7")


def test_another_default_is_another_setting(start):
    start()
    train(start.folder)
    start.yaml.write_text(YAML.replace("builtins.abs", "builtins.max"))
    with pytest.raises(ValueError, match="cost"):
        start()


def test_checkpoints_without_a_record_are_refused(start):
    train(start.folder)
    with pytest.raises(ValueError, match="record"):
        start()


def test_a_folder_in_use(start):
    script = (
        "import sys; from speechbrain_fftp.training.run_folder import claim\n"
        "claim(sys.argv[1], sys.argv[2:])"
    )
    run_folder.claim(start.folder, [str(start.yaml)])
    done = subprocess.run(
        [sys.executable, "-c", script, str(start.folder), str(start.yaml)],
        capture_output=True,
        text=True,
    )
    assert done.returncode and str(start.folder) in done.stderr
    run_folder._locks.pop().release()


def test_nothing_is_claimed_outside_of_a_recipe(tmp_path):
    run_folder.claim(tmp_path / "run", ["-q", "tests"])
    run_folder.claim(tmp_path / "run", [])
    assert not (tmp_path / "run").exists()


def test_changed_data_are_refused(tmp_path):
    table = tmp_path / "train.csv"
    table.write_text("a\n")
    files = [str(table), None, str(tmp_path / "absent.csv")]
    save = tmp_path / "save"
    record = run_folder.DataRecord(files)
    Checkpointer(save, {"data": record}).save_checkpoint()
    again = run_folder.DataRecord(files)
    assert Checkpointer(save, {"data": again}).recover_if_possible()
    table.write_text("b\n")
    changed = run_folder.DataRecord(files)
    with pytest.raises(ValueError, match="train.csv"):
        Checkpointer(save, {"data": changed}).recover_if_possible()
