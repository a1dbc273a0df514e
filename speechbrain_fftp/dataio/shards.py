"""Clips in tar shards, for data sets with too many files.

Authors
 * The speechbrain_fftp authors 2026
"""

import io
import itertools
import json
import random
import zlib
from pathlib import Path

import torch
from torch.utils.data import IterableDataset

from speechbrain.dataio.batch import PaddedBatch
from speechbrain.utils.distributed import run_on_main
from speechbrain.utils.logger import get_logger

logger = get_logger(__name__)

DONE = "shards.json"  # lists the content of the shards; written last


def write_shards(dataset, folder, clips_per_shard=1000, seed=0):
    """Writes the audio files of a dataset into shards, in random order.

    Existing shards of the same clips are kept. Needs ``webdataset``.

    Arguments
    ---------
    dataset : DynamicItemDataset
        The clips; ``wav`` is the path of a file, which is copied unchanged.
    folder : str
        Folder of the shards.
    clips_per_shard : int
        Number of clips in a shard; the last one may have fewer.
    seed : int
        Seed of the order.

    Raises
    ------
    ValueError
        If the folder holds shards of other clips, or other files.

    Example
    -------
    >>> import pytest
    >>> _ = pytest.importorskip("webdataset")
    >>> from speechbrain.dataio.dataset import DynamicItemDataset
    >>> tmpdir = getfixture("tmpdir")
    >>> _ = tmpdir.join("dog.wav").write("audio")
    >>> data = {"dog": {"wav": str(tmpdir / "dog.wav")}}
    >>> write_shards(DynamicItemDataset(data), tmpdir / "shards")
    >>> sorted(path.basename for path in tmpdir.join("shards").listdir())
    ['clips-000000.tar', 'shards.json']
    """
    import webdataset

    folder = Path(folder)
    clips = sorted(dataset.data)
    digest = zlib.crc32("\n".join(clips).encode())
    about = {"clips": len(clips), "crc32": digest, "of": clips_per_shard}
    if (folder / DONE).is_file():
        if json.loads((folder / DONE).read_text("utf-8")) != about:
            raise ValueError(
                f"{folder} holds shards of other clips: delete it, or name "
                "another folder."
            )
        logger.info("The shards were written in a previous run, skipping.")
        return
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = set(folder.glob("clips-*.tar"))
    others = set(folder.iterdir()) - unfinished
    if others:
        raise ValueError(f"{folder} holds {min(others)}: name a new folder.")
    for path in unfinished:
        path.unlink()
    random.Random(seed).shuffle(clips)
    pattern = str(folder / "clips-%06d.tar")
    with webdataset.ShardWriter(
        pattern, maxcount=clips_per_shard, verbose=0
    ) as writer:
        for clip in clips:
            audio = Path(dataset.data[clip]["wav"]).read_bytes()
            writer.write({"__key__": clip, "audio": audio})
    (folder / DONE).write_text(json.dumps(about), "utf-8")
    logger.info("Wrote %d clips to %s", len(clips), folder)


class ShardDataset(IterableDataset):
    """Streams the clips of a dataset from shards.

    Seed and epoch determine the order of shards and clips, so a resumed
    training continues in the same order. In an epoch, each process reads
    ``clips // (processes * batch_size)`` batches, and each of its workers reads
    its own shards. As shards hold different numbers of clips, a few clips of an
    epoch are skipped, or read twice.

    Arguments
    ---------
    dataset : DynamicItemDataset
        Makes items from rows of the manifest; ``wav`` is a file in memory.
    folder : str
        Folder of the shards.
    batch_size : int
        Number of clips in a batch of one process, as given to the DataLoader.
    epoch_counter : speechbrain.utils.epoch_loop.EpochCounter
        Counts the epochs.
    seed : int
        Seed of the order.
    shuffle_buffer : int
        Number of clips from which each worker draws the next one.

    Raises
    ------
    ValueError
        If there are too few clips for a batch.

    Example
    -------
    >>> import pytest
    >>> _ = pytest.importorskip("webdataset")
    >>> from speechbrain.dataio.dataset import DynamicItemDataset
    >>> from speechbrain.utils.epoch_loop import EpochCounter
    >>> tmpdir = getfixture("tmpdir")
    >>> _ = tmpdir.join("dog.wav").write("audio")
    >>> data = {"dog": {"wav": str(tmpdir / "dog.wav"), "label": "bark"}}
    >>> dataset = DynamicItemDataset(data, output_keys=["id", "label"])
    >>> write_shards(dataset, tmpdir / "shards")
    >>> list(ShardDataset(dataset, tmpdir / "shards", 1, EpochCounter(5)))
    [{'id': 'dog', 'label': 'bark'}]
    """

    def __init__(
        self,
        dataset,
        folder,
        batch_size,
        epoch_counter,
        seed=0,
        shuffle_buffer=1000,
    ):
        super().__init__()
        self.dataset = dataset
        self.shards = sorted(map(str, Path(folder).glob("*.tar")))
        self.batch_size = batch_size
        self.epoch_counter = epoch_counter
        self.seed = seed
        self.shuffle_buffer = shuffle_buffer
        self.rank, self.num_processes = 0, 1
        if torch.distributed.is_available():
            if torch.distributed.is_initialized():
                self.rank = torch.distributed.get_rank()
                self.num_processes = torch.distributed.get_world_size()
        clips = len(dataset.data)
        self.steps_per_epoch = clips // (self.num_processes * batch_size)
        if self.steps_per_epoch == 0:
            raise ValueError(
                f"{clips} clips are not enough for a batch of {batch_size} in "
                "each process."
            )

    def __len__(self):
        return self.steps_per_epoch * self.batch_size

    def __iter__(self):
        worker = torch.utils.data.get_worker_info()
        number = worker.id if worker else 0
        num_workers = worker.num_workers if worker else 1
        readers = self.num_processes * num_workers
        if len(self.shards) < readers:
            raise ValueError(
                f"{len(self.shards)} shards are not enough for "
                f"{self.num_processes} processes with {num_workers} workers "
                "each: use fewer workers, or fewer clips_per_shard in a new "
                "shards_folder."
            )
        # Worker w makes the batches w, w + num_workers, ...
        steps = len(range(number, self.steps_per_epoch, num_workers))
        order = f"{self.seed}/{self.epoch_counter.current}"
        shards = self.shards.copy()
        random.Random(order).shuffle(shards)
        reader = self.rank * num_workers + number
        clips = self._read(shards[reader::readers], f"{order}/{reader}")
        yield from itertools.islice(clips, steps * self.batch_size)

    def _read(self, shards, seed):
        """Yields the clips of shards in random order, endlessly."""
        import webdataset

        stream = webdataset.WebDataset(
            shards, shardshuffle=False, nodesplitter=None, workersplitter=None
        )
        stream = stream.repeat().shuffle(
            self.shuffle_buffer, rng=random.Random(seed)
        )
        for sample in stream:
            clip = sample["__key__"]
            row = {**self.dataset.data[clip], "id": clip}
            row["wav"] = io.BytesIO(sample["audio"])
            yield self.dataset.pipeline.compute_outputs(row)


def use_shards(
    brain, datasets, folder, clips_per_shard=1000, shuffle_buffer=1000
):
    """Lets a recipe stream its training clips from shards.

    The first run writes the shards.

    Arguments
    ---------
    brain : speechbrain.Brain
        The Brain of the recipe, whose hyperparameters have ``seed``,
        ``epoch_counter`` and ``train_dataloader_opts``.
    datasets : dict
        The recipe's data sets; ``train`` is replaced.
    folder : str, optional
        Folder of the shards; None to do nothing.
    clips_per_shard, shuffle_buffer : int
        See ``write_shards`` and ``ShardDataset``.

    Example
    -------
    >>> use_shards(None, {"train": None}, folder=None)
    """
    if folder is None:
        return
    options = brain.hparams.train_dataloader_opts
    seed = brain.hparams.seed
    run_on_main(
        write_shards, args=[datasets["train"], folder, clips_per_shard, seed]
    )
    datasets["train"] = ShardDataset(
        datasets["train"],
        folder,
        batch_size=options["batch_size"],
        epoch_counter=brain.hparams.epoch_counter,
        seed=seed,
        shuffle_buffer=shuffle_buffer,
    )
    options.update(shuffle=False, collate_fn=PaddedBatch)
