"""What holds for every data set that can be prepared.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import functools
import json
import os
import shutil

import data_folders
import numpy as np
import pytest
import soundfile as sf
import torch

from speechbrain.dataio.dataio import load_data_csv
from speechbrain_fftp.datasets import convert
from speechbrain_fftp.datasets.demo import CLASSES, prepare_demo
from speechbrain_fftp.datasets.manifests import read_classes_csv
from speechbrain_fftp.datasets.prepare import count_classes, prepare_data
from speechbrain_fftp.datasets.speech_commands.prepare import (
    prepare_speech_commands,
)

SPLITS = ("train", "valid", "eval")
TABLES = (
    *(f"{split}.csv" for split in SPLITS),
    "classes.csv",
    "label_statistics.csv",
    "prepare_report.json",
)
LAYOUTS = {
    "lists": data_folders.write_lists,
    "parquet": data_folders.write_parquet,
    "tars": data_folders.write_tars,
    "folders": data_folders.write_class_folders,
    "splits": data_folders.write_split_folders,
    "table": data_folders.write_clip_table,
    "esc50": data_folders.write_esc50,
}


def make_layout(name, tmp_path):
    """A data folder, and the function that prepares it."""
    folder = tmp_path / "data"
    folder.mkdir()
    if name == "words":
        data_folders.write_words(folder, rate=8000)  # all are converted
        return folder, functools.partial(
            prepare_speech_commands, task="folders"
        )
    if name == "parquet":
        pytest.importorskip("pyarrow")
    LAYOUTS[name](folder)
    options = {"num_workers": 1}
    if name == "esc50":
        options["test_fold"] = 2
    return folder, functools.partial(prepare_data, **options)


@pytest.fixture(params=LAYOUTS)
def layout(request, tmp_path):
    return make_layout(request.param, tmp_path)


@pytest.fixture(params=[*LAYOUTS, "words"])
def any_layout(request, tmp_path):
    """Speech Commands, too, whose manifests have other columns."""
    return make_layout(request.param, tmp_path)


def read_rows(folder, split):
    with open(folder / f"{split}.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def read_report(folder):
    return json.loads((folder / "prepare_report.json").read_text("utf-8"))


def times(folder):
    """Of all files but the lock, which is touched."""
    paths = [path for path in folder.rglob("*") if path.suffix != ".lock"]
    return {path: path.stat().st_mtime_ns for path in paths if path.is_file()}


def names_in(folder):
    return set(os.listdir(folder)) - {"preparing.lock"}


def test_manifests(layout, tmp_path):
    data, prepare = layout
    save = tmp_path / "save"
    assert count_classes(str(data), str(save)) == len(read_expected(data))
    prepare(data, save)
    assert names_in(save) == {*TABLES, "flac", "prepared.json"}
    classes = read_classes_csv(save)
    assert list(classes.values()) == read_expected(data)
    assert count_classes(str(data), str(save)) == len(classes)
    report = read_report(save)
    ids = set()
    for split in SPLITS:
        rows = load_data_csv(str(save / f"{split}.csv"), {"data_root": save})
        assert len(rows) == report["splits"][split]["written"] > 0
        assert not ids & rows.keys()
        ids |= rows.keys()
        for row in rows.values():
            info = sf.info(row["wav"])
            assert (info.samplerate, info.channels) == (16000, 1)
            assert info.frames == row["duration"] * 16000 == 4800
            assert set(row["labels"].split(";")) <= set(classes.values())
    assert {path.stem for path in (save / "flac").iterdir()} == ids
    assert report["skipped"] == []


def read_expected(data):
    """Names of the classes of a folder, in order."""
    if (data / "class_labels_indices.csv").exists():
        return list(data_folders.CLASSES.values())
    return ["cat", "dog"]


def test_a_complete_folder_is_reused(any_layout, tmp_path):
    data, prepare = any_layout
    save = tmp_path / "save"
    prepare(data, save, skip_prep=True)
    assert not save.exists()
    prepare(data, save)
    before = times(save)
    data.rename(tmp_path / "moved")
    prepare(tmp_path / "moved", save)
    shutil.copytree(tmp_path / "moved", tmp_path / "copy")
    prepare(tmp_path / "copy", save)
    assert times(save) == before


def test_data_are_not_needed_once_prepared(any_layout, tmp_path):
    data, prepare = any_layout
    save = tmp_path / "save"
    prepare(data, save)
    before = times(save)
    shutil.rmtree(data)
    prepare(data, save)
    assert times(save) == before


def test_an_interrupted_preparation_is_resumed(
    any_layout, tmp_path, monkeypatch
):
    data, prepare = any_layout
    whole = tmp_path / "whole"
    save = tmp_path / "save"
    prepare(data, whole)
    encode = convert.encode_clip
    encoded = []

    def fail(*args, **kwargs):
        if len(encoded) == 5:
            raise KeyboardInterrupt
        encoded.append(args)
        return encode(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(convert, "encode_clip", fail)
        with pytest.raises(KeyboardInterrupt):
            prepare(data, save)
    assert not (save / "prepared.json").exists()
    before = times(save / "flac")
    assert before
    prepare(data, save)
    after = times(save / "flac")
    assert all(after[path] == time for path, time in before.items())
    for path in whole.rglob("*.*"):
        assert (
            save / path.relative_to(whole)
        ).read_bytes() == path.read_bytes()


def test_changed_sources_and_settings_are_refused(any_layout, tmp_path):
    data, prepare = any_layout
    save = tmp_path / "save"
    prepare(data, save)
    before = times(save)
    with pytest.raises(ValueError, match="sample_rate=16000, not 8000"):
        prepare(data, save, sample_rate=8000)
    for path in sorted(path for path in data.rglob("*") if path.is_file()):
        stat = path.stat()
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 10**9))
        with pytest.raises(
            ValueError, match="source files have changed"
        ) as err:
            prepare(data, save)
        assert str(save) in str(err.value)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    prepare(data, save)
    assert times(save) == before


def test_a_missing_table_is_written_again(any_layout, tmp_path):
    data, prepare = any_layout
    save = tmp_path / "save"
    prepare(data, save)
    content = (save / "train.csv").read_bytes()
    before = times(save / "flac")
    (save / "train.csv").unlink()
    prepare(data, save)
    assert (save / "train.csv").read_bytes() == content
    assert times(save / "flac") == before


def test_unusable_clips_are_counted_and_listed(layout, tmp_path):
    data, prepare = layout
    sounds = sorted(data.rglob("*.flac")) or sorted(data.rglob("*.wav"))
    if not sounds:
        pytest.skip("the sounds are in shards")
    truncated = sounds[0].read_bytes()
    sounds[0].write_bytes(truncated[: len(truncated) // 2])
    sounds[1].write_bytes(b"<html>")
    save = tmp_path / "save"
    prepare(data, save)
    report = read_report(save)
    reasons = sorted(clip["reason"].split(":")[0] for clip in report["skipped"])
    assert reasons == ["truncated", "unreadable or truncated"]
    kept = {row["ID"] for split in SPLITS for row in read_rows(save, split)}
    assert not kept & {clip["id"] for clip in report["skipped"]}
    assert len(kept) == len(sounds) - 2


def test_a_folder_of_the_version_before_is_reused(layout, tmp_path):
    data, prepare = layout
    save = tmp_path / "save"
    prepare(data, save)
    record = json.loads((save / "prepared.json").read_text("utf-8"))
    record["settings"]["data_folder"] = "/elsewhere"
    (save / "prepared.json").write_text(json.dumps(record), "utf-8")
    before = times(save)
    prepare(data, save)
    assert times(save) == before
    (save / "train.json").touch()  # the index of its shards
    with pytest.raises(ValueError, match="earlier version"):
        prepare(data, save, format="webdataset")


def test_shards_hold_the_training_clips(layout, tmp_path):
    pytest.importorskip("webdataset")
    from speechbrain.dataio import audio_io
    from speechbrain.dataio.dataloader import make_dataloader
    from speechbrain.utils.data_pipeline import provides, takes
    from speechbrain.utils.epoch_loop import EpochCounter
    from speechbrain_fftp.datasets.shards import stream_shards

    @takes("wav")
    @provides("sig")
    def load(wav):
        """Loads a clip."""
        return audio_io.load(wav, always_2d=False)[0]

    data, prepare = layout
    prepare(data, tmp_path / "flac")
    save = tmp_path / "save"
    prepare(data, save, format="webdataset", clips_per_shard=2)
    trained = {
        r["ID"]: r["labels"] for r in read_rows(tmp_path / "flac", "train")
    }
    rows = read_rows(save, "train")
    assert {r["ID"]: r["labels"] for r in rows} == trained
    assert "wav" not in rows[0]
    assert len(read_rows(save, "eval")) == len(
        read_rows(tmp_path / "flac", "eval")
    )
    stream = stream_shards(
        str(save / "train.csv"),
        batch_size=1,
        epoch_counter=EpochCounter(1),
        dynamic_items=[load],
        output_keys=["id", "sig", "labels"],
    )
    seen = set()
    for batch in make_dataloader(stream, batch_size=1):
        path = tmp_path / "flac" / "flac" / f"{batch.id[0]}.flac"
        expected, _ = sf.read(path, dtype="float32")
        np.testing.assert_array_equal(batch.sig.data[0], expected)
        assert batch.labels == [trained[batch.id[0]]]
        assert batch.sig.data.dtype == torch.float32
        seen.add(batch.id[0])
    assert seen == trained.keys()


def test_demo(tmp_path):
    sizes = {"num_train": 6, "num_valid": 2, "num_eval": 2, "num_workers": 1}
    save = tmp_path / "run" / "save"
    prepare_demo(save, skip_prep=True)
    assert not save.exists()
    prepare_demo(save, **sizes)
    assert names_in(save) == {*TABLES, "events.tsv", "flac", "prepared.json"}
    assert [len(read_rows(save, split)) for split in SPLITS] == [7, 3, 3]
    assert count_classes(None, str(save)) == len(CLASSES)
    before = times(save)
    save.rename(tmp_path / "moved")
    prepare_demo(tmp_path / "moved", **sizes)
    with pytest.raises(ValueError, match="train=6, not 7"):
        prepare_demo(tmp_path / "moved", **{**sizes, "num_train": 7})
    (tmp_path / "moved").rename(save)
    assert times(save) == before


def test_count_of_classes_without_data(tmp_path):
    assert count_classes(None, str(tmp_path)) == 527
    assert count_classes(str(tmp_path / "none"), str(tmp_path)) == 527
