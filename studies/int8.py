"""Measures how int8 weights change mAP, accuracy and F1 of events.

Declared before the runs. DATA holds speech_commands and audioset_mini, see
docs/data.md. Models are trained by the recipes, on the folds of the study, with
disjoint speakers or recording sessions, and scored on evaluation clips with
weights in float32 and in int8 (``fftp-tag import --int8``):

* demo: the model of ``make demo``, which classifies time steps; mAP, and F1 of
  events that overlap the true events by half, with the thresholds learnt in
  float32;
* words: an AST-FFTP for Speech Commands' 12 classes (4 layers of 128), three
  folds, accuracy;
* instruments: an AST-FFTP for ten instruments (4 layers of 128), three folds,
  mAP.

Each difference has a 95 % interval: a bootstrap over folds and over speakers,
sessions or, for the demo, clips; and, with three folds, Student's t. Int8
counts as worse only if an interval is below 0. The largest change of a clip's
probability is reported as well.

Completed parts in FOLDER are not repeated. Writes studies/results/tables/int8.json.

> python studies/int8.py DATA FOLDER

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
import harness

from fftp_tag import AudioTagger
from fftp_tag.score.evaluate import analyze_clips, list_prepared, multi_hot
from fftp_tag.score.events import count_events, overlap_by_half, pair_events
from speechbrain_fftp.datasets.strong_labels import read_strong_labels
from speechbrain_fftp.onnx.int8 import store_in_int8
from studies.comparison import METRICS, Scores, compare, mean, t_interval
from studies.folds import groups_of, make_fold
from studies.plan import TABLES

SEED = 5301
SIZES = "--embed_dim 128 --depth 4 --num_heads 2"
RECIPES = {
    "demo": "recipes/AudioSet/train.py hparams/demo.yaml",
    "words": "recipes/SpeechCommands/train.py "
    f"hparams/speechcommands/ast_fftp.yaml {SIZES} --task 12 --batch_size 64 "
    "--mixup_prob 0 --n_mels 40 --patch_frames 10 --stride_frames 5 "
    "--mask_patch [5,5] --mask_budget 0.0 --lr 0.001 --number_of_epochs 12",
    "instruments": f"recipes/AudioSet/train.py hparams/ast_fftp.yaml {SIZES} "
    "--batch_size 8 --lr 0.001 --mixup_prob 0 --patch_frames 10 "
    "--stride_frames 10 --mask_patch [10,16] --mask_budget 0.0 "
    "--number_of_epochs 20",
}
DATA_SETS = {"words": "speech_commands", "instruments": "audioset_mini"}
FOLDS = (1, 2, 3)
MODEL, INT8 = "inference/model.onnx", "int8.onnx"


def train(name, fold, data, folder):
    """Trains a model into a folder, unless it exists."""
    if (folder / MODEL).exists():
        return
    words = [*RECIPES[name].split(), "--output_folder", folder]
    words += ["--seed", SEED + fold, "--num_workers", 0, "--noprogressbar"]
    if name in DATA_SETS:
        make_fold((data / DATA_SETS[name]).resolve(), fold, folder / "fold")
        words += ["--data_folder", folder / "fold"]
    status, _, minutes = harness.run_recipe(words, cwd=ROOT)
    if status:
        raise SystemExit(f"{folder}: the recipe failed with {status}")
    print(f"{folder}: trained in {minutes:.1f} minutes", flush=True)


def score(tagger, folder, groups):
    """``Scores`` of the evaluation clips, for classes and for events."""
    split = list_prepared(folder / "prepared", "eval")
    truth = {}
    table = folder / "prepared" / "events.tsv"
    if table.exists():
        ids = {clip.id for clip in split.clips}
        classes = {name: name for name in tagger.labels}
        truth = read_strong_labels(table, ids, classes, "eval")
    found = analyze_clips(tagger, split, truth)
    ids = np.array([clip.id for clip in found.clips])
    about = {"ids": ids, "groups": np.array(groups(ids))}
    tags = Scores(
        **about,
        targets=multi_hot(found.clips, tagger.labels),
        probs=found.probs,
    )
    if not truth:
        return {"tags": tags}
    counts = []
    for clip in ids:
        paired = pair_events(
            {clip: found.timelines[clip]}, truth, tagger.labels
        )
        counts.append(count_events(sum(paired.values(), []), overlap_by_half))
    right, true, n_found = np.array(counts).T[:, :, None]
    events = Scores(
        **about, targets=true, probs=np.concatenate([right, n_found], 1)
    )
    return {"tags": tags, "events": events}


def score_folder(name, fold, data, folder):
    """Scores and file sizes of a model in float32 and int8."""
    if not (folder / INT8).exists():
        store_in_int8(folder / MODEL, folder / INT8)
    groups = list
    if name in DATA_SETS:

        def groups(ids):
            """Speakers or sessions of clips."""
            return groups_of(data / DATA_SETS[name], ids)

    paths = [folder / path for path in (MODEL, INT8)]
    scores = [
        score(AudioTagger.from_pretrained(path, threads=1), folder, groups)
        for path in paths
    ]
    return scores, [path.stat().st_size / 1e6 for path in paths]


def row_of(name, what, metric, folds, sizes):
    """A row of the table: scores in float32 and int8, and their difference."""
    floats, ints = mean(folds, METRICS[metric])
    difference = compare(folds, METRICS[metric], signs=(-1, 1))
    row = {
        "model": name,
        "metric": what,
        "models": len(folds),
        "clips": sum(len(fold[0].ids) for fold in folds),
        "float32, %": f"{floats:.2f}",
        "int8, %": f"{ints:.2f}",
        "difference in points": f"{difference.value:+.2f} "
        f"[{difference.low:+.2f}, {difference.high:+.2f}]",
        "t": "-",
        "largest change of a probability": "-",
        "MB": f"{sizes[0]:.1f} to {sizes[1]:.1f}",
    }
    if len(folds) > 1:
        differences = [
            100
            * np.diff(
                [METRICS[metric](x, np.ones((1, len(x.ids))))[0] for x in fold]
            )[0]
            for fold in folds
        ]
        low, high = t_interval(differences)
        row["t"] = f"[{low:+.2f}, {high:+.2f}]"
    if what != "event F1":
        changes = [np.abs(a.probs - b.probs).max() for a, b in folds]
        row["largest change of a probability"] = f"{max(changes):.3f}"
    return row


def main():
    """Trains, scores, and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("folder", type=Path)
    args = parser.parse_args()
    rows = []
    for name in RECIPES:
        found = {}
        for fold in FOLDS if name in DATA_SETS else (0,):
            folder = args.folder / f"{name}_{fold}"
            train(name, fold, args.data, folder)
            scores, sizes = score_folder(name, fold, args.data, folder)
            for kind in scores[0]:
                pair = tuple(form[kind] for form in scores)
                found.setdefault(kind, []).append(pair)
        metric = "accuracy" if name == "words" else "mAP"
        harness.add_row(
            rows, row_of(name, metric, metric, found["tags"], sizes)
        )
        if "events" in found:
            row = row_of(name, "event F1", "event_F1", found["events"], sizes)
            harness.add_row(rows, row)
    about = harness.environment("cpu", ("onnxruntime",))
    note = "Differences have 95 % intervals, see studies/int8.py."
    harness.write_results("int8", about, {"Int8": (note, rows)}, TABLES)


if __name__ == "__main__":
    main()
