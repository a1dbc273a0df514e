"""Clips in tar shards, for data sets with too many files.

Authors
 * The speechbrain_fftp authors 2026
"""

import functools
import hashlib
import io
import json
import os
import random
from pathlib import Path

import soundfile

from speechbrain.dataio import audio_io
from speechbrain.utils.distributed import run_on_main

DONE = "shards.json"  # what they hold; written last


def stream_shards(
    dataset, folder, sample_rate, clips_per_shard=1000, buffer=1000, seed=0
):
    """Streams the clips of a dataset from shards, which it writes first.

    Clips come in random order, without end: ``steps_per_epoch`` is the length
    of an epoch. Each process, and each worker of it, reads shards of its own,
    so that there must be as many shards as workers. ``webdataset`` is needed.

    Arguments
    ---------
    dataset : DynamicItemDataset
        Has the items ``id`` and ``sig``, a waveform ``[S]``. Others, such as
        targets, must follow from the manifest.
    folder : str
        Folder of the shards. Existing shards of the same clips are reused.
    sample_rate : int
        Of the waveforms, in Hz.
    clips_per_shard : int
        Number of clips in a shard; the last one may have fewer.
    buffer : int
        Number of clips among which each worker draws the next one.
    seed : int
        Of the order of the clips in the shards, and of the shards.

    Returns
    -------
    webdataset.WebDataset
        Its items have the keys of the dataset.

    Raises
    ------
    ValueError
        If the folder holds shards of other clips, or other files.
    """
    import webdataset

    options = dataset, folder, sample_rate, clips_per_shard, seed
    run_on_main(_write_shards, options)
    keys = [key for key in dataset.pipeline.output_mapping if key != "sig"]
    decode = functools.partial(_decode, dataset.pipeline, keys)
    paths = sorted(map(str, Path(folder).glob("*.tar")))
    stream = webdataset.WebDataset(
        paths,
        shardshuffle=len(paths),
        detshuffle=True,  # another order in each pass
        seed=seed,
        nodesplitter=webdataset.split_by_node,
    )
    return stream.repeat().shuffle(buffer).compose(decode)


def steps_per_epoch(dataset, batch_size):
    """Computes how many batches of a stream a process reads in an epoch.

    Arguments
    ---------
    dataset : DynamicItemDataset
        The clips in all shards.
    batch_size : int
        Number of clips in a batch of one process.

    Returns
    -------
    int
        At least one.
    """
    clips = len(dataset) // int(os.environ.get("WORLD_SIZE", 1))
    return max(clips // batch_size, 1)


def _write_shards(dataset, folder, sample_rate, clips_per_shard=1000, seed=0):
    """Writes the clips of a dataset into shards, in random order.

    A clip is ``flac``, of 16 bits, and ``json``, its row of the manifest.
    Shards that were left incomplete are written again.
    """
    import webdataset

    folder = Path(folder)
    rows = {k: {"id": k, **dataset.data[k]} for k in dataset.data_ids}
    digest = hashlib.sha1(json.dumps(rows).encode()).hexdigest()
    about = {"sample_rate": sample_rate, "clips": len(rows), "sha1": digest}
    if (folder / DONE).is_file():
        if json.loads((folder / DONE).read_text("utf-8")) != about:
            raise ValueError(
                f"{folder} holds shards of other clips: delete it, or name "
                "another folder."
            )
        return
    unfinished = {*folder.glob("clips-*.tar")}
    if others := {*folder.glob("*")} - unfinished:
        raise ValueError(f"{folder} holds {min(others)}: name a new folder.")
    for path in unfinished:
        path.unlink()
    folder.mkdir(parents=True, exist_ok=True)
    order = list(range(len(dataset)))
    random.Random(seed).shuffle(order)
    pattern = str(folder / "clips-%06d.tar")
    with webdataset.ShardWriter(
        pattern, maxcount=clips_per_shard, verbose=0
    ) as sink, dataset.output_keys_as(["id", "sig"]):
        for index in order:
            item = dataset[index]
            file = io.BytesIO()
            soundfile.write(
                file, item["sig"].numpy(), sample_rate, format="FLAC"
            )
            sink.write(
                {
                    "__key__": f"{index:09d}",
                    "flac": file.getvalue(),
                    "json": json.dumps(rows[item["id"]]).encode(),
                }
            )
    (folder / DONE).write_text(json.dumps(about), "utf-8")


def _decode(pipeline, keys, samples):
    """Decodes clips, and computes what else the dataset gives."""
    for sample in samples:
        row = json.loads(sample["json"])
        sig, _ = audio_io.load(io.BytesIO(sample["flac"]), always_2d=False)
        yield {"sig": sig, **pipeline.compute_specific(keys, row)}
