"""Tests of what preparing AudioSet makes of its clips.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import json

import numpy as np
import pytest
import soundfile as sf

from speechbrain.dataio.dataio import load_data_csv

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
        "cut": 1,
        "trimmed": 0,
        "downmixed": 1,
        "resampled": 2,
        "clipped": 1,
    }
    assert report["unknown_mids"] == {"/m/x": 2, "/m/y": 1}
    assert not report["valid_is_held_out_of_train"]
    skipped = {(s["split"], s["id"]): s["reason"] for s in report["skipped"]}
    assert len(skipped) == len(report["skipped"]) == 11
    assert skipped["train", "cut"].startswith("truncated: ")
    del skipped["train", "cut"]
    assert skipped == {
        ("train", "short"): "shorter than 25 ms: 160 samples",
        ("train", "zero"): "empty file",
        ("train", "nan"): "samples that are not finite",
        ("train", "absent"): "missing file",
        ("train", "e0"): "also in eval and kept only there",
        ("valid", "e1"): "also in eval and kept only there",
        ("train", "../evil"): "id cannot be a file name",
        ("train", "a..b"): "id cannot be a file name",
        ("train", "-t0"): "duplicate",
        ("train", "unknown"): "no known label",
    }
    assert report["skipped_reasons"]["missing file"] == 1
    assert len(list((save / "flac").iterdir())) == 11
    assert not list(tmp_path.glob("*evil*"))


def test_tables_are_what_speechbrain_reads(prepare, tmp_path):
    data, save = write_set(tmp_path / "data"), tmp_path / "save"
    prepare(data, save)
    replacements = {"data_root": str(save)}
    rows = {
        split: load_data_csv(str(save / f"{split}.csv"), replacements)
        for split in ("train", "valid", "eval")
    }
    assert rows["eval"]["e1"] == {
        "duration": 1.2,
        "wav": f"{save}/flac/e1.flac",
        "labels": "Beta, loud",
    }
    assert sf.info(rows["eval"]["e1"]["wav"]).frames == 19200
    trained = {**rows["train"], **rows["valid"]}
    assert trained["-t2"]["labels"] == "Alpha;Beta, loud;Gamma"
    assert read_rows(save / "classes.csv") == [
        {"index": str(i), "mid": mid, "display_name": name}
        for i, (mid, name) in enumerate(CLASSES.items())
    ]
    statistics = read_rows(save / "label_statistics.csv")
    assert [row["label"] for row in statistics] == list(CLASSES.values())
    counted = [int(row["train"]) + int(row["valid"]) for row in statistics]
    assert counted == [6, 4, 2]
    assert [row["eval"] for row in statistics] == ["0", "2", "0"]


def test_no_usable_clip_is_an_error(prepare, tmp_path):
    data, save = write_set(tmp_path / "data"), tmp_path / "save"
    for path in (data / "audio").glob("e*"):
        path.unlink()
    with pytest.raises(ValueError, match=r"2 of 2 eval clips \(100%\)"):
        prepare(data, save)
    with pytest.raises(
        ValueError, match="eval split .* 2 missing file"
    ) as error:
        prepare(data, save, allow_missing=1)
    assert str(save / "prepare_report.json") in str(error.value)
    assert len(read_report(save)["skipped"]) == 2
    assert not list(save.glob("*.csv"))
    write_audio(data / "audio" / "e0.wav")
    prepare(data, save, allow_missing=0.5)
    assert len(read_rows(save / "eval.csv")) == 1

    alone = write_set(tmp_path / "alone", num_train=1)
    with pytest.raises(ValueError, match="train split .* skipped: none"):
        prepare(alone, tmp_path / "other")
