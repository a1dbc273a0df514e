#!/usr/bin/env python3
"""Draws what a model finds in ten real sounds, beside what is true.

The sounds are the first clip of each class of ESC-10's fifth fold, from which
nothing is learnt, joined to one recording. DATA has the folders esc10 and everyday,
see studies/README.md.

> python studies/plot_starter.py DATA docs/starter.png

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import dataclasses
import tempfile
from pathlib import Path

import numpy as np
import soundfile
from score_starter import NAMES, read_clips

from fftp_tag import AudioTagger, Event
from fftp_tag.audio.decode import read_audio
from fftp_tag.tag.plots import plot_tags

RATE = 16000
FOLD = "5"


def main():
    """Draws the picture, and prints how many of the sounds are found."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("picture")
    parser.add_argument("--model", default="starter")
    args = parser.parse_args()
    first = {}
    for clip in read_clips(args.data.resolve()):
        if clip.fold == FOLD and clip.label in NAMES:
            first.setdefault(clip.name, clip.path)
    wavs, truth, start = [], [], 0.0
    for name, path in sorted(first.items()):
        wavs.append(read_audio(path, RATE))
        end = start + len(wavs[-1]) / RATE
        truth.append(Event(start, end, name, 1.0))
        start = end
    tagger = AudioTagger.from_pretrained(args.model)
    with tempfile.TemporaryDirectory() as scratch:
        recording = Path(scratch, "recording.wav")
        soundfile.write(recording, np.concatenate(wavs), RATE)
        timeline = tagger.analyze(recording)
        events = timeline.events()
        names = [x.label for x in truth]
        columns = [tagger.labels.index(name) for name in names]
        shown = dataclasses.replace(
            timeline,
            labels=names,
            probs=timeline.probs[:, columns],
            clip_probs=timeline.clip_probs[columns],
        )
        own = [x for x in events if x.label in names]
        plot_tags(
            args.picture, tagger, recording, shown, own, truth, len(truth)
        )
    found = [
        any(
            x.label == true.label and x.start < true.end and true.start < x.end
            for x in events
        )
        for true in truth
    ]
    print(f"{sum(found)} of {len(found)} found, {len(events)} events in all")
    for x in events:
        print(f"{x.start:6.2f} {x.end:6.2f}  {x.probability:.3f}  {x.label}")


if __name__ == "__main__":
    main()
