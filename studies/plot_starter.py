#!/usr/bin/env python3
"""Draws what the starter finds in ten real sounds, beside what is true.

The sounds are the first file of each class of ESC-10's fold 4, joined to one
recording: the starter's weights are of folds 1 to 3, and its rules of fold 5. A
true event is from the first to the last sound of a file, as ``find_sounds`` finds
them. All classes that are found are drawn. DATA has the folder esc10, see
studies/README.md.

> python studies/plot_starter.py DATA docs/starter.png

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import dataclasses
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile

sys.path.append(str(Path(__file__).resolve().parents[1] / "recipes/Starter"))

from everyday import NAMES

from fftp_tag import AudioTagger, Event
from fftp_tag.audio.decode import read_audio
from fftp_tag.audio.sounds import find_sounds
from fftp_tag.data.tables import read_table
from fftp_tag.score.events import ClipEvents, overlap_by_half
from fftp_tag.tag.plots import plot_tags

RATE = 16000
FOLD = "4"
# Classes that include one of the ten, in AudioSet's ontology
INCLUDED_IN = {
    "Baby cry, infant cry": ["Crying, sobbing"],
    "Bark": ["Dog", "Domestic animals, pets", "Animal"],
    "Chainsaw": ["Light engine (high frequency)", "Engine"],
    "Crackle": ["Fire"],
    "Crowing, cock-a-doodle-doo": [
        "Chicken, rooster",
        "Fowl",
        "Livestock, farm animals, working animals",
        "Animal",
    ],
    "Helicopter": ["Aircraft", "Vehicle"],
    "Rain": ["Water"],
    "Sneeze": [],
    "Tick-tock": ["Clock", "Mechanisms"],
    "Waves, surf": ["Ocean", "Water"],
}


def join_sounds(folder):
    """The samples ``[S]`` of the ten files, and the true events."""
    files = {}
    for _, row in read_table(folder / "esc10.csv", ("file", "fold", "label")):
        if row["fold"] == FOLD:
            files.setdefault(NAMES[row["label"]], []).append(row["file"])
    wavs, truth, start = [], [], 0.0
    for name in sorted(files):
        wav = read_audio(folder / "audio" / min(files[name]), RATE)
        sounds = find_sounds(wav, RATE)
        first, last = min(x for x, _ in sounds), max(x for _, x in sounds)
        truth.append(Event(start + first, start + last, name, 1.0))
        wavs.append(wav)
        start += len(wav) / RATE
    return np.concatenate(wavs), truth


def judge(event, truth):
    """What an event is: "found" if it overlaps a true one of its class by half;
    "there" if a sound of its class, or of one that it includes, is at its time.
    """
    own = [x for x in truth if event.label in (x.label, *INCLUDED_IN[x.label])]
    if not any(x.start < event.end and event.start < x.end for x in own):
        return "not there"
    times = [
        np.array([(x.start, x.end) for x in rows]).reshape(-1, 2)
        for rows in ([x for x in own if x.label == event.label], [event])
    ]
    return "found" if overlap_by_half(ClipEvents(*times)).any() else "there"


def main():
    """Draws the picture, and prints what is found."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("picture")
    args = parser.parse_args()
    wav, truth = join_sounds(args.data / "esc10")
    tagger = AudioTagger.from_pretrained("starter")
    with tempfile.TemporaryDirectory() as scratch:
        recording = Path(scratch, "recording.wav")
        soundfile.write(recording, wav, RATE)
        timeline = tagger.analyze(recording)
        events = timeline.events()
        names = [x.label for x in truth]
        others = list(dict.fromkeys(x.label for x in events))
        names += [name for name in others if name not in names]
        columns = [tagger.labels.index(name) for name in names]
        # In this order, which plot_tags takes from their probabilities
        shown = dataclasses.replace(
            timeline,
            labels=names,
            probs=timeline.probs[:, columns],
            clip_probs=-np.arange(len(names)),
        )
        plot_tags(
            args.picture, tagger, recording, shown, events, truth, len(names)
        )
    verdicts = [judge(event, truth) for event in events]
    print(
        f"{verdicts.count('found')} of {len(truth)} found; of {len(events)} "
        f"events, {verdicts.count('not there')} are not there"
    )
    for x, verdict in zip(events, verdicts):
        print(f"{x.start:6.2f} {x.end:6.2f}  {x.label:30} {verdict}")


if __name__ == "__main__":
    main()
