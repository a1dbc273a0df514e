"""Tests with hostile tar shards.

Authors
 * The speechbrain_fftp authors 2026
"""

import io
import json
import os
import tarfile
import zlib

import numpy as np
import pytest
import soundfile as sf
from fuzzing import MIB, damaged, fuzz, peak_bytes, refused, sizes, snapshot

from speechbrain_fftp.dataio.files import write_json
from speechbrain_fftp.datasets.audioset.layouts import cut_jobs
from speechbrain_fftp.datasets.audioset.lists import Segment
from speechbrain_fftp.datasets.audioset.shards import (
    make_index,
    read_index,
    write_shards,
)
from speechbrain_fftp.datasets.audioset.streams import ShardStream, decode_clip

pytest.importorskip("webdataset")


@pytest.fixture
def index(tmp_path):
    """The index of a shard with six clips."""
    folder = tmp_path / "prepared"
    (tmp_path / "audio").mkdir()
    clips = [Segment(name, 0, 10, ("/m/1",)) for name in "abcdef"]
    for clip in clips:
        noise = np.random.default_rng(0).uniform(-0.5, 0.5, 800)
        sf.write(tmp_path / "audio" / f"{clip.id}.wav", noise, 16000)
    files = {c.id: str(tmp_path / "audio" / f"{c.id}.wav") for c in clips}
    jobs = cut_jobs(clips, files, clips_per_shard=6)
    records = write_shards(jobs, str(folder), {"/m/1": "Siren"}, 16000, 1)
    write_json(folder / "train.json", make_index(records))
    return folder / "train.json"


def read(index, content=None):
    """All items of an epoch, of a shard whose content was changed."""
    stream = ShardStream(index, decode_clip, batch_size=2, seed=0)
    if content is not None:
        (index.parent / "shards" / "train-000000.tar").write_bytes(content)
    stream.set_position(epoch=1, batches_done=0)
    return list(stream)


def check_items(items, ids="abcdef"):
    assert len(items) == 6
    for item in items:
        assert item["id"] in list(ids) and item["labels"] == ["Siren"]
        assert item["sig"].shape == (800,)


@sizes(300, 10000)
def test_damaged_shards(index, examples):
    path = index.parent / "shards" / "train-000000.tar"
    whole = path.read_bytes()
    before = set(snapshot(index.parent))

    def check(content):
        path.write_bytes(whole)
        with refused(index.parent):
            check_items(read(index, content))
        assert set(snapshot(index.parent)) == before

    check_items(read(index))
    fuzz(check, damaged([whole]), examples, index.parents[1])


@sizes(500, 10000)
def test_damaged_index(index, examples):
    whole = index.read_bytes()

    def check(content):
        index.write_bytes(content)
        with refused(index.parent):
            check_items(read(index))

    fuzz(check, damaged([whole]), examples, index.parents[1])


@pytest.mark.parametrize(
    "changes",
    [
        {"clips": 6.0},
        {"clips": 10**30},
        {"clips": "6"},
        {"bytes": 1.5},
        {"file": 5},
        {"file": None},
        {"file": "a\0b"},
        {"file": "x" * 300},
    ],
)
def test_absurd_entries_of_the_index(index, changes):
    content = json.loads(index.read_text("utf-8"))
    content["shards"][0].update(changes)
    content["clips"] = content["shards"][0]["clips"]
    index.write_text(json.dumps(content), "utf-8")
    with pytest.raises(ValueError, match="train.json"):
        read_index(index)


def test_deep_index(index):
    index.write_text("[" * 200000, "utf-8")
    with pytest.raises(ValueError, match="train.json is not an index"):
        read_index(index)


def add(tar, name, content=b"", size=None, **attributes):
    """Adds a member whose header may claim another size."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    for key, value in attributes.items():
        setattr(member, key, value)
    tar.addfile(member, io.BytesIO(content))
    if size is not None:
        member.size = size
        tar.fileobj.seek(tar.offset - 512 * (1 + -(-len(content) // 512)))
        tar.fileobj.write(member.tobuf(tarfile.GNU_FORMAT))
        tar.fileobj.seek(tar.offset)


def clip(clip_id, flac=None, **changes):
    """The json and flac of a clip."""
    if flac is None:
        file = io.BytesIO()
        sf.write(file, np.zeros(800), 16000, format="FLAC")
        flac = file.getvalue()
    sample = {"id": clip_id, "labels": ["Siren"], "crc32": zlib.crc32(flac)}
    return flac, json.dumps({**sample, **changes}).encode()


def shard(*members):
    """A tar with members that are given as name, content and attributes."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name, content, attributes in members:
            add(tar, name, content, **attributes)
    return file.getvalue()


def pair(name, *args, **changes):
    flac, sample = clip(name, *args, **changes)
    return (f"{name}.flac", flac, {}), (f"{name}.json", sample, {})


@pytest.mark.parametrize(
    "hostile",
    [
        [("b.flac", b"", {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"})],
        [("b.flac", b"", {"type": tarfile.LNKTYPE, "linkname": "a.flac"})],
        [("b.flac", b"", {"type": tarfile.FIFOTYPE})],
        [("b.flac", b"", {"type": tarfile.CHRTYPE})],
        [("b.flac", b"", {"type": tarfile.DIRTYPE})],
        [("b.flac", b"x", {"size": 2**40})],
        [("b.flac", b"x", {"size": 2**62})],
        [("../../b.flac", b"x", {}), ("/b.json", b"{}", {})],
        pair("b", labels=[]),
        pair("b", labels=["Unknown"]),
        pair("b", labels=5),
        pair("b", labels=[["Siren"]]),
        pair("b", labels={"Siren": 1}),
        pair("b", labels="Siren"),
        pair("b", id=5),
        pair("b", id=None),
        pair("b", crc32="1"),
        [("b.flac", b"x", {}), ("b.json", b"[" * 100000, {})],
        [("b.flac", b"x", {}), ("b.json", b"9" * 10000, {})],
        [("b.flac", b"x", {}), ("b.json", b"\xff", {})],
        [("b.flac", b"x", {}), ("b.json", b"[]", {})],
        [("b.flac", b"x", {}), ("b.flac", b"y", {})],
    ],
)
def test_hostile_members_are_left_out(index, hostile):
    before = set(snapshot(index.parents[1]))
    content = shard(*pair("a"), *hostile, *pair("c"))
    items = read(index, content)
    assert {item["id"] for item in items} <= {"a", "c"}
    check_items(items)
    assert set(snapshot(index.parents[1])) == before


def test_no_audio_of_the_right_checksum(index):
    content = shard(*pair("a"), *pair("b", b"no audio"), *pair("c"))
    with pytest.raises(ValueError, match="clip b is damaged: unreadable"):
        read(index, content)


def test_stereo_clips_are_averaged(index):
    file = io.BytesIO()
    sf.write(file, np.zeros((800, 2)), 16000, format="FLAC")
    content = shard(*pair("a"), *pair("b", file.getvalue()))
    check_items(read(index, content))


def test_memory_for_members_is_bounded(index):
    """A file of many zeros, most of which the tar does not hold."""
    big = ("b.flac", bytes(100), {"size": 2**33})
    content = shard(*pair("a"), big)
    assert peak_bytes(read, index, content) < 5 * MIB
    assert os.path.getsize(index.parent / "shards" / "train-000000.tar") < MIB
