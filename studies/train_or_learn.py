"""Compares training on own sounds with ``fftp-tag learn``, on the same clips.

Ten classes: five everyday sounds and five instruments. Clips to learn from, or as
many as there are, are of folds 2 to 4 (recipes/Starter/starter_prepare.py), four recordings of noise
are the background. Both ways start from the starter model, which has learnt
these classes from these folds, so that only differences tell something.

Scored are clips of folds 1 and 5 as they are, and 150 mixtures of 10 s of these
clips over two other recordings of noise. Intervals (95 %) are Student's t over
draws of the clips to learn from.

> python studies/train_or_learn.py DATA WORK [--draws 3]

Writes studies/results/tables/train_or_learn.json. A training of 20 clips takes
ten minutes of one core; its folder in WORK is used again.

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
from studies.tables import mean_of, write_tables

NAMES = (
    "baby_cry clock_tick dog_bark helicopter rain "
    "Acoustic_guitar Cello Clarinet Flute Snare_drum"
).split()
LEARNT, TESTED = (2, 3, 4), (1, 5)
SECONDS = 5.0  # of a clip
N_BACKGROUND = 4  # recordings of noise; the others are in the mixtures
MIXTURES = 150
SCORES = {
    "first tag": lambda tags, events: tags.metrics["accuracy"],
    "tags, macro F1": lambda tags, events: tags.metrics["macro_F1"],
    "events, overlap F1": lambda tags, events: events.events["overlap_F1"],
    "events, event F1": lambda tags, events: events.events["event_F1"],
}
NOTE = (
    "In %, ten classes, on clips and mixtures of recordings that were not learnt; "
    "the mean of draws with its interval. Gain: training minus learn."
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
    background = work / "background"
    tested = {
        name: [path for fold, path in clips if fold in TESTED]
        for name, clips in clips_of(data).items()
    }
    if not background.exists():
        write_clips(work / "tested", tested)
        write_mixtures(work / "mixtures", tested, noises[N_BACKGROUND:])
        background.mkdir()
        for path in noises[:N_BACKGROUND]:
            (background / path.name).symlink_to(path)
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
                tagger = AudioTagger.from_pretrained(folder / model, threads=1)
                tags = evaluate(tagger, work / "tested")
                events = evaluate(
                    tagger,
                    work / "mixtures",
                    strong_labels=work / "mixtures" / "events.tsv",
                )
                scores = [100 * f(tags, events) for f in SCORES.values()]
                found[way].append(scores)
                print(count, number, way, dict(zip(SCORES, scores)), flush=True)
        for column, score in enumerate(SCORES):
            values = {x: [y[column] for y in found[x]] for x in found}
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
