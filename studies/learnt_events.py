"""Compares window lengths in which a learnt model looks for events.

Written after a look at other soundscapes of the same sources. Ten clips of each
spoken word and instrument (or all clips of at most 3 s, if fewer) are learnt on
the demo's encoder, with the noise recordings as background. Events are then
looked for in 100 soundscapes of 10 s, mixed by soundscapes.py from sounds of
other speakers and sessions in the same noise. Windows as long as the clips, the
default, are compared with windows of 2 s, both with a hop of a quarter of a
window and the same rules. Intervals (95 %) are from a bootstrap over
soundscapes. Writes studies/results/tables/learnt_events.json.

> python studies/learnt_events.py DATA MODEL  # for DATA see docs/data.md

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import dataclasses
import random
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
import harness

from fftp_tag import AudioTagger, learn
from fftp_tag.score.events import overlap_scores, pair_events
from speechbrain_fftp.datasets.speech_commands import NOISE_FOLDER
from studies import soundscapes
from studies.plan import TABLES

FOLD = 1
CLIPS, SCAPES, RESAMPLES = 10, 100, 200
WINDOWS = {"length of the clips": None, "2 s": 2.0}
RULES = ((0.5, 0.0, 0.0), (0.3, 0.5, 0.5))  # threshold, gap, minimum length


def write_clips(folder, sounds):
    """Writes clips of each class into its folder."""
    rng = random.Random(0)
    for label, paths in sounds.items():
        (folder / label).mkdir(parents=True)
        paths = sorted(paths)
        for path in rng.sample(paths, min(CLIPS, len(paths))):
            wav = soundscapes.read(path)
            wav = wav[: int(soundscapes.MAX_SECONDS * soundscapes.RATE)]
            name = f"{path.parent.name}-{path.stem}.flac"
            soundfile.write(folder / label / name, wav, soundscapes.RATE)


def overlap_f1(timelines, truth, names, labels):
    """F1 of the events in soundscapes, of which some may be repeated."""
    chosen = {f"{n} {name}": name for n, name in enumerate(names)}
    pairs = pair_events(
        {key: timelines[name] for key, name in chosen.items()},
        {key: truth[name] for key, name in chosen.items()},
        labels,
    )
    return overlap_scores(pairs)["overlap_F1"]


def main():
    """Learns, looks for events and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("model")
    args = parser.parse_args()
    words = args.data / "speech_commands"
    sounds = soundscapes.fold_sounds(words, args.data / "audioset_mini")[FOLD]
    noises = [
        soundscapes.read(p) for p in (words / NOISE_FOLDER).glob("*.flac")
    ]
    with tempfile.TemporaryDirectory() as scratch:
        clips, model = Path(scratch, "clips"), Path(scratch, "model.onnx")
        write_clips(clips, sounds["train"])
        tagger = AudioTagger.from_pretrained(args.model, threads=1)
        learn(tagger, clips, model, background=words / NOISE_FOLDER)
        learnt = AudioTagger.from_pretrained(model, threads=1)
    rng = np.random.default_rng(0)
    scapes, truth = {}, {}
    for number in range(SCAPES):
        noise = noises[rng.integers(len(noises))]
        wav, events = soundscapes.mix(rng, sounds["eval"], noise)
        scapes[f"{number}"] = wav.astype(np.float32)
        truth[f"{number}"] = events
    found, seconds = {}, {}
    for name, window in WINDOWS.items():
        start = time.process_time()
        found[name] = {
            number: learnt.analyze(wav, soundscapes.RATE, window)
            for number, wav in scapes.items()
        }
        seconds[name] = time.process_time() - start
    draws = [rng.choice(list(scapes), SCAPES) for _ in range(RESAMPLES)]
    rows = []
    for threshold, gap, minimum in RULES:
        scores = {}
        for name, timelines in found.items():
            rules = learnt.model.rules.replace(threshold, gap, minimum)
            ruled = {
                number: dataclasses.replace(timeline, rules=rules)
                for number, timeline in timelines.items()
            }
            scores[name] = [
                100 * overlap_f1(ruled, truth, names, learnt.labels)
                for names in [list(scapes), *draws]
            ]
        values = {name: f"{each[0]:.1f}" for name, each in scores.items()}
        first, second = (np.array(each) for each in scores.values())
        low, high = np.percentile((first - second)[1:], [2.5, 97.5])
        row = {
            "threshold": threshold,
            "gap, s": gap,
            "minimum, s": minimum,
            **values,
            "difference": f"{(first - second)[0]:+.1f} [{low:+.1f}, {high:+.1f}]",
        }
        harness.add_row(rows, row)
    note = (
        f"F1 in % of events that overlap by half, {len(learnt.labels)} classes "
        f"in {SCAPES} soundscapes. CPU seconds: "
        + ", ".join(f"{name} {cpu:.0f}" for name, cpu in seconds.items())
        + "."
    )
    about = harness.environment("cpu")
    sections = {"Windows": (note, rows)}
    harness.write_results("learnt_events", about, sections, TABLES)


if __name__ == "__main__":
    main()
