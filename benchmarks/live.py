"""Measures the delay with which the events of a stream are reported.

> python benchmarks/live.py MODEL

Compares the position of the stream, when an event is printed, with its start or
end. The stream is the clips of events.py.

Authors
 * The speechbrain_fftp authors 2026
"""

import sys
import time

import events
import harness
import numpy as np

from speechbrain_fftp.inference import AudioTagger
from speechbrain_fftp.inference.live import stream_events


def main():
    """Prints a table, in seconds."""
    tagger, rows = AudioTagger.from_pretrained(sys.argv[1]), []
    rngs = map(np.random.default_rng, range(60))
    wav = np.float32(np.concatenate([events.mix_clip(rng)[0] for rng in rngs]))
    rate, position = tagger.sample_rate, 0

    def blocks():
        nonlocal position
        for block in np.split(wav, range(rate // 10, len(wav), rate // 10)):
            position += len(block) / rate
            yield block

    for window, hop in events.WINDOWS:
        begins, ends, position, start = [], [], 0, time.perf_counter()
        for event in stream_events(tagger, blocks(), window, hop):
            late, at = ends, event.end
            if at is None:
                late, at = begins, event.start
            late.append(position - at)
        cost = f"{(time.perf_counter() - start) / position:.1%}"
        row = {"window": window, "hop": hop, "compute": cost}
        for name, late in (("begin", begins), ("end", ends)):
            low, middle, high = np.quantile(late, (0.1, 0.5, 1.0))
            row[name] = f"{middle:.1f} ({low:.1f} to {high:.1f})"
        harness.add_row(rows, row)


if __name__ == "__main__":
    main()
