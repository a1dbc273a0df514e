"""Tests of the folders that AudioSet is prepared from and written to.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from speechbrain_fftp.dataio.files import locked
from speechbrain_fftp.datasets.audioset import manifests
from speechbrain_fftp.datasets.audioset.lists import (
    read_class_list,
    read_segments,
)
from speechbrain_fftp.datasets.synthetic.demo_set import make_demo_set

ROOT = Path(__file__).resolve().parents[2]
SPLITS = ("train", "valid", "eval")


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    make_demo_set(folder, num_train=20, num_valid=3, num_eval=4)
    return folder


def read_rows(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def read_report(folder):
    return json.loads((folder / "prepare_report.json").read_text("utf-8"))


def times(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_demo_set(prepare, data, tmp_path):
    save = tmp_path / "save"
    prepare(data, save)
    sizes = [len(read_rows(save / f"{split}.csv")) for split in SPLITS]
    assert sizes == [20, 3, 4]
    report = read_report(save)
    assert report["skipped"] == [] and report["unknown_mids"] == {}
    assert not report["valid_is_held_out_of_train"]


def test_finished_preparation_returns_at_once(prepare, data, tmp_path):
    save = tmp_path / "save"
    prepare(data, save, skip_prep=True)
    assert not save.exists()
    prepare(data, save)
    before = times(save)
    shutil.rmtree(data)
    prepare(data, save)
    assert times(save) == before


def test_other_source_is_an_error(prepare, data, tmp_path):
    save = tmp_path / "save"
    prepare(data, save)
    before = times(save)
    with pytest.raises(ValueError, match="data_folder=.*delete this one"):
        prepare(shutil.copytree(data, tmp_path / "other"), save)
    with pytest.raises(ValueError, match="sample_rate=16000, not 8000"):
        prepare(data, save, sample_rate=8000)
    (save / "train.csv").unlink()  # not even an unfinished folder is mixed
    with pytest.raises(ValueError, match="valid_fraction=0.05, not 0.1"):
        prepare(data, save, valid_fraction=0.1)
    del before[save / "train.csv"]
    assert times(save) == before
    marker = json.loads((save / "prepared.json").read_text("utf-8"))
    assert marker["source"].startswith("31 files, ")
    assert marker["settings"] == {
        "data_folder": str(data),
        "valid_fraction": 0.05,
        "sample_rate": 16000,
        "unbalanced": False,
        "format": "flac",
    }


def test_bad_folders_are_errors_that_name_the_remedy(prepare, data, tmp_path):
    save = tmp_path / "save"
    with pytest.raises(FileNotFoundError, match="nowhere does not exist"):
        prepare(tmp_path / "nowhere", save)
    with pytest.raises(ValueError, match="valid_fraction is 1.5"):
        prepare(data, save, valid_fraction=1.5)
    segments = data / "eval_segments.csv"
    segments.write_text("# no clip\n", "utf-8")
    with pytest.raises(
        ValueError, match=f"eval split is empty: see {segments}"
    ):
        prepare(data, save)
    segments.write_text('a, 0, 10, "/m/1"\nb, 10\n', "utf-8")
    with pytest.raises(ValueError, match=f"{segments}, line 2"):
        prepare(data, save)
    segments.write_text('a, 0, 10, "/m/1"\n', "utf-8")
    (data / "audio").rename(data / ".audio")
    with pytest.raises(FileNotFoundError, match="0 audio files.* nor parquet"):
        prepare(data, save)
    segments.unlink()
    with pytest.raises(FileNotFoundError, match=f"missing: {segments.name}"):
        prepare(data, save)
    classes = data / "class_labels_indices.csv"
    classes.write_text("index,mid,display_name\n0,/m/1,One;two\n", "utf-8")
    with pytest.raises(ValueError, match="rename 'One;two'"):
        prepare(data, save)
    assert not save.exists()


def write_shards(data, folder, patterns):
    """The clips of AudioSet's lists, in two shards per split."""
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    classes = read_class_list(data / "class_labels_indices.csv")
    folder.mkdir()
    shutil.copy(data / "class_labels_indices.csv", folder)
    for name, pattern in patterns.items():
        rows = []
        for clip in read_segments(data / f"{name}_segments.csv"):
            path = data / "audio" / f"{clip.id}.flac"
            audio = {"bytes": path.read_bytes(), "path": f"audio/{path.name}"}
            labels = [classes[mid] for mid in clip.mids]
            rows.append((clip.id, audio, list(clip.mids), labels))
        columns = ("video_id", "audio", "labels", "human_labels")
        rows = [dict(zip(columns, row)) for row in rows]
        for i, part in enumerate((rows[:1], rows[1:])):
            path = folder / pattern.format(i)
            path.parent.mkdir(parents=True, exist_ok=True)
            table = pa.Table.from_pylist(part)
            pq.write_table(table, path, row_group_size=4)


@pytest.mark.parametrize(
    "train, evaluation",
    [
        ("train-0000{}-of-00002.parquet", "test-0000{}-of-00002.parquet"),
        ("data/bal_train/0{}.parquet", "data/eval/0{}.parquet"),
    ],
)
def test_shards_give_the_same_as_lists(
    prepare, data, tmp_path, train, evaluation
):
    (data / "valid_segments.csv").unlink()
    clips = read_segments(data / "balanced_train_segments.csv")
    (data / "audio" / f"{clips[3].id}.flac").write_bytes(b"")
    stereo = np.random.default_rng(0).uniform(-1, 1, (11 * 48000, 2))
    sf.write(data / "audio" / f"{clips[5].id}.flac", stereo, 48000)
    shards, save = tmp_path / "shards", tmp_path / "from_shards"
    patterns = {"balanced_train": train, "eval": evaluation}
    write_shards(data, shards, patterns)

    prepare(data, tmp_path / "from_lists")
    prepare(shards, save)
    report = read_report(save)
    assert report["skipped"] == [
        {"id": clips[3].id, "split": "train", "reason": "empty file"}
    ]
    assert report["valid_is_held_out_of_train"]
    paths = list((tmp_path / "from_lists").rglob("*.*"))
    assert len(paths) == 23 + 7
    for path in paths:
        if path.suffix != ".json":
            other = save / path.relative_to(tmp_path / "from_lists")
            assert other.read_bytes() == path.read_bytes(), path.name
    other = read_report(tmp_path / "from_lists")
    assert other.pop("audio")["names"] == {"ID": 24}
    assert report.pop("audio") is None and other == report

    for path in save.glob("*.csv"):
        path.unlink()
    (save / "flac" / f"{clips[7].id}.flac").unlink()
    prepare(shards, save)
    assert read_report(save) == {**report, "audio": None}


def rewrite(path):
    """Replaces a file by another of the same size."""
    content = bytearray(path.read_bytes())
    if path.suffix == ".flac":
        content[-1] ^= 1
    path.unlink()
    path.write_bytes(content)


def custom_data(data, folder):
    """Clips of the demo set in two class folders."""
    for number, path in enumerate(sorted((data / "audio").iterdir())[:10]):
        name = ("dog", "cat")[number % 2]
        (folder / name).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / name / f"{number}.flac")
    return folder


@pytest.mark.parametrize("layout", ["lists", "parquet", "folders", "table"])
def test_changed_sources_are_noticed(prepare, data, tmp_path, layout):
    """Clips of the old files would pass for those of the new ones."""
    folder, save = tmp_path / "source", tmp_path / "save"
    if layout == "lists":
        shutil.copytree(data, folder)
        clip = read_segments(folder / "eval_segments.csv")[0].id
        names = ("class_labels_indices.csv", "eval_segments.csv")
        names += (f"audio/{clip}.flac",)
    elif layout == "parquet":
        patterns = {"balanced_train": "train-{}.parquet"}
        write_shards(data, folder, {**patterns, "eval": "eval-{}.parquet"})
        names = ("train-0.parquet", "class_labels_indices.csv")
    else:
        custom_data(data, folder)
        names = ("dog/0.flac", "cat/3.flac")
    if layout == "table":
        paths = sorted(folder.rglob("*.flac"))
        rows = [f"{p.relative_to(folder)},{p.parent.name}" for p in paths]
        (folder / "clips.csv").write_text("\n".join(["path,labels", *rows]))
        names += ("clips.csv",)
    prepare(folder, save)
    for name in names:
        path = folder / name
        time = path.stat().st_mtime_ns
        content = path.read_bytes()
        rewrite(path)
        before = times(save)
        with pytest.raises(
            ValueError, match="source files have changed"
        ) as err:
            prepare(folder, save)
        assert f"{save} was prepared" in str(err.value)
        assert "Give another folder, or delete this one" in str(err.value)
        assert times(save) == before
        path.write_bytes(content)  # as it was
        os.utime(path, ns=(time, time))
        prepare(folder, save)
    assert times(save) == before


def test_files_that_are_not_listed_may_come_and_go(prepare, data, tmp_path):
    save = tmp_path / "save"
    prepare(data, save)
    before = times(save)
    (data / "audio" / "other.flac").touch()
    (data / "notes.txt").touch()
    prepare(data, save)
    clip = read_segments(data / "eval_segments.csv")[0].id
    (data / "audio" / f"{clip}.wav").touch()
    with pytest.raises(ValueError, match="source files have changed"):
        prepare(data, save)
    shutil.rmtree(data / "audio")  # to save space
    prepare(data, save)
    assert times(save) == before


def test_clips_of_changed_files_are_converted_again(prepare, data, tmp_path):
    """When a preparation was interrupted and a file changed since then."""
    folder, save = custom_data(data, tmp_path / "source"), tmp_path / "save"
    prepare(folder, save)
    (save / "eval.csv").unlink()  # complete but for that
    before = times(save / "flac")
    prepare(folder, save)
    assert times(save / "flac") == before

    os.replace(save / "prepared.json", save / "preparing.json")
    tone = np.sin(np.arange(16000) / 10)
    sf.write(folder / "dog" / "0.flac", tone, 16000)
    prepare(folder, save)
    found, _ = sf.read(save / "flac" / "dog_0.flac")
    assert np.abs(found - tone).max() < 1e-3
    after = times(save / "flac")
    assert all(after[path] > time for path, time in before.items())


def test_two_runs_do_not_prepare_one_folder(
    prepare, data, tmp_path, monkeypatch
):
    save, refused = tmp_path / "save", []
    convert = manifests.convert_clips

    def convert_clips(*args):
        with pytest.raises(RuntimeError) as error:
            prepare(data, save)
        refused.append(str(error.value))
        return convert(*args)

    monkeypatch.setattr(manifests, "convert_clips", convert_clips)
    prepare(data, save)
    assert len(refused) == 3
    for message in refused:
        assert f"{save} is being prepared by process {os.getpid()}" in message
        assert "since 2" in message and "Wait for it to finish" in message
    assert not list(save.rglob("*.tmp")) and not list(save.glob("*.lock"))


def test_folder_of_an_earlier_version_is_refused(prepare, data, tmp_path):
    save = tmp_path / "save"
    prepare(data, save)
    (save / "prepared.json").rename(save / "source.json")
    before = times(save)
    with pytest.raises(ValueError, match="earlier version.*delete this one"):
        prepare(data, save)
    assert times(save) == before


def test_real_clips(prepare, tmp_path):
    data = ROOT.parent / "shared" / "data" / "audioset_mini"
    if not data.is_dir():
        pytest.skip("needs ../shared/data/audioset_mini")
    prepare(data, tmp_path)
    report = read_report(tmp_path)
    for split, size in zip(SPLITS, (210, 30, 60)):
        counts = report["splits"][split]
        assert counts["listed"] == counts["written"] == size
        assert len(read_rows(tmp_path / f"{split}.csv")) == size
    assert report["skipped"] == [] and report["unknown_mids"] == {}
    for row in read_rows(tmp_path / "eval.csv"):
        wav = row["wav"].replace("$data_root", str(tmp_path))
        ours, _ = sf.read(wav, dtype="int16")
        source, _ = sf.read(data / "audio" / f"{row['ID']}.flac", dtype="int16")
        assert np.array_equal(ours, source)


@pytest.mark.parametrize("format", ["flac", "webdataset"])
def test_parts_give_the_same_bytes(prepare, data_folder, tmp_path, format):
    options = {"format": format, "num_workers": 1}
    if format == "webdataset":
        pytest.importorskip("webdataset")
        options["clips_per_shard"] = 5
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    prepare(data_folder, whole, **options)
    for part in ("3/3", "1/3"):
        prepare(data_folder, parts, part=part, **options)
        assert not (parts / "prepared.json").exists()
    written = {p.relative_to(parts) for p in parts.rglob("*.flac")}
    tars = sorted(parts.rglob("*.tar"))
    prepare(data_folder, parts, part="2/3", **options)
    assert written < {p.relative_to(parts) for p in parts.rglob("*.flac")}
    assert len(tars) < len(list(parts.rglob("*.tar"))) or format == "flac"
    times = {p: p.stat().st_mtime_ns for p in parts.rglob("*.flac")}
    prepare(data_folder, parts, **options)
    assert times == {p: p.stat().st_mtime_ns for p in parts.rglob("*.flac")}
    contents = [
        {p.relative_to(f): p.read_bytes() for p in f.rglob("*") if p.is_file()}
        for f in (whole, parts)
    ]
    assert contents[0] == contents[1]


def test_parts_are_locked_one_by_one(prepare, data_folder, tmp_path):
    folder = str(tmp_path / "out")
    prepare(data_folder, folder, part="1/2")
    with locked(folder, "preparing-1-of-2.lock", "being prepared"):
        prepare(data_folder, folder, part="2/2")
        for part in ("1/2", None):
            with pytest.raises(RuntimeError, match="is being prepared by"):
                prepare(data_folder, folder, part=part)
    prepare(data_folder, folder)
    for part in ("0/2", "3/2", "1", "a/b"):
        with pytest.raises(ValueError, match="not i/n such as 1/8"):
            prepare(data_folder, tmp_path / "other", part=part)
