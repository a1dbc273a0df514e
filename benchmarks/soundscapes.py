"""Mixes soundscapes of 10 s with known onsets from real clips.

Spoken words (Speech Commands) and instrument notes (AudioSet's format, with a
clips.csv) start at random times and levels over recorded background noise. OUT
gets a folder in AudioSet's format for each of three folds, fold1 to fold3, and
a folder ``search`` for the choice of options. The sources are divided into four
parts with disjoint speakers and recording sessions: a fold is evaluated on its
own part and trained on the parts of the two other folds; ``search`` has the
last part. With ``--partitions 2``, the sources of the three folds are divided
anew for three more folds, fold4 to fold6. All folders share the noises.
strong_train.tsv, strong_valid.tsv and strong_eval.tsv have AudioSet-Strong's
columns.

The sources are DATA/speech_commands and DATA/audioset_mini of docs/data.md:

> python benchmarks/soundscapes.py DATA/speech_commands DATA/audioset_mini OUT

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import soundfile

sys.path.insert(0, str(Path(__file__).resolve().parent))
from study.folds import (  # noqa: E402
    SEARCH,
    audioset_clips,
    parts,
    speech_commands_clips,
)

from speechbrain_fftp.datasets.speech_commands.lists import (  # noqa: E402
    NOISE_FOLDER,
    SILENCE,
    UNKNOWN,
)

RATE, SECONDS = 16000, 10
SIZES = {"train": 1200, "valid": 200, "eval": 400}
SEGMENTS = {"train": "balanced_train", "valid": "valid", "eval": "eval"}
FOLDS = 3
INNER = 6  # one of this many parts of the training clips is for validation
MAX_SOUNDS, MAX_SECONDS = 6, 3.0
QUIET_DB = 30  # margin below a clip's loudest 10 ms at which its sound ends
SNR_DB = (6, 30)
NOISE_LEVEL = (0.002, 0.02)  # RMS


def read(path):
    """Reads the samples ``[S]`` of a file."""
    wav, rate = soundfile.read(path, dtype="float32", always_2d=True)
    if rate != RATE:
        raise SystemExit(f"soundscapes: {path} has {rate} Hz, not {RATE}")
    return wav.mean(1)


def trim(wav):
    """Cuts a clip to its first and last loud frame."""
    frame = RATE // 100
    count = len(wav) // frame
    level = np.square(wav[: count * frame].reshape(count, frame)).mean(1)
    loud = np.flatnonzero(level > level.max() * 10 ** (-QUIET_DB / 10))
    return wav[loud[0] * frame : (loud[-1] + 1) * frame]


def fold_sounds(words_folder, instruments_folder, partitions=1):
    """Paths by fold, split and label; splits do not share sources."""
    more = range(1 + FOLDS, 1 + partitions * FOLDS)
    folds = {fold: {} for fold in [*range(1, 1 + FOLDS), SEARCH, *more]}
    for folder in (words_folder, instruments_folder):
        if folder == words_folder:
            clips = speech_commands_clips(folder)
            clips = [c for c in clips if c.label not in (SILENCE, UNKNOWN)]
            paths = {clip.name: folder / clip.name for clip in clips}
        else:
            clips = audioset_clips(folder)
            found = {path.stem: path for path in (folder / "audio").iterdir()}
            paths = {
                clip.name: next(found[x] for x in found if clip.name in x)
                for clip in clips
            }
        *thirds, last = parts(clips, FOLDS + 1)
        used, tests = sum(thirds, []), [thirds]
        tests += [parts(used, FOLDS, seed) for seed in range(1, partitions)]
        for fold, splits in folds.items():
            if fold == SEARCH:
                test, *rest = parts(last, FOLDS + 1)
            else:
                partition, number = divmod(fold - 1, FOLDS)
                rest = list(tests[partition])
                test = rest.pop(number)
            valid, *train = parts([c for part in rest for c in part], INNER)
            own = {"train": sum(train, []), "valid": valid, "eval": test}
            for split, chosen in own.items():
                sounds = splits.setdefault(split, {})
                for clip in chosen:
                    label = clip.label.replace("_", " ")
                    sounds.setdefault(label, []).append(paths[clip.name])
    return folds


def mix(rng, sounds, noise, used=None):
    """Mixes a soundscape ``[S]``; returns it and its events.

    ``used``, a list, receives the label and the path of each sound.
    """
    length = RATE * SECONDS
    start = rng.integers(0, len(noise) - length)
    scene = noise[start : start + length].copy()
    scene *= np.exp(rng.uniform(*np.log(NOISE_LEVEL))) / scene.std()
    floor, events = scene.std(), []
    for label in rng.choice(list(sounds), rng.integers(1, MAX_SOUNDS + 1)):
        paths = sounds[label]
        path = paths[rng.integers(len(paths))]
        wav = trim(read(path))
        wav = wav[: int(MAX_SECONDS * RATE)].copy()
        wav[-RATE // 50 :] *= np.linspace(1, 0, len(wav[-RATE // 50 :]))
        first = int(rng.integers(0, length - len(wav)))
        begin, end = first / RATE, (first + len(wav)) / RATE
        if any(x == label and begin < b and a < end for a, b, x in events):
            continue  # two sounds of a class at once are one event
        gain = floor * 10 ** (rng.uniform(*SNR_DB) / 20) / wav.std()
        scene[first : first + len(wav)] += gain * wav
        events.append((begin, end, str(label)))
        if used is not None:
            used.append((str(label), path))
    return scene / max(1.0, np.abs(scene).max()), sorted(events)


def write_lines(path, lines):
    """Writes a text file."""
    path.write_text("\n".join(lines) + "\n", "utf-8")


def read_noises(words_folder):
    """The samples of all recorded noises."""
    files = sorted((words_folder / NOISE_FOLDER).iterdir())
    return [read(p) for p in files if p.suffix in (".wav", ".flac")]


def seed_of(seed, number, split):
    """The seed of a split of the folder with this number, from 0."""
    return [seed, 1 + number, list(SIZES).index(split)]


def write_folder(out, found, noises, sizes, seed):
    """Writes a folder of soundscapes, given the sounds of its splits."""
    (out / "audio").mkdir(parents=True)
    labels = sorted({label for part in found.values() for label in part})
    mids = {label: f"/m/scape{i:02}" for i, label in enumerate(labels)}
    lines = [f'{i},{mids[x]},"{x}"' for i, x in enumerate(labels)]
    write_lines(
        out / "class_labels_indices.csv", ["index,mid,display_name", *lines]
    )
    for split in SIZES:
        rng = np.random.default_rng(seed_of(*seed, split))
        segments = ["# YTID, start_seconds, end_seconds, positive_labels"]
        strong = ["segment_id\tstart_time_seconds\tend_time_seconds\tlabel"]
        for number in range(sizes[split]):
            clip = f"{split}{number:07}"
            noise = noises[rng.integers(len(noises))]
            wav, events = mix(rng, found[split], noise)
            soundfile.write(out / "audio" / f"{clip}.flac", wav, RATE)
            own = ",".join(sorted({mids[label] for *_, label in events}))
            segments.append(f'{clip}, 0.000, {SECONDS}.000, "{own}"')
            strong += (f"{clip}\t{a}\t{b}\t{mids[x]}" for a, b, x in events)
        write_lines(out / f"{SEGMENTS[split]}_segments.csv", segments)
        write_lines(out / f"strong_{split}.tsv", strong)
    print(f"{out}: {len(labels)} classes")


def main(argv=None):
    """Writes the folders of the folds."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    for name in ("words", "instruments", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--partitions", type=int, default=1)
    for split, size in SIZES.items():
        parser.add_argument(f"--{split}", type=int, default=size)
    args = parser.parse_args(argv)
    if args.out.exists():
        raise SystemExit(f"soundscapes: {args.out} exists: give another folder")
    noises = read_noises(args.words)
    sizes = {split: getattr(args, split) for split in SIZES}
    folds = fold_sounds(args.words, args.instruments, args.partitions)
    for number, (fold, found) in enumerate(folds.items()):
        name = fold if fold == SEARCH else f"fold{fold}"
        seed = (args.seed, number)
        write_folder(args.out / name, found, noises, sizes, seed)


if __name__ == "__main__":
    main()
