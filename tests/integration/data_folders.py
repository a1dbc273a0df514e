"""Small data folders in each of the layouts that can be prepared.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import io
import shutil

import numpy as np
import soundfile as sf
from prepared_clips import read_clips

from speechbrain_fftp.datasets.demo import prepare_demo

CLASSES = {"/m/a": "Alpha", "/m/b": "Beta, loud", "/m/c": "Gamma"}
TRAIN = [f"-train{i:05d}" for i in range(8)]
EVAL = [f"eval{i:07d}" for i in range(3)]
RATE = 16000


def sound(number, seconds=0.3):
    """Noise that tells a clip."""
    rng = np.random.default_rng(number)
    return rng.uniform(-0.5, 0.5, round(seconds * RATE))


def mids_of(number):
    return list(CLASSES)[: 1 + number % 3]


def write_csv(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


def write_classes(folder):
    rows = [(i, *entry) for i, entry in enumerate(CLASSES.items())]
    header = ("index", "mid", "display_name")
    write_csv(folder / "class_labels_indices.csv", [header, *rows])


def write_sound(path, number):
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, sound(number), RATE)


def write_words(folder, words=("cat", "dog"), num_speakers=3):
    """Speech Commands: speaker 1 is for validation, speaker 2 for testing."""
    for place, word in enumerate(words):
        (folder / word).mkdir(parents=True, exist_ok=True)
        for speaker in range(num_speakers):
            clip = folder / word / f"s{speaker}_nohash_0.wav"
            sf.write(clip, sound(place * num_speakers + speaker), RATE)
    for name, speaker in (("validation", 1), ("testing", 2)):
        clips = "\n".join(f"{word}/s{speaker}_nohash_0.wav" for word in words)
        (folder / f"{name}_list.txt").write_text(clips, "utf-8")


def encoded(number):
    file = io.BytesIO()
    sf.write(file, sound(number), RATE, format="FLAC")
    return file.getvalue()


def write_lists(folder):
    """AudioSet's lists, with the audio in files."""
    write_segments(folder)
    for number, clip_id in enumerate([*TRAIN, *EVAL]):
        write_sound(folder / "audio" / f"{clip_id}.flac", number)


def write_segments(folder):
    """AudioSet's lists, without audio."""
    write_classes(folder)
    for name, ids in (("balanced_train", TRAIN), ("eval", EVAL)):
        lines = ["# YTID, start_seconds, end_seconds, positive_labels"]
        for i, clip_id in enumerate(ids):
            mids = ",".join(mids_of(i))
            lines.append(f'{clip_id}, 0.000, 10.000, "{mids}"')
        text = "\n".join(lines)
        (folder / f"{name}_segments.csv").write_text(text, "utf-8")


def write_parquet(folder):
    """Parquet shards with labels."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    write_classes(folder)
    for split, ids, first in (("train", TRAIN, 0), ("eval", EVAL, len(TRAIN))):
        rows = [
            {
                "video_id": clip_id,
                "audio": {"bytes": encoded(first + i), "path": "x"},
                "labels": mids_of(i),
            }
            for i, clip_id in enumerate(ids)
        ]
        for part in (0, 1):
            path = folder / f"{split}-{part}.parquet"
            pq.write_table(pa.Table.from_pylist(rows[part::2]), path)


def write_class_folders(folder):
    """Custom data: one folder per class."""
    for number in range(24):
        name = ("dog", "cat")[number % 2]
        write_sound(folder / name / f"{number}.wav", number)


def write_esc50(folder):
    """ESC-50: a table with folds."""
    header = ("filename", "fold", "target", "category", "esc10", "src_file")
    rows = []
    for number in range(15):
        name = f"{number}.wav"
        category = ("dog", "cat")[number % 2]
        fold = 1 + number % 3
        rows.append((name, fold, number % 2, category, "x", number))
        write_sound(folder / "audio" / name, number)
    write_csv(folder / "meta" / "esc50.csv", [header, *rows])


def write_audioset_demo(folder, **sizes):
    """The demo set in AudioSet's form, of clips of 10 s."""
    prepared = folder.parent / f"{folder.name}_prepared"
    prepare_demo(prepared, **sizes)
    (folder / "audio").mkdir(parents=True)
    for clip_id, samples in read_clips(prepared).items():
        sf.write(folder / "audio" / f"{clip_id}.flac", samples, RATE)
    shutil.copy(prepared / "classes.csv", folder / "class_labels_indices.csv")
    shutil.copy(prepared / "events.tsv", folder / "events.tsv")
    with open(prepared / "classes.csv", encoding="utf-8") as file:
        mids = {row["display_name"]: row["mid"] for row in csv.DictReader(file)}
    for split, name in (
        ("train", "balanced_train"),
        ("valid", "valid"),
        ("eval", "eval"),
    ):
        lines = []
        with open(prepared / f"{split}.csv", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if not row["labels"]:
                    continue
                labels = ",".join(mids[x] for x in row["labels"].split(";"))
                lines.append(f'{row["ID"]}, 0.000, 10.000, "{labels}"\n')
        (folder / f"{name}_segments.csv").write_text("".join(lines), "utf-8")
    shutil.rmtree(prepared)
