"""Draws what the starter model finds in real sounds, beside what is true.

The sounds are the first clip of each class of ESC-10's fifth fold, which the
starter has not learnt, joined to one recording. A sound is found if an event
overlaps its clip by half.

> python studies/plot_starter.py DATA/esc10 docs/starter.png

Authors
 * The speechbrain_fftp authors 2026
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "recipes" / "Starter")]
from starter_prepare import CLASSES, RATE, list_everyday

from fftp_tag import AudioTagger, Event
from fftp_tag.audio.decode import read_audio
from fftp_tag.score.events import count_all, pair_events
from fftp_tag.tag.plots import plot_tags

FOLD = 5


def main(folder, picture):
    """Draws the picture."""
    paths = {}
    for sound in list_everyday(Path(folder)):
        if sound.fold == FOLD:
            paths.setdefault(CLASSES[sound.labels[0]], sound.path)
    wavs, truth, start = [], [], 0.0
    for label, path in sorted(paths.items()):
        wavs.append(read_audio(path, RATE))
        end = start + len(wavs[-1]) / RATE
        truth.append(Event(start, end, label, 1.0))
        start = end
    tagger = AudioTagger.from_pretrained("starter")
    with tempfile.TemporaryDirectory() as scratch:
        recording = Path(scratch, "recording.wav")
        soundfile.write(recording, np.concatenate(wavs), RATE)
        timeline = tagger.analyze(recording)
        events = timeline.events()
        plot_tags(picture, tagger, recording, timeline, events, truth)
    truth = {"recording": [(x.start, x.end, x.label) for x in truth]}
    total = count_all(
        pair_events({"recording": timeline}, truth, tagger.labels)
    )
    print(f"{total.right} of {total.true} found, {total.found} events in all")


if __name__ == "__main__":
    main(*sys.argv[1:])
