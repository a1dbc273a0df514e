"""Tests of what preparing Speech Commands makes of its clips.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from recipe_runs import load_script

from speechbrain.dataio.dataio import load_data_csv
from speechbrain_fftp.datasets.speech_commands.lists import (
    COMMANDS,
    OTHER_WORDS,
    hash_split,
    speaker_of,
)
from speechbrain_fftp.datasets.synthetic.words import WORDS, make_word_set

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "recipes" / "SpeechCommands" / "speechcommands_prepare.py"
SPLITS = ("train", "valid", "test")


@pytest.fixture(scope="module")
def module():
    return load_script(SCRIPT)


@pytest.fixture(scope="module")
def prepare(module):
    return module.prepare_speechcommands


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    """A set of synthetic words. Not to be changed."""
    folder = tmp_path_factory.mktemp("words") / "set"
    make_word_set(folder, num_speakers=6, num_takes=2)
    return folder


@pytest.fixture
def data(words, tmp_path):
    """A copy of it, to be changed."""
    return Path(shutil.copytree(words, tmp_path / "data"))


@pytest.fixture
def logged(module, caplog):
    """Function that gives the text of what was logged."""
    caplog.set_level(logging.INFO)
    return lambda: caplog.text


def write_clip(path, seconds=1.0, rate=16000, channels=1, frequency=1000):
    path.parent.mkdir(parents=True, exist_ok=True)
    t = np.arange(round(seconds * rate)) / rate
    samples = 0.5 * np.sin(2 * np.pi * frequency * t)
    sf.write(path, np.stack([samples] * channels, axis=1), rate)


def write_words(folder, words, num_speakers=3):
    """Short clips of some words, listed by speaker."""
    for word in words:
        for speaker in range(num_speakers):
            write_clip(folder / word / f"s{speaker}_nohash_0.wav", 0.1)
    for name, speaker in (("validation", 1), ("testing", 2)):
        lines = [f"{word}/s{speaker}_nohash_0.wav\n" for word in words]
        (folder / f"{name}_list.txt").write_text("".join(lines), "utf-8")
    return folder


def read_table(folder, name):
    with open(folder / f"{name}.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def read_skipped(folder):
    return {r["file"]: r["reason"] for r in read_table(folder, "skipped")}


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_twelve_classes(prepare, words, tmp_path, logged):
    save = tmp_path / "save"
    prepare(words, save, task=12)
    assert read_table(save, "classes") == [
        {"index": str(i), "label": label}
        for i, label in enumerate((*COMMANDS, "_unknown_", "_silence_"))
    ]
    speakers, ids = {}, set()
    for split, num_speakers in zip(SPLITS, (4, 1, 1)):
        rows = load_data_csv(
            str(save / f"{split}.csv"),
            {"data_root": str(save), "data_folder": str(words)},
        )
        counts = Counter(row["label"] for row in rows.values())
        assert len(counts) == 12 and set(counts.values()) == {2 * num_speakers}
        assert not ids & set(rows)
        ids |= set(rows)
        for row in rows.values():
            assert sf.info(row["wav"]).frames == row["duration"] * 16000
        paths = [row["wav"] for row in rows.values()]
        unknown = [r["wav"] for r in rows.values() if r["label"] == "_unknown_"]
        folders = {Path(path).parent.name for path in unknown}
        assert folders <= set(WORDS) - set(COMMANDS)
        found = [speaker_of(path) for path in paths]
        speakers[split] = {name for name, is_known in found if is_known}
        assert len(speakers[split]) == num_speakers
    assert len(set.union(*speakers.values())) == 6
    assert read_skipped(save) == {}
    assert not (save / "flac").exists()
    for name in ("hum", "pink_noise", "white_noise"):
        part, rate = sf.read(save / "noise" / f"{name}.flac")
        whole, _ = sf.read(words / "_background_noise_" / f"{name}.wav")
        assert rate == 16000
        np.testing.assert_array_equal(part, whole[: round(0.7 * len(whole))])
    text = logged()
    assert "Prepared 12 classes" in text
    assert "train: 96 clips of 4 speakers" in text
    assert "WARNING" not in text


def test_silence_comes_from_disjoint_parts(prepare, data, tmp_path):
    for path in (data / "_background_noise_").iterdir():
        path.unlink()
    ramp = np.linspace(0.1, 0.9, 10 * 16000)  # tells where a cut is from
    path = data / "_background_noise_" / "ramp.wav"
    sf.write(path, ramp, 16000, subtype="FLOAT")
    save = tmp_path / "save"
    prepare(data, save)
    low, slope = 0.1, 0.8 / (len(ramp) - 1)
    edges = {"train": (0, 7), "valid": (7, 8.5), "test": (8.5, 10)}
    for split, (first, last) in edges.items():
        for path in (save / "silence").glob(f"{split}-*.flac"):
            cut, _ = sf.read(path)
            assert len(cut) == 16000
            line = np.polyfit(np.arange(16000), cut, 1)
            if line[0] < 0.05 * slope:  # too faint to tell
                continue
            start = (line[1] / line[0] - low / slope) / 16000
            assert first - 0.05 < start and start + 1 < last + 0.05


def test_folders_of_unknown_and_silence_are_used(prepare, tmp_path, logged):
    data = write_words(
        tmp_path / "data", [*COMMANDS, "_unknown_", "_silence_", "cow"]
    )
    for i in range(3, 6):
        write_clip(data / "_unknown_" / f"bed_s{i}_nohash_0.wav", 0.1)
    prepare(data, tmp_path / "save")
    rows = read_table(tmp_path / "save", "train")
    counts = Counter(row["label"] for row in rows)
    assert counts["_unknown_"] == 4 and counts["_silence_"] == 1
    assert {Path(row["wav"]).parts[0] for row in rows} == {"$data_folder"}
    assert not (tmp_path / "save" / "silence").exists()
    assert "not a word of task 12: cow" in logged()


def test_thirty_five_words(prepare, tmp_path, logged):
    words = [*COMMANDS, *OTHER_WORDS]
    data = write_words(tmp_path / "data", [*words, "tortoise"])
    (data / "_background_noise_").mkdir()
    (data / "_background_noise_" / "README.md").touch()
    prepare(data, tmp_path / "save", task="35")
    save = tmp_path / "save"
    assert [r["label"] for r in read_table(save, "classes")] == sorted(words)
    assert [len(read_table(save, split)) for split in SPLITS] == [35] * 3
    assert "not a word of task 35: tortoise" in logged()
    assert read_skipped(save) == {}
    shutil.rmtree(data / "bed")
    with pytest.raises(ValueError, match="no folder bed: .*'folders'"):
        prepare(data, tmp_path / "other", task="35")


def test_custom_folders(prepare, tmp_path, logged):
    data = write_words(tmp_path / "data", ["hund", "katze"])
    (data / "leer").mkdir()
    prepare(data, data / "results" / "save", task="folders")
    save = data / "results" / "save"
    prepare(data, save, task="folders")  # its own folder is no class
    labels = [row["label"] for row in read_table(save, "classes")]
    assert labels == ["hund", "katze"]
    assert "empty or not a word of task folders: leer" in logged()
    assert "Using the data prepared" in logged()
    with pytest.raises(ValueError, match="save to another folder"):
        prepare(data, data, task="folders")
    (data / "a;b").mkdir()
    write_clip(data / "a;b" / "1.wav")
    with pytest.raises(ValueError, match="rename 'a;b'"):
        prepare(data, tmp_path / "other", task="folders")


def test_awkward_clips(prepare, tmp_path, logged):
    data = write_words(tmp_path / "data", ["cat", "dog"])
    write_clip(data / "cat" / "long_nohash_0.wav", 5)
    write_clip(data / "cat" / "stereo_nohash_0.flac", 1, 44100, 2)
    write_clip(data / "cat" / "low_nohash_0.wav", 0.5, 8000)
    write_clip(data / "cat" / "brief_nohash_0.wav", 0.01)
    write_clip(data / "cat" / "cut_nohash_0.wav", 1)
    cut = data / "cat" / "cut_nohash_0.wav"
    cut.write_bytes(cut.read_bytes()[:20000])
    (data / "cat" / "zero_nohash_0.wav").touch()
    (data / "cat" / "text_nohash_0.wav").write_text("no audio")
    (data / "cat" / "notes.txt").write_text("mine")
    write_clip(data / "cat" / "$a_nohash_0.wav", 0.3)
    write_clip(data / "cat" / "a,b é_nohash_0.wav", 0.3)
    name = os.fsencode(str(data / "cat")) + b"/\xff_nohash_0.wav"
    shutil.copy(data / "dog" / "s0_nohash_0.wav", name)
    (data / "cat" / "gone_nohash_0.wav").symlink_to(tmp_path / "nowhere.wav")
    with open(data / "testing_list.txt", "a", encoding="utf-8") as file:
        file.write("cat/absent_nohash_0.wav\nowl/absent_nohash_0.wav\n")
    save = tmp_path / "save"
    prepare(data, save, task="folders")
    manifest = str(save / "train.csv")
    roots = {"data_root": str(save), "data_folder": str(data)}
    rows = load_data_csv(manifest, roots)
    found = {
        speaker_of(Path(row["wav"]).name)[0]: row["duration"]
        for row in rows.values()
        if row["label"] == "cat"
    }
    other = {name for name in found if name.startswith("cat_")}
    assert other >= {"cat_long", "cat_low", "cat_stereo"} and len(other) == 5
    assert found["cat_long"] == found["cat_stereo"] == 1.0
    assert found["cat_low"] == 0.5 and found["s0"] == 0.1
    assert found["a,b é"] == 0.3
    for row in rows.values():
        samples, rate = sf.read(row["wav"])
        assert rate == 16000 and samples.ndim == 1
        assert len(samples) == round(row["duration"] * 16000)
    skipped = read_skipped(save)
    assert skipped.pop("cat/text_nohash_0.wav").startswith("unreadable")
    assert skipped == {
        "cat/absent_nohash_0.wav": "listed in testing_list.txt, but missing",
        "owl/absent_nohash_0.wav": "listed in testing_list.txt, but missing",
        "cat/notes.txt": "not named like audio",
        "cat/brief_nohash_0.wav": "shorter than 25 ms: 160 samples",
        "cat/cut_nohash_0.wav": "truncated: 0.623625 of 1 s",
        "cat/zero_nohash_0.wav": "empty file",
        "cat/gone_nohash_0.wav": "not a regular file",
    }
    text = logged()
    assert "2 listed in testing_list.txt, but missing" in text
    assert "Only the beginning of 1 clips" in text
    assert text.count("Skipped files") == 1


def test_splits_without_lists_are_by_speaker(prepare, tmp_path):
    data = tmp_path / "data"
    for word in ("cat", "dog"):
        for i in range(60):
            write_clip(data / word / f"{i:03x}_nohash_0.wav", 0.03)
    prepare(data, tmp_path / "save", task="folders")
    for split in SPLITS:
        rows = read_table(tmp_path / "save", split)
        found = {speaker_of(row["wav"])[0] for row in rows}
        expected = {f"{i:03x}" for i in range(60)}
        assert found == {s for s in expected if hash_split(s) == split}
        assert len(rows) == 2 * len(found)
    (data / "testing_list.txt").write_text("cat/000_nohash_0.wav\n")
    with pytest.raises(ValueError, match="validation_list.txt is missing"):
        prepare(data, tmp_path / "other", task="folders")


def test_nothing_to_use_is_an_error(prepare, tmp_path):
    data, save = write_words(tmp_path / "data", ["cat", "dog"]), tmp_path / "s"
    testing = data / "testing_list.txt"
    testing.write_text("cat/x_nohash_0.wav\n")
    with pytest.raises(ValueError, match="split test; .* 1 listed") as error:
        prepare(data, save, "folders")
    assert str(save / "skipped.csv") in str(error.value)
    assert sorted(read_skipped(save)) == ["cat/x_nohash_0.wav"]
    assert not (save / "prepared.json").exists()
    assert not (save / "train.csv").exists()
    testing.write_text("cat/s2_nohash_0.wav\n")
    (data / "dog" / "s2_nohash_0.wav").unlink()
    (data / "dog" / "s0_nohash_0.wav").write_bytes(b"")
    with pytest.raises(
        ValueError, match="class dog in the split train; .* 1 empty"
    ):
        prepare(data, save, "folders")
    write_clip(data / "dog" / "s0_nohash_0.wav")
    prepare(data, save, "folders")
    assert (save / "prepared.json").exists()


@pytest.mark.parametrize(
    "change, message",
    [
        ({"task": "11"}, "task is '11', not one of 12, 35, folders"),
        ({"sample_rate": 0}, "sample_rate is 0"),
        ({"clip_seconds": float("nan")}, "clip_seconds nan"),
    ],
)
def test_arguments_are_checked(prepare, words, tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        prepare(words, tmp_path / "save", **change)
    assert not (tmp_path / "save").exists()


def test_missing_data(prepare, tmp_path):
    for name in ("nowhere", "nowhere.tar.gz"):
        with pytest.raises(FileNotFoundError, match=name):
            prepare(tmp_path / name, tmp_path / "save")
    prepare(tmp_path / "nowhere", tmp_path / "save", skip_prep=True)
    assert not list(tmp_path.glob("save/*"))


def test_prepared_once(prepare, data, tmp_path, logged):
    save = tmp_path / "save"
    write_clip(data / "yes" / "x_nohash_0.wav", 2, 22050)
    prepare(data, save)
    before = {p: p.stat().st_mtime_ns for p in save.rglob("*")}
    first = contents(save)
    prepare(str(data), save, task="12")
    assert {p: p.stat().st_mtime_ns for p in save.rglob("*")} == before
    assert logged().count("Using the data prepared") == 1
    for change, message in (
        ({"task": "folders"}, "task='12', not 'folders'"),
        ({"clip_seconds": 0.5}, "clip_seconds=1.0, not 0.5"),
    ):
        with pytest.raises(ValueError, match=message):
            prepare(data, save, **change)
    assert contents(save) == first

    # A table was deleted: what was converted is used again
    flac = save / "flac" / "yes_x_nohash_0.flac"
    before = flac.stat().st_mtime_ns
    (save / "train.csv").unlink()
    prepare(data, save)
    assert contents(save) == first and flac.stat().st_mtime_ns == before


def write_again(path):
    """Replaces a file by one of the same size, a second later."""
    later = path.stat().st_mtime + 1
    path.write_bytes(path.read_bytes()[::-1])
    os.utime(path, (later, later))


@pytest.mark.parametrize(
    "change",
    [
        lambda data: write_clip(data / "yes" / "new_nohash_0.wav", 0.1),
        lambda data: next((data / "yes").iterdir()).unlink(),
        lambda data: write_again(next((data / "tree").iterdir())),
        lambda data: write_again(data / "_background_noise_" / "hum.wav"),
        lambda data: write_again(data / "testing_list.txt"),
        lambda data: (data / "validation_list.txt").unlink(),
    ],
)
def test_changed_data_are_refused(prepare, data, tmp_path, change):
    save = tmp_path / "save"
    for path in data.glob("[a-z]*/*.wav"):
        if path.parent.name not in ("yes", "tree", *COMMANDS[1:3]):
            path.unlink()
    prepare(data, save, task="folders")
    first = contents(save)
    change(data)
    with pytest.raises(ValueError, match="have changed since .*delete this"):
        prepare(data, save, task="folders")
    assert contents(save) == first


def test_replaced_clip_is_converted_again(prepare, data, tmp_path):
    """Also if an attempt that converted the earlier one was interrupted."""
    save = tmp_path / "save"
    clip = data / "yes" / "x_nohash_0.wav"
    write_clip(clip, 0.5, 22050, frequency=500)
    prepare(data, save, task="folders")
    os.replace(save / "prepared.json", save / "preparing.json")
    write_clip(clip, 0.5, 22050, frequency=3000)
    prepare(data, save, task="folders")
    samples, rate = sf.read(save / "flac" / "yes_x_nohash_0.flac")
    peak = np.abs(np.fft.rfft(samples)).argmax() * rate / len(samples)
    assert peak == pytest.approx(3000, abs=10)


def test_archive(prepare, words, tmp_path):
    archive, save = tmp_path / "words.tar.gz", tmp_path / "save"
    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
        tar.add(words, ".")
    prepare(archive, save)
    expected = tmp_path / "expected"
    prepare(words, expected)
    for split in SPLITS:
        text = (expected / f"{split}.csv").read_text("utf-8")
        text = text.replace("$data_folder", "$data_root/unpacked")
        assert (save / f"{split}.csv").read_text("utf-8") == text
    before = (save / "unpacked").stat().st_mtime_ns
    first = contents(save)
    os.rename(archive, tmp_path / "moved.tar.gz")
    prepare(archive, save)  # it is not needed any more
    (save / "train.csv").unlink()
    (save / "unpacked.0a1b2c3d.tmp" / "yes").mkdir(parents=True)  # of a kill
    prepare(archive, save)  # not even now
    assert not (save / "unpacked.0a1b2c3d.tmp").exists()
    assert (save / "unpacked").stat().st_mtime_ns == before
    assert contents(save) == first
    archive.write_bytes(b"\x1f\x8b damaged")
    with pytest.raises(ValueError, match="have changed since"):
        prepare(archive, save)
    with pytest.raises(ValueError, match="words.tar.gz cannot be unpacked"):
        prepare(archive, tmp_path / "other")
    assert not (tmp_path / "other" / "unpacked").exists()
    os.replace(tmp_path / "moved.tar.gz", archive)
    prepare(archive, tmp_path / "other")


def test_foreign_folders_are_left_alone(prepare, data, tmp_path):
    save = tmp_path / "save"
    for name in ("unpacked", "flac"):
        (save / name).mkdir(parents=True)
        with pytest.raises(ValueError, match=f"something else.*{name}"):
            prepare(data, save)
        (save / name).rmdir()
    prepare(data, save)


def test_failure_leaves_it_unprepared(module, data, tmp_path, monkeypatch):
    save, prepare = tmp_path / "save", module.prepare_speechcommands
    prepare(data, tmp_path / "expected")
    for place, name in (
        (module, "write_csv"),
        (module.clips, "write_flac"),
        (module.clips, "use_or_convert"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(place, name, lambda *args: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                prepare(data, save)
        assert (save / "preparing.json").exists()
        assert not (save / "prepared.json").exists()
    prepare(data, save)
    assert contents(save) == contents(tmp_path / "expected")


def test_killed_preparation_is_done_again(prepare, data, tmp_path):
    for path in data.glob("[a-z]*/*.wav"):  # all have to be converted
        samples, _ = sf.read(path)
        sf.write(path, samples, 22050)
    save = tmp_path / "save"
    prepare(data, tmp_path / "expected")
    for num_files in (1, 60):
        process = subprocess.Popen(
            [sys.executable, str(SCRIPT), str(data), str(save)],
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        while len(list(save.glob("flac/*.flac"))) < num_files:
            assert process.poll() is None
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not (save / "prepared.json").exists()
        assert not (save / "train.csv").exists()
    prepare(data, save)
    found = contents(save)
    found = {k: v for k, v in found.items() if not k.endswith(".tmp")}
    assert found == contents(tmp_path / "expected")


def test_real_words_in_the_shared_folder(prepare, shared, tmp_path):
    """Its counts are those in its README."""
    data, save = shared / "data" / "speech_commands", tmp_path / "save"
    if not data.is_dir():
        pytest.skip("the shared folder has no Speech Commands")
    readme = (data / "README.md").read_text("utf-8")
    rows = re.findall(r"^\| (\w+) \|((?: \d+ \|){5})$", readme, re.M)
    table = {label: re.findall(r"\d+", text)[:3] for label, text in rows}
    assert len(table) == 12
    prepare(data, save)
    speakers = []
    for i, split in enumerate(SPLITS):
        found = read_table(save, split)
        counts = Counter(row["label"] for row in found)
        assert counts == {label: int(n[i]) for label, n in table.items()}
        assert {row["duration"] for row in found} == {"1.0"}
        assert all(row["wav"].startswith("$data_folder/") for row in found)
        known = (speaker_of(row["wav"][13:]) for row in found)
        speakers.append({speaker for speaker, is_known in known if is_known})
    assert [len(found) for found in speakers] == [171, 25, 42]
    assert len(set.union(*speakers)) == 238
    assert read_skipped(save) == {}
    assert len(list((save / "noise").iterdir())) == 6


def write_test_set(folder):
    """A test set as it is published, with one file that is not audio."""
    for number, word in enumerate([*COMMANDS, "_unknown_", "_silence_"]):
        for speaker in range(2 + number % 2):
            name = f"t{speaker}_nohash_0.wav"
            name = f"bed_{name}" if word == "_unknown_" else name
            write_clip(folder / word / name, 0.5)
    write_clip(folder / "yes" / "t9_nohash_0.wav", 0.5, rate=8000)
    (folder / "no" / "t8_nohash_0.wav").write_bytes(b"")
    return folder


@pytest.mark.parametrize("packed", [False, True])
def test_published_test_set(prepare, words, tmp_path, packed):
    test_set = write_test_set(tmp_path / "test_set")
    if packed:
        archive = tmp_path / "test.tar.gz"
        with tarfile.open(archive, "w:gz") as tar:
            tar.add(test_set, "./")
        test_set = archive
    plain, save = tmp_path / "plain", tmp_path / "save"
    prepare(words, plain, "12")
    prepare(words, save, "12", test_set=test_set)
    for name in ("train.csv", "valid.csv", "classes.csv"):
        assert (save / name).read_bytes() == (plain / name).read_bytes()
    rows = read_table(save, "test")
    counts = Counter(row["label"] for row in rows)
    assert counts.pop("yes") == 3  # one of them converted
    assert counts.pop("_silence_") == 3 and counts.pop("_unknown_") == 2
    assert set(counts) == set(COMMANDS) - {"yes"}
    assert sum(counts.values()) == sum(2 + n % 2 for n in range(1, 10))
    for row in rows:
        path = row["wav"].replace("$test_set", str(test_set))
        path = path.replace("$data_root", str(save))
        info = sf.info(path)
        assert info.samplerate == 16000
        assert info.duration == pytest.approx(float(row["duration"]))
    assert "test set: no/t8_nohash_0.wav" in (save / "skipped.csv").read_text()
    if packed:
        archive.write_bytes(b"other")
    else:
        shutil.copy(test_set / "up/t0_nohash_0.wav", test_set / "up/t5.wav")
    with pytest.raises(ValueError, match="source files have changed"):
        prepare(words, save, "12", test_set=test_set)
    with pytest.raises(ValueError, match="test_set"):
        prepare(words, save, "12")
    with pytest.raises(ValueError, match="test_set is for task 12, not 35"):
        prepare(words, tmp_path / "other", "35", test_set=test_set)
    shutil.rmtree(tmp_path / "test_set" / "stop")
    with pytest.raises(ValueError, match="no folder stop"):
        folder = tmp_path / "test_set"
        prepare(words, tmp_path / "other", "12", test_set=folder)
