"""Tests of how ``fftp-tag`` loads models, and of its messages and exit codes.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import os
import shutil

import numpy as np
import pytest
import soundfile as sf
import torch
from safetensors.torch import load_file, save_file

from speechbrain_fftp.cli.main import main
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
        assert str(yaml_model) in captured.err
        assert "--trust-code" in captured.err
        assert not captured.out and not (tmp_path / "made").exists()
    assert main([clip, *model, "--trust-code"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 6
    assert (tmp_path / "made").exists()


@pytest.mark.parametrize("name", FILES)
def test_partial_folders_are_not_loaded_by_their_yaml(
    model, clip, tmp_path, capsys, name
):
    add_command(model, tmp_path / "made")
    (model / name).unlink()
    assert main([clip, "--model", str(model), "--trust-code"]) == 1
    captured = capsys.readouterr()
    assert name in captured.err and not captured.out
    assert not (tmp_path / "made").exists()


def test_the_folder_of_a_run_holds_the_model(model, clip, capsys):
    """The yaml of the training itself is not the one of the model."""
    assert main([clip, "--model", str(model)]) == 0
    expected = capsys.readouterr().out
    (model.parent / "hyperparams.yaml").write_text("a: !apply:none []", "utf-8")
    assert main([clip, "--model", str(model.parent)]) == 0
    assert capsys.readouterr().out == expected


def test_probabilities_that_are_no_numbers(model, clip, capsys):
    tensors = load_file(model / "model.safetensors")
    tensors = {k: torch.full_like(v, torch.nan) for k, v in tensors.items()}
    save_file(tensors, model / "model.safetensors")
    assert main([clip, "--model", str(model), "--format", "json"]) == 1
    captured = capsys.readouterr()
    [row] = np.ravel(json.loads(captured.out))
    assert list(row) == ["file", "error"] and "NaN" in row["error"]


@pytest.mark.parametrize("verb", ["export --to onnx --output", "--plot"])
def test_targets_that_cannot_be_written(
    clip, tmp_path, monkeypatch, capsys, verb
):
    """This is known before the model is read, which does not exist here."""
    monkeypatch.chdir(tmp_path)
    words = [clip, verb] if verb == "--plot" else verb.split()
    assert main([*words, "none/a.png", "--model", "no model"]) == 1
    captured = capsys.readouterr()
    assert "none/a.png" in captured.err and not captured.out
    assert not os.path.exists("none")
