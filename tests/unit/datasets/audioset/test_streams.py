"""Tests of reading clips from tar shards.

Authors
 * The speechbrain_fftp authors 2026
"""

import gzip
import io
import json
import random
import re
import shlex
import sys
import tarfile
import tracemalloc
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile as sf
import torch
from torch.utils.data import DataLoader

from speechbrain.dataio.batch import PaddedBatch
from speechbrain_fftp.datasets.audioset import shard_reader, streams
from speechbrain_fftp.datasets.audioset.streams import ShardStream, decode_clip

# Writes the shard of its first argument, from the folder of its second one
COPY = """
import pathlib, sys
path = pathlib.Path(sys.argv[2], pathlib.Path(sys.argv[1]).name)
sys.stdout.buffer.write(path.read_bytes())
"""


def get_id(sample):
    return sample["id"]


def read(monkeypatch, stream, epoch=1, done=0, workers=1):
    """The batches that a loader with so many workers makes of a stream."""
    stream.set_position(epoch, done)
    size, parts = stream.batch_size, []
    for number in range(workers):
        info = SimpleNamespace(id=number, num_workers=workers)
        with monkeypatch.context() as patch:
            patch.setattr(streams, "get_worker_info", lambda info=info: info)
            items = list(stream)
        assert len(items) % size == 0
        starts = range(0, len(items), size)
        parts.append([items[start : start + size] for start in starts])
    batches, turn = [], 0
    while any(parts):
        batches.append(parts[turn % workers].pop(0))
        turn += 1
    return batches


@pytest.mark.parametrize(
    "clips, per_shard, world, workers, batch",
    [
        (37, 10, 1, 1, 4),
        (37, 5, 1, 3, 4),
        (37, 7, 2, 2, 3),
        (40, 40, 2, 3, 5),
        (23, 1, 3, 4, 2),
        (9, 4, 4, 3, 2),
        (22, 30, 1, 2, 5),
        (31, 6, 1, 5, 31),
    ],
)
def test_every_clip_once_per_epoch(
    monkeypatch, make_shards, clips, per_shard, world, workers, batch
):
    index = make_shards(["a"] * clips, per_shard)
    steps = clips // (world * batch)
    orders, left_out = [], []
    for epoch in (1, 2, 3):
        batches = []
        for rank in range(world):
            stream = ShardStream(
                index, get_id, batch, 5, 8, rank=rank, world_size=world
            )
            assert len(stream) == steps * batch
            own = read(monkeypatch, stream, epoch, workers=workers)
            assert len(own) == steps
            assert own == read(monkeypatch, stream, epoch, workers=workers)
            batches += own
        ids = sum(batches, [])
        assert len(set(ids)) == len(ids) == steps * batch * world
        orders.append(ids)
        left_out.append(set(map(str, range(clips))) - set(ids))
    assert orders[0] != orders[1] != orders[2] != orders[0]
    assert left_out[0] != left_out[1] or clips % (world * batch) == 0


def test_rest_of_an_epoch_is_that_of_an_unbroken_one(monkeypatch, make_shards):
    index = make_shards(["a", "a", "b"] * 12, 7)
    for balanced in (False, True):
        stream = ShardStream(index, get_id, 3, 1, 10, balanced)
        for workers in (1, 2, 3, 5):
            whole = read(monkeypatch, stream, 4, 0, workers)
            assert len(whole) == 12
            for done in (1, 2, 5, 11, 12):
                rest = read(monkeypatch, stream, 4, done, workers)
                assert rest == whole[done:]


@pytest.mark.parametrize("workers", [0, 1, 2, 3])
def test_data_loader(monkeypatch, make_shards, workers):
    index = make_shards(["a"] * 22, 4)
    stream = ShardStream(index, decode_clip, 3, seed=2, shuffle_buffer=6)
    plain = ShardStream(index, get_id, 3, seed=2, shuffle_buffer=6)
    for persistent in {False, workers > 0}:
        loader = DataLoader(
            stream,
            batch_size=3,
            collate_fn=PaddedBatch,
            num_workers=workers,
            persistent_workers=persistent,
        )
        assert len(loader) == 7
        for epoch, done in ((1, 0), (2, 0), (2, 4), (1, 7), (3, 1)):
            stream.set_position(epoch, done)
            ids = [batch.id for batch in loader]
            expected = read(monkeypatch, plain, epoch, done, max(workers, 1))
            assert ids == expected
    stream.set_position(1, 0)
    batch = next(iter(loader))
    assert batch.sig.data.shape == (3, 800)
    assert batch.labels == [["a"]] * 3


def test_decoded_clips_are_what_was_stored(make_shards):
    index = make_shards(["a", "b", "a"], 2)
    items = list(ShardStream(index, decode_clip, 3, seed=0))
    for item in items:
        path = index.parent / "audio" / f"{item['id']}.flac"
        samples = torch.from_numpy(sf.read(path, dtype="float32")[0])
        assert torch.equal(item["sig"], samples)
    assert {item["id"]: item["labels"] for item in items} == {
        "0": ["a"],
        "1": ["b"],
        "2": ["a"],
    }


def test_clips_are_mixed(monkeypatch, make_shards):
    index = make_shards(["a"] * 60, 60)
    with tarfile.open(tar_of(index)) as tar:
        stored = [name[:-5] for name in tar.getnames() if "json" in name]

    def order(epoch, worker, **options):
        stream = ShardStream(index, get_id, 10, **options)
        parts = read(monkeypatch, stream, epoch, workers=2)[worker::2]
        return sum(parts, [])

    mixtures = set()
    for seed, epoch, worker, rank in (
        (0, 1, 0, 0),
        (1, 1, 0, 0),
        (0, 2, 0, 0),
        (0, 1, 1, 0),
        (0, 1, 0, 1),
    ):
        options = {"seed": seed, "rank": rank, "world_size": 1 + rank}
        unmixed = order(epoch, worker, shuffle_buffer=1, **options)
        start = stored.index(unmixed[0])
        rotated = stored[start:] + stored[:start]
        assert unmixed == rotated[: len(unmixed)]
        mixed = order(epoch, worker, **options)
        assert sorted(mixed) == sorted(unmixed)
        moves = [mixed.index(k) - i for i, k in enumerate(unmixed)]
        assert sum(map(abs, moves)) > 4 * len(moves)
        mixtures.add(tuple(moves[:20]))
    assert len(mixtures) == 5


@pytest.mark.parametrize(
    "world, workers, tolerance", [(1, 1, 0.05), (2, 2, 0.2)]
)
def test_balanced_draws(monkeypatch, make_shards, world, workers, tolerance):
    counts = {"a": 70, "b": 20, "c": 7, "d": 3}
    index = make_shards(sum(([k] * n for k, n in counts.items()), []), 9)
    drawn, clips = Counter(), Counter()
    for rank in range(world):
        stream = ShardStream(index, dict, 5, 3, 20, True, rank, world)
        for epoch in range(60):
            for batch in read(monkeypatch, stream, epoch, workers=workers):
                drawn.update(label for s in batch for label in s["labels"])
                clips.update(sample["id"] for sample in batch)
    assert sum(drawn.values()) == 60 * 100
    # Every label equally often, if ranges are not too short for the rarest
    for label in counts:
        assert drawn[label] == pytest.approx(1500, rel=tolerance), drawn
    assert len(clips) == 100
    for i in range(70):
        assert 5 <= clips[str(i)] <= 45  # 21.4 expected


def tar_of(index, number=0):
    return index.parent / "shards" / f"train-{number:06d}.tar"


def rewrite(path, change):
    """Lets ``change`` treat each member of a tar, and keeps its size."""
    size = path.stat().st_size
    with tarfile.open(path) as tar:
        members = [(m, tar.extractfile(m).read()) for m in tar.getmembers()]
    with tarfile.open(path, "w") as tar:
        for member, content in members:
            for kept, new_content in change(member, content):
                kept.size = len(new_content)
                tar.addfile(kept, io.BytesIO(new_content))
    with open(path, "ab") as file:
        file.truncate(size)


def drop(name):
    return lambda m, c: [] if m.name == name else [(m, c)]


def replace(name, old, new):
    def change(member, content):
        if member.name == name:
            assert old in content
            content = content.replace(old, new, 1)
        return [(member, content)]

    return change


DAMAGES = {
    "no json": drop("3.json"),
    "no flac": drop("3.flac"),
    "holed flac": lambda m, c: [
        (m, c[:500] + bytes(50) + c[550:] if m.name == "3.flac" else c)
    ],
    "no json at all": replace("3.json", b"{", b"["),
    "deep json": replace("3.json", b"{", b"[" * 1500),
    "a list": lambda m, c: [(m, b"[1]" if m.name == "3.json" else c)],
    "no labels": replace("3.json", b'["a"]', b"[]"),
    "unknown label": replace("3.json", b'["a"]', b'["z"]'),
    "number as id": replace("3.json", b'"id": "3"', b'"id": 3'),
    "half a character as id": replace("3.json", b'"3"', b'"\\ud800"'),
    "no checksum": replace("3.json", b"crc32", b"crc"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_clips_are_reported_and_replaced(
    monkeypatch, make_shards, caplog, damage
):
    index = make_shards(["a"] * 20, 5)
    with_clip = [
        path
        for path in index.parent.glob("shards/*.tar")
        if "3.json" in tarfile.open(path).getnames()
    ]
    rewrite(with_clip[0], DAMAGES[damage])
    stream = ShardStream(index, get_id, 4, seed=0, shuffle_buffer=5)
    whole = read(monkeypatch, stream, workers=2)
    ids = sum(whole, [])
    assert len(whole) == 5
    assert "3" not in ids and len(set(ids)) == 19
    reports = [r.getMessage() for r in caplog.records if r.levelno >= 30]
    assert len(reports) == 1, reports
    assert f"3 in {with_clip[0]}: " in reports[0]
    assert "--verify" in reports[0]
    # What was seen is not read again, so that its damage is not noticed
    for done in (1, 3):
        rest = read(monkeypatch, stream, 1, done, 2)
        ids = sum(rest, [])
        assert len(rest) == 5 - done and "3" not in ids
        assert len(set(ids) ^ set(sum(whole[done:], []))) <= 2
    assert len(caplog.records) == len(reports)


@pytest.mark.parametrize("balanced", [False, True])
def test_what_was_seen_is_not_read_again(monkeypatch, make_shards, balanced):
    index = make_shards(["a", "a", "b"] * 40, 10)
    stream = ShardStream(index, get_id, 4, 0, 6, balanced)
    opened, read_bytes = [], []
    open_shard, read_clip = shard_reader.open_shard, shard_reader.read_clip

    def watched_open(folder, file, command):
        opened.append(file)
        return open_shard(folder, file, command)

    def watched_read(tar, members, with_audio):
        files = read_clip(tar, members, with_audio)
        read_bytes.append(len(files.get(".flac", b"")))
        return files

    monkeypatch.setattr(shard_reader, "open_shard", watched_open)
    monkeypatch.setattr(shard_reader, "read_clip", watched_read)
    whole = read(monkeypatch, stream)
    total = sum(read_bytes)
    for done in (15, 27, 30):
        opened.clear(), read_bytes.clear()
        assert read(monkeypatch, stream, 1, done) == whole[done:]
        # 6 clips of the buffer; in a balanced epoch, those not drawn as well
        most = 1 - done / 30 + 8 / 120 + 0.25 * balanced
        assert sum(read_bytes) <= most * total
        if not balanced:
            assert len(opened) <= 12 * most + 2
    assert balanced or opened == []


def test_shards_from_a_command(monkeypatch, make_shards, tmp_path, caplog):
    index = make_shards(["a"] * 12, 4)
    local = read(monkeypatch, ShardStream(index, get_id, 3, 0))
    store = tmp_path / "a store"
    (tmp_path / "shards").rename(store)
    copy = f"{shlex.quote(sys.executable)} -c {shlex.quote(COPY)} {{}} "
    command = copy + shlex.quote(str(store))
    stream = ShardStream(index, get_id, 3, 0, command=command)
    assert read(monkeypatch, stream) == local
    assert read(monkeypatch, stream, 1, 3) == local[3:]
    assert not caplog.records
    (store / "train-000001.tar").unlink()
    assert len(sum(read(monkeypatch, stream), [])) == 12
    assert "ended with status 1" in caplog.text
    with pytest.raises(ValueError, match="No clip can be read"):
        list(ShardStream(index, get_id, 3, 0, command="false {}"))
    with pytest.raises(ValueError, match="has no bytes"):
        ShardStream(index, get_id, 3, 0)


def test_names_of_shards_are_not_commands(make_shards, tmp_path):
    index = make_shards(["a"] * 12, 4)
    evil = f"pipe:touch {tmp_path}/done"
    change_index(index, "shards", lambda s: [{**s[0], "file": evil}, *s[1:]])
    with pytest.raises(ValueError, match="has no bytes"):
        ShardStream(index, get_id, 1, 0)
    stream = ShardStream(index, get_id, 12, 0, command="cat {}")
    with pytest.raises(ValueError, match="No clip can be read"):
        list(stream)
    assert not (tmp_path / "done").exists()


def add(tar, name, content=b"", size=None, kind=tarfile.REGTYPE):
    member = tarfile.TarInfo(name)
    member.size, member.type = len(content) if size is None else size, kind
    tar.fileobj.write(member.tobuf(tarfile.GNU_FORMAT) + content)
    tar.fileobj.write(bytes(-len(content) % 512))


def test_hostile_members(monkeypatch, make_shards, caplog, tmp_path):
    index = make_shards(["a"] * 6, 3)
    path = tar_of(index)
    with tarfile.open(path) as tar:
        members = [(m.name, tar.extractfile(m).read()) for m in tar]
    path.unlink()
    with tarfile.open(path, "w") as tar:
        for name, content in members[:2]:
            add(tar, f"../../{name}", content)
        # 70 MiB of zeros, as a hole in the file
        add(tar, "bomb.flac", size=70 * 2**20)
        tar.fileobj.seek(70 * 2**20, 1)
        add(tar, "bomb.json", b"{}")
        add(tar, "link", kind=tarfile.SYMTYPE)
        add(tar, "end.flac", size=2**40)
    stream_index = json.loads(index.read_text("utf-8"))
    stream_index["shards"][0].update(clips=4, bytes=path.stat().st_size)
    stream_index["clips"] = 7
    index.write_text(json.dumps(stream_index), "utf-8")
    before = {p for p in tmp_path.rglob("*")}
    stream = ShardStream(index, get_id, 7, seed=0)
    tracemalloc.start()
    ids = read(monkeypatch, stream)[0]
    assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    tracemalloc.stop()
    first = members[0][0].split(".")[0]
    assert len(ids) == 7 and len(set(ids)) == 4 and first in ids
    assert {p for p in tmp_path.rglob("*")} == before
    for report in ("bomb in", "larger than 67108864 bytes", "unexpected end"):
        assert report in caplog.text


@pytest.mark.parametrize(
    "damage", ["truncated", "missing", "empty", "compressed", "ends early"]
)
def test_damaged_shards_are_reported(monkeypatch, make_shards, caplog, damage):
    index = make_shards(["a"] * 12, 4)
    streams = [ShardStream(index, get_id, 3, 0, 4, b) for b in (False, True)]
    path = tar_of(index, 1)
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    elif damage == "compressed":
        path.write_bytes(gzip.compress(content))
    elif damage == "ends early":
        path.write_bytes(content[:5120] + bytes(len(content) - 5120))
    else:
        path.write_bytes(b"" if damage == "empty" else content[:7000])
    for stream in streams:
        caplog.clear()
        ids = sum(read(monkeypatch, stream), [])
        assert len(ids) == 12 and 8 <= len(set(ids)) < 12 or stream.balanced
        reports = [r.getMessage() for r in caplog.records if r.levelno >= 30]
        shard = [text for text in reports if f" of {path}: " in text]
        assert len(shard) == 1, reports
        assert len(reports) <= 2  # and the clip that is cut


def test_nothing_to_read_is_an_error(monkeypatch, make_shards):
    index = make_shards(["a"] * 4, 2)
    stream = ShardStream(index, get_id, 1, seed=0)
    for number in (0, 1):
        tar_of(index, number).unlink()
    with pytest.raises(ValueError) as error:
        list(stream)
    assert str(index.parent / "shards") in str(error.value)
    assert "--verify" in str(error.value)


def test_random_damage_never_stops_training(monkeypatch, make_shards, caplog):
    index = make_shards(["a"] * 8, 4, samples=400)
    stream = ShardStream(index, get_id, 4, seed=0)
    path, rng = tar_of(index), random.Random(0)
    content = path.read_bytes()
    headers = range(0, len(content) - 1024, 512)
    for _ in range(300):
        damaged = bytearray(content)
        start = rng.choice(headers)
        for _ in range(rng.randint(1, 8)):
            damaged[start + rng.randrange(512)] = rng.randrange(256)
        fix_checksum(damaged, start)
        path.write_bytes(damaged)
        assert len(sum(read(monkeypatch, stream), [])) == 8
    # Names that are not UTF-8 can be logged.
    assert "\\udc" in caplog.text and caplog.text.encode("utf-8")


def fix_checksum(content, start):
    """Makes a changed header one that is read all the same."""
    header = content[start : start + 512]
    header[148:156] = b" " * 8
    content[start + 148 : start + 156] = b"%06o\0 " % sum(header)


def test_memory_is_that_of_the_buffer(monkeypatch, make_shards):
    index = make_shards(["a"] * 150, 50, samples=16000)  # 30 kB each
    stream = ShardStream(index, get_id, 10, seed=0, shuffle_buffer=10)
    size = sum(s.stat().st_size for s in index.parent.glob("shards/*.tar"))
    assert size > 3.5e6
    list(stream)  # imports
    tracemalloc.start()
    assert sum(1 for _ in stream) == 150
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.25 * size


def change_index(index, key, value):
    content = json.loads(index.read_text("utf-8"))
    content[key] = value(content[key])
    index.write_text(json.dumps(content), "utf-8")


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda i: i.unlink(), "train.json: No such file"),
        (lambda i: i.write_text("{"), "train.json is not an index"),
        (lambda i: i.write_text("[]"), "train.json is not an index"),
        (lambda i: i.write_text("{}"), "'labels'"),
        (
            lambda i: change_index(i, "labels", list),
            "not an index.*AttributeErr",
        ),
        (lambda i: change_index(i, "clips", str), "its shards have 12 clips"),
        (
            lambda i: change_index(i, "shards", lambda s: [{"file": ".."}]),
            "'clips'",
        ),
        (
            lambda i: change_index(i, "labels", lambda k: {**k, "b": 0}),
            "no clips",
        ),
        (lambda i: tar_of(i).unlink(), "000000.tar has no bytes, .*in.*train"),
        (lambda i: tar_of(i).write_bytes(b"abc"), "000.tar has 3 bytes, "),
    ],
)
def test_index_errors_name_file_and_remedy(make_shards, damage, message):
    index = make_shards(["a"] * 12, 4)
    damage(index)
    with pytest.raises(ValueError, match=message) as error:
        ShardStream(index, get_id, 1, seed=0)
    assert str(index.parent) in str(error.value)
    assert "audioset_prepare.py" in str(error.value)
    assert "--verify" in str(error.value)


def test_too_few_clips(make_shards):
    index = make_shards(["a"] * 12, 4)
    with pytest.raises(ValueError) as error:
        ShardStream(index, get_id, 5, seed=0, world_size=3)
    message = re.escape("12 clips, too few for one batch of 5 in each of 3")
    assert re.search(message, str(error.value))
    assert "smaller batch_size" in str(error.value)


def test_needs_webdataset(make_shards, monkeypatch):
    index = make_shards(["a"] * 2, 1)
    monkeypatch.setitem(sys.modules, "webdataset", None)
    with pytest.raises(ImportError, match="pip install webdataset"):
        ShardStream(index, get_id, 1, seed=0)


def test_counts_for_priors(make_shards):
    stream = ShardStream(make_shards(["a", "b", "a"], 2), get_id, 1, seed=0)
    assert stream.num_clips == 3
    assert stream.labels_counts == {"a": 2, "b": 1}
    assert np.isclose(sum(stream.labels_counts.values()), 3)
