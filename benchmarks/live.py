"""Measures how late the events of a stream are reported, after true times.

A stream of clips of 4 to 10 s, mixed from two to four sounds at known times: the
position of the stream when an event of a sound's label is printed, relative to
when the sound begins and ends. Writes benchmarks/results/live.json.

> python benchmarks/live.py STEPS/inference CLIPS/inference

of a model that classifies time steps and one of whole clips.

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import time

import harness
import numpy as np

from speechbrain_fftp.datasets.demo import CLASSES, SAMPLE_RATE
from speechbrain_fftp.inference import AudioTagger
from speechbrain_fftp.inference.live import stream_events

BLOCK = 0.05  # seconds
TOLERANCE = 0.5  # seconds by which an estimated start may be early
SETTINGS = (
    ("time steps", {"hop": 0.25}),
    ("time steps", {"hop": 0.25, "context": 4.0}),
    ("windows", {"window": 1.0, "hop": 0.25}),
    ("windows", {"window": 2.0, "hop": 0.5}),
)


def mix_clip(rng):
    """A clip ``[S]`` and its sounds, tuples of label, start and end."""
    total = round(rng.uniform(4, 10) * SAMPLE_RATE)
    wav, sounds = 1e-3 * rng.standard_normal(total), []
    for number in rng.permutation(len(CLASSES))[: rng.integers(2, 5)]:
        size = round(rng.uniform(1, 4) * SAMPLE_RATE)
        start = rng.integers(0, total - size + 1)
        _, label, synthesis = CLASSES[number]
        sound = synthesis(rng, np.arange(size) / SAMPLE_RATE)
        level = rng.uniform(0.1, 0.3) / np.abs(sound).max()
        wav[start : start + size] += level * sound
        end = (start + size) / SAMPLE_RATE
        sounds.append((label, start / SAMPLE_RATE, end))
    return wav, sounds


def make_stream(n_clips):
    """Samples, and label, start and end of the sounds in seconds."""
    wavs, sounds, start = [], [], 0.0
    for number in range(n_clips):
        wav, sounds_of_clip = mix_clip(np.random.default_rng(number))
        wavs.append(wav)
        for label, begin, end in sounds_of_clip:
            sounds.append((label, start + begin, start + end))
        start += len(wav) / SAMPLE_RATE
    return np.concatenate(wavs).astype(np.float32), sounds


def listen(tagger, wav, options):
    """Notices of events with the position of the stream; compute per second."""
    size = round(BLOCK * tagger.sample_rate)
    position = 0

    def blocks():
        """Yields the stream, and keeps its position."""
        nonlocal position
        for first in range(0, len(wav), size):
            position = min(first + size, len(wav))
            yield wav[first:position]

    notices = []
    start = time.perf_counter()
    for event in stream_events(tagger, blocks(), **options):
        notices.append((position / tagger.sample_rate, event))
    seconds = time.perf_counter() - start
    return notices, seconds / (len(wav) / tagger.sample_rate)


def delays(notices, sounds):
    """Delays of the first notice of each sound's begin, and of its end."""
    begins, ends = [], []
    for label, start, end in sounds:
        same = [(at, event) for at, event in notices if event.label == label]
        # Printed while it sounds or just after, and said to begin within it
        begun = [
            at - start
            for at, event in same
            if event.end is None
            and start <= at
            and start - TOLERANCE <= event.start < end
        ]
        ended = [
            at - end
            for at, event in same
            if event.end is not None and abs(event.end - end) <= TOLERANCE
        ]
        begins += begun[:1]
        ends += ended[-1:]
    return begins, ends


def main():
    """Measures and writes the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("steps", help="inference folder of time steps")
    parser.add_argument("clips", help="that of a model of whole clips")
    parser.add_argument("--clips_of_sounds", type=int, default=60)
    args = parser.parse_args()
    taggers = {
        "time steps": AudioTagger.from_pretrained(args.steps),
        "windows": AudioTagger.from_pretrained(args.clips),
    }
    wav, sounds = make_stream(args.clips_of_sounds)
    rows = []
    for kind, options in SETTINGS:
        notices, cost = listen(taggers[kind], wav, options)
        row = {"model of": kind}
        for name in ("window", "hop", "context"):
            row[f"{name}, s"] = options.get(name, "-")
        for name, late in zip(("begin", "end"), delays(notices, sounds)):
            low, middle, high = np.quantile(late, (0.1, 0.5, 0.9))
            row[f"{name} known after, s"] = (
                f"{middle:.2f} ({low:.2f} to {high:.2f})"
            )
            row[f"{name}s found"] = f"{len(late)} of {len(sounds)}"
        row["compute, share of real time"] = f"{cost:.1%}"
        harness.add_row(rows, row)
    note = (
        f"{len(sounds)} synthetic sounds in a stream of "
        f"{len(wav) / SAMPLE_RATE:.0f} s: median (10 to 90 %) of what "
        "passes between the true time and the notice."
    )
    about = harness.environment("cpu")
    harness.write_results("live", about, {"Delays of a stream": (note, rows)})


if __name__ == "__main__":
    main()
