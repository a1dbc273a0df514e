"""What is stored of a finished run: a row, and its predictions.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import hashlib
import json
import re
import subprocess

import numpy as np
import torch
from harness import environment
from study.folds import groups_of
from study.models import (
    ROOT,
    Config,
    read_yaml,
    training_cost,
    windowed_figures,
)
from study.sound_events import score_events
from study.uncertainty import METRICS

from speechbrain_fftp.datasets.speech_commands.lists import SILENCE
from speechbrain_fftp.metrics.comparison import Scores

# What a row has from the run that trained its model
TRAINING = ("valid", "curve", "averaged_epochs", "epochs", "training_macs")
WINDOWS = ("window", "hop")  # options of scoring, not of the model


def collect(study, run, clips):
    """The row of a finished run, except for its times, and its ``Scores``."""
    plan, config, folder = study.plan, run.config, study.folder(run)
    windows = {k: v for k, v in config.overrides.items() if k in WINDOWS}
    own = {k: v for k, v in config.overrides.items() if k not in WINDOWS}
    model = Config(config.yaml, own)
    trained = dict(run.uses).get("model")  # else this run trains
    output = folder / "scores" if trained else folder
    metrics = json.loads((output / "metrics.json").read_text("utf-8"))
    if plan.metric == "event_F1":
        source = (study.folder(trained) if trained else folder) / "inference"
        prepared = study.data(run, "prepared")
        scores, row = score_events(
            source, prepared, study.data_folder, **windows
        )
        row["mAP"] = metrics["mAP"]
    else:
        scores, row = read_scores(study, output)
    if trained:
        training = study.results.find(trained)
    else:
        training = read_training(
            plan, model, folder, metrics, len(clips["train"])
        )
    weights = np.ones((1, len(scores.groups)))
    text = re.sub(r"\s*#.*", "", read_yaml(config.yaml, plan.base))
    commit, changed = version()
    return {
        "recipe": plan.recipe,
        "yaml": config.yaml,
        "overrides": config.overrides,
        "fold": str(run.fold),
        "seed": plan.seed(run),
        "value": float(METRICS[plan.metric](scores, weights)[0]),
        **row,
        **{key: training[key] for key in TRAINING},
        "trained": study.results.digest(trained) if trained else None,
        "clips": {name: len(part) for name, part in clips.items()},
        **windowed_figures(model, plan, **windows)._asdict(),
        "processor": environment("cpu")["processor"],
        "torch": torch.__version__,
        "commit": commit,
        "changed": changed,
        "yaml_sha1": hashlib.sha1(text.encode()).hexdigest()[:10],
    }, scores


def read_scores(study, folder):
    """The ``Scores`` of a run's test clips, and that of silence, if any."""
    found, row = np.load(folder / "probabilities.npz"), {}
    groups = np.array(groups_of(study.data_folder, found["ids"]))
    scores = Scores(found["ids"], groups, found["targets"], found["probs"])
    if SILENCE in found["labels"]:
        silent = scores.targets[:, found["labels"] == SILENCE][:, 0]
        hits = scores.probs.argmax(1) == scores.targets.argmax(1)
        row["silence"] = float(hits[silent].mean())
        scores = Scores(*(part[~silent] for part in scores))
    scored = scores.targets.any(0)
    if study.plan.metric == "mAP":  # other classes cannot be scored
        scores = scores._replace(
            targets=scores.targets[:, scored], probs=scores.probs[:, scored]
        )
    return scores, row


def read_training(plan, config, folder, metrics, clips):
    """What a row says of its training."""
    metric = "mAP" if plan.metric == "event_F1" else plan.metric
    with open(folder / "history.csv", newline="", encoding="utf-8") as file:
        curve = [float(x[f"valid_{metric}"]) for x in csv.DictReader(file)]
    epochs = config.overrides["number_of_epochs"]
    return {
        "valid": metrics[f"valid_{metric}"],
        "curve": curve,
        "averaged_epochs": metrics["averaged_epochs"],
        "epochs": metrics["epochs"],
        "training_macs": 3 * training_cost(config, plan) * clips * epochs,
    }


def version():
    """The git commit of this checkout, and whether its code was changed."""

    def git(*words):
        return subprocess.run(
            ["git", *words], cwd=ROOT, capture_output=True, text=True
        ).stdout.strip()

    code = ("speechbrain_fftp", "recipes", "hparams")
    code += ("benchmarks/peers", "benchmarks/study")
    return git("rev-parse", "HEAD"), bool(git("status", "--porcelain", *code))
