"""Folds: data folders of the same clips with different splits.

Clips of a group (a speaker, or a recording session) share a split. ``search``
is for the choice of options: it lacks the test clips of fold 1, and takes its
own test clips from fold 1's training clips. ESC-10 has its official folds.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import tempfile
from pathlib import Path
from typing import NamedTuple

import soundfile
from sklearn.model_selection import StratifiedGroupKFold

from speechbrain_fftp.datasets.word_splits import NOISE_FOLDER, SPLIT_LISTS

FOLDS = 5
INNER = 8  # one of this many parts of the training clips is for validation
SESSION = 20  # maximum gap of Freesound ids within a recording session
SEARCH = "search"
SEGMENTS = {"train": "balanced_train", "valid": "valid", "test": "eval"}
ESC10 = "esc10.csv"
ESC10_SECONDS = 5


class Clip(NamedTuple):
    """A clip: its path or id, its class (the rarest one), and its group."""

    name: str
    label: str
    group: str


def speech_commands_clips(folder):
    """All clips of a Speech Commands folder, named ``WORD/FILE``.

    Silence has no speaker: each clip of silence is a group.
    """
    clips = []
    for path in sorted(folder.glob("*/*.*")):
        word = path.parent.name
        # SPEAKER_nohash_NUMBER, after WORD_ in the folder of other words
        speaker = path.stem.partition("_nohash_")[0].rpartition("_")[2]
        if path.suffix in (".wav", ".flac") and word != NOISE_FOLDER:
            clips.append(Clip(f"{word}/{path.name}", word, speaker))
    return clips


def audioset_clips(folder):
    """All clips of a folder in AudioSet's format with a clips.csv."""
    with open(folder / "clips.csv", newline="", encoding="utf-8") as file:
        rows = [
            (row["source_label"], int(row["freesound_id"]), row["ytid"])
            for row in csv.DictReader(file)
        ]
    clips, last_label, last_number = [], None, 0
    for label, number, clip_id in sorted(rows, key=lambda row: row[:2]):
        if label != last_label or number - last_number > SESSION:
            group = f"{label} {number}"
        last_label, last_number = label, number
        clips.append(Clip(clip_id, label, group))
    return clips


def esc10_clips(folder):
    """All clips of ESC-10; the group is the fold and the recording's id."""
    with open(folder / ESC10, newline="", encoding="utf-8") as file:
        rows = [
            (Path(r["file"]).stem, r["label"]) for r in csv.DictReader(file)
        ]
    return [Clip(x, label, x.rpartition("-")[0]) for x, label in rows]


def groups_of(folder, ids):
    """The groups of clips, given their ids in a recipe."""
    if (folder / ESC10).exists():
        return [clip_id.rpartition("-")[0] for clip_id in ids]
    # Speech Commands, or its packs
    if (folder / SPLIT_LISTS["valid"]).exists() or (
        folder / "test.csv"
    ).exists():
        names = (clip_id.partition("_nohash_")[0] for clip_id in ids)
        return [name.rpartition("_")[2] for name in names]
    if not (folder / "clips.csv").exists():  # AudioSet's, whose clips differ
        return list(ids)
    groups = {clip.name: clip.group for clip in audioset_clips(folder)}
    return [groups[clip_id] for clip_id in ids]


def parts(clips, count, seed=None):
    """The clips of each of ``count`` parts, stratified by class.

    Another seed gives another partition; None, the first one.
    """
    labels = [clip.label for clip in clips]
    groups = [clip.group for clip in clips]
    splitter = StratifiedGroupKFold(
        count, shuffle=seed is not None, random_state=seed
    )
    folds = splitter.split(clips, labels, groups)
    return [[clips[i] for i in test] for _, test in folds]


def official_tests(clips):
    """The test clips of each of ESC-10's folds, which begin the names."""
    numbers = range(1, 1 + FOLDS)
    return [[c for c in clips if c.name.startswith(f"{n}-")] for n in numbers]


def split(clips, fold, tests=None):
    """The clips of each split of a fold, 1 to 5, or of ``search``.

    ``tests`` holds the test clips of each fold, unless folds are made here.
    """
    tests = tests or parts(clips, FOLDS)
    test = tests[0 if fold == SEARCH else int(fold) - 1]
    chosen = set(test)
    valid, second, *rest = parts([c for c in clips if c not in chosen], INNER)
    train = [clip for part in rest for clip in part]
    if fold == SEARCH:
        return {"train": train, "valid": valid, "test": second}
    return {"train": second + train, "valid": valid, "test": test}


def make_fold(folder, fold, dest):
    """Makes the data folder of a fold once; returns the clips of each split."""
    tests = None
    if (folder / SPLIT_LISTS["valid"]).exists():
        clips, link = speech_commands_clips(folder), link_speech_commands
    elif (folder / ESC10).exists():
        clips, link = esc10_clips(folder), link_esc10
        tests = official_tests(clips)
    else:
        clips, link = audioset_clips(folder), link_audioset
    splits = split(clips, fold, tests)
    if not dest.exists():
        dest.parent.mkdir(parents=True, exist_ok=True)
        half = Path(tempfile.mkdtemp(dir=dest.parent))
        link(folder, splits, half)
        half.rename(dest)
    return splits


def link_fold(folder, fold, dest):
    """Links a fold that has its own folder in AudioSet's format: fold1, ..."""
    if not dest.exists():
        dest.parent.mkdir(parents=True, exist_ok=True)
        name = fold if fold == SEARCH else f"fold{fold}"
        dest.symlink_to(folder / name)


def prepared_counts(folder):
    """The number of clips of each split of a prepared folder."""
    paths = {name: folder / f"{name}.csv" for name in SEGMENTS}
    if not paths["test"].exists():
        paths["test"] = folder / "eval.csv"
    counts = {}
    for name, path in paths.items():
        with open(path, newline="", encoding="utf-8") as file:
            counts[name] = sum(1 for _ in csv.DictReader(file))
    return counts


def link_speech_commands(folder, splits, dest):
    """Writes the clips in the data set's layout as wav; links the noise."""
    (dest / NOISE_FOLDER).symlink_to(folder / NOISE_FOLDER)
    for clip in (clip for part in splits.values() for clip in part):
        path = (dest / clip.name).with_suffix(".wav")
        path.parent.mkdir(exist_ok=True)
        wav, rate = soundfile.read(folder / clip.name, dtype="int16")
        soundfile.write(path, wav, rate)
    for name, file in SPLIT_LISTS.items():
        lines = sorted(
            str(Path(clip.name).with_suffix(".wav")) for clip in splits[name]
        )
        (dest / file).write_text("\n".join(lines) + "\n", "utf-8")


def link_audioset(folder, splits, dest):
    """Links the audio and the classes, and writes the lists of the splits."""
    for name in ("audio", "class_labels_indices.csv"):
        (dest / name).symlink_to(folder / name)
    lines = {}
    for name in SEGMENTS.values():
        path = folder / f"{name}_segments.csv"
        *head, rest = path.read_text("utf-8").split("\n", 3)
        for line in rest.splitlines():
            lines[line.split(",")[0]] = line
    for name, file in SEGMENTS.items():
        rows = [lines[clip.name] for clip in splits[name]]
        text = "\n".join([*head, *rows]) + "\n"
        (dest / f"{file}_segments.csv").write_text(text, "utf-8")


def link_esc10(folder, splits, dest):
    """Links the audio, and writes the lists of the splits in AudioSet's format."""
    (dest / "audio").symlink_to(folder / "audio")
    labels = sorted({clip.label for part in splits.values() for clip in part})
    mids = {label: f"/m/esc{i:02}" for i, label in enumerate(labels)}
    rows = [f"{i},{mids[x]},{x}" for i, x in enumerate(labels)]
    text = "\n".join(["index,mid,display_name", *rows]) + "\n"
    (dest / "class_labels_indices.csv").write_text(text, "utf-8")
    for name, file in SEGMENTS.items():
        rows = [
            f'{clip.name}, 0.0, {ESC10_SECONDS}.0, "{mids[clip.label]}"\n'
            for clip in splits[name]
        ]
        (dest / f"{file}_segments.csv").write_text("".join(rows), "utf-8")
