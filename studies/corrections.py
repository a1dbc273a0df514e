#!/usr/bin/env python3
"""Measures how far ``fftp-tag learn`` can be corrected, of ten everyday sounds.

The ten classes, five clips each, and the scenes of own_sounds.py: a sound every
five seconds, over noise.

* --limits: ``learn --false-alarms N`` with half an hour of other sounds as
  background. What its last quarter shows is printed; what will be seen is counted
  in another half hour, of other recordings of the same kinds (fold 5).
* --reviews: ``fftp-tag review`` of twenty minutes of folds 1 to 3, half of whose
  sounds are of the classes, not of the clips that were learnt from. The next
  candidates in the default order are answered as the label track tells, one key
  each; then it is learnt again. After each round, the scene of fold 5 is tested.

> python studies/corrections.py DATA --limits --draws 10
> python studies/corrections.py DATA --reviews --draws 10

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import random
import tempfile
from pathlib import Path

import numpy as np
from own_sounds import (
    FOLD,
    count_false,
    draw_classes,
    learn_clips,
    make_scene,
    make_test,
)
from score_starter import read_clips, write_folders

from fftp_tag import AudioTagger, evaluate
from fftp_tag.audio.decode import read_duration
from fftp_tag.data.reviewed import ReviewFolder
from fftp_tag.review.candidates import listen
from fftp_tag.review.session import AROUND, Session
from fftp_tag.score.background import listen_to_background

LIMITS = (None, 60, 12, 2)  # false alarms an hour of each class
ROOM, REVIEWED, TESTED = 360, 240, 120  # sounds in a scene
ROUNDS, ANSWERS = 2, 60  # of reviews, and answers in each
HEARD = 0.3  # seconds of a sound in a candidate, or half of it, that are heard


def measure_limits(tagger, draw, clips, seed, folder):
    """A row for each limit: false alarms of a class an hour in the background's
    last part, and in what is heard later; F1 of events in the test scene.
    """
    learnt, tested, others = draw
    rng = random.Random(seed)
    rooms = rng.choices(same_kinds(clips, others), k=ROOM)
    make_scene(folder / "room.wav", rooms, (), seed)
    make_scene(folder / "later.wav", rng.choices(others, k=ROOM), (), seed + 1)
    make_test(folder / "scene" / "scene.wav", tested, others, seed, TESTED)
    write_folders(folder / "clips", learnt)
    for limit in LIMITS:
        own, report = learn_clips(
            tagger,
            folder,
            others,
            background=folder / "room.wav",
            false_alarms_per_hour=limit,
        )
        later = listen_to_background(own, [str(folder / "later.wav")])
        yield (
            an_hour(report.false_alarms, own),
            an_hour(later, own),
            evaluate(own, folder / "scene").events["overlap_F1"],
        )


def an_hour(background, tagger):
    """False alarms of a class an hour, on average."""
    count = background.together.count / len(tagger.labels)
    return 3600 * count / background.seconds


def measure_reviews(tagger, draw, clips, seed, folder):
    """A row before the first and after each round: F1 of events and false
    alarms an hour in the test scene, answers, and minutes of listening.
    """
    learnt, tested, others = draw
    used = {clip.path for own in learnt.values() for clip in own}
    new = [
        clip
        for clip in clips
        if clip.label in learnt and clip.fold != FOLD and clip.path not in used
    ]
    rng = random.Random(seed)
    half = REVIEWED // 2
    sounds = rng.choices(new, k=half)
    sounds += rng.choices(same_kinds(clips, others), k=half)
    rng.shuffle(sounds)
    path = folder / "recordings" / "scene.wav"
    truth = make_scene(path, sounds, learnt, seed + 1)
    test = folder / "scene" / "scene.wav"
    known = make_test(test, tested, others, seed, TESTED)
    write_folders(folder / "clips", learnt)
    answers = ReviewFolder(folder / "reviewed")
    own, _ = learn_clips(tagger, folder, others)
    for number in range(ROUNDS + 1):
        if number:
            review(own, path, answers, truth)
            own, _ = learn_clips(
                tagger, folder, others, reviewed=folder / "reviewed"
            )
        false = count_false(own.tag_long(test), known)
        seconds = [x.end - x.start + 2 * AROUND for x in answers.answers]
        yield (
            evaluate(own, test.parent).events["overlap_F1"],
            false * 3600 / read_duration(test),
            len(answers.answers),
            sum(seconds) / 60,
        )


def review(tagger, path, answers, truth):
    """Answers the next candidates of a recording as its label track tells."""
    candidates, _ = listen(tagger, str(path.parent), [path.name])
    labels, digest = tagger.labels, tagger.model.digest
    session = Session(candidates, answers, labels, digest, "uncertain")
    for _ in range(ANSWERS):
        candidate = session.state()["candidate"]
        if candidate is None:
            return
        heard = {
            label
            for start, end, label in truth
            if min(end, candidate["end"]) - max(start, candidate["start"])
            >= min(HEARD, (end - start) / 2)
        }
        if candidate["label"] in heard:
            session.answer(candidate["number"], "yes")
        elif heard:
            session.answer(candidate["number"], "other", min(heard))
        else:
            session.answer(candidate["number"], "no")


def same_kinds(clips, others):
    """The clips of the other folds that are of the classes of some clips."""
    labels = {clip.label for clip in others}
    return [x for x in clips if x.label in labels and x.fold != FOLD]


TABLES = {
    "limits": (
        measure_limits,
        ("asked", "printed", "seen", "event F1"),
        [str(limit) for limit in LIMITS],
    ),
    "reviews": (
        measure_reviews,
        ("round", "event F1", "false alarms an hour", "answers", "minutes"),
        range(ROUNDS + 1),
    ),
}


def main():
    """Prints a table of means over draws."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="starter")
    parser.add_argument("--draws", type=int, default=10)
    what = parser.add_mutually_exclusive_group(required=True)
    for name in TABLES:
        what.add_argument(f"--{name}", action="store_true")
    args = parser.parse_args()
    measure, columns, names = TABLES["limits" if args.limits else "reviews"]
    clips = read_clips(args.data.resolve())
    tagger = AudioTagger.from_pretrained(args.model)
    found = []
    for seed in range(args.draws):
        draw = draw_classes(clips, seed)
        with tempfile.TemporaryDirectory() as folder:
            rows = measure(tagger, draw, clips, seed, Path(folder))
            found.append(list(rows))
        print(seed, *(f"{x:.3f}" for x in np.ravel(found[-1])), flush=True)
    print(f"| {' | '.join(columns)} |")
    for name, means in zip(names, np.mean(found, 0), strict=True):
        print(f"| {name} | {' | '.join(f'{x:.3f}' for x in means)} |")


if __name__ == "__main__":
    main()
