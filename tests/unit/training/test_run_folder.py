"""Tests of the rule that an output folder holds one experiment.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import speechbrain as sb
from speechbrain_fftp.training import run_folder
from speechbrain_fftp.training.run_folder import RunFolder
from speechbrain_fftp.training.setup import read_overrides

ROOT = Path(__file__).resolve().parents[3]
YAML = ROOT / "hparams" / "ast_fftp.yaml"
GIVEN = "--data_folder data --lr 0.01 --output_folder run"


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Starts a run in a folder, as a recipe does; free for the next one."""
    monkeypatch.chdir(tmp_path)

    def call(options=GIVEN, yaml=YAML, begin=True):
        words = [str(yaml), *options.split()]
        file, run_opts, overrides = sb.parse_arguments(words)
        overrides, _ = read_overrides(overrides, {})
        run = RunFolder(file, overrides, run_opts)
        if begin:
            run.begin()
        run._lock.close()
        return run

    return call


def refusal(start, *args, **kwargs):
    """The message of a run that is refused, and changes nothing."""
    before = Path("run/run.json").read_bytes()
    with pytest.raises(ValueError) as error:
        start(*args, **kwargs)
    assert Path("run/run.json").read_bytes() == before
    assert os.listdir("run") == ["run.json"]
    assert "--output_folder run_2" in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    "more, changes",
    [
        ("--seed 2", "seed: 1234 -> 2."),
        ("--mask_patch [5,8]", "mask_patch: 16 -> 8."),
        ("--precision bf16", "precision: fp32 -> bf16."),
        ("--number_of_epochs 24", "number_of_epochs: 25 -> 24."),
        ("--batch_size 6 --depth 3", "batch_size: 12 -> 6; depth: 12 -> 3."),
        (
            "--train_annotation x.csv",
            "train_annotation: !ref <prepared_folder>",
        ),
        ("--grad_accumulation_factor 2", "grad_accumulation_factor: 1 -> 2."),
    ],
)
def test_other_settings_are_refused(more, changes, start):
    start()
    message = refusal(start, f"{GIVEN} {more}")
    assert f"run holds a run with other settings, {changes}" in message


def test_other_values_of_options_given_before(start):
    start(f"{GIVEN} --mixup_prob 0")
    assert "lr: 0.01 -> 0.1" in refusal(
        start, GIVEN.replace("0.01", "0.1") + " --mixup_prob 0"
    )
    assert "mixup_prob: 0 -> 0.5" in refusal(start)
    message = refusal(start, GIVEN.replace(" data ", " others "))
    assert f"data_folder: {os.path.abspath('data')} -> " in message


def test_another_yaml_or_constant_is_refused(start):
    start()
    other = YAML.with_name("aum_fftp.yaml")
    assert "embedding_model: " in refusal(start, yaml=other)
    text = YAML.read_text("utf-8").replace("[0.95, 0.999]", "[0.9, 0.999]")
    Path("mine.yaml").write_text(text)
    assert "opt_class: 0.95 -> 0.9." in refusal(start, yaml="mine.yaml")


def test_the_same_command_and_harmless_options_resume(start, caplog):
    start()
    assert start().hparams_to_save is None
    more = "--num_workers 0 --num_threads 2 --device cpu --noprogressbar"
    more += " --ckpt_interval_minutes 1 --prepared_folder there --test_only"
    run = start(f"{GIVEN} {more}", begin=False)
    assert run.hparams_to_save == str(YAML)
    start(GIVEN.replace(" data ", f" {os.path.abspath('data')} "))
    assert not caplog.text
    run = start(f"{GIVEN} --number_of_epochs 30")
    assert "goes on to 30 epochs" in caplog.text
    assert run.facts()["continued_from"] == [25]
    start(f"{GIVEN} --number_of_epochs 30")
    assert "number_of_epochs: 30 -> 25" in refusal(start)


def test_workers_matter_if_each_reads_its_own_shards(start):
    start(f"{GIVEN} --format webdataset")
    message = refusal(start, f"{GIVEN} --format webdataset --num_workers 2")
    assert "num_workers: 4 -> 2" in message


def test_number_of_processes(start, monkeypatch):
    start()
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert "processes: 1 -> 4" in refusal(start)


def test_keys_that_a_new_version_adds_have_their_defaults(start):
    start()
    text = YAML.read_text("utf-8") + "new_key: 3\n"
    Path("new.yaml").write_text(text)
    start(yaml="new.yaml", begin=False)
    message = refusal(start, f"{GIVEN} --new_key 4", yaml="new.yaml")
    assert "new_key: null -> 4" in message


def test_a_run_that_has_not_trained_leaves_the_folder_free(start):
    start(begin=False)
    assert os.listdir("run") == []
    start(GIVEN.replace("0.01", "0.1"))


@pytest.mark.parametrize("left", ["metrics.json", "save/CKPT+1", "inference"])
def test_folder_of_an_earlier_version(left, start):
    Path("run", left).mkdir(parents=True)
    with pytest.raises(ValueError, match="earlier version") as error:
        start()
    assert "--output_folder run_2" in str(error.value)
    assert not Path("run/run.json").exists()


def test_debug_has_a_folder_of_its_own(start):
    start()
    run = start(f"{GIVEN} --debug --seed 3 --save_folder run/save")
    assert run.folder == Path("run/debug")
    assert run.overrides["output_folder"] == "run/debug"
    assert run.overrides["prepared_folder"] == "run/prepared"
    assert run.overrides["save_folder"] == "run/debug/save"
    Path("run/debug/save").mkdir()
    Path("run/debug/metrics.json").write_text("{}")
    start(f"{GIVEN} --debug --seed 4")
    assert os.listdir("run/debug") == ["run.json"]
    kept = "--debug --debug_persistently"
    with pytest.raises(ValueError, match="seed: 4 -> 5"):
        start(f"{GIVEN} {kept} --seed 5")
    start(f"{GIVEN} {kept} --seed 4")


@pytest.mark.parametrize(
    "name",
    ["prepared.json", "train.csv", "classes.csv", "strong.tsv", "taught.npz"],
)
def test_data_that_changed_are_refused(name, start):
    """Prepared again, or a table was edited, or a teacher replaced."""
    folder = Path("run/prepared")
    folder.mkdir(parents=True)
    for file in ("prepared.json", "train.csv", "classes.csv", name):
        (folder / file).write_text("before")
    options = f"{GIVEN} --teacher {folder}/taught.npz"
    options += f" --strong_labels {folder}/strong.tsv"
    yaml = YAML.with_name("ast_fftp_frames.yaml")
    run = start(options, yaml)
    run.check_data()
    checksums = run.facts()["prepared_data"]
    assert len(checksums) == len(os.listdir(folder))
    assert json.loads(Path("run/run.json").read_text())["data"] == checksums
    start(options, yaml).check_data()
    (folder / name).write_text("after")
    run = start(options, yaml, begin=False)
    assert run.facts()["prepared_data"] != checksums
    message = (
        f"on other data: since then, {folder / name} changed. It is unchanged"
    )
    with pytest.raises(ValueError, match=message):
        run.check_data()


@pytest.mark.parametrize("digest", [None, "0a4d55a8d778e5022fab701977c5d840"])
def test_record_of_an_earlier_version(digest, start):
    start()
    record = json.loads(Path("run/run.json").read_text())
    Path("run/run.json").write_text(json.dumps({**record, "data": digest}))
    with pytest.raises(ValueError, match="earlier version, without checksums"):
        start(begin=False).check_data()


def test_facts_name_what_differs_from_the_yaml(start):
    more = "--seed 7 --embed_dim 64 --depth 12 --num_workers 0 --precision bf16"
    facts = start(f"{GIVEN} {more}").facts()
    assert facts["seed"] == 7 and facts["prepared_data"] == {}
    assert facts["options"] == {
        "data_folder": os.path.abspath("data"),
        "embed_dim": 64,
        "lr": 0.01,
        "precision": "bf16",
        "seed": 7,
    }
    assert json.loads(Path("run/run.json").read_text())["limits"] == [25]


def test_commit_is_that_of_the_package(tmp_path, monkeypatch):
    def git(*words):
        name = ["-c", "user.name=a", "-c", "user.email=a@b"]
        command = ["git", "-C", str(tmp_path), *name, *words]
        done = subprocess.run(command, check=True, capture_output=True)
        return done.stdout.decode().strip()

    package = tmp_path / "package"
    package.mkdir()
    monkeypatch.setattr(run_folder, "PACKAGE", package)
    assert run_folder.commit() is None
    git("init")
    (tmp_path / "other.py").write_text("")
    (package / "__init__.py").write_text("")
    git("add", "other.py")
    git("commit", "-m", "other")
    assert run_folder.commit() is None  # installed in another project
    git("add", ".")
    git("commit", "-m", "package")
    assert run_folder.commit() == git("rev-parse", "HEAD")
    (package / "__init__.py").write_text("x = 1\n")
    assert run_folder.commit() == git("rev-parse", "HEAD") + "-dirty"


def test_environment_names_what_is_imported():
    text = run_folder.describe_environment()
    assert f"executable: {sys.executable}\n" in text
    assert f"\nspeechbrain=={sb.__version__}\n" in text
