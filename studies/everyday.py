"""Scores simple classifiers on ESC-10, beside the plan everyday.yaml.

Logistic regression (C = 1) and linear discriminant analysis with a shrunk
covariance learn the mean and standard deviation over time of 64 log-mel bands of
all clips of the other folds; ``fftp-tag learn`` with the demo's encoder, whose
sounds are generated, learns ten clips of each class, in three draws. All are scored
on the test clips of the official folds. What the plan has trained by then is scored
beside them, and compared with the better of the two linear models.

Writes studies/results/tables/everyday.json:

> make demo
> python studies/everyday.py DATA/esc10 [results/demo]

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import random
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
from fftp_tag import AudioTagger, learn
from speechbrain_fftp.dataio.audio import read_audio
from speechbrain_fftp.lobes.features import KaldiFbank
from studies.comparison import METRICS, Scores, compare, values
from studies.folds import FOLDS, esc10_clips, official_tests
from studies.measure import arms_of, overlap, units_of
from studies.plan import Plan
from studies.tables import mean_of, write_tables

RATE = 16000
CLIPS, DRAWS = 10, 3  # of each class to learn, and how often
LINEAR = {
    "logistic regression": LogisticRegression(max_iter=1000),
    "discriminant analysis": LinearDiscriminantAnalysis(
        solver="lsqr", shrinkage="auto"
    ),
}
LEARN = "fftp-tag learn, the demo's encoder"
OVERLAP = overlap({})  # of the official folds
NOTE = (
    "In %, the mean of the official five folds with a t interval, and in points, the "
    "difference to the linear model of the higher accuracy, with the wider 95 % interval "
    "(see the page of the plan) and in how many folds it is ahead. Values of learn are "
    "means of three draws. What learnt 280 clips chose its epochs with 40 others."
)


def statistics_of(path, fbank=KaldiFbank(RATE, n_mels=64)):
    """Mean and standard deviation over time of a clip's log-mel bands."""
    feats = fbank(torch.from_numpy(read_audio(path, RATE))[None])[0]
    return torch.cat([feats.mean(0), feats.std(0)]).numpy()


def scores_of(fold, clips, classes, probs):
    """The ``Scores`` of the clips of a fold, as those of a plan's runs."""
    order = np.argsort([clip.name for clip in clips])
    clips = [clips[i] for i in order]
    ids, groups = (
        np.array([f"fold {fold}/{x}" for x in part])
        for part in zip(*((clip.name, clip.group) for clip in clips))
    )
    targets = [[clip.label == name for name in classes] for clip in clips]
    return Scores(ids, groups, np.array(targets), probs[order])


def predict_learnt(tagger, audio, learnt, tested, classes):
    """Probabilities ``[clips, classes]`` by ``learn``."""
    with tempfile.TemporaryDirectory() as scratch:
        folder, model = Path(scratch, "clips"), Path(scratch, "my.onnx")
        for clip in learnt:
            path = folder / clip.label / f"{clip.name}.flac"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(audio / path.name)
        learn(tagger, folder, model)
        mine = AudioTagger.from_pretrained(model, threads=1)
        columns = [mine.labels.index(name) for name in classes]
        wavs = [read_audio(audio / f"{x.name}.flac", RATE) for x in tested]
        return np.array(
            [mine.clip_probabilities(x, RATE)[columns] for x in wavs]
        )


def score_linear(data):
    """The ``Scores`` of each fold by linear model, in lists of one."""
    clips = esc10_clips(data)
    classes = sorted({clip.label for clip in clips})
    feats = {
        x.name: statistics_of(data / "audio" / f"{x.name}.flac") for x in clips
    }
    found = {name: [] for name in LINEAR}
    for fold, tested in enumerate(official_tests(clips), 1):
        known = [clip for clip in clips if clip not in tested]
        for name, classifier in LINEAR.items():
            model = make_pipeline(StandardScaler(), classifier)
            model.fit([feats[x.name] for x in known], [x.label for x in known])
            probs = model.predict_proba([feats[x.name] for x in tested])
            found[name].append([scores_of(fold, tested, classes, probs)])
    return found


def score_learn(data, tagger):
    """The ``Scores`` of each fold by ``learn``, one for each draw."""
    clips, audio = esc10_clips(data), (data / "audio").resolve()
    classes = sorted({clip.label for clip in clips})
    found = []
    for fold, tested in enumerate(official_tests(clips), 1):
        known = [clip for clip in clips if clip not in tested]
        found.append([])
        for draw in range(DRAWS):
            rng = random.Random(f"{fold}/{draw}")
            learnt = []
            for name in classes:
                own = [clip for clip in known if clip.label == name]
                learnt += rng.sample(own, CLIPS)
            probs = predict_learnt(tagger, audio, learnt, tested, classes)
            found[-1].append(scores_of(fold, tested, classes, probs))
            print("learn, fold", fold, "draw", draw, flush=True)
    return found


def score_trained(plan):
    """The ``Scores`` of each fold by arm of the plan, one for each seed."""
    found = {}
    for label, arm in arms_of(plan)["seed"].items() if plan.rows() else ():
        units = units_of([arm])
        if len(units) == FOLDS:
            found[label] = [
                [plan.scores(run) for run in runs] for [runs] in units.values()
            ]
    return found


def row_of(name, clips, folds, linear):
    """The row of a classifier beside a linear model.

    ``folds`` and ``linear`` hold the ``Scores`` of each fold by draw.
    """
    row = {"classifier": name, "clips learnt": clips}
    draws = {str(1 + i): {} for i in range(FOLDS)}
    count = len(folds[0])
    signs = [*[1 / count] * count, -1]
    pairs = [[*runs, *others] for runs, others in zip(folds, linear)]
    for metric in ("accuracy", "mAP"):
        means = values(folds, METRICS[metric]).mean(1)
        row[metric] = mean_of(means)
        row[f"{metric}, difference"] = "-"
        for draw, value in zip(draws.values(), means):
            draw[metric] = value
        if folds is not linear:
            gains, found = compare(pairs, METRICS[metric], signs, OVERLAP)
            row[f"{metric}, difference"] = (
                f"{gains.mean():+.1f} [{found.low:+.1f}, {found.high:+.1f}], "
                f"{(gains > 0).sum()} of {FOLDS}"
            )
    return {**row, "draws": draws}


def main():
    """Scores, and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument(
        "demo", type=Path, nargs="?", help="the folder of make demo, for learn"
    )
    args = parser.parse_args()
    simple = score_linear(args.data)
    if args.demo:
        tagger = AudioTagger.from_pretrained(args.demo, threads=1)
        simple[LEARN] = score_learn(args.data, tagger)
    clips = {**dict.fromkeys(LINEAR, 320), LEARN: 10 * CLIPS}
    best = max(
        (simple[name] for name in LINEAR),
        key=lambda folds: values(folds, METRICS["accuracy"]).mean(),
    )
    found = {**simple, **score_trained(Plan("everyday"))}
    rows = [
        row_of(name, clips.get(name, 280), folds, best)
        for name, folds in found.items()
    ]
    write_tables("everyday", {"ESC-10": (NOTE, rows)})


if __name__ == "__main__":
    main()
