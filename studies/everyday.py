"""Scores simple classifiers on ESC-10, beside the plan everyday.yaml.

Logistic regression (C = 1) and linear discriminant analysis with a shrunk
covariance learn the mean and standard deviation over time of 64 log-mel bands of
all clips of the other folds; ``fftp-tag learn`` with the demo's encoder, whose
sounds are generated, learns ten clips of each class, in three draws. All are scored
on the test clips of the official folds. What the plan has trained by then is scored
beside them, and compared with the better of the two linear models.

Writes studies/results/tables/everyday.json:

> make demo
> python studies/everyday.py DATA/esc10 results/demo

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
from studies.report import signed
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
METRIC_NAMES = ("accuracy", "mAP")
NOTE = (
    "In %, the mean of the official five folds with a t interval; learn: of three "
    "draws in each. What learnt 280 clips chose its epochs with 40 others."
)
GAINS_NOTE = (
    "In points, the difference to the better linear model, with the wider 95 % "
    "interval (see the page of the plan), and in how many folds it is ahead."
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
        learn(tagger, folder, model, num_workers=1)
        mine = AudioTagger.from_pretrained(model, threads=1)
        columns = [mine.labels.index(name) for name in classes]
        wavs = [read_audio(audio / f"{x.name}.flac", RATE) for x in tested]
        return np.array(
            [mine.clip_probabilities(x, RATE)[columns] for x in wavs]
        )


def score_simple(data, tagger):
    """The ``Scores`` of each fold by classifier, one for each draw."""
    clips, audio = esc10_clips(data), (data / "audio").resolve()
    classes = sorted({clip.label for clip in clips})
    feats = {x.name: statistics_of(audio / f"{x.name}.flac") for x in clips}
    found = {name: [] for name in (*LINEAR, LEARN)}
    for fold, tested in enumerate(official_tests(clips), 1):
        known = [clip for clip in clips if clip not in set(tested)]
        for name, classifier in LINEAR.items():
            model = make_pipeline(StandardScaler(), classifier)
            model.fit([feats[x.name] for x in known], [x.label for x in known])
            probs = model.predict_proba([feats[x.name] for x in tested])
            found[name].append([scores_of(fold, tested, classes, probs)])
        draws = []
        for draw in range(DRAWS):
            rng = random.Random(f"{fold}/{draw}")
            learnt = []
            for name in classes:
                own = [clip for clip in known if clip.label == name]
                learnt += rng.sample(own, CLIPS)
            probs = predict_learnt(tagger, audio, learnt, tested, classes)
            draws.append(scores_of(fold, tested, classes, probs))
        found[LEARN].append(draws)
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


def row_of(name, clips, folds):
    """The row of a classifier, given its ``Scores`` by fold and draw."""
    means = {
        metric: values(folds, METRICS[metric]).mean(1)
        for metric in METRIC_NAMES
    }
    return {
        "classifier": name,
        "clips learnt": clips,
        **{metric: mean_of(means[metric]) for metric in METRIC_NAMES},
        "draws": {
            str(1 + i): {x: means[x][i] for x in METRIC_NAMES}
            for i in range(FOLDS)
        },
    }


def gains_of(name, folds, linear, facts):
    """The row of differences to a linear model."""
    count = len(folds[0])
    signs = [*[1 / count] * count, -1]
    pairs = [[*runs, *others] for runs, others in zip(folds, linear)]
    row = {"model": name}
    for metric in METRIC_NAMES:
        by_fold, found = compare(pairs, METRICS[metric], signs, overlap(facts))
        ends = f"[{signed(found.low)}, {signed(found.high)}]"
        ahead = f"{(by_fold > 0).sum()} of {len(by_fold)}"
        row[metric] = f"{signed(by_fold.mean())} {ends}, {ahead}"
    return row


def main():
    """Scores, and writes the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("demo", type=Path, help="the folder of make demo")
    args = parser.parse_args()
    tagger = AudioTagger.from_pretrained(args.demo, threads=1)
    plan = Plan("everyday")
    simple, trained = score_simple(args.data, tagger), score_trained(plan)
    rows = [row_of(name, 320, simple[name]) for name in LINEAR]
    rows.append(row_of(LEARN, 100, simple[LEARN]))
    rows += [row_of(name, 280, folds) for name, folds in trained.items()]
    sections = {"ESC-10": (NOTE, rows)}
    if trained:
        best = max(
            LINEAR, key=lambda x: values(simple[x], METRICS["accuracy"]).mean()
        )
        gains = [
            gains_of(name, folds, simple[best], plan.facts)
            for name, folds in trained.items()
        ]
        sections[f"Minus {best}"] = (GAINS_NOTE, gains)
    write_tables("everyday", sections)


if __name__ == "__main__":
    main()
