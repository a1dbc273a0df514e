"""Streams training clips from tar shards in WebDataset's format.

The shards of ``audioset_prepare.py --format webdataset`` are read sequentially
and shuffled in a buffer. An epoch can be resumed after any batch.

Authors
 * The speechbrain_fftp authors 2026
"""

import itertools
import json
import os
import random
import tarfile
import zlib

import torch
from torch.utils.data import IterableDataset, get_worker_info

from speechbrain.utils.logger import get_logger
from speechbrain_fftp.dataio.audio import read_audio
from speechbrain_fftp.dataio.files import as_utf8, hash_fraction
from speechbrain_fftp.dataio.labels import class_balanced_weight
from speechbrain_fftp.datasets.audioset.shard_index import REMEDY, read_index
from speechbrain_fftp.datasets.audioset.tars import HEADER_ERRORS

logger = get_logger(__name__)

MAX_MEMBER_BYTES = 64 * 2**20  # a clip has about 0.2 MB


def decode_clip(sample):
    """Decodes a sample: ``id``, ``sig`` (float ``[S]``) and ``labels``."""
    try:
        samples, *_ = read_audio(sample["flac"])
    except ValueError as err:
        raise ValueError(
            f"The clip {sample['id']} is damaged: {err} ({REMEDY})"
        )
    sig = torch.from_numpy(samples)
    return {"id": sample["id"], "sig": sig, "labels": sample["labels"]}


class ShardStream(IterableDataset):
    """Training clips of one process, in a new random order each epoch.

    The shards are permuted in each epoch and their clips form one long list.
    Each worker of each process reads its own range of this list through a
    shuffle buffer. No clip is repeated within an epoch, and only the clips that
    do not fill a batch of every process are dropped. A clip that cannot be read
    is logged and replaced: the worker starts its range again until all its
    batches are full. Damaged shards, too few clips or a range without a usable
    clip are a ValueError.

    Arguments
    ---------
    index_path : str or Path
        The ``train.json`` of the prepared folder.
    load_item : callable
        Turns a sample into an item, such as ``decode_clip``.
    batch_size : int
        Clips per batch, the same as for the loader.
    seed : int
        Seed of the random order.
    shuffle_buffer : int
        Number of encoded clips in the shuffle buffer of a worker.
    balanced : bool
        Whether to repeat or drop clips according to ``class_balanced_weight``.
        Classes that few ranges contain occur somewhat less often.
    rank : int
        Rank of this process.
    world_size : int
        Number of processes.
    """

    def __init__(
        self,
        index_path,
        load_item,
        batch_size,
        seed,
        shuffle_buffer=1000,
        balanced=False,
        rank=0,
        world_size=1,
    ):
        _import_webdataset()
        index = read_index(index_path)
        self.index_path = str(index_path)
        self.num_clips = index["clips"]
        self.labels_counts = index["labels"]
        self.shards = [(s["file"], s["clips"]) for s in index["shards"]]
        self.load_item = load_item
        self.batch_size = batch_size
        self.seed = seed
        self.shuffle_buffer = shuffle_buffer
        self.balanced = balanced
        self.rank = rank
        self.steps = self.num_clips // (world_size * batch_size)
        if self.steps == 0:
            raise ValueError(
                f"{index_path} has {self.num_clips} clips, too few for one"
                f" batch of {batch_size} in each of {world_size} processes:"
                " use a smaller batch_size"
            )
        # In shared memory, as workers may outlive an epoch
        self._position = torch.zeros(2, dtype=torch.long).share_memory_()
        self._reported = set()

    def __len__(self):
        return self.steps * self.batch_size

    def set_position(self, epoch, batches_done):
        """Sets the epoch, and the batches of it that this process has had."""
        self._position[:] = torch.tensor([epoch, batches_done])

    def __iter__(self):
        epoch, done = self._position.tolist()
        info = get_worker_info()
        workers = info.num_workers if info else 1
        # A loader asks its worker 0 first, also for the rest of an epoch
        worker = ((info.id if info else 0) + done) % workers
        batches = [len(range(w, self.steps, workers)) for w in range(workers)]
        start = self.rank * self.steps + sum(batches[:worker])
        pieces = self._cut_range(
            epoch, start * self.batch_size, batches[worker] * self.batch_size
        )
        samples = itertools.islice(
            self._shuffle(epoch, worker, pieces),
            len(range(worker, done, workers)) * self.batch_size,
            batches[worker] * self.batch_size,
        )
        return map(self.load_item, samples)

    def _cut_range(self, epoch, start, size):
        """Cuts a range of the epoch's clips into (shard, first clip, end)."""
        rng = random.Random(f"{self.seed} {epoch}")
        order = rng.sample(self.shards, len(self.shards))
        # So that the dropped clips are not always the end of a shard
        start += rng.randrange(self.num_clips)
        pieces, begin = [], 0
        for file, clips in order + order:
            first = max(start - begin, 0)
            end = min(start + size - begin, clips)
            if first < end:
                pieces.append((file, first, end))
            begin += clips
        return pieces

    def _shuffle(self, epoch, worker, pieces):
        """Yields the clips of a range in random order, again and again."""
        rng = random.Random(f"{self.seed} {epoch} {self.rank} {worker}")
        shuffle = _import_webdataset().shuffle(
            self.shuffle_buffer, initial=self.shuffle_buffer, rng=rng
        )
        for turn in itertools.count():
            samples = self._read(pieces)
            if self.balanced:
                samples = self._draw(samples, f"{self.seed} {epoch} {turn}")
            yield from shuffle(samples)

    def _draw(self, samples, key):
        """Repeats or drops clips in proportion to their weight."""
        mean_weight = len(self.labels_counts) / self.num_clips
        for sample in samples:
            weight = class_balanced_weight(sample["labels"], self.labels_counts)
            draw = hash_fraction(f"{key} {sample['id']}")
            yield from itertools.repeat(
                sample, int(weight / mean_weight + draw)
            )

    def _read(self, pieces):
        """Yields the usable clips of the pieces in order, still encoded."""
        group_by_keys = _import_webdataset().tariterators.group_by_keys
        folder, found = os.path.dirname(self.index_path), False
        for file, first, end in pieces:
            path = os.path.join(folder, file)
            groups = group_by_keys(
                self._read_members(path),
                keys=os.path.splitext,
                handler=lambda err: self._report(path, None, err),
            )
            position = first
            for group in itertools.islice(groups, first, end):
                position += 1
                try:
                    sample = _check(group, self.labels_counts)
                except ValueError as err:
                    self._report(path, group["__key__"], err)
                    continue
                found = True
                yield sample
            if position < end:
                self._report(path, None, f"it ends after {position} clips")
        if not found:
            raise ValueError(
                f"No clip can be read in {len(pieces)} shards of"
                f" {os.path.join(folder, 'shards')} ({REMEDY})"
            )

    def _read_members(self, path):
        """Yields names and contents of the files in a tar.

        webdataset's own reader loads files of any size into memory, and names
        of shards can make it run commands.
        """
        try:
            with tarfile.open(path, "r:") as tar:
                for member in iter(tar.next, None):
                    tar.members = []  # tarfile would keep them all
                    if member.size < 0:
                        raise tarfile.ReadError("a file of negative size")
                    data = None
                    if member.isreg() and member.size <= MAX_MEMBER_BYTES:
                        data = tar.extractfile(member).read()
                    yield {"fname": member.name, "data": data, "__url__": path}
        except (tarfile.TarError, *HEADER_ERRORS) as err:
            self._report(path, None, repr(err))

    def _report(self, path, key, reason):
        """Logs once why a clip, or the rest of a shard, is skipped."""
        if (path, key) not in self._reported:
            self._reported.add((path, key))
            what = path if key is None else f"{key} in {path}"
            text = f"Skipped damaged data of {what}: {reason} ({REMEDY})"
            logger.warning("%s", as_utf8(text), main_process_only=False)
        return True


def _import_webdataset():
    """Imports webdataset, which is needed only for tar shards."""
    try:
        import webdataset
    except ImportError:
        raise ImportError(
            "Reading tar shards needs webdataset: pip install webdataset"
        )
    return webdataset


def _check(group, labels):
    """Checks the two files of a clip and returns its sample."""
    content, flac = group.get(".json"), group.get(".flac")
    if content is None or flac is None:
        raise ValueError(
            "its json or flac is missing or larger than"
            f" {MAX_MEMBER_BYTES} bytes"
        )
    try:
        sample = json.loads(content)
        if not isinstance(sample["labels"], list) or not sample["labels"]:
            raise ValueError("no labels")
        if not labels.keys() >= set(sample["labels"]):
            raise ValueError("unknown labels")
        if not isinstance(sample["id"], str):
            raise ValueError("no id")
        sample["id"].encode("utf-8")  # JSON can hold what UTF-8 cannot
        if sample["crc32"] != zlib.crc32(flac):
            raise ValueError("the checksum of its audio does not match")
    except (KeyError, TypeError, RecursionError) as err:
        raise ValueError(f"its json is incomplete or malformed: {err!r}")
    return {**sample, "flac": flac}
