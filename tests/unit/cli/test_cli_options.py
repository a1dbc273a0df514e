"""Tests of how ``fftp-tag`` loads models, and of its messages and exit codes.

Authors
 * The speechbrain_fftp authors 2026
"""

import inspect
import json
import logging
import os
import shutil
import sys
import warnings

import numpy as np
import pytest
import soundfile as sf
import torch
from safetensors.torch import load_file, save_file

from speechbrain_fftp import __version__
from speechbrain_fftp.cli.main import VERBS, main
from speechbrain_fftp.inference import AudioTagger
from speechbrain_fftp.inference.folder import FILES


@pytest.fixture
def clip(tmp_path):
    path = tmp_path / "clip.wav"
    samples = np.random.default_rng(0).standard_normal(16000)
    sf.write(path, 0.1 * samples, 16000)
    return str(path)


@pytest.fixture
def model(exported, tmp_path):
    """A copy of a model's folder."""
    return shutil.copytree(exported[1], tmp_path / "run" / "inference")


@pytest.fixture
def yaml_model(model):
    """A folder with hyperparams.yaml and its weights alone."""
    for name in FILES:
        (model / name).unlink()
    return model


def add_command(folder, made):
    """Makes hyperparams.yaml run a command that creates a file."""
    with open(folder / "hyperparams.yaml", "a", encoding="utf-8") as file:
        file.write(f"\nmore: !apply:os.system [touch '{made}']\n")


def test_a_yaml_runs_only_with_trust_code(yaml_model, clip, tmp_path, capsys):
    add_command(yaml_model, tmp_path / "made")
    model = ["--model", str(yaml_model)]
    output = str(tmp_path / "a.onnx")
    for verb in ([clip], ["export", "--to", "onnx", "--output", output]):
        assert main([*verb, *model]) == 1
        captured = capsys.readouterr()
        [line] = captured.err.splitlines()
        assert f"{yaml_model} has only hyperparams.yaml" in line
        assert "run any code" in line and "--trust-code" in line
        assert "config.json, model.safetensors, labels.csv" in line
        assert not captured.out and not (tmp_path / "made").exists()
    assert main([clip, *model, "--trust-code"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 6
    assert (tmp_path / "made").exists()


def test_from_pretrained_names_the_other_method(yaml_model):
    with pytest.raises(FileNotFoundError, match="only from_hparams reads it"):
        AudioTagger.from_pretrained(yaml_model)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("options", [[], ["--trust-code"]])
def test_partial_folders_are_not_loaded_by_their_yaml(
    model, clip, tmp_path, capsys, name, options
):
    add_command(model, tmp_path / "made")
    (model / name).unlink()
    assert main([clip, "--model", str(model), *options]) == 1
    captured = capsys.readouterr()
    assert f"{name} is missing" in captured.err and not captured.out
    assert not (tmp_path / "made").exists()


def test_the_folder_of_a_run_holds_the_model(model, clip, capsys):
    """The yaml of the training itself is not the one of the model."""
    assert main([clip, "--model", str(model)]) == 0
    expected = capsys.readouterr().out
    (model.parent / "hyperparams.yaml").write_text("a: !apply:none []", "utf-8")
    assert main([clip, "--model", str(model.parent)]) == 0
    assert capsys.readouterr().out == expected


@pytest.mark.parametrize("before", [[], ["clip.wav", "--top-k", "2"]])
def test_names_with_a_dash(model, clip, monkeypatch, capsys, before):
    monkeypatch.chdir(os.path.dirname(clip))
    for name in ("-dash.wav", "--model"):
        shutil.copy(clip, name)
    names = ["-dash.wav", "--model"]
    assert main([*before, "--model", str(model), "--", *names]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [x for x in lines if x[0] != " "] == [*before[:1], *names]


def test_files_after_the_options_of_a_verb(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["serve", "--model", "m", "--", "a.wav"])
    assert "unrecognized arguments: -- a.wav" in capsys.readouterr().err


@pytest.mark.parametrize("port", ["0", "70000", "x"])
def test_ports(port, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["serve", "--model", "m", "--port", port])
    assert f"--port: '{port}'" in capsys.readouterr().err


def test_threads(model, clip, monkeypatch):
    chosen = []
    monkeypatch.setattr(torch, "set_num_threads", chosen.append)
    assert main([clip, "--model", str(model), "--threads", "2"]) == 0
    assert 2 in chosen


def test_version(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"fftp-tag {__version__}\n"


@pytest.mark.parametrize("verb", ["", *VERBS])
def test_help_has_examples(verb, capsys):
    with pytest.raises(SystemExit, match="0"):
        main([verb, "--help"] if verb else ["--help"])
    text = capsys.readouterr().out
    _, _, examples = text.partition("\nexamples:\n")
    assert f"  fftp-tag {verb}" in examples and "--model" in examples
    if not verb:
        assert all(f"\n  {name} " in text for name in VERBS)
        default = inspect.signature(AudioTagger.tag_file).parameters["top_k"]
        assert f"tags per file (default: {default.default})" in text


def test_interrupted(model, clip, monkeypatch, capsys):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(AudioTagger, "tag_file", interrupt)
    assert main([clip, "--model", str(model)]) == 130
    captured = capsys.readouterr()
    assert not captured.out and not captured.err


def test_verbose_adds_the_traceback(model, clip, capsys):
    arguments = [clip, clip + "none", "--model", str(model)]
    assert main(arguments) == 1
    assert "Traceback" not in capsys.readouterr().err
    assert main([*arguments, "--verbose"]) == 1
    error = capsys.readouterr().err
    assert "Traceback" in error and f"\nfftp-tag: {clip}none: " in error
    assert main([clip, "--model", "none", "--verbose"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_warnings_of_this_package_alone(model, clip, monkeypatch, capsys):
    tag_file = AudioTagger.tag_file

    def warn(*args, **kwargs):
        logging.getLogger("speechbrain_fftp.inference.x").warning("a\nis %d", 1)
        logging.getLogger("speechbrain_fftp.inference.x").info("no warning")
        logging.getLogger("speechbrain.core").warning("chatter")
        warnings.warn("of another package")
        return tag_file(*args, **kwargs)

    monkeypatch.setattr(AudioTagger, "tag_file", warn)
    assert main([clip, "--model", str(model)]) == 0
    captured = capsys.readouterr()
    assert captured.err == "fftp-tag: warning: a is 1\n"
    assert len(captured.out.splitlines()) == 6


@pytest.mark.parametrize("options", [[], ["--timeline"]])
@pytest.mark.parametrize("output_format", ["json", "jsonl"])
def test_probabilities_that_are_no_numbers(
    model, clip, capsys, options, output_format
):
    tensors = load_file(model / "model.safetensors")
    tensors = {k: torch.full_like(v, torch.nan) for k, v in tensors.items()}
    save_file(tensors, model / "model.safetensors")
    arguments = [clip, "--model", str(model), "--format", output_format]
    assert main([*arguments, *options]) == 1
    captured = capsys.readouterr()
    [row] = np.ravel(json.loads(captured.out))
    assert list(row) == ["file", "error"] and "returns NaN" in row["error"]
    assert captured.err == f"fftp-tag: {row['error']}\n"


def test_a_file_that_has_vanished(model, clip, tmp_path, capsys):
    folder = tmp_path / "sounds"
    folder.mkdir()
    (folder / "gone.wav").symlink_to("nowhere.wav")
    shutil.copy(clip, folder / "there.wav")
    assert main([str(folder), "--model", str(model), "--top-k", "1"]) == 1
    captured = capsys.readouterr()
    gone, last = captured.err.splitlines()
    assert f"{folder}/gone.wav" in gone and "1 of 2 files" in last
    assert captured.out.startswith(f"{folder}/there.wav\n")


@pytest.mark.parametrize("verb", ["export --to onnx --output", "--plot"])
@pytest.mark.parametrize("target", ["none/a.png", "a folder.png"])
def test_targets_that_cannot_be_written(
    clip, tmp_path, monkeypatch, capsys, verb, target
):
    """This is known before the model is read, which does not exist here."""
    (tmp_path / "a folder.png").mkdir()
    monkeypatch.chdir(tmp_path)
    words = [clip, verb] if verb == "--plot" else verb.split()
    assert main([*words, target, "--model", "no model"]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith(f"fftp-tag: {target} cannot be written: ")
    assert "\n" not in captured.err.strip() and not captured.out
    assert not os.path.exists("none")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
@pytest.mark.parametrize("line_buffering", [False, True])
@pytest.mark.parametrize("output_format", ["table", "json", "csv"])
def test_a_full_disk(
    model, clip, monkeypatch, capsys, output_format, line_buffering
):
    arguments = [clip, "--model", str(model), "--format", output_format]
    with open("/dev/full", "w", 1 if line_buffering else -1) as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert main(arguments) == 1
    error = capsys.readouterr().err
    assert error == "fftp-tag: standard output: No space left on device\n"


def test_closed_streams(model, clip, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", None)
    assert main(["-", "--model", str(model)]) == 1
    error = capsys.readouterr().err
    assert error == "fftp-tag: standard input is closed\n"
    monkeypatch.setattr(sys, "stdout", None)
    assert main([clip, "--model", str(model)]) == 1
    error = capsys.readouterr().err
    assert error == "fftp-tag: standard output is closed\n"
