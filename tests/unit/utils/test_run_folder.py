"""Tests of the settings of a run, and of the guard of its folder.

Authors
 * The speechbrain_fftp authors 2026
"""

import multiprocessing
from pathlib import Path

import pytest
from hyperpyyaml import load_hyperpyyaml

import speechbrain as sb
from speechbrain.utils.run_opts import RunOptions
from speechbrain_fftp.utils.run_folder import check_overrides, check_settings

HPARAMS = Path(__file__).resolve().parents[3] / "hparams"
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
        check_overrides(yaml, overrides, needs="lr")
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


@pytest.mark.parametrize(
    "options, name",
    [
        (["--lr", "1", "--lr", "2"], "lr"),
        (["--number_of_epoc", "3"], "number_of_epoc:"),
        (["--patch_frames", "0"], "patch_frames"),
        (["--stride_frames", "0"], "stride_frames"),
        (["--embed_dim", "32"], "embed_dim"),
        (["--embed_dim", "200"], "embed_dim"),
        (["--output_folder", "nothing", "--test_only"], "nothing"),
    ],
)
def test_settings_that_waste_a_training(options, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = [HPARAMS / "ast_fftp.yaml", "--data_folder", "data", "--depth", "1"]
    words = [*map(str, words), *options]
    yaml, run_opts, overrides = sb.parse_arguments(words)
    with pytest.raises((SystemExit, ValueError), match=name) as stopped:
        check_overrides(yaml, overrides, needs="prepare_opts")
        hparams = load_hyperpyyaml(Path(yaml).read_text(), overrides)
        check_settings(yaml, overrides, hparams, run_opts)
    assert "\n" not in str(stopped.value)


@pytest.mark.parametrize(
    "yaml, key",
    [
        ("speechcommands/ast_fftp.yaml", "prepare_opts"),
        ("inference/ast_fftp.yaml", "prepare_opts"),
        ("ast_fftp.yaml", "clip_seconds"),
        ("ast_fftp.yaml", "strong_labels"),
        ("missing.yaml", "missing.yaml"),
    ],
)
def test_a_yaml_file_for_another_script(yaml, key):
    with pytest.raises(SystemExit, match=key) as stopped:
        check_overrides(HPARAMS / yaml, "", needs=key)
    assert str(HPARAMS / yaml) in stopped.value.code


def test_two_runs_do_not_share_a_folder(start):
    """Until the first one is killed."""
    context = multiprocessing.get_context("fork")
    has_started, is_over = context.Event(), context.Event()

    def first_run():
        start()
        has_started.set()
        is_over.wait()

    process = context.Process(target=first_run)
    process.start()
    assert has_started.wait(60)
    with pytest.raises(SystemExit, match=str(start.folder)):
        start()
    process.kill()
    process.join()
    start()


def test_an_untrained_folder_is_free(start):
    start("lr: 0.1")
    start("lr: 0.2", debug=True)
    start("lr: 0.3")
    train(start.folder)
    start("lr: 0.3")


@pytest.mark.parametrize(
    "options, run_opts, name",
    [
        (["lr: 0.3"], {}, "lr"),
        (["number_of_epochs: 2"], {}, "number_of_epochs"),
        (["patch: [16, 5]"], {}, "16"),
        (["cost: null"], {}, "builtins.abs"),
        ([], {"precision": "fp16"}, "precision.*fp16"),
        ([], {"grad_accumulation_factor": 4}, "grad_accumulation_factor.*4"),
        ([], {"debug": True}, "debug"),
    ],
)
def test_other_settings_are_refused(options, run_opts, name, start):
    start.yaml.write_text(YAML + "precision: bf16\n")
    start()
    train(start.folder)
    before = (start.folder / "hyperparams.yaml").read_text()
    with pytest.raises(SystemExit, match=name) as error:
        start(*options, **run_opts)
    assert str(start.folder) in str(error.value)
    assert (start.folder / "hyperparams.yaml").read_text() == before
    start(precision="bf16")  # as in the yaml


def test_another_number_of_processes_is_refused(start, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "8")
    start()
    train(start.folder)
    start()
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(SystemExit, match="processes: 8.*processes: 4"):
        start()


def test_what_may_differ_and_another_default(start):
    start()
    train(start.folder)
    start("data_folder: elsewhere", "num_workers: 0", "number_of_epochs: 4")
    start.yaml.write_text(YAML.replace("seed: 1", "seed: 1  # a comment"))
    start("number_of_epochs: 5")
    start.yaml.write_text(YAML.replace("builtins.abs", "builtins.max"))
    with pytest.raises(SystemExit, match="cost"):
        start("number_of_epochs: 5")
