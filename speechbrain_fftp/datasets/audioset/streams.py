"""Training clips streamed from tar shards, in WebDataset's format.

Reads what ``audioset_prepare.py --format webdataset`` wrote, from beginning to
end instead of clip by clip, and mixes the clips in a buffer. Epochs can be
resumed anywhere.

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
from speechbrain_fftp.dataio.files import as_utf8
from speechbrain_fftp.dataio.labels import class_balanced_weight
from speechbrain_fftp.datasets.audioset.shard_index import REMEDY, read_index
from speechbrain_fftp.datasets.audioset.shards import hash_fraction

logger = get_logger(__name__)

# What tarfile raises, besides its own, over what a damaged header claims
HEADER_ERRORS = (MemoryError, OSError, OverflowError, ValueError)
MAX_MEMBER_BYTES = 64 * 2**20  # a clip has about 0.2 MB


def decode_clip(sample):
    """Decodes a clip of a shard.

    Arguments
    ---------
    sample : dict
        What is known about the clip, and its content ``flac``.

    Returns
    -------
    dict
        Its ``id``, ``sig`` (float ``[S]``) and ``labels``.

    Raises
    ------
    ValueError
        If its content cannot be decoded.

    Example
    -------
    >>> import io
    >>> import soundfile as sf
    >>> flac = io.BytesIO()
    >>> sf.write(flac, [0.0, 0.5], 16000, format="FLAC")
    >>> sample = {"id": "a", "labels": ["Siren"], "flac": flac.getvalue()}
    >>> decode_clip(sample)["sig"]
    tensor([0.0000, 0.5000])
    """
    try:
        samples, *_ = read_audio(sample["flac"])
    except ValueError as err:
        raise ValueError(
            f"The clip {sample['id']} is damaged: {err} ({REMEDY})"
        )
    sig = torch.from_numpy(samples)
    return {"id": sample["id"], "sig": sig, "labels": sample["labels"]}


class ShardStream(IterableDataset):
    """The training clips of one process, in an order of their own each epoch.

    The shards of an epoch are permuted, and their clips seen as one long list.
    Every worker of every process reads a range of it that is its own, through
    a shuffle buffer. So no clip is repeated within an epoch, and only as many
    are left out as do not fill a batch of every process.

    A clip that cannot be used is reported and replaced: the worker then starts
    its range again until all its batches are full.

    Arguments
    ---------
    index_path : str or Path
        The ``train.json`` of the prepared folder.
    load_item : callable
        Makes an item of a sample, such as ``decode_clip``.
    batch_size : int
        Clips in a batch, the same as for the loader.
    seed : int
        Seed of all that is random.
    shuffle_buffer : int
        How many encoded clips a worker holds to mix them.
    balanced : bool
        Whether to give clips as often as ``class_balanced_weight`` says, by
        repeating some and leaving out others. Classes that few ranges hold
        come somewhat less often.
    rank : int
        Number of this process.
    world_size : int
        How many processes there are.

    Raises
    ------
    ValueError
        If the shards are damaged (while they are read: if a whole range is) or
        have too few clips.

    Example
    -------
    >>> import soundfile as sf
    >>> from speechbrain_fftp.datasets.audioset.lists import Segment
    >>> from speechbrain_fftp.dataio.files import write_json
    >>> from speechbrain_fftp.datasets.audioset.shard_index import make_index
    >>> from speechbrain_fftp.datasets.audioset.shards import write_shards
    >>> from speechbrain_fftp.datasets.audioset.layouts import cut_jobs
    >>> folder = getfixture("tmpdir")
    >>> clips = [Segment(name, 0, 10, ("/m/1",)) for name in "abcde"]
    >>> for clip in clips:
    ...     path = folder.join("audio", f"{clip.id}.wav").ensure()
    ...     sf.write(str(path), [0.0] * 800, 16000)
    >>> jobs = cut_jobs(clips, folder, None, clips_per_shard=2)
    >>> records = write_shards(jobs, folder, {"/m/1": "Siren"})
    >>> write_json(folder / "train.json", make_index(records))
    >>> stream = ShardStream(folder / "train.json", decode_clip, 2, seed=0)
    >>> stream.set_position(epoch=1, batches_done=0)
    >>> len(stream), len({item["id"] for item in stream})
    (4, 4)
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
                " take a smaller batch_size"
            )
        # In shared memory, as workers may live longer than an epoch
        self._position = torch.zeros(2, dtype=torch.long).share_memory_()
        self._reported = set()

    def __len__(self):
        return self.steps * self.batch_size

    def set_position(self, epoch, batches_done):
        """Chooses what the next iteration gives.

        Arguments
        ---------
        epoch : int
            Number of the epoch, which sets the order.
        batches_done : int
            How many batches of it this process has had before.
        """
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
        """Pieces (shard, first clip, end) of a range of the epoch's clips."""
        rng = random.Random(f"{self.seed} {epoch}")
        order = rng.sample(self.shards, len(self.shards))
        # What is left out is not always the end of a shard
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
        """Gives the clips of a range, mixed, again and again."""
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
        """Gives each clip as often as its labels are rare, on average."""
        mean_weight = len(self.labels_counts) / self.num_clips
        for sample in samples:
            weight = class_balanced_weight(sample["labels"], self.labels_counts)
            draw = hash_fraction(f"{key} {sample['id']}")
            yield from itertools.repeat(
                sample, int(weight / mean_weight + draw)
            )

    def _read(self, pieces):
        """Gives the usable clips of the pieces in order, still encoded."""
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
        """Gives name and content of the files in a tar, extracting none.

        webdataset's own reader takes files of any size into memory, and can be
        made to run commands by the names of shards.
        """
        try:
            with tarfile.open(path, "r:") as tar:
                for member in iter(tar.next, None):
                    tar.members = []  # or it would keep them all
                    if member.size < 0:
                        raise tarfile.ReadError("a file of negative size")
                    data = None
                    if member.isreg() and member.size <= MAX_MEMBER_BYTES:
                        data = tar.extractfile(member).read()
                    yield {"fname": member.name, "data": data, "__url__": path}
        except (tarfile.TarError, *HEADER_ERRORS) as err:
            self._report(path, None, repr(err))

    def _report(self, path, key, reason):
        """Logs once what is wrong with a clip, or with a whole shard."""
        if (path, key) not in self._reported:
            self._reported.add((path, key))
            what = path if key is None else f"{key} in {path}"
            text = f"Left out what is damaged of {what}: {reason} ({REMEDY})"
            logger.warning("%s", as_utf8(text), main_process_only=False)
        return True


def _import_webdataset():
    """The webdataset library, which is needed only here."""
    try:
        import webdataset
    except ImportError:
        raise ImportError(
            "Reading tar shards needs webdataset: pip install webdataset"
        )
    return webdataset


def _check(group, labels):
    """Makes a sample of the files of a clip, or says what is wrong."""
    content, flac = group.get(".json"), group.get(".flac")
    if content is None or flac is None:
        raise ValueError(
            "its json or flac is missing or has more than"
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
            raise ValueError("the checksum of its audio is another")
    except (KeyError, TypeError, RecursionError) as err:
        raise ValueError(f"its json has not all it should: {err!r}")
    return {**sample, "flac": flac}
