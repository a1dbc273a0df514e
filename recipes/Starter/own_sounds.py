#!/usr/bin/env python3
"""Measures what ``fftp-tag learn`` makes of a few clips of ten everyday sounds.

DATA has the folders esc10 and everyday, see studies/README.md. In each draw, ten
classes are learnt from five clips each, of folds 1 to 3, and tested on clips of
fold 5, alone and in a scene of three minutes with as many other sounds; their
kinds, and no others, are left out of the bank that learn learns from. Fold 4 is
not used.

> python recipes/Starter/own_sounds.py DATA --model starter --draws 20

"linear" is logistic regression on log-mel statistics of the same clips.

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import contextlib
import csv
import random
import shutil
import tempfile
from pathlib import Path

import numpy as np
import soundfile
from score import read_clips, score_linear

import fftp_tag.learning.learn
from fftp_tag import AudioTagger, learn
from fftp_tag.audio.decode import read_audio
from fftp_tag.audio.scenes import add_sound, from_decibels
from fftp_tag.audio.sounds import find_sounds
from fftp_tag.learning import bank
from fftp_tag.score.evaluate import evaluate

RATE = 16000
CLASSES, EXAMPLES = 10, 5
MOST_EXAMPLES, LEAST = 8, 4  # clips to draw from, and to name, at least
SCENE, PLACES = 180, 36  # seconds, and sounds in them
LONGEST = 3.5  # seconds of a sound in the scene
LEVEL_DB = (-30, -15)  # of a sound in the scene, relative to full scale
NOISE = 1e-3  # of the scene, and of what is given as background
COLUMNS = (
    "accuracy",
    "printed",
    "inside",
    "right tag",
    "other sounds tagged",
    "event F1",
    "false alarms an hour",
)


def draw_classes(clips, seed):
    """Ten classes: clips to learn and to test by class, and the other ones."""
    rng = random.Random(seed)
    learnt, tested = {}, {}
    for clip in clips:
        split = tested if clip.fold == "5" else learnt
        split.setdefault(clip.label, []).append(clip)
    usable = [
        label
        for label in sorted(learnt)
        if len(learnt[label]) >= MOST_EXAMPLES
        and len(tested.get(label, ())) >= LEAST
    ]
    labels = sorted(rng.sample(usable, CLASSES))
    others = [label for label in usable if label not in labels]
    others = rng.sample(others, len(others) // 2)
    return (
        {label: rng.sample(learnt[label], EXAMPLES) for label in labels},
        {label: tested[label] for label in labels},
        [clip for label in others for clip in tested[label]],
    )


@contextlib.contextmanager
def bank_without(kinds):
    """A bank without some kinds of sounds."""
    with open(bank.FOLDER / "bank.csv", newline="", encoding="utf-8") as file:
        names = [row["kind"] for row in csv.DictReader(file)]
    rows = zip(bank.read_bank(), names, strict=True)
    kept = [row for row, name in rows if name not in kinds]
    fftp_tag.learning.learn.read_bank = lambda: kept
    yield
    fftp_tag.learning.learn.read_bank = bank.read_bank


def make_scene(folder, tested, others, seed):
    """Writes a scene of known and of other sounds, and its label track."""
    rng = random.Random(seed)
    noise = np.random.default_rng(seed)
    scene = NOISE * noise.standard_normal(SCENE * RATE).astype(np.float32)
    known = [clip for clips in tested.values() for clip in clips]
    count = min(PLACES // 2, len(known))
    clips = rng.sample(known, count) + rng.sample(others, PLACES - count)
    rng.shuffle(clips)
    lines = []
    for number, clip in enumerate(clips):
        wav = read_audio(clip.path, RATE)
        start, end = find_sounds(wav, RATE)[0]
        wav = wav[round(start * RATE) : round(min(end, start + LONGEST) * RATE)]
        place = SCENE / PLACES * number + rng.uniform(0.2, 1.3)
        level = from_decibels(rng.uniform(*LEVEL_DB))
        add_sound(scene, wav, round(place * RATE), level)
        if clip.label in tested:
            ends = place, min(place + len(wav) / RATE, SCENE)
            lines.append(f"{ends[0]:.3f}\t{ends[1]:.3f}\t{clip.label}\n")
    folder.mkdir()
    soundfile.write(folder / "scene.wav", scene.clip(-1, 1), RATE)
    (folder / "scene.txt").write_text("".join(lines))
    return lines


def count_false(tagger, folder, truth):
    """Events in the scene that overlap with no true one of their class."""
    true = [line.split() for line in truth]
    return sum(
        not any(
            label == event.label
            and event.start < float(end)
            and float(start) < event.end
            for start, end, label in true
        )
        for event in tagger.tag_long(folder / "scene.wav")
    )


def measure(tagger, draw, seed, folder, background):
    """The scores of a draw, see ``COLUMNS``."""
    learnt, tested, others = draw
    for label, clips in learnt.items():
        (folder / "clips" / label).mkdir(parents=True)
        for clip in clips:
            shutil.copy(clip.path, folder / "clips" / label)
    room = None
    if background:
        room = folder / "room.wav"
        wav = np.random.default_rng(seed).standard_normal(SCENE * RATE)
        soundfile.write(room, NOISE * wav, RATE)
    output = folder / "own.onnx"
    with bank_without({clip.label for clip in others}):
        report = learn(tagger, folder / "clips", output, background=room)
    own = AudioTagger.from_pretrained(output, threads=1)
    known = [clip for clips in tested.values() for clip in clips]
    probs = np.array([own.clip_probabilities(clip.path) for clip in known])
    best = np.array([own.labels[x] for x in probs.argmax(1)])
    right = best == np.array([clip.label for clip in known])
    tagged = probs.max(1) >= own.model.rules.threshold[probs.argmax(1)]
    found = np.array([own.clip_probabilities(clip.path) for clip in others])
    truth = make_scene(folder / "scene", tested, others, seed)
    events = evaluate(own, folder / "scene", strong_labels=folder / "scene")
    printed = report.validation.scores["accuracy"]
    return (
        right.mean(),
        printed.value,
        printed.low <= right.mean() <= printed.high,
        (right & tagged).mean(),
        (found >= own.model.rules.threshold).any(1).mean(),
        events.events["overlap_F1"],
        count_false(own, folder / "scene", truth) * 3600 / SCENE,
    )


def main():
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="starter")
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--background", action="store_true")
    args = parser.parse_args()
    clips = read_clips(args.data)
    tagger = AudioTagger.from_pretrained(args.model)
    rows, linear = [], []
    for seed in range(args.draws):
        draw = draw_classes(clips, seed)
        with tempfile.TemporaryDirectory() as folder:
            rows.append(
                measure(tagger, draw, seed, Path(folder), args.background)
            )
        linear.append(np.mean(score_linear(*map(flatten, draw[:2]))))
        print(seed, *(f"{value:.3f}" for value in rows[-1]), flush=True)
    print(f"| {' | '.join(COLUMNS)} | linear, accuracy |")
    means = [f"{value:.3f}" for value in [*np.mean(rows, 0), np.mean(linear)]]
    print(f"| {' | '.join(means)} |")


def flatten(by_class):
    """The clips of all classes."""
    return [clip for clips in by_class.values() for clip in clips]


if __name__ == "__main__":
    main()
