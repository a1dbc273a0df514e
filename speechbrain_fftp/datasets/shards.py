"""Streams the training clips of a prepared folder from tar shards.

Authors
 * The speechbrain_fftp authors 2026
"""

import io
import itertools
import json
import random
from pathlib import Path

import torch
from torch.utils.data import IterableDataset

from speechbrain.dataio.dataio import load_data_csv
from speechbrain.dataio.dataset import DynamicItemDataset


def stream_shards(
    csv_path,
    batch_size,
    epoch_counter,
    seed=0,
    shuffle_buffer=1000,
    dynamic_items=(),
    output_keys=(),
):
    """Opens the shards beside a manifest, as ``DynamicItemDataset.from_csv``.

    ``webdataset`` is needed.

    Arguments
    ---------
    csv_path : str
        train.csv in the prepared folder, with the shards in ``shards/``.
    batch_size : int
        Number of clips in a batch of one process, as given to the DataLoader.
    epoch_counter : speechbrain.utils.epoch_loop.EpochCounter
        Its current epoch and the seed decide the order of the clips.
    seed : int
        Seed of the order.
    shuffle_buffer : int
        Number of clips among which each worker draws the next one.
    dynamic_items, output_keys : list
        As for DynamicItemDataset; ``wav`` is a file in memory.

    Returns
    -------
    ShardDataset
        An iterable dataset, for a DataLoader that does not shuffle.

    Raises
    ------
    ValueError
        If there is no shard, or fewer clips than a batch has.
    """
    data = load_data_csv(csv_path)
    for row in data.values():
        row["wav"] = None  # read from the shards
    return ShardDataset(
        data,
        sorted(map(str, Path(csv_path).parent.glob("shards/*.tar"))),
        batch_size=batch_size,
        epoch_counter=epoch_counter,
        seed=seed,
        shuffle_buffer=shuffle_buffer,
        dynamic_items=dynamic_items,
        output_keys=output_keys,
    )


class ShardDataset(DynamicItemDataset, IterableDataset):
    """A DynamicItemDataset whose clips are streamed from tar shards.

    In an epoch, each process reads ``len(data) // (processes * batch_size)``
    batches from shards that no other process and worker reads. As these hold
    different numbers of clips, a few clips are left out of an epoch, or read
    twice.

    Arguments
    ---------
    data : dict
        The rows of all clips, by id.
    shards : list of str
        The tar files.

    See ``stream_shards`` for the others.
    """

    def __init__(
        self,
        data,
        shards,
        *,
        batch_size,
        epoch_counter,
        seed,
        shuffle_buffer,
        dynamic_items,
        output_keys,
    ):
        if not shards or not data:
            raise ValueError("There are no shards with clips.")
        super().__init__(data, dynamic_items, output_keys)
        self.shards = shards
        self.batch_size = batch_size
        self.rank, self.num_processes = _rank_and_number_of_processes()
        self.epoch_counter = epoch_counter
        self.seed = seed
        self.shuffle_buffer = shuffle_buffer
        if not len(self):
            raise ValueError(
                f"{len(data)} clips are not enough for a batch of"
                f" {batch_size} in each process."
            )

    @property
    def steps_per_epoch(self):
        """Number of batches that each process reads in an epoch."""
        return len(self.data) // (self.num_processes * self.batch_size)

    def __len__(self):
        return self.steps_per_epoch * self.batch_size

    def __iter__(self):
        worker = torch.utils.data.get_worker_info()
        number = worker.id if worker else 0
        num_workers = worker.num_workers if worker else 1
        readers = self.num_processes * num_workers
        if len(self.shards) < readers:
            raise ValueError(
                f"{len(self.shards)} shards are not enough for"
                f" {self.num_processes} processes with {num_workers} workers"
                " each: use fewer workers, or prepare the data with smaller"
                " shards (clips_per_shard)."
            )
        # Worker w makes the steps w, w + num_workers, ...
        steps = len(range(number, self.steps_per_epoch, num_workers))
        epoch = self.epoch_counter.current
        shards = self.shards.copy()
        random.Random(f"{self.seed}/{epoch}").shuffle(shards)
        reader = self.rank * num_workers + number
        clips = self._read(
            shards[reader::readers], f"{self.seed}/{epoch}/{reader}"
        )
        yield from itertools.islice(clips, steps * self.batch_size)

    def _read(self, shards, seed):
        """Yields the clips of some shards, again and again, in random order."""
        import webdataset

        stream = webdataset.WebDataset(
            shards,
            shardshuffle=False,
            nodesplitter=None,
            workersplitter=None,
        )
        stream = stream.repeat().shuffle(
            self.shuffle_buffer, rng=random.Random(seed)
        )
        for sample in stream:
            row = json.loads(sample["json"])
            clip_id = row["id"]
            yield self.pipeline.compute_outputs(
                {
                    **self.data[clip_id],
                    "id": clip_id,
                    "wav": io.BytesIO(sample["flac"]),
                }
            )


def _rank_and_number_of_processes():
    """Rank of this process, and number of processes, of distributed training."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1
