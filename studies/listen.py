"""Compares the events of ``listen`` with those of a timeline.

Events are those of the model's rules in the evaluation clips of a demo.
``listen`` decides while it hears a clip, and lacks what ``--timeline`` knows:
the sound after a prediction, and whether a class is a tag of the whole clip.
Writes studies/results/tables/listen.json.

> make demo
> python studies/listen.py results/demo

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
from fftp_tag import AudioTagger
from fftp_tag.score.evaluate import list_split, read_truth
from fftp_tag.score.events import (
    ClipEvents,
    by_label,
    count_events,
    overlap_by_half,
)
from fftp_tag.tag.live import stream_events
from studies.tables import write_tables

BLOCK = 0.1  # seconds
NOTHING = np.zeros((0, 2))


def timeline(tagger, wav):
    """Events of the whole clip."""
    return tagger.tag_long(wav, tagger.sample_rate)


def listen(tagger, wav):
    """Events that are found while the clip is heard."""
    blocks = np.array_split(wav, len(wav) // round(BLOCK * tagger.sample_rate))
    return [x for x in stream_events(tagger, blocks) if x.end is not None]


def pair(true, found):
    """True and found events of each class in a clip."""
    true = by_label(true)
    found = by_label((x.start, x.end, x.label) for x in found)
    return [
        ClipEvents(true.get(label, NOTHING), found.get(label, NOTHING))
        for label in true.keys() | found.keys()
    ]


def main():
    """Scores both, and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("demo", type=Path, help="the folder of make demo")
    demo = parser.parse_args().demo
    tagger = AudioTagger.from_pretrained(demo, threads=1)
    strong_labels = str(demo / "prepared" / "events.tsv")
    split = list_split(demo / "prepared", "eval", strong_labels=strong_labels)
    truth = read_truth(strong_labels, split, tagger.labels)
    wavs = {
        clip.id: clip.read()[0] / np.float32(2**15)
        for clip in split.clips
        if clip.id in truth
    }
    rows = []
    for name, find in (("--timeline", timeline), ("listen", listen)):
        paired = [pair(truth[x], find(tagger, wav)) for x, wav in wavs.items()]
        counts = count_events(sum(paired, []), overlap_by_half)
        rows.append(
            {
                "events of": name,
                "overlap F1": f"{counts.f1:.3f}",
                **counts._asdict(),
            }
        )
    note = (
        f"Events that overlap by half, in {len(wavs)} evaluation clips of the "
        "demo. Synthetic data."
    )
    write_tables("listen", {"Events": (note, rows)})


if __name__ == "__main__":
    main()
