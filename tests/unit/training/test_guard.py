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
from speechbrain_fftp.training.guard import (
    MANIFESTS,
    check_overrides,
    check_settings,
)

HPARAMS = Path(__file__).resolve().parents[3] / "hparams"
YAML = """\
seed: 1
lr: 0.1
number_of_epochs: 3
batch_size: 8
use_tensorboard: True
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
    "yaml, options, name",
    [
        ("missing.yaml", [], "missing.yaml"),
        ("ast_fftp.yaml", ["--lr", "1", "--lr", "2"], "lr"),
        ("ast_fftp.yaml", ["--number_of_epoc", "3"], "number_of_epoc:"),
        ("ast_fftp.yaml", ["--depth", "1", "--test_only"], "no checkpoint"),
        ("ast_fftp.yaml", ["--depth", "1"], "data_folder"),
        ("ast_fftp.yaml", ["--data_folder="], "data_folder"),
    ],
)
def test_commands_that_waste_a_training(
    yaml, options, name, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    words = [str(HPARAMS / yaml), *options]
    if name != "data_folder":
        words += ["--data_folder", "data"]
    yaml, run_opts, overrides = sb.parse_arguments(words)
    with pytest.raises(SystemExit, match=name) as stopped:
        check_overrides(yaml, overrides)
        check_settings(yaml, overrides, run_opts)
    assert "\n" not in str(stopped.value)


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


@pytest.mark.parametrize(
    "options, run_opts, name",
    [
        (["lr: 0.3"], {}, "lr"),
        (["number_of_epochs: 2"], {}, "number_of_epochs"),
        (["patch: [16, 5]"], {}, "16"),
        ([], {"precision": "fp16"}, "precision.*fp16"),
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


def test_missing_tables_are_named(start, tmp_path):
    """Where the preparation would not write them."""
    paths = {
        name: tmp_path / f"{name}.csv" for name in ("class_list", *MANIFESTS)
    }
    lines = [f"{name}: {path}\n" for name, path in paths.items()]
    start.yaml.write_text(YAML + "skip_prep: False\n" + "".join(lines))
    for name, path in paths.items():
        with pytest.raises(SystemExit, match=f"{path}.*--skip_prep.*--{name}"):
            start("skip_prep: True")
        path.touch()
    start("skip_prep: True")


def test_cuda_graphs_do_not_accumulate_gradients(start):
    options = {"compile_mode": "reduce-overhead", "grad_accumulation_factor": 3}
    start(**options)
    with pytest.raises(SystemExit, match="reduce-overhead.*accumulat"):
        start(compile=True, **options)


def test_what_may_differ(start):
    """All, until there is a checkpoint."""
    start("lr: 0.2", debug=True)
    start()
    train(start.folder)
    start("data_folder: elsewhere", "num_workers: 0", "number_of_epochs: 4")
    start.yaml.write_text(YAML.replace("seed: 1", "seed: 1  # a comment"))
    start("number_of_epochs: 5", "use_tensorboard: False")


@pytest.mark.parametrize("before, now", [((), ("True",)), (("True",), ())])
def test_compilation_may_differ(before, now, start):
    """Also where the saved value is an expression of the yaml file."""
    key = "compile_using_dynamic_shape_tracing"
    start.yaml.write_text(
        f"{YAML}pad_frames: null\n"
        f"{key}: !apply:operator.not_ [!ref <pad_frames>]\n"
    )
    start(*(f"{key}: {value}" for value in before))
    train(start.folder)
    start()
    start(*(f"{key}: {value}" for value in now))


def test_what_may_differ_in_a_test(start):
    """And the training can be resumed afterwards."""
    start.yaml.write_text(YAML + "precision: bf16\n")
    start()
    train(start.folder)
    options = ["lr: 0.3"]
    start(*options, test_only=True, precision="fp16")
    with pytest.raises(SystemExit, match="other settings"):
        start(*options)
    start()


def test_what_a_kill_left_of_a_checkpoint_is_deleted(start):
    """Not what is complete, or no checkpoint."""
    start()
    train(start.folder)
    save = start.folder / "save"
    for name in ("CKPT+2", "CKPT+3", "notes"):
        (save / name).mkdir()
    (save / "CKPT+2" / "CKPT.unfinished").touch()
    (save / "CKPT+2" / "optimizer.ckpt").write_text("half")
    start()
    assert {path.name for path in save.iterdir()} == {"CKPT+1", "notes"}


def test_another_default_or_number_of_processes_is_refused(start, monkeypatch):
    start()
    train(start.folder)
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(SystemExit, match="processes: 1 -> 4"):
        start()
    monkeypatch.delenv("WORLD_SIZE")
    start.yaml.write_text(YAML.replace("builtins.abs", "builtins.max"))
    with pytest.raises(SystemExit, match="cost: .*abs.* -> .*max"):
        start()


def test_changes_are_named_but_no_objects_that_follow_from_them(start):
    """One a line if there are many; nested settings and references, too."""
    text = YAML + "width: !ref <lr> * 10\nfirst: !new:set\nsecond: !new:set\n"
    start.yaml.write_text(
        text + "fea_augment: !ref <first>\nafter:\n- !ref <first>\n- b\n"
    )
    start()
    train(start.folder)
    start("after: []")
    start.yaml.write_text(
        text + "fea_augment: !ref <second>\nafter: []\nnew: 3\n"
    )
    with pytest.raises(SystemExit) as error:
        start("lr: 0.3", "patch: [16, 5]")
    assert [line.strip() for line in str(error.value).split("\n")[1:]] == [
        "lr: 0.1 -> 0.3",
        "patch: [5, 16] -> [16, 5]",
        "width: 1.0 -> 3.0",
        "fea_augment: <first> -> <second>",
        "new: None -> 3",
    ]


@pytest.mark.parametrize("name", ["hyperparams.yaml", "run_options.json"])
@pytest.mark.parametrize("content", [b"", b"[1", b"- 1", b"\xff\0"])
def test_damaged_files_are_named(name, content, start):
    start()
    train(start.folder)
    (start.folder / name).write_bytes(content)
    with pytest.raises(InputError, match=str(start.folder / name)):
        start()
