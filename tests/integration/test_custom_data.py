"""Tests of custom data: what is prepared, folds, and the walk-through.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from recipe_runs import ROOT, load_script
from test_prepare import read_report, read_rows

from speechbrain_fftp.datasets.demo import CLASSES, SAMPLE_RATE

SPLITS = ("train", "valid", "eval")
NAMES = ("Siren", "Dial tone", "Tick-tock", "Mains hum", "White noise")


def write_sound(path, name, seed, seconds=3.0, rate=SAMPLE_RATE):
    """A clip with one of the sounds that can be synthesised."""
    rng = np.random.default_rng(seed)
    make = next(make for _, label, make in CLASSES if label == name)
    t = np.arange(round(seconds * rng.uniform(0.7, 1.3) * rate)) / rate
    sound = make(rng, t)
    noise = 0.003 * rng.standard_normal(len(t))
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(
        path, rng.uniform(0.1, 0.5) * sound / abs(sound).max() + noise, rate
    )


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """The walk-through's folder: five classes with 20 clips each."""
    folder = tmp_path_factory.mktemp("own") / "my_sounds"
    for place, name in enumerate(NAMES):
        for number in range(20):
            path = folder / name / f"{number}.wav"
            write_sound(path, name, seed=100 * place + number)
    return folder


def splits_of(save):
    """From id to split and labels."""
    return {
        row["ID"]: (split, row["labels"])
        for split in SPLITS
        for row in read_rows(save / f"{split}.csv")
    }


def write_list(folder, rows, columns=("path", "labels", "split", "group")):
    with open(folder / "clips.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns, *rows])


def test_awkward_clips_of_a_list(prepare, tmp_path):
    data, save = tmp_path / "data", tmp_path / "save"
    rows = []
    for number in range(12):
        path = f"in/{number % 4}/clip {number}.wav"
        write_sound(data / path, NAMES[number % 2], number)
        label = f"{NAMES[number % 2]}; Sound, any"
        rows.append((path, label, "", f"day {number // 3}"))
    write_sound(data / "long48.wav", "Siren", 1, seconds=20, rate=48000)
    write_sound(data / "48.flac", "Siren", 2, seconds=2, rate=48000)
    for name in ("absent.wav", "empty.wav", "short.wav", "silent"):
        rows.append((name, "Siren", "train", ""))
    (data / "empty.wav").touch()
    (data / "silent").mkdir()
    sf.write(data / "short.wav", np.zeros(100), 16000)
    rows += [("long48.wav", "Siren", "test", ""), ("48.flac", "Siren", "", "")]
    rows += [("unlabelled.wav", ";", "eval", ""), rows[0]]
    write_list(data, rows)

    prepare(data, save, num_workers=1)

    found = splits_of(save)
    assert len(found) == 14
    groups = {}
    for path, _, _, group in rows[:12]:
        name = path[:-4].replace("/", "_").replace(" ", "_")
        groups.setdefault(group, set()).add(found[name][0])
    assert len(groups) == 4
    assert all(len(splits) == 1 for splits in groups.values())
    assert set.union(*groups.values()) == set(SPLITS)
    assert found["in_0_clip_0"][1] == "Siren;Sound, any"
    assert found["long48"] == ("eval", "Siren")
    assert sf.info(save / "flac" / "long48.flac").duration == 10
    assert sf.info(save / "flac" / "48.flac").samplerate == 16000

    report = read_report(save)
    skipped = {clip["id"] for clip in report["skipped"]}
    bad = {"absent", "silent", "empty", "short", "unlabelled", "in_0_clip_0"}
    assert skipped == bad
    assert report["skipped_reasons"]["missing file"] == 3


def test_copies_do_not_leak(prepare, tmp_path, caplog):
    """Identical clips share a split."""
    caplog.set_level("INFO")
    data, save = tmp_path / "data", tmp_path / "save"
    for name in NAMES[:2]:
        for number in range(12):
            path = data / name / f"{number}.wav"
            write_sound(path, name, seed=100 * len(name) + number)
            if number % 2:  # half of them are copies
                shutil.copy(path.with_name(f"{number - 1}.wav"), path)
    prepare(data, save)
    rows = splits_of(save)
    for name in ("Siren", "Dial_tone"):
        for number in range(0, 12, 2):
            same = [rows[f"{name}_{number + i}"] for i in (0, 1)]
            assert same[0] == same[1]
    assert len(read_report(save)["identical_clips"]) == 12
    assert "12 clips are copies of others" in caplog.text


def test_table_of_folds(tmp_path, monkeypatch):
    """Each fold is trained by train.py, which is replaced here."""
    script, trained = load_script("AudioSet/cross_validate.py"), []
    data, out = tmp_path / "data", tmp_path / "out"
    data.mkdir()
    rows = [(f"{i}.wav", NAMES[i % 2], f"{i // 2 + 9}") for i in range(4)]
    write_list(data, rows, ("path", "labels", "fold"))

    def run(words, check):
        given = dict(w[2:].split("=") for w in map(str, words) if "=" in w)
        trained.append(given["test_fold"].strip("'"))
        assert given["seed"] == "2" and given["data_folder"] == str(data)
        folder = Path(given["output_folder"])
        folder.mkdir(parents=True, exist_ok=True)
        right = trained[-1] == "9"
        text = f"ID,labels,tag_1\n1,Siren,{'Siren' if right else 'Dog'}\n"
        (folder / "predictions.csv").write_text(text, "utf-8")
        (folder / "metrics.json").write_text('{"mAP": 0.5, "AUC": 0.6}')
        return subprocess.CompletedProcess(words, 0)

    monkeypatch.setattr(script.subprocess, "run", run)
    script.cross_validate("hparams.yaml", data, out, ["--seed=2"])
    assert trained == ["9", "10"]
    table = {row["fold"]: row for row in read_rows(out / "folds.csv")}
    assert table["mean"]["accuracy"] == "0.5000"
    assert table["95 % to"]["mAP"] == "0.5000"
    # Student's t for two values: 12.706 times the standard error
    assert float(table["95 % to"]["accuracy"]) == pytest.approx(
        0.5 + 12.706 / 2, abs=1e-3
    )
    (data / "clips.csv").write_text("path,labels\n0.wav,a\n1.wav,b\n")
    with pytest.raises(ValueError, match="has no folds"):
        script.cross_validate("hparams.yaml", data, out, [])


def shown(document, heading, language=""):
    """Blocks of a section of the documentation."""
    text = (ROOT / document).read_text("utf-8") + "## "
    section = re.search(rf"(?ms)^## {heading}\n(.*?)^## ", text)[1]
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", section, re.M | re.S)
    return [code for kind, code in blocks if kind == language]


def walk_through():
    """The commands that learn, tag and train."""
    codes = shown("README.md", "Your own sounds")
    lines = "".join(codes).replace("\\\n", " ").splitlines()
    return [shlex.split(line) for line in lines if line]


def follow(words, folder):
    """Runs a command of README.md as if the project were in a folder."""
    for name in ("recipes", "hparams"):
        if not (folder / name).exists():
            (folder / name).symlink_to(ROOT / name)
    programs = {
        "python": [sys.executable],
        "fftp-tag": [
            sys.executable,
            "-m",
            "speechbrain_fftp.cli.main",
        ],
    }
    done = subprocess.run(
        [*programs[words[0]], *words[1:]],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=1200,
    )
    assert done.returncode == 0, shlex.join(words) + done.stdout + done.stderr
    return done.stdout


def scored(folder, words):
    """metrics.json of a command's output folder."""
    output = folder / words[words.index("--output_folder") + 1]
    return json.loads((output / "metrics.json").read_text("utf-8"))


@pytest.fixture
def place(sounds, tmp_path):
    """A folder with what the walk-through takes to be there."""
    (tmp_path / "my_sounds").symlink_to(sounds)
    write_sound(tmp_path / "clip.wav", "Siren", seed=4321)
    return tmp_path


@pytest.mark.slow
def test_the_walk_through_makes_a_useful_tagger(place):
    learning, tagging, training = walk_through()
    follow(training, place)
    metrics = scored(place, training)
    assert metrics["num_clips"] == 15 and metrics["num_classes_scored"] == 5
    assert metrics["mAP"] >= 0.9
    model = training[training.index("--output_folder") + 1] + "/inference"
    learning[learning.index("--model") + 1] = model  # not a download
    for words in (tagging, [*tagging[:-3], "--model", model, "--timeline"]):
        if words is tagging:
            assert "accuracy" in follow(learning, place)
        events = follow(words, place).splitlines()
        assert events[0] == "clip.wav"
        longest = max(events[1:], key=lambda line: float(line.split()[1]))
        assert longest.endswith("  Siren")
