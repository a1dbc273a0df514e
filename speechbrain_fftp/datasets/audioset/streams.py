"""Streams training clips from tar shards in WebDataset's format.

The shards of ``audioset_prepare.py --format webdataset`` are read sequentially
and shuffled in a buffer. An epoch can be resumed after any batch.

Authors
 * The speechbrain_fftp authors 2026
"""

import itertools
import os
import random
import shlex
from collections import Counter

import torch
from torch.utils.data import IterableDataset, get_worker_info

from speechbrain.utils.logger import get_logger
from speechbrain_fftp.dataio.audio import read_audio
from speechbrain_fftp.datasets.audioset import shard_reader
from speechbrain_fftp.datasets.audioset.shards import REMEDY, read_index
from speechbrain_fftp.datasets.batches import class_balanced_weight
from speechbrain_fftp.datasets.names import as_utf8, hash_fraction

logger = get_logger(__name__)


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

    The shards are permuted, and each worker of each process reads its own range
    of their clips through a buffer. No clip is repeated within an epoch, and
    only those are dropped that do not fill a batch of every process. If
    ``balanced``, they are repeated or dropped according to
    ``class_balanced_weight``, and classes that few ranges contain occur
    somewhat less often. A resumed epoch does not read again what was seen, but
    for the labels if ``balanced``. ``load_item`` maps samples to items, as
    ``decode_clip`` does.

    A clip that cannot be read is logged and replaced by others of its range.
    Damaged shards, too few clips or a range without a usable clip are a
    ValueError.

    Shards that are not beside the index come from the standard output of a
    ``command`` such as ``aws s3 cp s3://bucket/prepared/{} -``, where ``{}``
    stands for the ``file`` of the shard in the index. Names in the index never
    start a command by themselves.
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
        command=None,
    ):
        try:
            from webdataset import shuffle
        except ImportError:
            raise ImportError(
                "Reading tar shards needs webdataset: pip install webdataset"
            )
        self.shuffle = shuffle
        self.command = shlex.split(command) if command else None
        index = read_index(index_path, check_files=not command)
        self.folder = os.path.dirname(index_path)
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
        size = batches[worker] * self.batch_size
        skip = len(range(worker, done, workers)) * self.batch_size
        pieces = self._cut_range(epoch, start * self.batch_size, size)
        seen = _find_seen(self._shuffle(epoch, worker, pieces), skip)
        clips = self._shuffle(epoch, worker, pieces, seen)
        samples = (sample for *_, sample in clips)
        return map(self.load_item, itertools.islice(samples, skip, size))

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

    def _shuffle(self, epoch, worker, pieces, seen=None):
        """Yields the clips of a range in random order, again and again.

        A clip is its place in the range, the number of its copies, and its
        sample, which is None if the place was ``seen`` (by default, all were).
        """
        rng = random.Random(f"{self.seed} {epoch} {self.rank} {worker}")
        size = self.shuffle_buffer
        shuffle = self.shuffle(size, initial=size, rng=rng)
        for turn in itertools.count():
            clips = self._read(pieces, turn, seen)
            if self.balanced:
                clips = self._draw(clips, f"{self.seed} {epoch} {turn}")
            yield from shuffle(clips)

    def _draw(self, clips, key):
        """Repeats or drops clips in proportion to their weight."""
        mean_weight = len(self.labels_counts) / self.num_clips
        for place, _, sample in clips:
            weight = class_balanced_weight(sample["labels"], self.labels_counts)
            draw = hash_fraction(f"{key} {sample['id']}")
            copies = int(weight / mean_weight + draw)
            yield from itertools.repeat((place, copies, sample), copies)

    def _read(self, pieces, turn, seen):
        """Yields the usable clips of the pieces in order, still encoded."""
        place = turn * sum(end - first for _, first, end in pieces)
        found = False
        for file, first, end in pieces:
            places = range(place, place + end - first)
            place = places.stop
            if self.balanced or not (seen is None or seen.issuperset(places)):
                clips = self._read_shard(file, first, places, seen)
            else:
                clips = ((p, 1, None) for p in places)
            for clip in clips:
                found = True
                yield clip
        if not found:
            raise ValueError(
                f"No clip can be read in {len(pieces)} shards of"
                f" {os.path.join(self.folder, 'shards')} ({REMEDY})"
            )

    def _read_shard(self, file, first, places, seen):
        """Yields the clips of a shard from its clip ``first`` on."""
        position = 0
        shard = shard_reader.open_shard(self.folder, file, self.command)
        try:
            with shard as tar:
                clips = itertools.groupby(
                    shard_reader.members_of(tar),
                    lambda m: os.path.splitext(m.name)[0],
                )
                clips = itertools.islice(clips, first, first + len(places))
                for place, (key, members) in zip(places, clips):
                    position += 1
                    with_audio = not (seen is None or place in seen)
                    if not (with_audio or self.balanced):
                        yield place, 1, None
                        continue
                    files = shard_reader.read_clip(tar, members, with_audio)
                    try:
                        sample = shard_reader.check_clip(
                            files, self.labels_counts, with_audio
                        )
                    except ValueError as err:
                        self._report(file, key, err)
                        continue
                    yield place, 1, sample
            if position < len(places):
                reason = f"it ends after {first + position} clips"
                self._report(file, None, reason)
        except shard_reader.SHARD_ERRORS as err:
            self._report(file, None, repr(err))

    def _report(self, file, key, reason):
        """Logs once why a clip, or the rest of a shard, is skipped."""
        path = os.path.join(self.folder, file)
        if (path, key) not in self._reported:
            self._reported.add((path, key))
            what = path if key is None else f"{key} in {path}"
            text = f"Skipped damaged data of {what}: {reason} ({REMEDY})"
            logger.warning("%s", as_utf8(text), main_process_only=False)


def _find_seen(clips, skip):
    """The places of clips that the first ``skip`` samples use up."""
    drawn, seen = Counter(), set()
    for place, copies, _ in itertools.islice(clips, skip):
        drawn[place] += 1
        if drawn[place] == copies:
            seen.add(place)
    return seen
