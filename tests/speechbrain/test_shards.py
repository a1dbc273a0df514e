"""Tests of training clips in tar shards.

Authors
 * The speechbrain_fftp authors 2026
"""

import itertools
from types import SimpleNamespace

import pytest
import torch

pytest.importorskip("webdataset")


@pytest.fixture
def dataset(tmp_path):
    """Twenty clips; clip n has n samples."""
    from speechbrain.dataio import audio_io
    from speechbrain.dataio.dataset import DynamicItemDataset
    from speechbrain.utils.data_pipeline import provides, takes

    data = {}
    for number in range(1, 21):
        path = tmp_path / f"{number}.wav"
        audio_io.save(path, torch.zeros(1, number), 16000)
        data[f"-{number}"] = {"wav": str(path), "labels": f"class {number}"}

    @takes("wav")
    @provides("size")
    def size(wav):
        return audio_io.load(wav, channels_first=False)[0].shape[0]

    return DynamicItemDataset(data, [size], ["id", "size", "labels"])


def epochs(counter):
    """An epoch counter at an epoch."""
    return SimpleNamespace(current=counter)


def read_ids(stream, num_workers=0):
    """The ids of the clips in an epoch, in their order."""
    loader = torch.utils.data.DataLoader(
        stream, batch_size=stream.batch_size, num_workers=num_workers
    )
    batches = [batch["id"] for batch in loader]
    assert len(batches) == len(loader) == stream.steps_per_epoch
    return list(itertools.chain(*batches))


def test_an_epoch_has_every_clip_once(dataset, tmp_path):
    from speechbrain.dataio import shards

    folder = tmp_path / "shards"
    shards.write_shards(dataset, folder, clips_per_shard=3)
    assert len(list(folder.glob("*.tar"))) == 7
    items = list(shards.ShardDataset(dataset, folder, 2, epochs(1)))
    assert sorted(item["id"] for item in items) == sorted(dataset.data)
    for item in items:
        assert item["size"] == -int(item["id"])
        assert item["labels"] == f"class {item['size']}"


@pytest.mark.parametrize("num_workers", [0, 2])
def test_order_after_a_resume(dataset, tmp_path, num_workers):
    from speechbrain.dataio import shards
    from speechbrain.utils.checkpoints import Checkpointer
    from speechbrain.utils.epoch_loop import EpochCounter

    folder = tmp_path / "shards"
    shards.write_shards(dataset, folder, clips_per_shard=3)

    def train(last, stop_after):
        """Order of the clips in each epoch until training is interrupted."""
        counter = EpochCounter(limit=last)
        options = {"batch_size": 4, "epoch_counter": counter, "seed": 7}
        stream = shards.ShardDataset(dataset, folder, **options)
        checkpointer = Checkpointer(tmp_path / str(last), {"counter": counter})
        checkpointer.recover_if_possible()
        orders = []
        for epoch in counter:
            orders.append(read_ids(stream, num_workers))
            checkpointer.save_checkpoint()
            if epoch == stop_after:
                break
        return orders

    whole = train(last=2, stop_after=2)
    assert train(last=3, stop_after=1) == whole[:1]
    assert train(last=3, stop_after=2) == whole[1:]  # the resumed training
    assert whole[0] != whole[1] and len(set(whole[1])) >= 16


def test_order_depends_on_the_seed(dataset, tmp_path):
    from speechbrain.dataio import shards

    shards.write_shards(dataset, tmp_path / "shards", clips_per_shard=3)
    orders = [
        read_ids(
            shards.ShardDataset(
                dataset, tmp_path / "shards", 2, epochs(1), seed=seed
            )
        )
        for seed in (0, 0, 1)
    ]
    assert orders[0] == orders[1] != orders[2]


def test_processes_and_workers_read_different_shards(dataset, tmp_path):
    from speechbrain.dataio import shards

    shards.write_shards(dataset, tmp_path / "shards", clips_per_shard=3)
    seen = []
    for rank in (0, 1):
        stream = shards.ShardDataset(dataset, tmp_path / "shards", 2, epochs(1))
        stream.rank, stream.num_processes, stream.steps_per_epoch = rank, 2, 5
        seen.append(set(read_ids(stream, num_workers=2)))
    assert not seen[0] & seen[1]
    assert len(seen[0] | seen[1]) > 12


def test_shards_are_kept_unless_they_hold_other_clips(dataset, tmp_path):
    from speechbrain.dataio import shards

    folder = tmp_path / "shards"
    shards.write_shards(dataset, folder, clips_per_shard=3)
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    shards.write_shards(dataset, folder, clips_per_shard=3)
    assert before == {
        path: path.stat().st_mtime_ns for path in folder.iterdir()
    }
    dataset.data.pop("-3")
    with pytest.raises(ValueError, match="shards"):
        shards.write_shards(dataset, folder, clips_per_shard=3)
    (folder / "shards.json").unlink()  # as if interrupted
    shards.write_shards(dataset, folder, clips_per_shard=10)
    assert len(list(folder.glob("*.tar"))) == 2


def test_errors(dataset, tmp_path):
    from speechbrain.dataio import shards

    folder = tmp_path / "shards"
    shards.write_shards(dataset, folder, clips_per_shard=10)
    stream = shards.ShardDataset(dataset, folder, 2, epochs(1))
    with pytest.raises(ValueError, match="2 shards"):
        read_ids(stream, num_workers=3)
    with pytest.raises(ValueError, match="20 clips"):
        shards.ShardDataset(dataset, folder, 21, epochs(1))
    with pytest.raises(ValueError, match="1.wav"):
        shards.write_shards(dataset, tmp_path)
