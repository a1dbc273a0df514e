"""Compares training on own sounds with ``fftp-tag learn``, on the same clips.

Ten classes: five everyday sounds and five instruments. Clips to learn from, or as
many as there are, are of folds 2 to 4 (recipes/Starter/starter_prepare.py); the
background is a room of five minutes, of noises and words. Both ways start from the
starter model, which has learnt these classes from these folds, so that only
differences tell something.

Scored are clips of folds 1 and 5 as they are; three field recordings of five
minutes with these clips, other words in between, over two other noises, as in
own_sounds.py; and 150 mixtures of 10 s, drawn as those that are trained on.
Intervals (95 %) are Student's t over draws of the clips to learn from.

> python studies/train_or_learn.py DATA WORK [--draws 3] [--counts 10 20]

Writes studies/results/tables/train_or_learn.json. A training takes about
17 minutes of one core; its folder in WORK is used again.

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import soundfile

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [
    str(ROOT),
    str(ROOT / "benchmarks"),
    str(ROOT / "recipes" / "Starter"),
]
from starter_prepare import (
    class_of,
    list_everyday,
    list_instruments,
    list_noises,
)

from fftp_tag import AudioTagger, evaluate, learn
from speechbrain_fftp.dataio.audio import read_audio
from speechbrain_fftp.datasets.mixtures import RATE, Mixer, Sound
from studies.own_sounds import Clip, list_clips, make_room
from studies.tables import mean_of, write_tables

NAMES = (
    "baby_cry clock_tick dog_bark helicopter rain "
    "Acoustic_guitar Cello Clarinet Flute Snare_drum"
).split()
LEARNT, TESTED = (2, 3, 4), (1, 5)
SECONDS = 5.0  # of a clip
N_BACKGROUND = 4  # noises of the room; the others are in what is scored
MIXTURES = 150
FIELDS = 3
NOTE = (
    "In %, ten classes, on recordings that were not learnt; the mean of draws with "
    "its interval. Events: overlap F1. Gain: training minus learn."
)


def clips_of(data):
    """Pairs of fold and path of the clips, by class."""
    sounds = [
        *list_everyday(data / "esc10"),
        *list_instruments(data / "audioset_mini"),
    ]
    return {
        name: [
            (x.fold, x.path) for x in sounds if x.labels == (class_of(name),)
        ]
        for name in NAMES
    }


def write_clips(folder, paths):
    """Writes the beginnings of clips; ``paths`` are lists by class."""
    for name, of_class in paths.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for path in of_class:
            wav = read_audio(path, RATE, 0.0, SECONDS)
            soundfile.write(folder / name / f"{path.stem}.wav", wav, RATE)


def write_mixtures(folder, paths, noises):
    """Writes mixtures of clips, and a table of their events."""
    sounds = [
        Sound((name,), read_audio(path, RATE, 0.0, SECONDS))
        for name, of_class in paths.items()
        for path in of_class
    ]
    noises = [read_audio(path, RATE) for path in noises]
    names = dict(zip(NAMES, NAMES))
    mixer = Mixer(
        {"eval": sounds}, {"train": [], "eval": noises}, names, seed=0
    )
    folder.mkdir(parents=True)
    rows = ["filename\tonset\toffset\tevent_label"]
    for number in range(MIXTURES):
        drawn = mixer.draw(f"mixture{number}", "eval")
        wav = mixer.mix(drawn).astype(np.float32)
        soundfile.write(folder / f"{number}.wav", wav, RATE)
        rows += [
            f"{number}.wav\t{x.start / RATE}\t{x.end / RATE}\t{x.labels[0]}"
            for x in drawn.events
        ] or [f"{number}.wav\t\t\t"]
    (folder / "events.tsv").write_text("\n".join(rows))


def write_fields(folder, paths, noises, others):
    """Writes field recordings with clips, and a table of their events."""
    clips = [
        Clip(path, name, path.stem)
        for name, of_class in paths.items()
        for path in of_class
    ]
    folder.mkdir()
    rows = ["filename\tonset\toffset\tevent_label"]
    for number in range(FIELDS):
        rng = np.random.default_rng(number)
        chosen = [clips[x] for x in rng.permutation(len(clips))]
        wav, events = make_room(rng, noises, others, chosen)
        soundfile.write(folder / f"{number}.wav", wav, RATE)
        rows += [f"{number}.wav\t{x}\t{y}\t{z}" for x, y, z in events]
    (folder / "events.tsv").write_text("\n".join(rows))


def prepare(data, work, noises):
    """Writes the background, and what is scored."""
    tested = {
        name: [path for fold, path in clips if fold in TESTED]
        for name, clips in clips_of(data).items()
    }
    write_clips(work / "tested", tested)
    write_mixtures(work / "mixtures", tested, noises[N_BACKGROUND:])
    rng = np.random.default_rng(0)
    kinds = list_clips(data)
    words = kinds["words"] + kinds["other words"]
    words = [words[x] for x in rng.permutation(len(words))]
    wavs = [read_audio(path, RATE) for path in noises]
    room, _ = make_room(rng, wavs[:N_BACKGROUND], words[::2])
    write_fields(work / "fields", tested, wavs[N_BACKGROUND:], words[1::2])
    soundfile.write(work / "room.wav", room, RATE)


def find_scores(model, work):
    """The scores of a model, in percent, by name."""
    tagger = AudioTagger.from_pretrained(model, threads=1)
    tags = evaluate(tagger, work / "tested").metrics
    fields, mixtures = (
        evaluate(
            tagger,
            work / name,
            strong_labels=work / name / "events.tsv",
        ).events
        for name in ("fields", "mixtures")
    )
    scores = {
        "first tag": tags["accuracy"],
        "tags, macro F1": tags["macro_F1"],
        "events in field recordings": fields["overlap_F1"],
        "events in mixtures": mixtures["overlap_F1"],
    }
    return {name: 100 * value for name, value in scores.items()}


def train(clips, background, output):
    """Trains on clips, as the documentation says."""
    command = [
        sys.executable,
        ROOT / "recipes" / "AudioSet" / "train_strong.py",
        ROOT / "hparams" / "own_sounds.yaml",
        f"--data_folder={clips}",
        f"--background={background}",
        f"--output_folder={output}",
        "--num_workers=0",
        "--device=cpu",
        "--noprogressbar",
    ]
    subprocess.run(command, check=True)


def main():
    """Measures, and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--counts", type=int, nargs="+", default=[10, 20])
    args = parser.parse_args()
    data, work = args.data.resolve(), args.work.resolve()
    noises = list_noises(data / "speech_commands")
    background = work / "room.wav"
    if not background.exists():
        prepare(data, work, noises)
    starter = AudioTagger.from_pretrained("starter", threads=1)
    rows = []
    for count in args.counts:
        found = {"learn": [], "training": []}
        for number in range(args.draws):
            folder = work / f"{count}-{number}"
            rng = random.Random(str((count, number)))
            learnt = {}
            for name, clips in clips_of(data).items():
                known = [path for fold, path in clips if fold in LEARNT]
                learnt[name] = rng.sample(known, min(count, len(known)))
            write_clips(folder / "clips", learnt)
            if not (folder / "learnt.onnx").exists():
                learn(
                    starter,
                    folder / "clips",
                    folder / "learnt.onnx",
                    background=background,
                )
            if not (folder / "trained" / "inference" / "model.onnx").exists():
                train(folder / "clips", background, folder / "trained")
            for way, model in (
                ("learn", "learnt.onnx"),
                ("training", "trained"),
            ):
                scores = find_scores(folder / model, work)
                found[way].append(scores)
                print(count, number, way, scores, flush=True)
        for score in scores:
            values = {x: [y[score] for y in found[x]] for x in found}
            gains = np.subtract(values["training"], values["learn"])
            rows.append(
                {
                    "clips of each": count,
                    "score": score,
                    **{way: mean_of(values[way]) for way in values},
                    "gain": mean_of(gains),
                    "ahead": f"{(gains > 0).sum()} of {args.draws}",
                }
            )
        write_tables("train_or_learn", {"Own sounds": (NOTE, rows)})


if __name__ == "__main__":
    main()
