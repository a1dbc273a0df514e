"""Tests of the command's inputs, outputs and further commands.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import io
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile as sf
import torch
from safetensors.torch import load_file, save_file

from speechbrain_fftp.cli.main import main
from speechbrain_fftp.inference import AudioTagger

TIMELINE = ["--timeline", "--window", "1", "--hop", "0.25"]


@pytest.fixture(scope="module")
def tagger(exported):
    return AudioTagger.from_pretrained(exported[1])


@pytest.fixture
def clips(tmp_path):
    """A folder of two clips, one in a folder of its own, and other files."""
    folder = tmp_path / "sounds"
    (folder / "more").mkdir(parents=True)
    paths = [folder / "a, b.flac", folder / "more" / "B.WAV"]
    for n, path in enumerate(paths):
        samples = np.random.default_rng(n).standard_normal(48000)
        sf.write(path, 0.1 * samples, 16000)
    (folder / "notes.txt").write_text("no sound", "utf-8")
    return folder, [str(path) for path in paths]


def run(exported, *arguments):
    return main([*map(str, arguments), "--model", str(exported[1])])


def test_tags_in_each_format(exported, tagger, clips, capsys):
    folder, paths = clips
    found = {}
    for name in ("table", "json", "csv"):
        assert run(exported, folder, "--format", name, "--top-k", 3) == 0
        captured = capsys.readouterr()
        assert "fftp-tag:" not in captured.err
        found[name] = captured.out
    expected = {path: tagger.tag_file(path, 3) for path in paths}
    lines = []
    for path, tags in expected.items():
        lines += [path, *(f"  {x.probability:.3f}  {x.label}" for x in tags)]
    assert found["table"].splitlines() == lines
    assert json.loads(found["json"]) == [
        {"file": path, "tags": [tag.to_dict() for tag in tags]}
        for path, tags in expected.items()
    ]
    rows = csv.DictReader(io.StringIO(found["csv"]))
    assert [(r["file"], r["label"], float(r["probability"])) for r in rows] == [
        (path, tag.label, tag.probability)
        for path, tags in expected.items()
        for tag in tags
    ]


def test_jsonl_of_events(exported, tagger, clips, capsys):
    options = ["--format", "jsonl", "--threshold", "0.4", *TIMELINE]
    assert run(exported, clips[0], *options) == 0
    lines = capsys.readouterr().out.splitlines()
    found = [json.loads(line) for line in lines]
    assert found == [
        {
            "file": path,
            "events": [
                event.to_dict()
                for event in tagger.tag_long(path, 1.0, 0.25, threshold=0.4)
            ],
        }
        for path in clips[1]
    ]
    assert found[0]["events"]


def test_odd_files_and_unusable_ones(exported, tmp_path, capsys):
    """Each has its tags, or an error that names it."""
    noise = 0.1 * np.random.default_rng(0).standard_normal(48000)
    nan = np.where(np.arange(48000) == 4000, np.nan, noise)
    for name, samples, rate in (
        ("silent.wav", np.zeros(8000), 16000),
        ("eight_channels.wav", noise.reshape(-1, 8), 16000),
        ("fast.flac", noise, 192000),
        ("six_hours.wav", noise[:8000], 16000),
        ("truncated.flac", noise, 16000),
        ("bad_one_sample.wav", noise[:1], 16000),
        ("bad_no_samples.wav", noise[:0], 16000),
    ):
        sf.write(tmp_path / name, samples, rate)
    sf.write(tmp_path / "bad_nan.wav", nan, 16000, subtype="FLOAT")
    (tmp_path / "bad_text.wav").write_text("no sound", "utf-8")
    (tmp_path / "bad_empty.wav").write_bytes(b"")
    cut = tmp_path / "truncated.flac"
    cut.write_bytes(cut.read_bytes()[:9000])
    long = tmp_path / "six_hours.wav"
    content = bytearray(long.read_bytes())
    size = (6 * 3600 * 16000 * 2).to_bytes(4, "little")
    content[40:44] = size  # its header says so
    long.write_bytes(content)
    assert run(exported, tmp_path, "--format", "jsonl") == 1
    captured = capsys.readouterr()
    found = [json.loads(line) for line in captured.out.splitlines()]
    assert len(found) == 10
    for row in found:
        if "bad_" in row["file"]:
            assert row["file"] in row["error"] and row["file"] in captured.err
        else:
            assert len(row["tags"]) == 5
    assert str(cut) in captured.err


def test_plot(exported, tagger, clips, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    picture = tmp_path / "a.svg"
    options = ["--plot", picture, "--window", "1", "--hop", "0.5"]
    assert run(exported, clips[1][0], *options, "--format", "json") == 0
    timeline = tagger.analyze(clips[1][0], 1.0, 0.5)
    [found] = json.loads(capsys.readouterr().out)
    assert found["tags"] == [tag.to_dict() for tag in timeline.tags()]
    assert "<svg" in picture.read_text("utf-8")


def test_standard_output_holds_results_alone(exported, tagger, clips):
    """In a process of its own, with a pipe as input and a name in bytes."""
    name = os.path.join(os.fsencode(clips[0]), b"caf\xe9.wav")
    shutil.copy(clips[1][1], name)
    command = [sys.executable, "-m", "speechbrain_fftp.cli.main", "-", name]
    command += ["none.wav", "--model", str(exported[1]), "--format", "json"]
    with open(clips[1][0], "rb") as file:
        done = subprocess.run(command, stdin=file, capture_output=True)
    assert done.returncode == 1
    *found, failed = json.loads(done.stdout)
    assert [result["file"] for result in found] == ["-", os.fsdecode(name)]
    for result, path in zip(found, clips[1], strict=True):
        expected = [tag.to_dict() for tag in tagger.tag_file(path, 5)]
        assert result["tags"] == expected
    assert failed["file"] == "none.wav" and "none.wav" in failed["error"]
    assert b"none.wav" in done.stderr and b"Traceback" not in done.stderr
    assert b"%|" not in done.stderr  # no progress bar but on a terminal


def test_the_folder_of_a_run_holds_the_model(exported, clips, tmp_path, capsys):
    run_folder = tmp_path / "run"
    model = shutil.copytree(exported[1], run_folder / "inference")
    clip = clips[1][0]
    assert main([clip, "--model", str(model)]) == 0
    expected = capsys.readouterr().out
    (run_folder / "hyperparams.yaml").write_text("a: !apply:none []", "utf-8")
    assert main([clip, "--model", str(run_folder)]) == 0
    assert capsys.readouterr().out == expected


def test_probabilities_that_are_no_numbers(exported, clips, tmp_path, capsys):
    model = shutil.copytree(exported[1], tmp_path / "model")
    tensors = load_file(model / "model.safetensors")
    tensors = {k: torch.full_like(v, torch.nan) for k, v in tensors.items()}
    save_file(tensors, model / "model.safetensors")
    assert main([clips[1][0], "--model", str(model), "--format", "json"]) == 1
    captured = capsys.readouterr()
    [row] = np.ravel(json.loads(captured.out))
    assert list(row) == ["file", "error"] and "NaN" in row["error"]
