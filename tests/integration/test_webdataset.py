"""Tests of preparing AudioSet as tar shards, and of reading them.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch

from speechbrain.dataio import audio_io
from speechbrain_fftp.datasets.audioset import shards
from speechbrain_fftp.datasets.audioset.lists import read_segments
from speechbrain_fftp.datasets.audioset.streams import ShardStream, decode_clip

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "recipes" / "AudioSet" / "audioset_prepare.py"
LISTS = ("train", "valid", "eval")
OPTIONS = {"format": "webdataset", "clips_per_shard": 4, "num_workers": 1}


@pytest.fixture(scope="module")
def data(data_folder, tmp_path_factory):
    """The demo set without a validation list, with clips that need work."""
    folder = tmp_path_factory.mktemp("wds") / "data"
    shutil.copytree(data_folder, folder)
    (folder / "valid_segments.csv").unlink()
    clips = read_segments(folder / "balanced_train_segments.csv")
    paths = [folder / "audio" / f"{clip.id}.flac" for clip in clips]
    for path in paths:  # shorter, for speed
        samples, rate = sf.read(path, stop=16000)
        sf.write(path, samples, rate)
    paths[3].write_bytes(b"")
    stereo = np.random.default_rng(0).uniform(-1, 1, (11 * 48000, 2))
    sf.write(paths[5], stereo, 48000)
    paths[9].write_bytes(paths[9].read_bytes()[:5000])
    return folder


@pytest.fixture(scope="module")
def prepared(prepare, data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("wds") / "prepared"
    prepare(data, folder, **OPTIONS)
    return folder


def contents(folder):
    paths = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): p.read_bytes() for p in paths}


def read_rows(path):
    with open(path, newline="", encoding="utf-8") as file:
        return {row["ID"]: row for row in csv.DictReader(file)}


def test_same_as_single_files(prepare, data, prepared, tmp_path):
    prepare(data, tmp_path)
    files, sharded = contents(tmp_path), contents(prepared)
    rows = read_rows(tmp_path / "train.csv")
    for name in files.keys() & sharded.keys() - {"prepared.json"}:
        assert sharded[name] == files[name], name
    only_files = {f"flac/{clip_id}.flac" for clip_id in rows} | {"train.csv"}
    assert files.keys() - sharded.keys() == only_files
    assert {name.split("/")[0] for name in sharded.keys() - files.keys()} == {
        "shards",
        "train.json",
    }

    index = json.loads(sharded["train.json"])
    assert index["clips"] == len(rows) == 20
    stream = ShardStream(prepared / "train.json", decode_clip, 1, seed=0)
    items = {item["id"]: item for item in stream}
    assert items.keys() == rows.keys()
    counts = dict.fromkeys(index["labels"], 0)
    for clip_id, row in rows.items():
        path = row["wav"].replace("$data_root", str(tmp_path))
        samples = audio_io.load(path, always_2d=False)[0]
        assert torch.equal(items[clip_id]["sig"], samples)
        assert items[clip_id]["labels"] == row["labels"].split(";")
        for label in row["labels"].split(";"):
            counts[label] += 1
    assert stream.labels_counts == counts


def test_finished_preparation_returns_at_once(prepare, data, prepared):
    before = {p: p.stat().st_mtime_ns for p in prepared.rglob("*")}
    prepare(data, prepared, **{**OPTIONS, "clips_per_shard": 5})
    assert before == {p: p.stat().st_mtime_ns for p in prepared.rglob("*")}
    with pytest.raises(ValueError, match="format='webdataset', not 'flac'"):
        prepare(data, prepared)
    with pytest.raises(ValueError, match="unbalanced=False, not True"):
        prepare(data, prepared, unbalanced=True, **OPTIONS)
    for wrong in ({"format": "zip"}, {"clips_per_shard": 0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            prepare(data, prepared, **{**OPTIONS, **wrong})
    with pytest.raises(ValueError, match="verify is for"):
        prepare(data, prepared, verify=True)


def dying(function, calls, after):
    """A function that kills its process at one of its calls."""
    left = [calls]

    def call(*args):
        left[0] -= 1
        if left[0] == 0 and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = function(*args)
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return call


# 11 files are moved to their place before the first shard and its record; the
# last ones are eval.csv, the index and the marker
@pytest.mark.parametrize(
    "name, calls, after",
    [("encode_clip", 1, False), ("encode_clip", 6, True)]
    + [("replace", n, after) for n in (12, 13) for after in (False, True)]
    + [("replace", n, False) for n in (28, 29, 30)],
)
def test_killed_preparation_goes_on(
    prepare, data, prepared, tmp_path, name, calls, after
):
    def run():
        module = os if name == "replace" else shards
        setattr(module, name, dying(getattr(module, name), calls, after))
        prepare(data, tmp_path, **OPTIONS)

    child = multiprocessing.get_context("fork").Process(target=run)
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    assert not (tmp_path / "prepared.json").exists()
    written = {p: p.stat().st_mtime_ns for p in tmp_path.glob("shards/*.json")}
    prepare(data, tmp_path, **OPTIONS)
    assert contents(tmp_path) == contents(prepared)
    for path, time in written.items():
        assert path.stat().st_mtime_ns == time


def test_verify_repairs(data, prepared, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(prepared, folder)
    command = [sys.executable, SCRIPT, data, folder, "--format=webdataset"]
    command += ["--clips_per_shard=4", "--num_workers=2", "--verify"]

    def verify():
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert contents(folder) == contents(prepared)
        return done.stderr

    path = folder / "shards" / "train-000001.tar"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 8
    path.write_bytes(content)
    (folder / "shards" / "train-000003.tar").unlink()
    intact = folder / "shards" / "train-000000.tar"
    time = intact.stat().st_mtime_ns
    output = verify()
    assert f"{path} is missing or damaged" in output
    assert "train-000003.tar is missing or damaged" in output
    assert "train-000000" not in output
    assert intact.stat().st_mtime_ns == time


def test_verify_needs_no_data_if_nothing_is_damaged(
    prepare, data, prepared, tmp_path
):
    other = tmp_path / "data"
    shutil.copytree(data, other)
    folder = tmp_path / "save"
    prepare(other, folder, **OPTIONS)
    shutil.rmtree(other)
    prepare(other, folder, verify=True, **OPTIONS)
    (folder / "shards" / "train-000001.tar").unlink()
    before = contents(folder)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        prepare(other, folder, verify=True, **OPTIONS)
    assert contents(folder) == before


def split_list(data, folder):
    """Makes half of the balanced list the unbalanced one, with repetitions."""
    lines = (data / "balanced_train_segments.csv").read_text().splitlines()
    for name, part in (("", lines[:14]), ("un", lines[:2] + lines[12:])):
        path = folder / f"{name}balanced_train_segments.csv"
        path.write_text("\n".join(part), "utf-8")


def test_unbalanced_list(prepare, data, tmp_path):
    folder = tmp_path / "data"
    shutil.copytree(data, folder)
    with pytest.raises(FileNotFoundError, match="unbalanced_train_segments"):
        prepare(folder, tmp_path / "no", unbalanced=True, **OPTIONS)
    split_list(data, folder)
    for name, options in (("flac", {}), ("wds", OPTIONS)):
        prepare(folder, tmp_path / name, unbalanced=True, **options)
    reports = [
        json.loads((tmp_path / name / "prepare_report.json").read_text())
        for name in ("flac", "wds")
    ]
    assert reports[0] == reports[1]
    assert reports[0]["skipped_reasons"]["duplicate"] == 2
    index = json.loads((tmp_path / "wds" / "train.json").read_text())
    rows = read_rows(tmp_path / "flac" / "train.csv")
    assert index["clips"] == len(rows) == 20
    prepare(folder, tmp_path / "balanced")
    assert len(read_rows(tmp_path / "balanced" / "train.csv")) == 9


def write_parquet(data, folder):
    """The clips as parquet shards, the last of which repeats some."""
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    (folder / "data").mkdir(parents=True)
    shutil.copy(data / "class_labels_indices.csv", folder)
    train = read_segments(data / "balanced_train_segments.csv")
    parts = {
        "data/bal_train/00.parquet": train[:6],
        "data/unbal_train/00.parquet": train[6:17],
        "data/unbal_train/01.parquet": train[4:8] + train[17:],
        "data/eval/00.parquet": read_segments(data / "eval_segments.csv"),
    }
    for name, clips in parts.items():
        rows = []
        for clip in clips:
            path = data / "audio" / f"{clip.id}.flac"
            audio = {"bytes": path.read_bytes(), "path": path.name}
            row = {"video_id": clip.id, "audio": audio}
            rows.append({**row, "labels": list(clip.mids)})
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=3)
    return {name: [clip.id for clip in parts[name]] for name in parts}


def test_parquet(prepare, data, prepared, tmp_path):
    folder, save = tmp_path / "data", tmp_path / "save"
    order = write_parquet(data, folder)
    prepare(folder, save, unbalanced=True, **OPTIONS)
    flac = tmp_path / "flac"
    prepare(folder, flac, unbalanced=True)
    for name in ("prepare_report.json", "label_statistics.csv", "valid.csv"):
        assert (save / name).read_bytes() == (flac / name).read_bytes()

    rows = read_rows(save.parent / "flac" / "train.csv")
    stored = []
    for path in sorted(save.glob("shards/*.tar")):
        with tarfile.open(path) as tar:
            names = [n[:-5] for n in tar.getnames() if n.endswith(".json")]
        sources = [
            {n for n in order if name in order[n]} for name in names
        ]  # each shard is made of one file
        assert not names or set.intersection(*sources)
        stored += names
    train = [clip_id for name in list(order)[:3] for clip_id in order[name]]
    assert stored == [i for i in dict.fromkeys(train) if i in rows]

    def samples(folder):
        stream = ShardStream(folder / "train.json", dict, 1, seed=0)
        return {sample["id"]: sample for sample in stream}

    assert samples(save) == samples(prepared)

    for path in folder.glob("data/unbal*/*"):
        path.unlink()
    with pytest.raises(FileNotFoundError, match="data/unbal_train/00.parq"):
        prepare(folder, tmp_path / "no", unbalanced=True, **OPTIONS)


def test_no_usable_clip_is_an_error(prepare, data, tmp_path):
    folder = tmp_path / "data"
    shutil.copytree(data, folder)
    for clip in read_segments(folder / "balanced_train_segments.csv"):
        (folder / "audio" / f"{clip.id}.flac").unlink()
    with pytest.raises(ValueError, match="train split .* 24 missing file"):
        prepare(folder, tmp_path / "save", allow_missing=1, **OPTIONS)
    assert not (tmp_path / "save" / "train.json").exists()
