"""Measures the starter model, and encoders of ``fftp-tag learn``.

The starter tags recordings of the fold that it has not learnt, as they are; and new
mixtures of the recordings of each split.

With TRIAL and DEMO, also measures ``learn`` on sounds that the encoders have not
learnt. A trial of the starter model is trained without the sounds of ``LEFT_OUT``, see
recipes/Starter/README.md. These are then learnt from a few clips of each, on
its encoder and on that of the demo's model, and are scored
on clips of one of the five folds, in each draw of another one. Clips to learn
from are drawn from the other folds: other recordings, sessions and speakers.
Intervals (95 %) are Student's t over the five draws.

Writes studies/results/tables/starter.json:

> python studies/starter.py DATA [TRIAL results/demo]

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import random
import sys
import tempfile
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
    CLASSES,
    FOLDS,
    RATE,
    Mixer,
    class_of,
    list_everyday,
    list_instruments,
    list_words,
)

from fftp_tag import AudioTagger, learn
from speechbrain_fftp.dataio.audio import read_audio
from speechbrain_fftp.dataio.ranking import ranking_metrics
from studies.tables import mean_of, write_tables

# By kind: what a trial has not learnt, and the number of clips of each to learn
LEFT_OUT = {
    "everyday sounds": (
        ["baby_cry", "clock_tick", "dog_bark", "helicopter", "rain"],
        5,
    ),
    "instruments": (
        ["Acoustic_guitar", "Cello", "Clarinet", "Flute", "Snare_drum"],
        5,
    ),
    "words": (["left", "no", "right", "stop", "yes"], 10),
}
SECONDS = 5.0  # of a clip
MOST_TESTED = 30  # clips of a class
TEST_FOLD = 5  # which the starter has not learnt
MIXTURES = 400  # of a split
SPLITS = {
    "train": "learnt (folds 2 to 4)",
    "valid": "of thresholds (fold 1)",
    "eval": "held back (fold 5)",
}
MIXTURES_NOTE = (
    "mAP of the starter on new mixtures of the recordings of each split: what it "
    "knows of recordings that it has learnt, and of others."
)
ENCODERS = "Encoders of learn"
RECORDINGS_NOTE = (
    "Recordings of fold 5 as they are, in %: whether the starter's first tag is "
    "right, and whether the class is among the tags at its learnt thresholds."
)
NOTE = (
    "Accuracy in % on clips of classes that the encoders have not learnt, after "
    "learning from a few clips of each; the mean of five draws with its interval. "
    "Gain: the trial of the starter model minus the demo's encoder, and in how "
    "many draws it is ahead."
)


def clips_of(data):
    """The clips of each kind and class left out, as fold and path."""
    sounds = [
        *list_everyday(data / "esc10"),
        *list_instruments(data / "audioset_mini"),
        *list_words(data / "speech_commands"),
    ]
    return {
        kind: {
            name: [
                (sound.fold, sound.path)
                for sound in sounds
                if sound.labels[0] == class_of(name)
            ]
            for name in names
        }
        for kind, (names, _) in LEFT_OUT.items()
    }


def draw(clips, fold, count):
    """Pairs of label and path: to learn from, and to be scored."""
    rng = random.Random(fold)
    learnt, tested = [], []
    for label, listed in clips.items():
        others = [path for number, path in listed if number != fold]
        own = [path for number, path in listed if number == fold]
        learnt += [(label, x) for x in rng.sample(others, count)]
        own = rng.sample(own, min(len(own), MOST_TESTED))
        tested += [(label, x) for x in own]
    return learnt, tested


def accuracy(tagger, learnt, tested):
    """Accuracy in % on the scored clips."""
    with tempfile.TemporaryDirectory() as scratch:
        folder, model = Path(scratch, "clips"), Path(scratch, "my.onnx")
        for label, path in learnt:
            (folder / label).mkdir(parents=True, exist_ok=True)
            wav = read_audio(path, RATE, 0.0, SECONDS)
            soundfile.write(folder / label / f"{path.stem}.wav", wav, RATE)
        learn(tagger, folder, model)
        mine = AudioTagger.from_pretrained(model, threads=1)
        right = [
            mine.labels[
                mine.clip_probabilities(
                    read_audio(path, RATE, 0.0, SECONDS), RATE
                ).argmax()
            ]
            == label
            for label, path in tested
        ]
    return 100 * np.mean(right)


def tag_recordings(data):
    """The rows of the starter's tags of recordings of the held-back fold."""
    tagger = AudioTagger.from_pretrained("starter", threads=1)
    rows = []
    for kind, sounds in (
        ("everyday sounds", list_everyday(data / "esc10")),
        ("instruments", list_instruments(data / "audioset_mini")),
    ):
        first, found = [], []
        for sound in sounds:
            if sound.fold == TEST_FOLD:
                label = CLASSES[sound.labels[0]]
                timeline = tagger.analyze(sound.path)
                [best] = timeline.tags(top_k=1, threshold=0.0)
                first.append(best.label == label)
                tags = timeline.tags(top_k=len(CLASSES))
                found.append(label in [tag.label for tag in tags])
        rows.append(
            {
                "recordings": kind,
                "clips": len(first),
                "first tag is right": f"{100 * np.mean(first):.0f}",
                "class is a tag": f"{100 * np.mean(found):.0f}",
            }
        )
    return rows


def score_mixtures(data):
    """The rows of the starter's mAP on new mixtures of each split."""
    tagger = AudioTagger.from_pretrained("starter", threads=1)
    mixer = Mixer(data, TEST_FOLD, (), seed=1)
    rows = []
    for split, recordings in SPLITS.items():
        targets = np.zeros((MIXTURES, len(tagger.labels)))
        probs = np.zeros_like(targets)
        for number in range(MIXTURES):
            drawn = mixer.draw(f"{split}{number}", split)
            found = {
                mixer.classes[x] for event in drawn.events for x in event.labels
            }
            targets[number] = [label in found for label in tagger.labels]
            wav = mixer.mix(drawn).astype(np.float32)
            probs[number] = tagger.clip_probabilities(wav, RATE)
        score = ranking_metrics(targets, probs)["mAP"]
        rows.append({"recordings": recordings, "mAP": f"{score:.3f}"})
    return rows


def compare_encoders(data, taggers):
    """The rows of ``learn`` on two encoders."""
    rows = []
    for kind, clips in clips_of(data).items():
        count = LEFT_OUT[kind][1]
        found = {name: [] for name in taggers}
        for fold in range(1, FOLDS + 1):
            learnt, tested = draw(clips, fold, count)
            for name, tagger in taggers.items():
                found[name].append(accuracy(tagger, learnt, tested))
            print(kind, fold, {x: y[-1] for x, y in found.items()}, flush=True)
        gains = np.subtract(*found.values())
        rows.append(
            {
                "classes": kind,
                "clips of each": count,
                **{name: mean_of(values) for name, values in found.items()},
                "gain": mean_of(gains),
                "ahead": f"{(gains > 0).sum()} of {FOLDS}",
                "draws": {name: list(x) for name, x in found.items()},
            }
        )
    return rows


def main():
    """Measures, and writes the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument(
        "models", type=Path, nargs="*", help="the trial's, and the demo's"
    )
    args = parser.parse_args()
    data = args.data.resolve()
    sections = {
        "Recordings": (RECORDINGS_NOTE, tag_recordings(data)),
        "Mixtures": (MIXTURES_NOTE, score_mixtures(data)),
    }
    if args.models:
        trial, demo = (
            AudioTagger.from_pretrained(path, threads=1) for path in args.models
        )
        taggers = {"trial of the starter": trial, "the demo's": demo}
        sections[ENCODERS] = NOTE, compare_encoders(data, taggers)
    write_tables("starter", sections)


if __name__ == "__main__":
    main()
