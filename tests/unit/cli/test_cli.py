"""Tests of the command line.

Authors
 * The speechbrain_fftp authors 2026
"""

import shutil

import numpy as np
import pytest
import soundfile as sf

from speechbrain_fftp.cli.main import main
from speechbrain_fftp.inference import AudioTagger
from speechbrain_fftp.inference.folder import FILES


@pytest.fixture
def clips(tmp_path):
    paths = []
    for n in range(2):
        path = tmp_path / f"clip {n}.wav"
        samples = np.random.default_rng(n).standard_normal(8000)
        sf.write(path, 0.1 * samples, 16000)
        paths.append(str(path))
    return paths


def expected_lines(folder, path, top_k):
    tags = AudioTagger.from_hparams(source=str(folder)).tag_file(path, top_k)
    return [path] + [f"  {tag.probability:.3f}  {tag.label}" for tag in tags]


def test_prints_the_tags_of_each_file(exported, clips, capsys):
    folder = exported[1]
    assert main([*clips, "--model", str(folder), "--top-k", "3"]) == 0
    captured = capsys.readouterr()
    expected = [
        line for clip in clips for line in expected_lines(folder, clip, 3)
    ]
    assert captured.out.splitlines() == expected
    assert "fftp-tag:" not in captured.err


def test_missing_model_says_how_to_make_one(clips, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    for name, message in (
        ("none", "fftp-tag: there is no "),
        ("empty", "empty has no config.json and no hyperparams.yaml"),
    ):
        assert main([clips[0], "--model", str(tmp_path / name)]) == 1
        captured = capsys.readouterr()
        assert not captured.out
        assert message in captured.err and "`make demo`" in captured.err


def damage(folder, name, content):
    path = folder / name
    path.unlink() if content is None else path.write_bytes(content)


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("classifier.ckpt", None, "classifier.ckpt"),
        ("classifier.ckpt", b"no weights", "UnpicklingError"),
        ("label_encoder.ckpt", None, "label_encoder.ckpt"),
        ("hyperparams.yaml", b"sample_rate: 16000", "pretrainer"),
    ],
)
def test_damaged_models_are_reported(
    exported, clips, tmp_path, capsys, name, content, message
):
    folder = tmp_path / "model"
    shutil.copytree(exported[1], folder)
    for data in FILES:  # so that the yaml is taken
        (folder / data).unlink()
    damage(folder, name, content)
    assert main([clips[0], "--model", str(folder), "--trust-code"]) == 1
    captured = capsys.readouterr()
    assert not captured.out
    [line] = captured.err.splitlines()
    assert str(folder) in line and message in line


def test_missing_device_is_reported(exported, clips, capsys):
    arguments = [clips[0], "--model", str(exported[1])]
    assert main([*arguments, "--device", "cuda:77"]) == 1
    assert "cuda:77" in capsys.readouterr().err


def test_model_folder_relative_to_the_current_one(
    exported, clips, monkeypatch, capsys
):
    monkeypatch.chdir(exported[1].parent)
    assert main([clips[0], "--model", exported[1].name]) == 0
    assert capsys.readouterr().out.splitlines()[0] == clips[0]
