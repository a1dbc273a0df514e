"""Tests of clips in tar shards, of the recipe that goes to SpeechBrain.

Authors
 * The speechbrain_fftp authors 2026
"""

import itertools
import tarfile

import numpy as np
import pytest
import torch
from recipe_runs import load_script

from speechbrain.dataio.dataset import DynamicItemDataset

pytest.importorskip("webdataset")

script = load_script("stock/AudioSet/Tagging/audio_shards.py")
stream_shards, _write_shards = script.stream_shards, script._write_shards

CLIPS, RATE = 9, 8000


def make_dataset(clips=CLIPS, seed=0):
    """Clips of noise, each of a length and with targets of its own."""
    rng = np.random.default_rng(seed)
    noise = [rng.uniform(-1, 1, 50 + i) for i in range(clips)]
    sigs = [torch.tensor(x, dtype=torch.float32) for x in noise]
    dataset = DynamicItemDataset(
        {f"clip{i}": {"number": i, "seed": seed} for i in range(clips)},
        [
            {
                "func": sigs.__getitem__,
                "takes": ["number"],
                "provides": "sig",
            },
            {
                "func": torch.eye(clips).__getitem__,
                "takes": ["number"],
                "provides": "targets",
            },
        ],
        output_keys=["id", "sig", "targets"],
    )
    return dataset, sigs


def read(stream, count):
    """The ids of the next clips, which are compared with what was written."""
    sigs, ids = make_dataset()[1], []
    for clip in itertools.islice(stream, count):
        assert set(clip) == {"id", "sig", "targets"}
        number = int(clip["id"][len("clip") :])
        assert torch.equal(clip["targets"], torch.eye(CLIPS)[number])
        # 16 bits: scaled by 2**15 - 1, rounded, and scaled back by 2**15
        step = {"rtol": 0, "atol": 1.5 / 2**15}
        torch.testing.assert_close(clip["sig"], sigs[number], **step)
        ids.append(clip["id"])
    return ids


def contents(folder):
    """The clips in each shard."""
    found = []
    for path in sorted(folder.glob("*.tar")):
        with tarfile.open(path) as tar:
            names = [n for n in tar.getnames() if n.endswith(".flac")]
        found.append({f"clip{int(n[:-5])}" for n in names})
    return found


def read_passes(stream, count):
    """The ids of passes over all clips, each of which has every clip once."""
    ids = read(stream, count * CLIPS)
    passes = [ids[i : i + CLIPS] for i in range(0, len(ids), CLIPS)]
    assert all(sorted(x) == make_dataset()[0].data_ids for x in passes)
    return passes


def test_every_clip_comes_once_in_each_pass(tmp_path):
    dataset, _ = make_dataset()
    stream = stream_shards(dataset, tmp_path, RATE, clips_per_shard=2, buffer=1)
    assert [len(shard) for shard in contents(tmp_path)] == [2, 2, 2, 2, 1]
    passes = read_passes(stream, 6)
    # In random order: the shards' differs from one pass to the next
    assert dataset.data_ids not in passes
    assert len(set(map(tuple, passes))) > 3


def test_a_buffer_mixes_the_clips_of_different_shards(tmp_path):
    dataset, _ = make_dataset()
    stream = stream_shards(dataset, tmp_path, RATE, clips_per_shard=3)
    passes, shards = read_passes(stream, 20), contents(tmp_path)
    same = [
        any({*pair} <= shard for shard in shards)
        for ids in passes
        for pair in zip(ids, ids[1:])
    ]
    assert sum(same) / len(same) < 0.5  # 6 / 8 in the order of the shards


def test_processes_read_shards_of_their_own(tmp_path, monkeypatch):
    dataset, _ = make_dataset()
    _write_shards(dataset, tmp_path, RATE, clips_per_shard=2)
    found = []
    for rank in range(2):
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("WORLD_SIZE", "2")
        stream = stream_shards(dataset, tmp_path, RATE, buffer=1)
        found.append(set(read(stream, 3 * CLIPS)))
    assert not found[0] & found[1]
    assert found[0] | found[1] == set(dataset.data_ids)
    assert {len(x) for x in found} == {4, 5}
    shards = contents(tmp_path)
    assert all(shard <= found[0] or shard <= found[1] for shard in shards)


def test_a_folder_of_the_same_clips_is_used_as_it_is(tmp_path):
    _write_shards(make_dataset()[0], tmp_path, RATE, clips_per_shard=2)
    before = {p: p.stat().st_mtime_ns for p in tmp_path.iterdir()}
    _write_shards(make_dataset()[0], tmp_path, RATE, clips_per_shard=4)
    assert {p: p.stat().st_mtime_ns for p in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    "change", [{"clips": CLIPS - 1}, {"seed": 1}, {"rate": 2 * RATE}]
)
def test_shards_of_other_clips_are_an_error(tmp_path, change):
    _write_shards(make_dataset()[0], tmp_path, RATE)
    before = contents(tmp_path)
    rate = change.pop("rate", RATE)
    with pytest.raises(ValueError, match=f"{tmp_path}.*delete it"):
        _write_shards(make_dataset(**change)[0], tmp_path, rate)
    assert contents(tmp_path) == before


def test_an_incomplete_folder_is_written_again(tmp_path):
    dataset, _ = make_dataset()
    _write_shards(dataset, tmp_path, RATE, clips_per_shard=2)
    expected = contents(tmp_path)
    (tmp_path / "shards.json").unlink()
    (tmp_path / "clips-000001.tar").write_bytes(b"half of it")
    (tmp_path / "clips-000009.tar").write_bytes(b"of an earlier attempt")
    stream = stream_shards(dataset, tmp_path, RATE, clips_per_shard=2, buffer=1)
    assert contents(tmp_path) == expected
    assert sorted(read(stream, CLIPS)) == dataset.data_ids


def test_other_files_of_the_folder_are_kept(tmp_path):
    for name in ("clips-000000.tar", "000000.tar", "notes.txt"):
        (tmp_path / name).write_text("precious", "utf-8")
    with pytest.raises(ValueError, match="000000.tar: name a new folder"):
        _write_shards(make_dataset()[0], tmp_path, RATE)
    assert {p.read_text("utf-8") for p in tmp_path.iterdir()} == {"precious"}
    assert len(list(tmp_path.iterdir())) == 3
