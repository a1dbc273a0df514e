"""Speed and memory of training clips in tar shards (WebDataset).

Writes and reads shards of generated clips (10 s, 48 kHz, stereo FLAC) and the
same clips as single files, measures the memory of a long epoch, and computes
times for AudioSet's 1.74 million clips from the rates. Writes
benchmarks/results/webdataset_shards.json and .md.

> python benchmarks/webdataset_shards.py

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import functools
import io
import itertools
import json
import multiprocessing
import os
import shutil
import tempfile
from pathlib import Path

import harness
import numpy as np
import soundfile as sf
import torch
from torch.utils.data import DataLoader

from speechbrain.dataio import audio_io
from speechbrain.dataio.batch import PaddedBatch
from speechbrain.dataio.dataset import DynamicItemDataset
from speechbrain_fftp.dataio.files import write_json
from speechbrain_fftp.datasets.audioset.lists import Segment
from speechbrain_fftp.datasets.audioset.shard_reader import iter_audio
from speechbrain_fftp.datasets.audioset.shards import make_index, write_shards
from speechbrain_fftp.datasets.audioset.streams import ShardStream, decode_clip
from speechbrain_fftp.datasets.convert import convert_clips
from speechbrain_fftp.datasets.demo import coloured_noise

CLASSES = {"/m/1": "Pink noise"}
CLIPS = 1_740_000  # balanced and unbalanced, about
BATCH = 12
SHARDS = 4
CLIPS_PER_SHARD = 1000  # in the long epoch


def make_clips(folder, number, seconds, rate, channels):
    """Writes clips of pink noise; returns them and their files."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(number):
        noise = coloured_noise(rng, round(seconds * rate), 1)
        noise = 0.05 * np.stack([noise, np.roll(noise, 9)][:channels], axis=1)
        sf.write(folder / f"{i}.flac", noise, rate)
    clips = [Segment(str(i), 0.0, 10.0, tuple(CLASSES)) for i in range(number)]

    return clips, {clip.id: str(folder / f"{clip.id}.flac") for clip in clips}


def write(clips, audio, folder, num_workers=1):
    """Writes all clips as shards with their index."""
    shutil.rmtree(folder, ignore_errors=True)
    size = len(clips) // SHARDS
    starts = range(0, len(clips), size)
    jobs = [(clips[i : i + size], audio) for i in starts]
    with contextlib.redirect_stderr(io.StringIO()):
        records = write_shards(jobs, folder, CLASSES, 16000, num_workers)
    write_json(folder / "train.json", make_index(records))


def write_files(clips, audio, folder, num_workers=1):
    """Writes all clips as single files."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    parts = {clip.id: (10.0, 0.0) for clip in clips}
    with contextlib.redirect_stderr(io.StringIO()):
        read = functools.partial(iter_audio, audio)
        convert_clips(parts, read, folder, 16000, num_workers)


def rate_rows(what, cases, clips, rounds):
    """Clips per second of functions that process ``clips`` clips."""
    rows = []
    for name, time in harness.compare(cases, rounds).items():
        row = {"case": f"{what}, {name}"}
        for key, value in (("clips/s", "median"), ("low", "high")):
            row[key] = f"{clips / time[value]:.0f}"
        row["high"] = f"{clips / time['low']:.0f}"
        harness.add_row(rows, {**row, "seconds": time})
    return rows


def writing_rows(clips, audio, folder, rounds):
    """Writing as shards and as single files."""
    cases = {}
    for workers in (1, 2):
        for name, function in (
            ("shards", write),
            ("single files", write_files),
        ):
            target = folder / name.replace(" ", "_")
            cases[f"{name}, workers: {workers}"] = functools.partial(
                function, clips, audio, target, workers
            )
    return rate_rows("write", cases, len(clips), rounds)


def repeat_shards(folder, times):
    """Lists all shards ``times`` times in their index, as hard links."""
    path = folder / "train.json"
    index = json.loads(path.read_text("utf-8"))
    shards = []
    for number, shard in itertools.product(range(times), index["shards"]):
        link = f"{shard['file'][:-4]}-{number:03d}.tar"
        os.link(folder / shard["file"], folder / link)
        shards.append({**shard, "file": link})
    labels = {label: n * times for label, n in index["labels"].items()}
    index.update(clips=index["clips"] * times, labels=labels, shards=shards)
    write_json(path, index)
    return path


def reading_rows(folder, clips, rounds):
    """Reading decoded batches from shards and from single files."""
    times = 5  # so that the start of the workers matters little
    index = repeat_shards(folder / "shards", times)
    stream = ShardStream(index, decode_clip, BATCH, seed=0)
    paths = {clip.id: f"{folder}/single_files/{clip.id}.flac" for clip in clips}
    wavs = {f"{i}-{n}": {"wav": paths[i]} for n in range(times) for i in paths}
    files = DynamicItemDataset(wavs, output_keys=["id", "sig"])
    load = functools.partial(audio_io.load, always_2d=False)
    files.add_dynamic_item(lambda wav: load(wav)[0], "wav", "sig")
    epochs = itertools.count()

    def read(dataset, **options):
        stream.set_position(next(epochs), 0)
        options.update(batch_size=BATCH, collate_fn=PaddedBatch, drop_last=True)
        found = sum(len(batch) for batch in DataLoader(dataset, **options))
        assert found == len(stream)

    cases = {}
    for workers in (0, 1, 2):
        options = {"num_workers": workers}
        cases[f"shards, workers: {workers}"] = functools.partial(
            read, stream, **options
        )
        cases[f"single files, workers: {workers}"] = functools.partial(
            read, files, shuffle=True, **options
        )
    return rate_rows("read", cases, len(stream), rounds)


def resident_memory():
    """Resident memory of this process in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def watch_reading(index, every, queue):
    """Reads an epoch in batches; puts its memory over time into a queue."""
    torch.set_num_threads(1)
    stream = ShardStream(index, decode_clip, BATCH, seed=0)
    loader = DataLoader(stream, batch_size=BATCH, collate_fn=PaddedBatch)
    found, due = [resident_memory()], 0
    for number, _ in enumerate(loader):
        if number * BATCH >= due:
            found.append(resident_memory())
            due += every
    queue.put([*found, resident_memory()])


def memory_rows(folder, clips):
    """Memory of a process that reads ``clips`` clips."""
    short = make_clips(folder / "short", CLIPS_PER_SHARD, 1.0, 16000, 1)
    short_shards = folder / "short_shards"
    write(*short, short_shards)
    index = repeat_shards(short_shards, clips // CLIPS_PER_SHARD)
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    arguments = (index, clips // 20, queue)
    child = context.Process(target=watch_reading, args=arguments)
    child.start()
    found = queue.get()
    child.join()
    row = {"clips": clips, "shards": clips // CLIPS_PER_SHARD * SHARDS}
    places = {"before": found[0], "first batch": found[1]}
    places.update({"peak": max(found), "end": found[-1]})
    row.update((k, f"{v / 2**20:.0f} MiB") for k, v in places.items())
    rows = []
    harness.add_row(rows, {**row, "bytes": harness.numbered(found)})
    return rows


def estimate_rows(writing, reading, bytes_per_clip):
    """Times and disk space for all of AudioSet, at the measured rates."""

    def rate(rows, case):
        (row,) = (row for row in rows if row["case"] == case)
        return float(row["clips/s"])

    rows = []
    write_rate = rate(writing, "write, shards, workers: 1")
    read_rate = rate(reading, "read, shards, workers: 1")
    for cores in (8, 16, 64):
        hours = CLIPS / write_rate / cores / 3600
        case = f"write with {cores} cores"
        harness.add_row(rows, {"case": case, "computed": f"{hours:.1f} hours"})
    size = f"{CLIPS * bytes_per_clip / 1e9:.0f} GB"
    harness.add_row(rows, {"case": "disk for the shards", "computed": size})
    for workers in (1, 4, 8):
        minutes = CLIPS / read_rate / (8 * workers) / 60
        case = f"read an epoch, 8 GPUs, {workers} workers each"
        harness.add_row(
            rows, {"case": case, "computed": f"{minutes:.1f} minutes"}
        )
    return rows


def measure(args, folder):
    """Measures everything; returns the sections of ``write_results``."""
    number, long = (24, 2000) if args.smoke else (args.clips, args.long)
    clips, audio = make_clips(folder / "wav", number, 10, 48000, 2)
    writing = writing_rows(clips, audio, folder, args.rounds)
    tars = (folder / "shards" / "shards").glob("*.tar")
    bytes_per_clip = sum(tar.stat().st_size for tar in tars) / len(clips)
    reading = reading_rows(folder, clips, args.rounds)
    memory = memory_rows(folder, long)
    rate_note = (
        f"Clips per second (median, worst and best quartile) of {number} clips "
        "of pink noise, 10 s, 48 kHz stereo, converted to 16 kHz mono FLAC "
        f"({bytes_per_clip / 1000:.0f} kB each). Reading: batches of {BATCH}, "
        "decoded and padded, from files in the page cache, including the start "
        f"of the workers. {args.note}"
    )
    memory_note = (
        "Resident memory of a process that reads and decodes one epoch with a "
        "buffer of 1000 clips, measured 20 times. Clips of 1 s in "
        f"{SHARDS} shards, repeated as hard links. With clips of 10 s the "
        f"buffer holds {bytes_per_clip / 1000:.0f} MB."
    )
    estimate_note = (
        f"Not measured: computed for {CLIPS} clips from the rates above, "
        "assuming that each of many workers is as fast as one (rows with 2 "
        "workers show how far this holds here) and that the disk keeps up."
    )
    return {
        "Writing and reading": (rate_note, writing + reading),
        "Memory of a long epoch": (memory_note, memory),
        "AudioSet-2M, computed": (
            estimate_note,
            estimate_rows(writing, reading, bytes_per_clip),
        ),
    }


def main():
    """Measures and writes the results."""
    args = harness.read_options(__doc__, rounds=5, clips=240, long=200_000)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        sections = measure(args, Path(folder))
    packages = ("webdataset", "soundfile", "soxr")
    about = harness.environment("cpu", packages)
    about["CPU cores"] = os.cpu_count()
    harness.write_results("webdataset_shards", about, sections)


if __name__ == "__main__":
    main()
