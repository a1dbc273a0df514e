"""What it brings that a class stands for its kinds: Dog for Bark.

Scores the classes above the true one of each everyday sound, by AudioSet's
ontology, as a model has them and with their kinds (``AudioTagger.select``).
DATA has the folder everyday, see studies/README.md.

> python studies/kinds.py DATA --models starter mn04_as.onnx

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
from pathlib import Path

import numpy as np
from sklearn.metrics import average_precision_score

from fftp_tag import AudioTagger
from fftp_tag.data.audioset import read_kinds
from fftp_tag.data.tables import read_table

FOLD = "5"


def score(tagger, clips, targets):
    """mAP, precision and recall of tags, of the classes that have positives."""
    probs = np.stack([tagger.clip_probabilities(path) for path in clips])
    is_tag = probs >= tagger.model.rules.threshold
    found, true = is_tag & targets, targets.sum()
    mean_precision = average_precision_score(targets, probs)
    return mean_precision, found.sum() / is_tag.sum(), found.sum() / true


def main():
    """Prints a row for each model, without and with kinds."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--models", nargs="+", default=["starter"])
    args = parser.parse_args()
    folder = args.data / "everyday"
    columns = ("file", "audioset", "fold")
    rows = [row for _, row in read_table(folder / "clips.csv", columns)]
    rows = [x for x in rows if x["audioset"] and x["fold"] == FOLD]
    clips = [folder / "audio" / row["file"] for row in rows]
    kinds = read_kinds()
    print(f"{len(clips)} clips | mAP | precision | recall\n---|---|---|---")
    for model in args.models:
        tagger = AudioTagger.from_pretrained(model)
        names = [x for x in tagger.labels if x in kinds]
        targets = np.array([
            [x["audioset"] in {name, *kinds[name]} for name in names]
            for x in rows
        ])  # fmt: skip
        is_used = targets.any(0)
        names = [x for x, used in zip(names, is_used, strict=True) if used]
        others = set(tagger.labels) - set(names)
        for text, some in (
            (model, tagger.select(not_labels=others)),
            (f"{model}, with kinds", tagger.select(names)),
        ):
            found = score(some, clips, targets[:, is_used])
            cells = " | ".join(f"{100 * x:.1f} %" for x in found)
            print(f"{text} | {cells}")


if __name__ == "__main__":
    main()
