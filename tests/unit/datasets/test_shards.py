"""Tests of training clips in tar shards.

Authors
 * The speechbrain_fftp authors 2026
"""

import itertools
import json
import tarfile
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile as sf
from torch.utils.data import DataLoader

from speechbrain_fftp.dataio.files import write_csv
from speechbrain_fftp.datasets import convert, shards
from speechbrain_fftp.datasets.convert import AudioFiles, write_shards
from speechbrain_fftp.datasets.manifests import Clip

pytest.importorskip("webdataset")
CLASSES = {"/m/a": "a", "/m/b": "b"}


@pytest.fixture
def folder(tmp_path):
    """A prepared folder with 20 clips in 7 shards."""
    return prepare(tmp_path, number=20, clips_per_shard=3)


def prepare(folder, number, clips_per_shard):
    rng = np.random.default_rng(0)
    (folder / "audio").mkdir(exist_ok=True)
    clips, files = [], {}
    for i in range(number):
        files[f"c.{i}"] = str(folder / "audio" / f"{i}.flac")
        sf.write(files[f"c.{i}"], rng.uniform(-0.5, 0.5, 800), 16000)
        clips.append(Clip(f"c.{i}", mids=(list(CLASSES)[i % 2],)))
    converted, failed = write_shards(
        clips,
        AudioFiles(files),
        folder / "shards",
        classes=CLASSES,
        sample_rate=16000,
        clips_per_shard=clips_per_shard,
        num_workers=1,
    )
    assert not failed
    rows = [(i, duration, "x") for i, duration in converted.items()]
    write_csv(folder / "train.csv", ("ID", "duration", "labels"), rows)
    return folder


def open_stream(folder, batch_size=2, epoch=1, **options):
    return shards.stream_shards(
        str(folder / "train.csv"),
        batch_size,
        SimpleNamespace(current=epoch),
        output_keys=["id"],
        **options,
    )


def read_ids(stream, num_workers=0):
    loader = DataLoader(
        stream, batch_size=stream.batch_size, num_workers=num_workers
    )
    batches = [batch["id"] for batch in loader]
    assert len(batches) == len(loader) == stream.steps_per_epoch
    assert {len(batch) for batch in batches} == {stream.batch_size}
    return list(itertools.chain(*batches))


def test_an_epoch_has_every_clip_once(folder):
    stream = open_stream(folder)
    assert sorted(read_ids(stream)) == sorted(stream.data)
    assert len(stream) == 20 and stream.steps_per_epoch == 10
    assert open_stream(folder, batch_size=8).steps_per_epoch == 2


@pytest.mark.parametrize("num_workers", [0, 2])
def test_order_depends_on_seed_and_epoch_alone(folder, num_workers):
    """So that training goes on in the same way after a resume."""
    orders = {
        (seed, epoch): read_ids(
            open_stream(folder, epoch=epoch, seed=seed), num_workers
        )
        for seed in (0, 1)
        for epoch in (1, 2)
    }
    assert len(set(map(tuple, orders.values()))) == 4
    stream = open_stream(folder, epoch=1)
    assert read_ids(stream, num_workers) == orders[0, 1]
    stream.epoch_counter.current = 2
    assert read_ids(stream, num_workers) == orders[0, 2]
    unshuffled = open_stream(folder, shuffle_buffer=0)
    assert read_ids(unshuffled, num_workers) != orders[0, 1]


def test_processes_and_workers_read_different_shards(folder, monkeypatch):
    seen = []
    for rank in (0, 1):
        monkeypatch.setattr(
            shards, "_rank_and_number_of_processes", lambda r=rank: (r, 2)
        )
        stream = open_stream(folder)
        assert stream.steps_per_epoch == 5
        seen.append(set(read_ids(stream, num_workers=2)))
    assert not seen[0] & seen[1]
    assert len(seen[0] | seen[1]) > 12


def test_too_few_shards_or_clips(tmp_path):
    prepare(tmp_path, number=4, clips_per_shard=3)
    stream = open_stream(tmp_path)
    with pytest.raises(ValueError, match="2 shards"):
        read_ids(stream, num_workers=3)
    with pytest.raises(ValueError, match="4 clips"):
        open_stream(tmp_path, batch_size=5)
    for path in (tmp_path / "shards").iterdir():
        path.unlink()
    with pytest.raises(ValueError, match="no shards"):
        open_stream(tmp_path)


def test_a_truncated_shard_is_an_error(folder):
    path = folder / "shards" / "shard-000003.tar"
    path.write_bytes(path.read_bytes()[:1500])
    with pytest.raises((tarfile.TarError, OSError, ValueError, EOFError)):
        read_ids(open_stream(folder))


def test_shards_are_kept_unless_they_hold_other_clips(folder, monkeypatch):
    def contents():
        paths = sorted((folder / "shards").iterdir())
        return {path.name: path.read_bytes() for path in paths}

    before = contents()
    (folder / "shards" / "shard-000002.tar").unlink()
    encoded = []
    encode = convert.encode_clip

    def count(*args, **kwargs):
        encoded.append(args)
        return encode(*args, **kwargs)

    monkeypatch.setattr(convert, "encode_clip", count)
    prepare(folder, number=20, clips_per_shard=3)
    assert contents() == before and len(encoded) == 3
    prepare(folder, number=20, clips_per_shard=5)
    assert len(encoded) == 23
    assert sorted(contents()) == sorted(list(before)[:8])


def test_clips_that_cannot_be_read_are_not_written(tmp_path):
    (tmp_path / "bad.flac").write_bytes(b"fLaC")
    clips = [Clip(i, mids=("/m/a",)) for i in ("bad", "absent")]
    converted, failed = write_shards(
        clips,
        AudioFiles({"bad": str(tmp_path / "bad.flac")}),
        tmp_path / "shards",
        classes=CLASSES,
        sample_rate=16000,
        clips_per_shard=1,
    )
    assert not converted and failed["absent"] == "missing file"
    assert failed["bad"].startswith("unreadable")
    assert not list((tmp_path / "shards").glob("*.tar"))
    record = json.loads((tmp_path / "shards/shard-000000.json").read_text())
    assert set(record["failed"]) < {"bad", "absent"}
