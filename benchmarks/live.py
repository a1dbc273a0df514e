"""Measures how late events in a stream are known: python benchmarks/live.py MODEL.

Joins the clips of events.py and compares the position of the stream, when an
event is printed, with the start or the end of the event.

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import time

import events
import harness
import numpy as np

from speechbrain_fftp.inference import AudioTagger
from speechbrain_fftp.inference.live import stream_events


def main():
    """Prints a table, in seconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--clips", type=int, default=60)
    args = parser.parse_args()
    tagger, rows = AudioTagger.from_pretrained(args.model), []
    rngs = map(np.random.default_rng, range(args.clips))
    wav = np.float32(np.concatenate([events.mix_clip(rng)[0] for rng in rngs]))
    rate, position = tagger.hparams.sample_rate, 0

    def blocks():
        nonlocal position
        for block in np.split(wav, range(rate // 10, len(wav), rate // 10)):
            position += len(block) / rate
            yield block

    for window, hop in events.WINDOWS:
        begins, ends, position, start = [], [], 0, time.perf_counter()
        for event in stream_events(tagger, blocks(), window, hop):
            late = begins if event.end is None else ends
            late.append(
                position - (event.start if event.end is None else event.end)
            )
        share = (time.perf_counter() - start) / position
        row = {"window": window, "hop": hop, "events": len(ends)}
        for name, late in (("begin", begins), ("end", ends)):
            low, middle, high = np.quantile(late, (0.1, 0.5, 1.0))
            row[name] = f"{middle:.1f} ({low:.1f} to {high:.1f})"
        row["bound"] = f"{window + tagger.max_window + hop:.1f}"
        harness.add_row(rows, {**row, "compute": f"{share:.1%}"})


if __name__ == "__main__":
    main()
