"""Tests of writing clips as tar shards.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import tarfile
import zlib

import numpy as np
import pytest
import soundfile as sf

from speechbrain_fftp.dataio.files import file_sha256, write_json
from speechbrain_fftp.datasets.audioset.layouts import cut_jobs
from speechbrain_fftp.datasets.audioset.lists import Segment
from speechbrain_fftp.datasets.audioset.shards import (
    discard_damaged,
    find_damaged,
    make_index,
    write_shards,
)
from speechbrain_fftp.datasets.convert import encode_clip

CLASSES = {"/m/1": "One, uno", "/m/2": "Zwö"}
NAMES = ["-a", "b.c", ".d", "e f", "ü", "g" * 150, "cut", "gone"]


@pytest.fixture
def clips(tmp_path):
    (tmp_path / "audio").mkdir()
    rng = np.random.default_rng(0)
    for i, name in enumerate(NAMES[:-1]):
        noise = rng.uniform(-0.5, 0.5, (24000, 1 + i % 2))
        sf.write(tmp_path / "audio" / f"{name}.flac", noise, 48000)
    path = tmp_path / "audio" / "cut.flac"
    path.write_bytes(path.read_bytes()[:9000])
    mids = [("/m/1",), ("/m/2", "/m/1"), ("/m/2", "/m/unknown")]
    return [
        Segment(name, 0.0, 0.25 if name == "ü" else 10.0, mids[i % 3])
        for i, name in enumerate(NAMES)
    ]


def write(clips, folder, save_folder, num_workers=2, size=3):
    files = {clip.id: f"{folder}/audio/{clip.id}.flac" for clip in clips}
    jobs = cut_jobs(clips, files, size)
    records = write_shards(jobs, save_folder, CLASSES, 16000, num_workers)
    write_json(save_folder / "train.json", make_index(records))
    return records


def contents(folder):
    paths = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): p.read_bytes() for p in paths}


def test_shards_hold_what_single_files_would(clips, tmp_path):
    save = tmp_path / "save"
    records = write(clips, tmp_path, save)
    found = {}
    for record in records:
        assert file_sha256(save / record["file"]) == record["sha256"]
        assert (save / record["file"]).stat().st_size == record["bytes"]
        with tarfile.open(save / record["file"]) as tar:
            members = tar.getmembers()
            files = {m.name: tar.extractfile(m).read() for m in members}
        assert {(m.mtime, m.uid, m.gid, m.uname) for m in members} <= {
            (0, 0, 0, "")
        }
        assert len(files) == 2 * record["clips"]
        found.update(files)
    for clip in clips[:-2]:
        source = str(tmp_path / "audio" / f"{clip.id}.flac")
        seconds = clip.end - clip.start
        content, *about = encode_clip(source, max_seconds=seconds)
        assert found[f"{clip.id}.flac"] == content
        assert json.loads(found[f"{clip.id}.json"]) == {
            "id": clip.id,
            "labels": [CLASSES[m] for m in clip.mids if m in CLASSES],
            "duration": about[0],
            "treatments": about[1],
            "crc32": zlib.crc32(content),
        }
    assert len(found) == 12
    skipped = sum((record["skipped"] for record in records), [])
    reasons = {clip["id"]: clip["reason"].split(":")[0] for clip in skipped}
    assert reasons == {"cut": "truncated", "gone": "missing file"}
    index = json.loads((save / "train.json").read_text("utf-8"))
    assert index == make_index(records)
    assert index["clips"] == 6 and index["sample_rate"] == 16000
    assert index["labels"] == {"One, uno": 4, "Zwö": 4}
    assert sum(shard["clips"] for shard in index["shards"]) == 6
    treated = [record["treatments"] for record in records]
    for name, count in (("resampled", 6), ("downmixed", 3), ("trimmed", 1)):
        assert sum(t.get(name, 0) for t in treated) == count


def test_same_clips_give_same_bytes(clips, tmp_path):
    write(clips, tmp_path, tmp_path / "one", num_workers=1)
    write(clips, tmp_path, tmp_path / "other", num_workers=3)
    assert contents(tmp_path / "one") == contents(tmp_path / "other")
    assert len(contents(tmp_path / "one")) == 7


def test_only_what_is_missing_is_written(clips, tmp_path):
    save = tmp_path / "save"
    write(clips, tmp_path, save)
    expected = contents(save)
    shards = save / "shards"
    times = {p: p.stat().st_mtime_ns for p in shards.iterdir()}
    write(clips, tmp_path, save)
    assert times == {p: p.stat().st_mtime_ns for p in shards.iterdir()}
    (shards / "train-000000.json").unlink()
    (shards / "train-000001.json").write_bytes(b"")
    (shards / "train-000002.tar").write_bytes(b"abc")
    write(clips, tmp_path, save)
    assert contents(save) == expected
    discard_damaged(save, ["shards/train-000001.tar"])
    assert not (save / "train.json").exists()
    assert sorted(path.name for path in shards.iterdir()) == [
        "train-000000.json",
        "train-000000.tar",
        "train-000002.json",
        "train-000002.tar",
    ]
    write(clips, tmp_path, save)
    assert contents(save) == expected
    # Other clips make other shards: their records do not fit
    write(clips[2:], tmp_path, save)
    write(clips[2:], tmp_path, tmp_path / "new")
    assert contents(save) == contents(tmp_path / "new")


def test_shards_without_a_clip_are_not_in_the_index(clips, tmp_path):
    records = write(clips[-2:], tmp_path, tmp_path / "save", size=1)
    assert [record["clips"] for record in records] == [0, 0]
    index = make_index(records)
    assert (index["clips"], index["shards"]) == (0, [])


def test_damage_is_found(clips, tmp_path):
    write(clips, tmp_path, tmp_path)
    first, second, third = (f"shards/train-00000{i}.tar" for i in range(3))
    assert find_damaged(tmp_path) == []
    content = bytearray((tmp_path / second).read_bytes())
    content[5000] ^= 1
    (tmp_path / second).write_bytes(content)
    (tmp_path / third).unlink()
    assert find_damaged(tmp_path) == [second, third]
    (tmp_path / first).with_suffix(".json").write_bytes(b"{")
    assert find_damaged(tmp_path) == [first, second, third]
    discard_damaged(tmp_path, find_damaged(tmp_path))
    write(clips, tmp_path, tmp_path)
    assert find_damaged(tmp_path) == []
    for damage in (
        lambda: (tmp_path / "train.json").write_text("{}"),
        lambda: (tmp_path / "train.json").unlink(),
        lambda: (tmp_path / second).with_suffix(".json").unlink(),
    ):
        damage()
        assert find_damaged(tmp_path) == ["train.json"]
        write(clips, tmp_path, tmp_path)
        assert find_damaged(tmp_path) == []


def test_webdataset_reads_the_shards(clips, tmp_path):
    wds = pytest.importorskip("webdataset")
    plain = [clip for clip in clips if clip.id in ("-a", "e f", "ü")]
    (record,) = write(plain, tmp_path, tmp_path)
    path = str(tmp_path / record["file"])
    samples = list(wds.WebDataset(path, shardshuffle=False).decode())
    assert {sample["json"]["id"] for sample in samples} == {"-a", "e f", "ü"}
    assert all(sample["flac"][:4] == b"fLaC" for sample in samples)
