"""Tests of the settings of a run, and of the guard of its folder.

Authors
 * The speechbrain_fftp authors 2026
"""

import multiprocessing
from pathlib import Path

import pytest

import speechbrain as sb
from fftp_tag.errors import InputError
from speechbrain.utils.run_opts import RunOptions
from speechbrain_fftp.training.command import load_hyperpyyaml, parse_arguments
from speechbrain_fftp.training.guard import check_overrides, check_settings

HPARAMS = Path(__file__).resolve().parents[3] / "hparams"
YAML = """\
seed: 1
lr: 0.1
number_of_epochs: 3
precision: bf16
use_tensorboard: True
num_workers: 2
data_folder: data
output_folder: results
annotation: !ref <data_folder>/train.csv
patch: [5, 16]
cost: !name:builtins.abs
first: !new:set
second: !new:dict
augment: !ref <first>
"""


@pytest.fixture
def start(tmp_path):
    """Starts as ``train.py`` does."""
    yaml = tmp_path / "train.yaml"
    yaml.write_text(YAML)

    def start(*overrides, **run_opts):
        overrides = "\n".join([f"output_folder: {tmp_path}/run", *overrides])
        check_overrides(yaml, overrides)
        run_opts = RunOptions.from_dictionary(run_opts)
        check_settings(yaml, overrides, run_opts)
        sb.create_experiment_directory(
            str(tmp_path / "run"),
            None if run_opts["test_only"] else yaml,
            overrides,
            save_env_desc=False,
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
        (["--data_folder=data", "--lr", "1", "--lr", "2"], "lr"),
        (["--data_folder=data", "--number_of_epoc", "3"], "number_of_epoc:"),
        (["--data_folder=data", "--test_only"], "no checkpoint"),
        (["--data_folder="], "data_folder"),
        (["--data_folder=[1"], "line 1: expected"),
        (["--data_folder=data", "--batch_size=0"], "batch_size is 0"),
        (["--data_folder=data", "--batch_size=2.5"], "batch_size is 2.5"),
        (["--data_folder=data", "--number_of_epochs=0"], "number_of_epochs"),
        (["--data_folder=data", "--lr=fast"], "lr is fast"),
        (["--data_folder=data", "--skip_prep=maybe"], "skip_prep is maybe"),
        (["--data_folder=data", "--average_by=f1"], "average_by.*mAP"),
        (["--data_folder=data", "--grad_accumulation_factor=0"], "grad_acc"),
        (["--data_folder=data", "--device=cuda:99"], "cuda:99"),
    ],
)
def test_commands_that_waste_a_training(options, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = [str(HPARAMS / "ast_fftp.yaml"), *options]
    with pytest.raises(InputError, match=name):
        parse_arguments(words)


@pytest.mark.parametrize(
    "overrides, run_opts, edit, names",
    [
        (["lr: 0.3", "patch: [16, 5]"], {}, None, ["lr", "patch"]),
        (["number_of_epochs: 2"], {}, None, ["number_of_epochs"]),
        ([], {"precision": "fp16"}, None, ["precision"]),
        ([], {}, ("builtins.abs", "builtins.max"), ["cost"]),
        ([], {}, ("<first>", "<second>"), ["augment"]),
        ([], {}, None, ["processes"]),
    ],
)
def test_other_settings_are_refused(
    overrides, run_opts, edit, names, start, monkeypatch
):
    """Given ones, and defaults that another yaml file changes."""
    start()
    train(start.folder)
    before = (start.folder / "hyperparams.yaml").read_text()
    start.yaml.write_text(YAML.replace(*edit) if edit else YAML)
    if names == ["processes"]:
        monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(InputError) as error:
        start(*overrides, **run_opts)
    message = str(error.value)
    for name in [str(start.folder), *names]:
        assert name in message
    assert "seed" not in message
    assert (start.folder / "hyperparams.yaml").read_text() == before


@pytest.mark.parametrize(
    "now",
    [
        ["data_folder: elsewhere", "num_workers: 0"],
        ["number_of_epochs: 4", "use_tensorboard: False"],
    ],
)
def test_what_may_differ(now, start):
    """All, until there is a checkpoint, and in a test."""
    start("lr: 0.2", debug=True)
    start()
    train(start.folder)
    start(precision="bf16")  # as in the yaml
    start(*now)
    start("lr: 0.3", test_only=True, precision="fp16")
    start.yaml.write_text(YAML.replace("seed: 1", "seed: 1  # a comment"))
    start(*now)  # the test has changed nothing


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
    with pytest.raises(InputError, match=str(start.folder)):
        start()
    process.kill()
    process.join()
    start()


def test_cuda_graphs_do_not_accumulate_gradients(start):
    options = {"compile_mode": "reduce-overhead", "grad_accumulation_factor": 3}
    start(**options)
    with pytest.raises(InputError, match="reduce-overhead.*accumulat"):
        start(compile=True, **options)


def test_what_a_kill_left_of_a_checkpoint_is_deleted(start):
    """Not what is complete, or no checkpoint."""
    start()
    train(start.folder)
    save = start.folder / "save"
    for name in ("CKPT+2", "CKPT+3", "notes"):
        (save / name).mkdir()
    (save / "CKPT+2" / "optimizer.ckpt").write_text("half")
    start()
    assert {path.name for path in save.iterdir()} == {"CKPT+1", "notes"}


@pytest.mark.parametrize(
    "yaml, name",
    [
        ("a: !new:speechbrain_fftp.nowhere.Module", "nowhere"),
        ("a: !new:torch.nn.Linear [1]", "torch.nn"),
        (
            "a: !new:speechbrain_fftp.augment.specmask.SpecMask\n    budget: -1",
            "budget",
        ),
        ("a: !apply:operator.floordiv [1, 0]", "zero"),
    ],
)
def test_yaml_files_that_cannot_be_loaded(yaml, name):
    with pytest.raises(InputError, match=name):
        load_hyperpyyaml(yaml)


def test_keys_that_a_yaml_file_lacks():
    hparams = load_hyperpyyaml("lr: 0.1", {"lr": 0.2})
    assert hparams == {"lr": 0.2} and hparams.get("seed") is None
    with pytest.raises(InputError, match="strong_labels"):
        hparams["strong_labels"]


def test_a_short_yaml_changes_a_recipes_and_the_command_changes_both(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shared.yaml").write_text("lr: 0.2\nnumber_of_epochs: 7\n")
    (tmp_path / "train.yaml").write_text(YAML)
    row, more = tmp_path / "paper" / "row.yaml", tmp_path / "paper" / "b.yaml"
    row.parent.mkdir()
    row.write_text(
        "base: [../train.yaml, ../shared.yaml]\nnum_workers: 0\n"
        'annotation: "!ref <data_folder>/eval.csv"\nprecision: fp32\n'
    )
    more.write_text("base: row.yaml\nnumber_of_epochs: 8\n")
    words = ["--data_folder", "clips", "--num_workers=1"]
    path, run_opts, overrides = parse_arguments([str(more), *words])
    with open(path, encoding="utf-8") as file:
        hparams = load_hyperpyyaml(file, overrides)
    expected = {
        "lr": 0.2,  # of the shared settings
        "number_of_epochs": 8,  # of the last file
        "num_workers": 1,  # of the command
        "annotation": "clips/eval.csv",
        "output_folder": "results/paper/b/1",
        "patch": [5, 16],  # of the recipe
    }
    assert {name: hparams[name] for name in expected} == expected
    assert run_opts["precision"] == "fp32"
    row.write_text("base: ../train.yaml\nlrr: 1\n")
    with pytest.raises(InputError, match="lrr"):
        parse_arguments([str(row)])
