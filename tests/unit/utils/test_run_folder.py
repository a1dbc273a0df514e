"""Tests of the guard of a run folder, and of the exported model.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
from hyperpyyaml import load_hyperpyyaml

import speechbrain as sb
from speechbrain.utils.run_opts import RunOptions
from speechbrain_fftp.utils.run_folder import check_settings

YAML = """\
seed: 1
lr: 0.1
number_of_epochs: 3
num_workers: 2
data_folder: data
output_folder: results
annotation: !ref <data_folder>/train.csv
patch: [5, 16]
cost: !name:builtins.abs
    x: !ref <lr>
"""


@pytest.fixture
def start(tmp_path):
    """Starts as ``train.py`` does."""
    yaml = tmp_path / "train.yaml"
    yaml.write_text(YAML)

    def start(*overrides, **run_opts):
        overrides = "\n".join([f"output_folder: {tmp_path}/run", *overrides])
        hparams = load_hyperpyyaml(yaml.read_text(), overrides)
        run_opts = RunOptions.from_dictionary(run_opts)
        check_settings(yaml, overrides, hparams, run_opts)
        sb.create_experiment_directory(
            hparams["output_folder"], yaml, overrides, save_env_desc=False
        )

    start.folder, start.yaml = tmp_path / "run", yaml
    return start


def train(folder):
    """Leaves a checkpoint, as a training does."""
    checkpoint = folder / "save" / "CKPT+1"
    checkpoint.mkdir(parents=True)
    (checkpoint / "CKPT.yaml").touch()


def test_an_untrained_folder_is_free(start):
    start("lr: 0.1")
    start("lr: 0.2", debug=True)
    start("lr: 0.3")
    train(start.folder)
    start("lr: 0.3")


@pytest.mark.parametrize(
    "override, name",
    [
        ("lr: 0.3", "lr"),
        ("number_of_epochs: 2", "number_of_epochs"),
        ("patch: [16, 5]", "16"),
        ("cost: null", "builtins.abs"),
    ],
)
def test_other_settings_are_refused(override, name, start):
    start()
    train(start.folder)
    before = (start.folder / "hyperparams.yaml").read_text()
    with pytest.raises(ValueError, match=name) as error:
        start(override)
    assert str(start.folder) in str(error.value)
    assert (start.folder / "hyperparams.yaml").read_text() == before
    start()


@pytest.mark.parametrize(
    "run_opts",
    [
        {"precision": "bf16"},
        {"grad_accumulation_factor": 4},
        {"max_grad_norm": 1.0},
    ],
)
def test_other_options_of_the_command_are_refused(run_opts, start):
    """They change the result, or the number of optimiser steps."""
    start()
    train(start.folder)
    ((name, value),) = run_opts.items()
    with pytest.raises(ValueError, match=f"{name}.*{value}"):
        start(**run_opts)
    start(noprogressbar=True)


def test_another_number_of_processes_is_refused(start, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "8")
    start()
    train(start.folder)
    start()
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(ValueError, match="processes: 8.*processes: 4"):
        start()


def test_an_option_of_the_yaml_counts(start):
    """``--precision bf16`` is the same as ``precision: bf16`` in the yaml."""
    start.yaml.write_text(YAML + "precision: bf16\n")
    start()
    train(start.folder)
    start(precision="bf16")
    with pytest.raises(ValueError, match="precision"):
        start(precision="fp32")


def test_what_may_differ(start):
    start()
    train(start.folder)
    start("data_folder: elsewhere", "num_workers: 0", "number_of_epochs: 4")
    start("number_of_epochs: 4")
    start.yaml.write_text(YAML.replace("seed: 1", "seed: 1  # a comment"))
    start("number_of_epochs: 5")


def test_another_default_is_another_setting(start):
    start()
    train(start.folder)
    start.yaml.write_text(YAML.replace("builtins.abs", "builtins.max"))
    with pytest.raises(ValueError, match="cost"):
        start()


def test_a_trained_folder_is_not_for_debugging(start):
    start()
    train(start.folder)
    with pytest.raises(ValueError, match="debug"):
        start(debug=True)
