"""A demo set of synthetic sounds in AudioSet's format.

Each clip mixes one to three sounds of different AudioSet classes, at random
times and levels, with a noise floor. ``events.csv`` has their onsets and
offsets.

Authors
 * The speechbrain_fftp authors 2026
"""

import base64
import hashlib
import os

import numpy as np
import soundfile as sf
from tqdm.contrib.concurrent import thread_map

from speechbrain.utils.parallel import get_available_cpu_count
from speechbrain_fftp.dataio.files import write_csv
from speechbrain_fftp.dataio.prepared import prepare_folder
from speechbrain_fftp.datasets.synthetic.sounds import (
    CLASSES,
    FADE_SECONDS,
    SAMPLE_RATE,
    coloured_noise,
)

CLIP_SECONDS = 10.0
PEAK = 0.3  # of an event at 0 dB, so that three of them stay below full scale
LEVELS_DB = (-12, 0)  # of the events
FLOOR_DB = -50


def make_demo_set(folder, num_train=800, num_valid=80, num_eval=120, seed=0):
    """Generates a multi-label set; the same settings give the same files.

    Writes balanced_train_segments.csv, valid_segments.csv, eval_segments.csv,
    class_labels_indices.csv, ``audio/ID.flac`` (10 s, 16 kHz, mono) and
    ``events.csv`` (id, onset, offset, mid, label; in seconds). A complete
    folder is kept; one made with other settings raises a ``ValueError``.
    """
    sizes = {"balanced_train": num_train, "valid": num_valid, "eval": num_eval}
    settings = {"content": "demo set", "version": 1, "seed": seed, **sizes}
    if min(sizes.values()) < 1:
        raise ValueError(f"Every split needs at least one clip: {sizes}")
    tables = ["class_labels_indices.csv", "events.csv"]
    tables += (f"{split}_segments.csv" for split in sizes)
    with prepare_folder(folder, settings, None, tables, ["audio"]) as todo:
        if todo:
            _write_set(folder, seed, sizes)


def _write_set(folder, seed, sizes):
    """Writes clips and lists."""
    os.mkdir(os.path.join(folder, "audio"))
    rng = np.random.default_rng(seed)
    jobs = [
        (folder, seed, split, number, classes)
        for split, size in sizes.items()
        for number, classes in enumerate(_draw_classes(rng, size))
    ]
    threads = {"max_workers": get_available_cpu_count(), "desc": "demo set"}
    _write_lists(folder, sizes, thread_map(_write_clip, jobs, **threads))


def _draw_classes(rng, num_clips):
    """Draws one to three classes per clip, all classes equally often."""
    queue, drawn = [], []
    for size in rng.integers(1, 4, num_clips):
        classes = []
        while len(classes) < size:
            if unused := [c for c in queue if c not in classes]:
                classes.append(unused[0])
                queue.remove(unused[0])
            else:
                queue.extend(rng.permutation(len(CLASSES)).tolist())
        drawn.append(sorted(classes))
    return drawn


def _write_clip(job):
    """Synthesises and writes a clip; returns its split, id and events."""
    folder, seed, split, number, classes = job
    digest = hashlib.sha1(f"{seed}/{split}/{number}".encode()).digest()
    clip_id = base64.urlsafe_b64encode(digest).decode()[:11]
    if number % 40 == 0:  # some start with a dash, as YouTube's do
        clip_id = f"-{clip_id[1:]}"
    rng = np.random.default_rng(list(digest))
    size = round(CLIP_SECONDS * SAMPLE_RATE)
    audio = PEAK * 10 ** (FLOOR_DB / 20) * coloured_noise(rng, size, 0.7)
    events = []
    for index in classes:
        duration = round(rng.uniform(1.5, 8), 3)
        onset = round(rng.uniform(0, CLIP_SECONDS - duration), 3)
        t = np.arange(round(duration * SAMPLE_RATE)) / SAMPLE_RATE
        event = CLASSES[index][2](rng, t)
        event *= np.clip(np.minimum(t, t[::-1]) / FADE_SECONDS, 0, 1)
        level = PEAK * 10 ** (rng.uniform(*LEVELS_DB) / 20)
        event *= level / np.abs(event).max()
        start = round(onset * SAMPLE_RATE)
        audio[start : start + len(t)] += event
        events.append((onset, onset + duration, index))
    path = os.path.join(folder, "audio", f"{clip_id}.flac")
    sf.write(path, audio, SAMPLE_RATE, subtype="PCM_16")
    return split, clip_id, events


def _write_lists(folder, sizes, clips):
    """Writes the class list, the segment lists and the events."""
    path = os.path.join(folder, "class_labels_indices.csv")
    rows = [(i, mid, name) for i, (mid, name, _) in enumerate(CLASSES)]
    write_csv(path, ("index", "mid", "display_name"), rows)
    rows = [
        (clip_id, f"{onset:.3f}", f"{offset:.3f}", *CLASSES[index][:2])
        for _, clip_id, events in clips
        for onset, offset, index in sorted(events)
    ]
    header = ("id", "onset", "offset", "mid", "label")
    write_csv(os.path.join(folder, "events.csv"), header, rows)
    for name in sizes:
        path = os.path.join(folder, f"{name}_segments.csv")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"# Segments csv of the demo set, {name}\n")
            file.write("# YTID, start_seconds, end_seconds, positive_labels\n")
            for split, clip_id, events in clips:
                if split == name:
                    mids = ",".join(CLASSES[index][0] for *_, index in events)
                    times = f"0.000, {CLIP_SECONDS:.3f}"
                    file.write(f'{clip_id}, {times}, "{mids}"\n')
