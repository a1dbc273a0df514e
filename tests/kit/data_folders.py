"""Small data folders in each of the layouts that can be prepared.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import itertools
import shutil

import numpy as np
import soundfile as sf

CLASSES = {"/m/a": "Alpha", "/m/b": "Beta, loud", "/m/c": "Gamma"}
RATE = 16000


def sound(number, seconds=0.3):
    """Noise that tells a clip."""
    rng = np.random.default_rng(number)
    return rng.uniform(-0.5, 0.5, round(seconds * RATE))


def write_csv(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


def write_sound(path, number, seconds=0.3):
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, sound(number, seconds), RATE)


def write_words(folder, words=("cat", "dog"), num_speakers=3):
    """Speech Commands: speaker 1 is for validation, speaker 2 for testing."""
    for number, word in enumerate(words):
        for speaker in range(num_speakers):
            clip = folder / word / f"s{speaker}_nohash_0.wav"
            write_sound(clip, number * num_speakers + speaker)
    for name, speaker in (("validation", 1), ("testing", 2)):
        clips = "\n".join(f"{word}/s{speaker}_nohash_0.wav" for word in words)
        (folder / f"{name}_list.txt").write_text(clips, "utf-8")


def write_lists(folder, seconds=0.3, **sizes):
    """AudioSet's lists, with the audio in files."""
    rows = [(i, *entry) for i, entry in enumerate(CLASSES.items())]
    header = ("index", "mid", "display_name")
    write_csv(folder / "class_labels_indices.csv", [header, *rows])
    numbers = itertools.count()
    for name, size in (sizes or {"balanced_train": 8, "eval": 3}).items():
        lines = ["# YTID, start_seconds, end_seconds, positive_labels"]
        for number in itertools.islice(numbers, size):
            clip = f"-{name:.4}{number:06d}"  # 11 characters, as on YouTube
            mids = ("/m/a", "/m/b", "/m/c,/m/a")[number % 3]
            lines.append(f'{clip}, 0.000, 10.000, "{mids}"')
            write_sound(folder / "audio" / f"{clip}.flac", number, seconds)
        text = "\n".join(lines)
        (folder / f"{name}_segments.csv").write_text(text, "utf-8")


def write_parquet(folder):
    """AudioSet's clips in parquet shards."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    write_lists(folder)
    for name in ("balanced_train", "eval"):
        rows = [
            {
                "video_id": path.stem,
                "audio": {"bytes": path.read_bytes(), "path": path.name},
                "labels": [list(CLASSES)[number % 3]],
            }
            for number, path in enumerate(folder.glob(f"audio/-{name:.4}*"))
        ]
        pq.write_table(pa.Table.from_pylist(rows), folder / f"{name}.parquet")
        (folder / f"{name}_segments.csv").unlink()
    shutil.rmtree(folder / "audio")


def write_class_folders(folder, growth=0.0):
    """Custom data: one folder per class; each clip is longer than the last."""
    for number in range(24):
        name = ("dog", "cat")[number % 2]
        seconds = 0.3 + growth * number
        write_sound(folder / name / f"{number}.wav", number, seconds)
