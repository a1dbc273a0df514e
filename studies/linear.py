"""Scores a linear model on log-mel statistics, beside those of a plan.

For each prepared folder, as `studies/mixtures.py` writes them: logistic
regression on the mean and the standard deviation of 64 log-mel bins over the
clip, with a penalty chosen on the validation clips.

> python studies/linear.py FOLDER...

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import average_precision_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MultiLabelBinarizer, StandardScaler

from fftp_tag.audio.decode import read_audio
from fftp_tag.data.prepared import read_manifest
from speechbrain_fftp.lobes.features import KaldiFbank

RATE = 16000
PENALTIES = (0.1, 1.0, 10.0, 100.0)


def read_clips(folder):
    """Statistics ``[clips, 128]`` and labels of the clips of each split."""
    fbank = KaldiFbank(RATE, n_mels=64)
    found = {}
    for clip, _ in read_manifest(folder):
        feats = fbank(torch.tensor(read_audio(clip.audio, RATE))[None])[0]
        row = torch.cat([feats.mean(0), feats.std(0)]).numpy()
        found.setdefault(clip.split, []).append((row, clip.labels))
    return {split: list(zip(*rows)) for split, rows in found.items()}


def score(folder):
    """The mAP of the clips to test."""
    splits = read_clips(folder)
    features, labels = splits["train"]
    classes = MultiLabelBinarizer().fit(labels)

    def measure(model, split):
        """The mAP of the classes that a split has."""
        features, labels = splits[split]
        targets = classes.transform(labels)
        known = targets.any(0)
        probs = model.predict_proba(np.stack(features))
        return average_precision_score(targets[:, known], probs[:, known])

    models = [
        make_pipeline(
            StandardScaler(),
            # Without hidden layers: logistic regression of each class
            MLPClassifier((), solver="lbfgs", alpha=penalty, max_iter=1000),
        ).fit(np.stack(features), classes.transform(labels))
        for penalty in PENALTIES
    ]
    best = max(models, key=lambda model: measure(model, "valid"))
    return measure(best, "eval")


def main():
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER")
    for folder in parser.parse_args().folders:
        print(f"{folder.name}: {100 * score(folder):.1f} %", flush=True)


if __name__ == "__main__":
    main()
