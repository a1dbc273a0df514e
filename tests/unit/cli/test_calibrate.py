"""Tests of ``fftp-tag calibrate`` and of ``--threshold auto``.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import json
import os
import shutil

import numpy as np
import pytest
import soundfile as sf
from sklearn.metrics import f1_score

from speechbrain_fftp.cli.main import main
from speechbrain_fftp.inference import AudioTagger
from speechbrain_fftp.inference.folder import FILES


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
    (folder / "prepared.json").write_text('{"settings": {}}', "utf-8")
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
    captured = capsys.readouterr()
    [warning] = captured.err.splitlines()
    assert "Whistle" in warning
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
    shared = limits["Rain"]
    assert limits["Music"] == limits["Bark, dog"] == shared

    found = tagger.evaluate(data, "valid")
    assert found.labels == ["Speech", "Siren", "Rain"]
    targets, probs = found.targets, found.probs
    *table, n_shared, before, after = captured.out.splitlines()
    assert f"{found.metrics['mAP']:.4f}" in table[0]
    assert str(model) in n_shared and "3 of 5 classes" in n_shared
    own = np.array([limits[x] for x in found.labels], np.float32)
    lines = (before, 0.5, "0.5"), (after, own, "per class")
    for line, limit, name in lines:
        micro, macro = (
            f1_score(targets, probs >= limit, average=kind, zero_division=0)
            for kind in ("micro", "macro")
        )
        expected = (
            f"micro F1 {micro:.4f}, macro F1 {macro:.4f}, threshold {name}"
        )
        assert line == expected

    output = model.parent / "scores"
    assert run("evaluate", *arguments, "--output", output) == 0
    printed = capsys.readouterr().out
    written = json.loads((output / "metrics.json").read_text("utf-8"))
    assert written["threshold"] == "per class"
    for average in ("micro", "macro"):
        number = written[f"{average}_F1"]
        line = f"{average} F1 {number:.4f}  (threshold per class)\n"
        assert line in printed and line[:15] in after

    clips = [data / "3.wav", data / "4.wav"]
    options = ["--model", model, "--threshold", "auto", "--format", "json"]
    assert run(*clips, *options) == 0
    for clip, found in zip(clips, json.loads(capsys.readouterr().out)):
        expected = [
            tag.label
            for tag in tagger.tag_file(clip)
            if tag.probability >= np.float32(limits[tag.label])
        ]
        assert [tag["label"] for tag in found["tags"]] == expected
    assert run(clips[0], *options, "--timeline", "--window", 0.3) == 0
    [found] = json.loads(capsys.readouterr().out)
    expected = tagger.tag_long(clips[0], 0.3, threshold=tagger.thresholds)
    assert [event["label"] for event in found["events"]] == [
        event.label for event in expected
    ]


def test_without_thresholds(exported, data, capsys):
    model = ["--model", exported[1]]
    assert run(data / "3.wav", data / "4.wav", *model, "--threshold=auto") == 2
    captured = capsys.readouterr()
    [line] = captured.err.splitlines()
    assert "fftp-tag calibrate" in line and not captured.out
    with pytest.raises(SystemExit, match="2"):
        run(data / "3.wav", *model, "--threshold", "best")
    assert "--threshold: 'best'" in capsys.readouterr().err
    assert run("evaluate", *model, "--data_folder", data) == 0
    found = AudioTagger.from_pretrained(exported[1]).evaluate(data)
    targets, probs = found.targets, found.probs
    for average in ("micro", "macro"):
        f1 = f1_score(targets, probs >= 0.5, average=average, zero_division=0)
        assert found.metrics[f"{average}_F1"] == pytest.approx(f1)
    line = f"macro F1 {f1:.4f}  (threshold 0.5)\n"
    assert line in capsys.readouterr().out
    assert found.metrics["threshold"] == 0.5


def test_the_eval_split_is_learned_from_with_a_warning(model, data, capsys):
    arguments = ["--model", model, "--data_folder", data, "--split"]
    assert run("calibrate", *arguments, "eval") == 0
    first = capsys.readouterr().err.splitlines()[0]
    assert "warning" in first and "eval" in first
    before = content(model)
    assert run("calibrate", *arguments, "train") == 0
    assert "too high" not in capsys.readouterr().err
    assert content(model) == before  # the same clips


def test_folders_that_cannot_keep_thresholds(model, data, capsys, monkeypatch):
    before = content(model)
    arguments = ["calibrate", "--model", model, "--data_folder", data]

    with monkeypatch.context() as patch:
        patch.setattr(os, "access", lambda path, mode: path != str(model))
        assert run(*arguments) == 1
    captured = capsys.readouterr()
    [line] = captured.err.splitlines()
    assert f"{model / 'thresholds.csv'} cannot be written" in line
    assert not captured.out and content(model) == before

    def fail(*paths):
        raise PermissionError(13, "Permission denied", paths[1])

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail)
        assert run(*arguments) == 1
    assert "thresholds.csv: Permission denied" in capsys.readouterr().err
    assert content(model) == before

    (model / "thresholds.csv").mkdir()  # is neither read nor replaced
    assert run(*arguments) == 1
    assert "thresholds.csv cannot be written" in capsys.readouterr().err
    (model / "thresholds.csv").rmdir()
    for name in FILES:
        (model / name).unlink()
    with pytest.raises(SystemExit, match="2"):
        run(*arguments, "--trust-code")
    assert f"{model} is not an inference folder" in capsys.readouterr().err


def test_a_published_model_must_be_imported_first(data, tmp_path, capsys):
    """Its folder would keep thresholds that are never read."""
    (tmp_path / "published").mkdir()
    (tmp_path / "published" / "config.json").write_text("{}", "utf-8")
    for model in (tmp_path / "published", "owner/name"):
        with pytest.raises(SystemExit, match="2"):
            run("calibrate", "--model", model, "--data_folder", data)
        error = capsys.readouterr().err
        assert "fftp-tag import" in error and str(model) in error
    assert not (tmp_path / "published" / "thresholds.csv").exists()


def test_options_that_do_not_fit(model, data, tmp_path, capsys):
    arguments = ["calibrate", "--model", model, "--data_folder"]
    assert run(*arguments, data, "--window", 5) == 2
    assert "window=5.0" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        run(*arguments, tmp_path / "none")
    assert "there is no data folder" in capsys.readouterr().err
    (model / "thresholds.csv").write_text("damaged", "utf-8")
    assert run(*arguments, data) == 1
    assert "thresholds.csv" in capsys.readouterr().err


def test_windows(model, data, capsys):
    arguments = ["--model", model, "--data_folder", data, "--window", 0.2]
    assert run("calibrate", *arguments) == 0
    table = (model / "thresholds.csv").read_text("utf-8")
    assert run("calibrate", *arguments[:-2]) == 0
    assert (model / "thresholds.csv").read_text("utf-8") != table
    assert (AudioTagger.from_pretrained(model).thresholds > 0).all()
