#!/usr/bin/env python3
"""Scores models on everyday sounds that have one class each.

DATA has the folders esc10 and everyday, or one of them, see studies/README.md. The
clips of a fold are named; fold 4 is held back: nothing is chosen or learnt by it.

* as they are: whether the best of the classes, by AudioSet's names, is right; clips
  of classes that the model lacks count as wrong; "linear" is logistic regression on
  log-mel statistics, of all clips of the other folds;
* with --learn: ``fftp-tag learn`` learns forty classes from five clips each, drawn
  from the other folds, and names the fold's clips of these; "linear" is logistic
  regression on log-mel statistics of the same clips;
* with --false-alarms: what events it finds in recordings of music, speech or noise
  only, of classes that are neither such nor places.

> python studies/score_starter.py DATA --models starter results/starter
> python studies/score_starter.py DATA --models starter --learn --draws 3
> python studies/score_starter.py DATA --false-alarms music FOLDER

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import functools
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

sys.path.append(str(Path(__file__).resolve().parents[1] / "recipes/Starter"))

from everyday import FOLDS, NAMES, read_clips

from fftp_tag import AudioTagger, learn
from fftp_tag.audio.decode import find_audio_files, read_audio
from fftp_tag.data.audioset import read_classes
from fftp_tag.score.background import listen_to_background
from speechbrain_fftp.lobes.features import KaldiFbank

# First and last of AudioSet's classes, which are in the order of their ontology
PLACES = ("Inside, small room", "Echo")
RIGHT = {
    "music": [("Music", "Scary music"), ("Singing", "Humming")],
    "speech": [("Speech", "Whispering")],
    "noise": [("Noise", "Pink noise"), ("Silence", "Silence")],
}
CLASSES, EXAMPLES = 40, 5  # that are learnt, and clips of each
MIN_TO_LEARN, MIN_TO_TEST = 8, 4  # clips of a class


def score_names(source, groups):
    """Whether the best class is right, of each clip of each group of clips.

    The classes of a group are those of its clips; a later group has the clips of
    earlier ones.
    """
    tagger = AudioTagger.from_pretrained(source, threads=1)
    probs = {x.path: tagger.clip_probabilities(x.path) for x in groups[-1]}
    for clips in groups:
        names = sorted({x.name for x in clips if x.name in tagger.labels})
        columns = [tagger.labels.index(name) for name in names]
        best = [names[probs[clip.path][columns].argmax()] for clip in clips]
        yield [x == clip.name for x, clip in zip(best, clips, strict=True)]


def show_names(models, clips, fold):
    """Prints a row for each model, and for a linear one of the other folds."""
    clips = [clip for clip in clips if clip.name]
    groups = [[x for x in clips if x.label in NAMES], clips]
    learnt, tested = (
        [[x for x in own if (x.fold == fold) == is_own] for own in groups]
        for is_own in (False, True)
    )
    print("| model | best of ten, ESC-10 | best of all classes |")
    print("| --- | --- | --- |")
    for source in ["linear", *models]:
        found = (
            map(score_linear, learnt, tested)
            if source == "linear"
            else score_names(source, tested)
        )
        cells = [f"{100 * np.mean(x):.1f} % of {len(x)}" for x in found]
        print(f"| {source} | {' | '.join(cells)} |", flush=True)


def choose_classes(clips, fold):
    """The classes that can be learnt, in a fixed random order."""
    labels = sorted({clip.label for clip in clips})
    random.Random(0).shuffle(labels)
    known = []
    for label in labels:
        own = [clip.fold == fold for clip in clips if clip.label == label]
        if sum(own) >= MIN_TO_TEST and len(own) - sum(own) >= MIN_TO_LEARN:
            known.append(label)
    return known


def draw_examples(clips, fold, draw):
    """A few clips of each class that is learnt, from other folds, by class."""
    draws = random.Random(draw)
    examples = {}
    for label in choose_classes(clips, fold)[:CLASSES]:
        own = [x for x in clips if x.label == label and x.fold != fold]
        examples[label] = draws.sample(own, EXAMPLES)
    return examples


def write_folders(folder, examples):
    """Writes a folder of clips for each class."""
    for label, own in examples.items():
        (folder / label).mkdir(parents=True)
        for clip in own:
            (folder / label / clip.path.name).symlink_to(clip.path.resolve())


def score_learning(source, clips, fold, draw):
    """The same for classes that are learnt from a few clips of other folds."""
    examples = draw_examples(clips, fold, draw)
    with tempfile.TemporaryDirectory() as scratch:
        folder, model = Path(scratch, "clips"), Path(scratch, "learnt.onnx")
        write_folders(folder, examples)
        learn(AudioTagger.from_pretrained(source, threads=1), folder, model)
        tagger = AudioTagger.from_pretrained(model, threads=1)
        return [
            tagger.labels[tagger.clip_probabilities(clip.path).argmax()]
            == clip.label
            for clip in clips
            if clip.fold == fold and clip.label in examples
        ]


def score_linear(learnt, tested):
    """Whether a linear model, without an encoder, names each clip right."""
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    model.fit(
        [log_mel_statistics(clip.path) for clip in learnt],
        [clip.label for clip in learnt],
    )
    found = model.predict([log_mel_statistics(x.path) for x in tested])
    return [label == x.label for label, x in zip(found, tested, strict=True)]


def show_learning(models, clips, fold, draws):
    """Prints a row for each encoder of ``learn``, and for a linear model."""
    print("| model | clips | right, % | of each draw |")
    print("| --- | --- | --- | --- |")
    for source in ["linear", *models]:
        found = []
        for draw in range(draws):
            if source == "linear":
                examples = draw_examples(clips, fold, draw)
                learnt = [clip for own in examples.values() for clip in own]
                tested = [
                    x for x in clips if x.fold == fold and x.label in examples
                ]
                found.append(score_linear(learnt, tested))
            else:
                found.append(score_learning(source, clips, fold, draw))
        each = [f"{100 * np.mean(right):.1f}" for right in found]
        print(
            f"| {source} | {len(found[0])} | {100 * np.mean(found):.1f} "
            f"| {', '.join(each)} |",
            flush=True,
        )


@functools.cache
def log_mel_statistics(path):
    """Mean and standard deviation of a clip's log-mel bands ``[128]``."""
    wav = torch.tensor(read_audio(path, 16000))
    feats = KaldiFbank(n_mels=64)(wav[None])[0]
    return torch.cat([feats.mean(0), feats.std(0)]).numpy()


def show_false_alarms(models, kind, folder):
    """Prints a row for each model: events of classes that are not of a kind."""
    names = list(read_classes().values())
    right = {
        label
        for first, last in [*RIGHT[kind], PLACES]
        for label in names[names.index(first) : names.index(last) + 1]
    }
    recordings, _ = find_audio_files(folder)
    print(f"| model | false alarms an hour, {kind} | minutes | most often |")
    print("| --- | --- | --- | --- |")
    for source in models:
        tagger = AudioTagger.from_pretrained(source, threads=1)
        found = listen_to_background(tagger, recordings)
        wrong = Counter(
            {
                label: alarms.count
                for label, alarms in found.of_classes.items()
                if alarms.count and label not in right
            }
        )
        often = ", ".join(f"{x} {n}" for x, n in wrong.most_common(5))
        an_hour = 3600 * wrong.total() / found.seconds
        print(
            f"| {source} | {an_hour:.0f} | {found.seconds / 60:.1f} "
            f"| {often} |",
            flush=True,
        )


def main():
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--models", nargs="+", default=["starter"])
    parser.add_argument("--fold", default="5", choices=FOLDS)
    parser.add_argument("--learn", action="store_true")
    parser.add_argument("--draws", type=int, default=1, help="with --learn")
    parser.add_argument(
        "--false-alarms",
        nargs=2,
        metavar=("KIND", "FOLDER"),
        help=f"KIND: {', '.join(RIGHT)}",
    )
    args = parser.parse_args()
    if args.false_alarms:
        show_false_alarms(args.models, *args.false_alarms)
        return
    clips = read_clips(args.data.resolve())
    if args.learn:
        show_learning(args.models, clips, args.fold, args.draws)
    else:
        show_names(args.models, clips, args.fold)


if __name__ == "__main__":
    main()
