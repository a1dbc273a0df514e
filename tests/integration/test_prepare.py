"""Tests of what preparing AudioSet makes of its clips.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import json

import numpy as np
import pytest
import soundfile as sf

CLASSES = {"/m/a": "Alpha", "/m/b": "Beta, loud", "/m/c": "Gamma"}


def write_classes(folder, classes):
    folder.mkdir(parents=True, exist_ok=True)
    with open(
        folder / "class_labels_indices.csv", "w", newline="", encoding="utf-8"
    ) as file:
        writer = csv.writer(file)
        writer.writerow(["index", "mid", "display_name"])
        writer.writerows((i, *item) for i, item in enumerate(classes.items()))


def write_list(folder, name, rows):
    lines = ["# YTID, start_seconds, end_seconds, positive_labels"]
    lines += [f'{i}, 30.000, 40.000, "{mids}"' for i, mids in rows]
    (folder / f"{name}_segments.csv").write_text("\n".join(lines), "utf-8")


def write_audio(path, seconds=0.5, rate=16000, channels=1, frequency=1000):
    t = np.arange(round(seconds * rate)) / rate
    samples = 0.5 * np.sin(2 * np.pi * frequency * t)
    sf.write(path, np.stack([samples] * channels, axis=1), rate)


def write_set(folder, num_train=6, num_eval=2):
    """A small set in AudioSet's form, without a validation list."""
    write_classes(folder, CLASSES)
    (folder / "audio").mkdir()
    mids = [",".join(list(CLASSES)[: 1 + i % 3]) for i in range(num_train)]
    train = [(f"-t{i}", mids[i]) for i in range(num_train)]
    evaluation = [(f"e{i}", "/m/b") for i in range(num_eval)]
    write_list(folder, "balanced_train", train)
    write_list(folder, "eval", evaluation)
    for i, (clip_id, _) in enumerate(train + evaluation):
        write_audio(folder / "audio" / f"{clip_id}.flac", 0.5 + i / 10)
    return folder


def read_rows(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def read_report(folder):
    return json.loads((folder / "prepare_report.json").read_text("utf-8"))


def test_awkward_clips(prepare, tmp_path):
    data, save = tmp_path / "data", tmp_path / "save"
    write_set(data)
    audio = data / "audio"
    write_audio(audio / "stereo48.wav", 10, 48000, 2)
    write_audio(audio / "low8.ogg", 2, 8000)
    write_audio(audio / "minute.flac", 60, 16000)
    write_audio(audio / "short.wav", 0.01)
    write_audio(audio / "cut.flac", 10)
    content = (audio / "cut.flac").read_bytes()
    (audio / "cut.flac").write_bytes(content[: len(content) // 2])
    (audio / "zero.flac").touch()
    nan = np.r_[np.zeros(8000), np.nan]
    sf.write(audio / "nan.wav", nan, 16000, subtype="FLOAT")
    sf.write(audio / "loud.wav", 2 * np.ones(8000), 16000, subtype="FLOAT")
    for name in ("unknown", "partly"):
        write_audio(audio / f"{name}.mp3", 1)
    write_audio(data / "evil.wav")
    train = [(f"-t{i}", "/m/a") for i in range(3)]
    names = (
        "stereo48 low8 minute short cut zero nan loud absent e0 ../evil a..b"
    )
    train += [(name, "/m/a") for name in names.split()]
    train += [("-t0", "/m/b"), ("unknown", "/m/x"), ("partly", "/m/x,/m/c")]
    write_list(data, "balanced_train", train)
    write_list(data, "valid", [("-t3", "/m/a"), ("e1", "/m/a")])
    write_list(data, "eval", [("e0", "/m/b"), ("e1", "/m/b,/m/y")])

    prepare(data, save, num_workers=2)

    rows = {row["ID"]: row for row in read_rows(save / "train.csv")}
    assert list(rows) == (
        ["-t0", "-t1", "-t2", "stereo48", "low8", "minute", "loud", "partly"]
    )
    assert rows["stereo48"]["duration"] == "10.0"
    assert rows["low8"]["duration"] == "2.0"
    assert rows["minute"]["duration"] == "10.0"
    assert rows["partly"]["labels"] == "Gamma"
    for name in ("stereo48", "low8", "minute"):
        samples, rate = sf.read(save / "flac" / f"{name}.flac")
        assert (rate, samples.ndim) == (16000, 1)
        assert len(samples) == float(rows[name]["duration"]) * 16000
        peak = np.abs(np.fft.rfft(samples)).argmax() * rate / len(samples)
        assert peak == 1000
    assert [row["ID"] for row in read_rows(save / "valid.csv")] == ["-t3"]
    assert [row["ID"] for row in read_rows(save / "eval.csv")] == ["e0", "e1"]

    report = read_report(save)
    assert report["splits"]["train"] == {
        "listed": 18,
        "written": 8,
        "skipped": 10,
    }
    assert report["unknown_mids"] == {"/m/x": 2, "/m/y": 1}
    assert not report["valid_is_held_out_of_train"]
    skipped = {(s["split"], s["id"]): s["reason"] for s in report["skipped"]}
    bad = "cut short zero nan absent e0 ../evil a..b -t0 unknown"
    expected = {("train", name) for name in bad.split()}
    assert set(skipped) == {*expected, ("valid", "e1")}
    assert len(report["skipped"]) == 11
    assert report["skipped_reasons"]["missing file"] == 1
    assert len(list((save / "flac").iterdir())) == 11
    assert not list(tmp_path.glob("*evil*"))


def test_no_usable_clip_is_an_error(prepare, tmp_path):
    data, save = write_set(tmp_path / "data"), tmp_path / "save"
    for path in (data / "audio").glob("e*"):
        path.unlink()
    with pytest.raises(ValueError, match="2 of 2 eval"):
        prepare(data, save)
    with pytest.raises(ValueError, match="prepare_report.json"):
        prepare(data, save, allow_missing=1)
    assert len(read_report(save)["skipped"]) == 2
    assert not list(save.glob("*.csv"))
    write_audio(data / "audio" / "e0.wav")
    prepare(data, save, allow_missing=0.5)
    assert len(read_rows(save / "eval.csv")) == 1

    alone = write_set(tmp_path / "alone", num_train=1)
    with pytest.raises(ValueError, match="train"):
        prepare(alone, tmp_path / "other")
