"""Trains the AudioSet recipe from scratch on a few hundred clips.

Runs the recipe once per seed on a small data folder in AudioSet's format, and
scores the models in float32 and in bfloat16. The baseline
is a logistic regression on the mean and standard deviation of each clip's
log-mel bands, with the same splits. Adds a row to
benchmarks/results/audioset_mini.json and .md; other options are the recipe's.

> python benchmarks/audioset_mini.py DATA_FOLDER
> python benchmarks/audioset_mini.py DATA_FOLDER --hparams hparams/convnext_fftp.yaml --seeds 1

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import csv
import json
import platform
import statistics
import tempfile
from pathlib import Path

import harness
import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import speechbrain
from speechbrain.dataio import audio_io
from speechbrain_fftp.dataio.files import write_json
from speechbrain_fftp.inference import AudioTagger
from speechbrain_fftp.inference.scores import tagging_metrics
from speechbrain_fftp.lobes.features import KaldiFbank

ROOT = Path(__file__).resolve().parents[1]
RESULTS = harness.RESULTS / "audioset_mini.json"
# Sizes and lengths for a few hundred clips on a CPU.
OPTIONS = (
    "--embed_dim=192 --depth=6 --number_of_epochs=40 --batch_size=8 "
    "--lr=0.001 --num_workers=1"
).split()


def all_options(options):
    """The options given, and those of ``OPTIONS`` that are not given."""
    given = {word.split("=")[0] for word in options}
    return [x for x in OPTIONS if x.split("=")[0] not in given] + options


def train(hparams, data_folder, seed, prepared_folder, options):
    """Runs the recipe; returns its metrics and times."""
    with tempfile.TemporaryDirectory() as folder:
        words = ["recipes/AudioSet/train.py", hparams]
        words += [f"--data_folder={data_folder}", f"--output_folder={folder}"]
        words += [f"--prepared_folder={prepared_folder}", f"--seed={seed}"]
        words += all_options(options)
        status, cpu_minutes, minutes = harness.run_recipe(words, cwd=ROOT)
        if status:
            raise SystemExit(f"audioset_mini: the recipe failed with {status}")
        metrics = json.loads((Path(folder) / "metrics.json").read_text())
        precisions = score_precisions(f"{folder}/inference", prepared_folder)
    return {
        "mAP": metrics["mAP"],
        "AUC": metrics["AUC"],
        "classes": metrics["num_classes_scored"],
        "mAP_by_precision": precisions,
        "seconds": 60 * minutes,
        "cpu_minutes": cpu_minutes,
    }


def read_clips(split, prepared_folder, labels):
    """Waveform and targets ``[C]`` of each clip of a split."""
    with open(prepared_folder / f"{split}.csv", encoding="utf-8") as fi:
        for row in csv.DictReader(fi):
            path = row["wav"].replace("$data_root", str(prepared_folder))
            names = row["labels"].split(";")
            wav = audio_io.load(path)[0]
            yield wav, [label in names for label in labels]


def score_precisions(model, prepared_folder):
    """mAP of an exported model on the evaluation split, by precision."""
    tagger = AudioTagger.from_pretrained(model)
    bfloat16 = AudioTagger.from_pretrained(model, precision="bf16")
    taggers = {"float32": tagger, "bfloat16": bfloat16}
    probs = {name: [] for name in taggers}
    targets = []
    for wav, target in read_clips("eval", prepared_folder, tagger.labels):
        targets.append(target)
        for name in taggers:
            found = taggers[name].tag_batch(wav)[0]
            probs[name].append(found.float().numpy())
    targets = np.array(targets, dtype=int)
    return {
        name: tagging_metrics(targets, np.stack(found))["mAP"]
        for name, found in probs.items()
    }


def statistics_of(split, prepared_folder, labels):
    """Means and standard deviations ``[clips, 80]``; targets ``[clips, C]``."""
    fbank = KaldiFbank(n_mels=40)
    features, targets = [], []
    for wav, target in read_clips(split, prepared_folder, labels):
        bands = fbank(wav)[0]
        features.append(torch.cat([bands.mean(0), bands.std(0)]))
        targets.append(target)
    return torch.stack(features).numpy(), np.array(targets, dtype=int)


def logistic_regression(prepared_folder):
    """The baseline's mAP on the evaluation split."""
    with open(prepared_folder / "classes.csv", encoding="utf-8") as fi:
        labels = [row["display_name"] for row in csv.DictReader(fi)]
    x, y = statistics_of("train", prepared_folder, labels)
    x_eval, y_eval = statistics_of("eval", prepared_folder, labels)
    fitted = (y.any(0)) & (~y.all(0))
    model = make_pipeline(
        StandardScaler(),
        MultiOutputClassifier(LogisticRegression(max_iter=2000)),
    ).fit(x, y[:, fitted])
    scores = [p[:, 1] for p in model.predict_proba(x_eval)]
    return tagging_metrics(y_eval[:, fitted], np.stack(scores, 1))["mAP"]


def main():
    """Trains all models and writes the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data_folder", type=Path)
    parser.add_argument("--hparams", default="hparams/ast_fftp.yaml")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    args, options = parser.parse_known_args()
    data_folder = args.data_folder.resolve()

    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared"
        runs = {
            seed: train(args.hparams, data_folder, seed, prepared, options)
            for seed in args.seeds
        }
        baseline = logistic_regression(prepared)
    key = " ".join([Path(args.hparams).stem, *options])
    results[key] = {
        "options": " ".join(all_options(options)),
        "runs": runs,
        "logistic_regression_mAP": baseline,
        "machine": f"{torch.get_num_threads()} CPU threads, "
        f"{platform.machine()}",
        "versions": f"torch {torch.__version__}, "
        f"speechbrain {speechbrain.__version__}",
    }
    write_json(RESULTS, results)
    RESULTS.with_suffix(".md").write_text(table(results), encoding="utf-8")
    print(table(results))


def table(results):
    """Formats the results as Markdown."""
    lines = [
        "| run | seeds | eval mAP (mean) | each seed | in bfloat16 | "
        "CPU minutes per run | logistic regression |",
        "|---|---|---|---|---|---|---|",
    ]
    for key, result in results.items():
        runs = list(result["runs"].values())
        mean = statistics.mean(run["mAP"] for run in runs)
        each = ", ".join(f"{run['mAP']:.3f}" for run in runs)
        bfloat16 = ", ".join(
            f"{run['mAP_by_precision']['bfloat16']:.3f}" for run in runs
        )
        minutes = max(run["cpu_minutes"] for run in runs)
        lines.append(
            f"| {key} | {len(runs)} | {mean:.3f} | {each} | "
            f"{bfloat16} | "
            f"at most {minutes:.1f} | "
            f"{result['logistic_regression_mAP']:.3f} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
