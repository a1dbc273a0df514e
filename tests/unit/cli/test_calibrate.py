"""Tests of ``fftp-tag calibrate`` and of ``--threshold auto``.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import json
import shutil

import numpy as np
import pytest
import soundfile as sf

from speechbrain_fftp.cli.main import main
from speechbrain_fftp.inference import AudioTagger


@pytest.fixture(scope="module")
def data(exported, tmp_path_factory):
    """A prepared folder: three of the model's classes, and one other."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    labels = ["Speech", "Siren", "Rain", "Whistle"]
    rows = []
    for number in range(24):
        wav = rng.uniform(0.01, 0.2) * rng.standard_normal(8000)
        sf.write(folder / f"{number}.wav", wav, 16000)
        # Of Rain, few positives
        own = {labels[number % 2], labels[2 + (number > 2)]}
        rows.append(f"{number},$data_root/{number}.wav,{';'.join(own)}\n")
    for split in ("train", "valid", "eval"):
        table = "ID,wav,labels\n" + "".join(rows)
        (folder / f"{split}.csv").write_text(table, "utf-8")
    names = (f"{i},/m/{i},{label}\n" for i, label in enumerate(labels))
    table = "index,mid,display_name\n" + "".join(names)
    (folder / "classes.csv").write_text(table, "utf-8")
    (folder / "prepared.json").write_text('{"complete": true}', "utf-8")
    return folder


@pytest.fixture
def model(exported, tmp_path):
    """A copy of the model's folder, in that of its run."""
    return shutil.copytree(exported[1], tmp_path / "run" / "inference")


def run(*arguments):
    return main(list(map(str, arguments)))


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_thresholds_are_written_and_used(model, data, capsys):
    before = content(model)
    arguments = ["--model", model.parent, "--data_folder", data]
    assert run("calibrate", *arguments) == 0
    assert "Whistle" in capsys.readouterr().err
    written = content(model)
    assert written.pop("thresholds.csv") and written == before
    with open(model / "thresholds.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    tagger = AudioTagger.from_pretrained(model)
    assert [row["label"] for row in rows] == tagger.labels
    counts = {row["label"]: int(row["positives"]) for row in rows}
    assert counts == {
        **dict.fromkeys(tagger.labels, 0),
        **{"Speech": 12, "Siren": 12, "Rain": 3},
    }
    limits = {row["label"]: float(row["threshold"]) for row in rows}
    assert limits["Music"] == limits["Bark, dog"] == limits["Rain"]

    options = ["--model", model, "--threshold", "auto", "--format", "json"]
    assert run(data / "3.wav", *options) == 0
    [found] = json.loads(capsys.readouterr().out)
    expected = tagger.tag_file(data / "3.wav", threshold="auto")
    assert found["tags"] == [tag.to_dict() for tag in expected]


def test_background_raises_thresholds(model, tmp_path, capsys):
    """Thresholds begin at 0.5, then at those of the file."""
    noise = np.random.default_rng(0)
    for name, level in (("loud", 0.3), ("quiet", 1e-3)):
        wav = level * noise.standard_normal(16000 * 20)
        sf.write(tmp_path / f"{name}.wav", wav, 16000)
    loud = tmp_path / "loud.wav"
    arguments = ["--model", model, "--background", loud]
    assert run("calibrate", *arguments) == 0
    assert not (model / "thresholds.csv").exists()
    tagger = AudioTagger.from_pretrained(model)
    alarms = {event.label for event in tagger.tag_long(loud)}
    printed = capsys.readouterr().out
    assert alarms and all(label in printed for label in alarms)

    assert run("calibrate", *arguments, "--max_false_alarms", 1) == 0
    first = AudioTagger.from_pretrained(model).thresholds
    raised = {label for label, x in zip(tagger.labels, first) if x > 0.5}
    assert raised == alarms
    assert (
        AudioTagger.from_pretrained(model).tag_long(loud, threshold="auto")
        == []
    )

    arguments[-1] = tmp_path  # both recordings
    assert run("calibrate", *arguments, "--max_false_alarms", 1) == 0
    second = AudioTagger.from_pretrained(model).thresholds
    assert (second >= first).all()
