"""Tests of preparing Speech Commands.

What it shares with other data sets is tested in test_prepare_contract.py, the
rules for its lists, tasks and archives in unit tests.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from data_folders import write_words

from speechbrain.dataio.dataio import load_data_csv
from speechbrain_fftp.datasets.speech_commands.lists import COMMANDS
from speechbrain_fftp.datasets.speech_commands.prepare import (
    count_classes,
    prepare_speech_commands,
)

SPLITS = ("train", "valid", "test")
CLASSES = [*COMMANDS, "_unknown_", "_silence_"]


@pytest.fixture
def data(tmp_path):
    """Ten commands, two other words and a background recording."""
    folder = tmp_path / "data"
    write_words(folder, (*COMMANDS, "bed", "tree"))
    (folder / "_background_noise_").mkdir()
    noise = folder / "_background_noise_" / "noise.wav"
    sf.write(noise, np.linspace(-0.5, 0.5, 10 * 16000), 16000)
    return folder


def read_table(folder, name):
    with open(folder / f"{name}.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def read_clips(folder, split, **places):
    """A manifest's rows by ID, with the paths of the clips."""
    path = str(folder / f"{split}.csv")
    return load_data_csv(path, {"data_root": folder, **places})


def read_skipped(folder):
    return {r["file"]: r["reason"] for r in read_table(folder, "skipped")}


def test_twelve_classes(data, tmp_path):
    save = tmp_path / "save"
    prepare_speech_commands(data, save, task=12)
    assert [row["label"] for row in read_table(save, "classes")] == CLASSES
    assert count_classes(12, None, save) == len(CLASSES)
    ids = set()
    for speaker, split in enumerate(SPLITS):
        rows = read_clips(save, split, data_folder=data)
        by_label = {row["label"]: row for row in rows.values()}
        assert len(rows) == 12 and set(by_label) == set(CLASSES)
        for label, row in by_label.items():
            path = Path(row["wav"])
            assert sf.info(path).frames == row["duration"] * 16000
            if label in COMMANDS:
                source = data / label / f"s{speaker}_nohash_0.wav"
                np.testing.assert_array_equal(
                    sf.read(path)[0], sf.read(source)[0]
                )
        assert Path(by_label["_unknown_"]["wav"]).stem in [
            f"{word}_s{speaker}_nohash_0" for word in ("bed", "tree")
        ]
        assert not ids & set(rows)
        ids |= set(rows)
        # Silence is cut from a part of the ramp that no other split uses
        cut, _ = sf.read(by_label["_silence_"]["wav"])
        slope, value = np.polyfit(np.arange(16000) / 16000, cut, 1)
        first, last = ((0, 7), (7, 8.5), (8.5, 10))[speaker]
        assert first - 0.05 < 5 + value / slope < last - 1 + 0.05
    part, _ = sf.read(save / "noise" / "noise.flac")
    whole, _ = sf.read(data / "_background_noise_" / "noise.wav")
    np.testing.assert_array_equal(part, whole[: 7 * 16000])
    assert read_skipped(save) == {}


def test_custom_words(data, tmp_path, caplog):
    (data / "empty").mkdir()
    save = data / "results" / "save"
    assert count_classes("folders", data, save) == 12
    prepare_speech_commands(data, save, task="folders")
    prepare_speech_commands(data, save, task="folders")  # it is no class
    labels = [row["label"] for row in read_table(save, "classes")]
    assert labels == sorted((*COMMANDS, "bed", "tree"))
    assert count_classes("folders", "moved", save) == 12
    assert "empty" in caplog.text
    with pytest.raises(ValueError, match="another folder"):
        prepare_speech_commands(data, data, task="folders")
    write_words(data, ["a;b"])
    with pytest.raises(ValueError, match="a;b"):
        prepare_speech_commands(data, tmp_path / "other", task="folders")


def test_awkward_clips(tmp_path, caplog):
    data, save = tmp_path / "data", tmp_path / "save"
    write_words(data)
    clips = data / "cat"
    for name, seconds, rate, channels in (
        ("long.wav", 5, 16000, 1),
        ("stereo.flac", 1, 44100, 2),
        ("low.wav", 0.5, 8000, 1),
        ("$a, é.wav", 0.3, 16000, 1),
        ("cut.wav", 1, 16000, 1),
    ):
        samples = np.full((round(seconds * rate), channels), 0.1)
        sf.write(clips / name, samples, rate)
    (clips / "cut.wav").write_bytes((clips / "cut.wav").read_bytes()[:20000])
    (clips / "notes.txt").write_text("mine")
    with open(data / "testing_list.txt", "a", encoding="utf-8") as file:
        file.write("\nowl/absent.wav")
    prepare_speech_commands(data, save, task="folders")
    rows = read_clips(save, "train", data_folder=data)
    durations = [r["duration"] for r in rows.values() if r["label"] == "cat"]
    assert sorted(durations) == [0.3, 0.3, 0.5, 1.0, 1.0]
    for row in rows.values():
        samples, rate = sf.read(row["wav"])
        assert rate == 16000
        assert samples.shape == (round(row["duration"] * 16000),)
    skipped = read_skipped(save)
    for file, reason in (
        ("owl/absent.wav", "listed in testing_list.txt, but missing"),
        ("cat/notes.txt", "not named like audio"),
        ("cat/cut.wav", "truncated"),
    ):
        assert skipped.pop(file).startswith(reason)
    assert not skipped
    assert caplog.text.count("Skipped files") == 1


def test_archive(data, tmp_path):
    archive, save = tmp_path / "words.tar.gz", tmp_path / "save"
    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
        tar.add(data, ".")
    prepare_speech_commands(archive, save)
    prepare_speech_commands(data, tmp_path / "expected")
    for split in SPLITS:
        text = (tmp_path / "expected" / f"{split}.csv").read_text("utf-8")
        assert (save / f"{split}.csv").read_text("utf-8") == text
    archive.unlink()
    (save / "train.csv").unlink()
    prepare_speech_commands(archive, save)  # it is not needed any more
    assert (save / "train.csv").exists()
