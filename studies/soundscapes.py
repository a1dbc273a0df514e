r"""Mixes soundscapes of 10 s with known onsets from real clips.

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

> python studies/soundscapes.py DATA/speech_commands DATA/audioset_mini OUT

With ``--fold``, mixes as many clips as the paper trains on, and OUT becomes a
prepared folder of the recipe for AudioSet: 16-bit packs and manifests. There
are six disjoint folds of all sources, and a fold is trained on the sources of
the five others. The first 1.5 s of a sound are used, at a random speed, so that
a note is not repeated hundreds of times an epoch. ``--fold search`` divides the
sources that fold 1 is trained on. sources.npz holds the sources of the
evaluation clips, for the bootstrap.

> python studies/soundscapes.py DATA/speech_commands DATA/audioset_mini OUT \
>     --fold 1 --num_workers 16

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import itertools
import multiprocessing
import os
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from scipy.signal import resample_poly

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from speechbrain_fftp.dataio.class_lists import write_classes
from speechbrain_fftp.dataio.clips import Clip, as_int16
from speechbrain_fftp.dataio.packs import write_packs
from speechbrain_fftp.dataio.prepared import write_manifest
from speechbrain_fftp.datasets.word_splits import NOISE_FOLDER, SILENCE, UNKNOWN
from studies.folds import SEARCH, audioset_clips, parts, speech_commands_clips

RATE, SECONDS = 16000, 10
SIZES = {"train": 1200, "valid": 200, "eval": 400}
SEGMENTS = {"train": "balanced_train", "valid": "valid", "eval": "eval"}
FOLDS = 3
INNER = 6  # one of this many parts of the training clips is for validation
MAX_SOUNDS, MAX_SECONDS = 6, 3.0
QUIET_DB = 30  # margin below a clip's loudest 10 ms at which its sound ends
SNR_DB = (6, 30)
NOISE_LEVEL = (0.002, 0.02)  # RMS
# With --fold
BASE_SIZES = {"train": 18685, "valid": 300, "eval": 1500}
BASE_FOLDS, BASE_INNER = 6, 12
SPEEDS = (85, 115)  # in percent
LIMIT = 3 * RATE // 2  # samples that are used of a sound


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


class Sound(NamedTuple):
    """A clip of a class, in the form that ``parts`` takes."""

    path: Path
    label: str
    group: str


def list_words(folder):
    """The sounds of a Speech Commands folder; a group is a speaker."""
    return [
        Sound(folder / clip.name, clip.label, clip.group)
        for clip in speech_commands_clips(folder)
        if clip.label not in (SILENCE, UNKNOWN)
    ]


def list_instruments(folder):
    """The sounds of a folder with a clips.csv; a group is a session."""
    found = {path.stem: path for path in (folder / "audio").iterdir()}
    return [
        Sound(
            next(found[x] for x in found if clip.name in x),
            clip.label.replace("_", " "),
            clip.group,
        )
        for clip in audioset_clips(folder)
    ]


def both_kinds(words, instruments):
    """The sounds of both folders."""
    return list_words(words), list_instruments(instruments)


def add_split(splits, name, sounds):
    """Adds the paths of sounds to those of a split, by label."""
    paths = splits.setdefault(name, {})
    for sound in sounds:
        paths.setdefault(sound.label, []).append(sound.path)


def fold_sounds(words_folder, instruments_folder, partitions=1):
    """Paths by fold, split and label; splits do not share sources."""
    more = range(1 + FOLDS, 1 + partitions * FOLDS)
    folds = {fold: {} for fold in [*range(1, 1 + FOLDS), SEARCH, *more]}
    for sounds in both_kinds(words_folder, instruments_folder):
        *thirds, last = parts(sounds, FOLDS + 1)
        used, tests = sum(thirds, []), [thirds]
        tests += [parts(used, FOLDS, seed) for seed in range(1, partitions)]
        for fold, splits in folds.items():
            if fold == SEARCH:
                test, *rest = parts(last, FOLDS + 1)
            else:
                partition, number = divmod(fold - 1, FOLDS)
                rest = list(tests[partition])
                test = rest.pop(number)
            valid, *train = parts(sum(rest, []), INNER)
            add_split(splits, "train", sum(train, []))
            add_split(splits, "valid", valid)
            add_split(splits, "eval", test)
    return folds


def base_sounds(words_folder, instruments_folder, fold):
    """Paths by split and label, and the source of each path, of a large fold."""
    splits, sources = {}, {}
    for sounds in both_kinds(words_folder, instruments_folder):
        sources.update((sound.path, sound.group) for sound in sounds)
        tests = parts(sounds, BASE_FOLDS)
        test = tests.pop(0 if fold == SEARCH else int(fold) - 1)
        if fold == SEARCH:
            test, *tests = parts(sum(tests, []), BASE_FOLDS)
        valid, *train = parts(sum(tests, []), BASE_INNER)
        add_split(splits, "train", sum(train, []))
        add_split(splits, "valid", valid)
        add_split(splits, "eval", test)
    return splits, sources


def load_sound(path, rng):
    """Reads a sound without the silence around it."""
    return trim(read(path))


def background(rng, noise):
    """Ten seconds ``[S]`` of noise at a random level, and its RMS."""
    length = RATE * SECONDS
    start = rng.integers(0, len(noise) - length)
    scene = noise[start : start + length].copy()
    scene *= np.exp(rng.uniform(*np.log(NOISE_LEVEL))) / scene.std()
    return scene, scene.std()


def gain(rng, floor, wav):
    """The gain that lifts a sound over the noise, by a random ratio."""
    return floor * 10 ** (rng.uniform(*SNR_DB) / 20) / wav.std()


class Event(NamedTuple):
    """A sound in a soundscape."""

    start: float  # seconds
    end: float
    label: str
    path: Path


def mix(rng, sounds, noise, load=load_sound):
    """Mixes a soundscape ``[S]``; returns it and its events."""
    scene, floor = background(rng, noise)
    events = []
    for label in rng.choice(list(sounds), rng.integers(1, MAX_SOUNDS + 1)):
        paths = sounds[label]
        path = paths[rng.integers(len(paths))]
        wav = load(path, rng)[: int(MAX_SECONDS * RATE)].copy()
        wav[-RATE // 50 :] *= np.linspace(1, 0, len(wav[-RATE // 50 :]))
        first = int(rng.integers(0, len(scene) - len(wav)))
        new = Event(first / RATE, (first + len(wav)) / RATE, str(label), path)
        if any(
            x.label == label and new.start < x.end and x.start < new.end
            for x in events
        ):
            continue  # two sounds of a class at once are one event
        scene[first : first + len(wav)] += gain(rng, floor, wav) * wav
        events.append(new)
    return scene / max(1.0, np.abs(scene).max()), events


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


def mids_of(labels):
    """Ids of classes in AudioSet's form, by label."""
    return {label: f"/m/scape{i:02}" for i, label in enumerate(labels)}


def write_folder(out, found, noises, sizes, seed):
    """Writes a folder of soundscapes, given the sounds of its splits."""
    (out / "audio").mkdir(parents=True)
    labels = sorted({label for part in found.values() for label in part})
    mids = mids_of(labels)
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
            own = ",".join(sorted({mids[x.label] for x in events}))
            segments.append(f'{clip}, 0.000, {SECONDS}.000, "{own}"')
            strong += (
                f"{clip}\t{x.start}\t{x.end}\t{mids[x.label]}"
                for x in sorted(events)
            )
        write_lines(out / f"{SEGMENTS[split]}_segments.csv", segments)
        write_lines(out / f"strong_{split}.tsv", strong)
    print(f"{out}: {len(labels)} classes")


class BaseMixer:
    """Mixes the clips of a large fold: each by its number, in any process."""

    def __init__(self, splits, noises, seed):
        self.splits, self.noises, self.seed = splits, noises, seed
        paths = {
            path
            for sounds in splits.values()
            for path in itertools.chain(*sounds.values())
        }
        self.wavs = {path: trim(read(path)[:LIMIT]) for path in paths}

    def load(self, path, rng):
        """A sound at a random speed, with its pitch."""
        percent = int(rng.integers(SPEEDS[0], SPEEDS[1] + 1))
        return resample_poly(self.wavs[path], 100, percent)

    def __call__(self, split, number):
        """The 16-bit samples of a clip, and its events."""
        rng = np.random.default_rng([*seed_of(*self.seed, split), number])
        noise = self.noises[rng.integers(len(self.noises))]
        wav, events = mix(rng, self.splits[split], noise, self.load)
        return as_int16(wav), events


def start_process(mixer):
    """Gives a process its mixer, which is forked and not copied."""
    start_process.mixer = mixer


def mix_in_process(split, number):
    """Mixes a clip with the mixer of this process."""
    return start_process.mixer(split, number)


def write_base_fold(out, words, instruments, fold, sizes, seed, num_workers):
    """Writes the prepared folder of a large fold, complete or not at all."""
    splits, sources = base_sounds(words, instruments, fold)
    number = 0 if fold == SEARCH else int(fold)
    mixer = BaseMixer(splits, read_noises(words), (seed, number))
    labels = sorted(splits["train"])
    mids = mids_of(labels)
    classes = {mid: label for label, mid in mids.items()}
    clips = [
        Clip(f"{split}{i:07}", None, split=split, end=SECONDS)
        for split, size in sizes.items()
        for i in range(size)
    ]
    events = {}
    out.parent.mkdir(parents=True, exist_ok=True)
    half = Path(tempfile.mkdtemp(dir=out.parent))
    with ProcessPoolExecutor(
        num_workers,
        multiprocessing.get_context("fork"),
        start_process,
        (mixer,),
    ) as processes:

        def convert(clip):
            """Mixes a clip in another process."""
            number = int(clip.id.removeprefix(clip.split))
            mixed = processes.submit(mix_in_process, clip.split, number)
            samples, events[clip.id] = mixed.result()
            return samples

        packed, failed = write_packs(half, clips, convert, RATE, num_workers)
    if failed:
        raise SystemExit(f"soundscapes: {next(iter(failed.items()))}")
    for split in sizes:
        labelled = [
            clip._replace(
                labels=sorted({mids[x.label] for x in events[clip.id]})
            )
            for clip in clips
            if clip.split == split
        ]
        write_manifest(half / f"{split}.csv", labelled, packed, RATE, classes)
    write_classes(half, classes)
    columns = zip(
        *(
            (i, labels.index(event.label), sources[event.path])
            for i in range(sizes["eval"])
            for event in events[f"eval{i:07}"]
        )
    )
    names = ("clips", "classes", "sources")
    np.savez_compressed(half / "sources.npz", **dict(zip(names, columns)))
    half.rename(out)
    print(f"{out}: {len(clips)} clips of {len(classes)} classes")


def main(argv=None):
    """Writes the folders of the folds."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    for name in ("words", "instruments", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--partitions", type=int, default=1)
    parser.add_argument("--fold", help="1 to 6 or search: a large fold alone")
    parser.add_argument("--num_workers", type=int, default=os.cpu_count())
    for split in SIZES:
        parser.add_argument(f"--{split}", type=int, help="number of clips")
    args = parser.parse_args(argv)
    if args.out.exists():
        raise SystemExit(f"soundscapes: {args.out} exists: give another folder")
    sizes = dict(BASE_SIZES if args.fold else SIZES)
    sizes.update((x, getattr(args, x)) for x in SIZES if getattr(args, x))
    if args.fold:
        write_base_fold(
            args.out,
            args.words,
            args.instruments,
            args.fold,
            sizes,
            args.seed,
            args.num_workers,
        )
        return
    noises = read_noises(args.words)
    folds = fold_sounds(args.words, args.instruments, args.partitions)
    with ProcessPoolExecutor(args.num_workers) as processes:
        writing = []
        for number, (fold, found) in enumerate(folds.items()):
            name = fold if fold == SEARCH else f"fold{fold}"
            seed = (args.seed, number)
            parts = (args.out / name, found, noises, sizes, seed)
            writing.append(processes.submit(write_folder, *parts))
        for each in writing:
            each.result()


if __name__ == "__main__":
    main()
