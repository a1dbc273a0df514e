"""Counts correct, false and missed events of a model of the demo sounds.

Mixes clips of 4 to 10 s with two to four sounds of known times and finds
events with AudioTagger.tag_long. An event is correct if its label is, and if
its intersection with the sound is at least half of their union or its onset is
within 0.5 s; each sound counts once. Adds rows to benchmarks/results/events.json
and .md under the name of the version that is measured:

> python benchmarks/events.py results/demo/inference --version "this one"
> PYTHONPATH=OTHER_CHECKOUT python benchmarks/events.py results/demo/inference --version before

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import json
import tempfile
from collections import Counter
from pathlib import Path

import harness
import numpy as np
import soundfile as sf

from speechbrain_fftp.datasets.demo import CLASSES, SAMPLE_RATE
from speechbrain_fftp.inference import AudioTagger

WINDOWS = ((1.0, 0.25), (2.0, 0.25), (2.0, 0.5), (4.0, 1.0))
ONSET_SECONDS = 0.5
SHARE = 0.5


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


def fits(event, sound):
    """Whether an event is where a sound is, see the top of this script."""
    label, start, end = sound
    if event.label != label:
        return False
    both = min(event.end, end) - max(event.start, start)
    either = max(event.end, end) - min(event.start, start)
    return both >= SHARE * either or abs(event.start - start) <= ONSET_SECONDS


def count(events, sounds):
    """Numbers of correct, false and missed events, by name."""
    # Labels of a clip's sounds differ: no event fits two of them
    correct = sum(any(fits(e, sound) for e in events) for sound in sounds)
    return Counter(
        correct=correct,
        false=len(events) - correct,
        missed=len(sounds) - correct,
    )


def main():
    """Counts the events of all clips and writes the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--version", required=True)
    parser.add_argument("--clips", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    tagger = AudioTagger.from_pretrained(args.model)
    counts = {windows: Counter() for windows in WINDOWS}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(args.clips):
            rng = np.random.default_rng([args.seed, number])
            wav, sounds = mix_clip(rng)
            path = str(Path(folder) / "clip.wav")
            sf.write(path, wav, SAMPLE_RATE)
            for window, hop in WINDOWS:
                events = tagger.tag_long(path, window=window, hop=hop)
                counts[window, hop] += count(events, sounds)

    title, rows = "Events of the demo sounds", []
    path = harness.RESULTS / "events.json"
    if path.exists():
        old = json.loads(path.read_text("utf-8"))[title]["rows"]
        rows = [row for row in old if row["version"] != args.version]
    for (window, hop), found in counts.items():
        row = {"version": args.version, "window": window, "hop": hop}
        kinds = ("correct", "false", "missed")
        harness.add_row(rows, {**row, **{kind: found[kind] for kind in kinds}})
    rows.sort(key=lambda row: (row["window"], row["hop"]))
    note = (
        f"{args.clips} clips of 4 to 10 s with two to four sounds each "
        f"(seed {args.seed}), by the model that `make demo` trained then. "
        f"Windows and hops in seconds; at least {SHARE:.0%} overlap or an onset within "
        f"{ONSET_SECONDS} s counts as correct."
    )
    about = harness.environment("cpu")
    harness.write_results("events", about, {title: (note, rows)})


if __name__ == "__main__":
    main()
