"""Measures the starter model.

It tags recordings of the fold that it has not learnt, as they are; and new
mixtures of the recordings of each split. Writes
studies/results/tables/starter.json:

> python studies/starter.py DATA

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [
    str(ROOT),
    str(ROOT / "benchmarks"),
    str(ROOT / "recipes" / "Starter"),
]
from starter_prepare import (
    CLASSES,
    RATE,
    list_everyday,
    list_instruments,
    make_mixer,
)

from fftp_tag import AudioTagger
from fftp_tag.score.ranking import ranking_metrics
from studies.tables import write_tables

TEST_FOLD = 5  # which the starter has not learnt
MIXTURES = 400  # of a split
SPLITS = {
    "train": "learnt (folds 2 to 4)",
    "valid": "of thresholds (fold 1)",
    "eval": "held back (fold 5)",
}
MIXTURES_NOTE = (
    "mAP of the starter on new mixtures of the recordings of each split: what it "
    "knows of recordings that it has learnt, and of others."
)
RECORDINGS_NOTE = (
    "Recordings of fold 5 as they are, in %: whether the starter's first tag is "
    "right, and whether the class is among the tags at its learnt thresholds."
)


def tag_recordings(data):
    """The rows of the starter's tags of recordings of the held-back fold."""
    tagger = AudioTagger.from_pretrained("starter", threads=1)
    rows = []
    for kind, sounds in (
        ("everyday sounds", list_everyday(data / "esc10")),
        ("instruments", list_instruments(data / "audioset_mini")),
    ):
        first, found = [], []
        for sound in sounds:
            if sound.fold == TEST_FOLD:
                label = CLASSES[sound.labels[0]]
                timeline = tagger.analyze(sound.path)
                [best] = timeline.tags(top_k=1, threshold=0.0)
                first.append(best.label == label)
                tags = timeline.tags(top_k=len(CLASSES))
                found.append(label in [tag.label for tag in tags])
        rows.append(
            {
                "recordings": kind,
                "clips": len(first),
                "first tag is right": f"{100 * np.mean(first):.0f}",
                "class is a tag": f"{100 * np.mean(found):.0f}",
            }
        )
    return rows


def score_mixtures(data):
    """The rows of the starter's mAP on new mixtures of each split."""
    tagger = AudioTagger.from_pretrained("starter", threads=1)
    mixer = make_mixer(data, TEST_FOLD, (), seed=1)
    rows = []
    for split, recordings in SPLITS.items():
        targets = np.zeros((MIXTURES, len(tagger.labels)))
        probs = np.zeros_like(targets)
        for number in range(MIXTURES):
            drawn = mixer.draw(f"{split}{number}", split)
            found = {
                mixer.classes[x] for event in drawn.events for x in event.labels
            }
            targets[number] = [label in found for label in tagger.labels]
            wav = mixer.mix(drawn).astype(np.float32)
            probs[number] = tagger.clip_probabilities(wav, RATE)
        score = ranking_metrics(targets, probs)["mAP"]
        rows.append({"recordings": recordings, "mAP": f"{score:.3f}"})
    return rows


def main():
    """Measures, and writes the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    data = parser.parse_args().data.resolve()
    sections = {
        "Recordings": (RECORDINGS_NOTE, tag_recordings(data)),
        "Mixtures": (MIXTURES_NOTE, score_mixtures(data)),
    }
    write_tables("starter", sections)


if __name__ == "__main__":
    main()
