"""Compares ``listen`` with the events of a file: CPU time, events and delay.

Recordings are joined, in random order, to a stream of some minutes; both hear the
same samples. CPU time is that of the whole command, by one thread. An event is
found if it overlaps one of the same class by half
(intersection over union). An event of a class that is no tag of the whole file is
counted for both, since a stream cannot know it.

> python benchmarks/listen.py FOLDER --model starter

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import dataclasses
import subprocess
import sys
import tempfile
from pathlib import Path

import harness
import numpy as np
import soundfile

from fftp_tag import AudioTagger
from fftp_tag.audio.decode import find_audio_files
from fftp_tag.audio.pieces import read_piece
from fftp_tag.score.events import count_events, overlap_by_half, pair_events
from fftp_tag.tag.live import HOP

BLOCK = 0.1  # seconds


def join_recordings(folder, rate, minutes, seed=0):
    """Samples ``[S]`` of the recordings below a folder, in random order."""
    paths, _ = find_audio_files(folder)
    rng = np.random.default_rng(seed)
    parts, n_samples = [], 0
    while n_samples < minutes * 60 * rate:
        parts.append(read_piece(paths[rng.integers(len(paths))], rate))
        n_samples += len(parts[-1])
    return np.concatenate(parts)[: round(minutes * 60 * rate)]


def count_found(timeline, events):
    """How many events of a stream are those of the file's timeline."""
    truth = {"": [(x.start, x.end, x.label) for x in events]}
    of_class = pair_events({"": timeline}, truth, timeline.labels).values()
    pairs = [clip for clips in of_class for clip in clips]
    return count_events(pairs, overlap_by_half)


def listen(tagger, wav, hop, min_duration):
    """The events of a stream, and how late each one was first reported."""
    size = round(BLOCK * tagger.sample_rate)
    rules = tagger.model.rules.replace(min_duration=min_duration)
    stream = tagger.stream(rules=rules, hop=hop)
    events, delays = [], []
    for end in range(size, len(wav) + size, size):
        found = stream.push(wav[end - size : end])
        if end >= len(wav):
            found += stream.finish()
        for event in found:
            if event.end is None:
                delays.append(end / tagger.sample_rate - event.start)
            else:
                events.append(event)
    return events, np.array(delays)


def cpu_seconds(*arguments, stdin=None):
    """The CPU time of ``fftp-tag``."""
    command = [sys.executable, "-m", "fftp_tag.cli.main", *map(str, arguments)]
    before = harness.cpu_seconds()
    subprocess.run(command, stdin=stdin, stdout=subprocess.DEVNULL, check=True)
    return harness.cpu_seconds() - before


def main():
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", help="of recordings")
    parser.add_argument("--model", default="starter")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument(
        "--min-duration", type=float, help="of the stream's events, in seconds"
    )
    args = parser.parse_args()
    model = ["--model", args.model, "--threads", "1"]
    tagger = AudioTagger.from_pretrained(args.model, threads=1)
    rate = tagger.sample_rate
    wav = join_recordings(args.folder, rate, args.minutes)
    timeline = tagger.analyze(wav, rate)
    # A stream does not know which classes are tags
    clip_probs = np.ones(len(tagger.labels))
    timeline = dataclasses.replace(timeline, clip_probs=clip_probs)
    with tempfile.TemporaryDirectory() as scratch:
        path, raw = Path(scratch, "all.wav"), Path(scratch, "all.raw")
        samples = (np.clip(wav, -1, 1) * (2**15 - 1)).astype("<i2")
        soundfile.write(path, samples, rate)
        samples.tofile(raw)
        of_file = cpu_seconds("tag", path, "--timeline", *model)
        print(
            f"a file of {args.minutes:g} minutes: {of_file:.2f} CPU seconds, "
            f"{len(timeline.events())} events\n\n"
            "| --hop | times a file's CPU time | events | F1 | late: median, "
            "most |\n| --- | --- | --- | --- | --- |"
        )
        for hop in (0.25, HOP):
            options = ["--raw", rate, "--hop", hop, *model]
            with open(raw, "rb") as stream:
                seconds = cpu_seconds("listen", *options, stdin=stream)
            events, delays = listen(tagger, wav, hop, args.min_duration)
            print(
                f"| {hop} | {seconds / of_file:.1f} | {len(events)} "
                f"| {count_found(timeline, events).f1:.3f} "
                f"| {np.median(delays):.2f} s, {delays.max():.2f} s |",
                flush=True,
            )


if __name__ == "__main__":
    main()
