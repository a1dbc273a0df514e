#!/usr/bin/env python3
"""Measures the figures that a release names, and compares them with the stored ones.

Run it before a change of what they depend on is done: a figure that falls by more
than its noise is marked, and the command fails. After ``make demo``:

> python studies/figures.py DATA DIGITS KITCHEN WORK

For DATA, DIGITS and KITCHEN see four_kinds.py; WORK keeps the models that are
trained here. Half an hour of two cores. ``--store`` writes results/release.json and
release.md again.

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import json
import logging
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
for folder in ("studies", "benchmarks"):
    sys.path.append(str(ROOT / folder))

import own_sounds
import score_starter
from four_kinds import list_rows, measure, read_csv
from harness import commit

from fftp_tag import AudioTagger, evaluate

STORED = ROOT / "studies" / "results" / "release.json"
TABLE = STORED.with_suffix(".md")
DRAWS = 6  # of four_kinds.py
OWN_DRAWS = 12  # of own_sounds.py
FOLD = "5"
# How far figures may fall, in their unit, by the beginning of their names: what
# another processor or seed changes, or half of the interval over draws of clips
NOISE = {
    "demo": 2.0,
    "ESC-10 by the recipe": 5.0,
    "starter": 1.0,
    "learn": 3.0,
    "own sounds": 4.0,
    "own sounds, false alarms an hour": 12.0,
}
# Where less is better
COSTS = ("tagged, of other sounds", "a wrong tag", "false alarms an hour")
TRAINED = {
    "words": (
        "SpeechCommands/train.py",
        "speechcommands/convnext_fftp.yaml",
        {
            "task": 12,
            "number_of_epochs": 10,
            "embed_dim": 192,
            "depth": 6,
            "batch_size": 32,
            "lr": 0.001,
        },
    ),
    "esc10": (
        "AudioSet/train.py",
        "convnext_fftp.yaml",
        {
            "test_fold": FOLD,
            "number_of_epochs": 20,
            "embed_dim": 128,
            "depth": 6,
            "batch_size": 8,
            "lr": 0.0003,
            "mixup_prob": 0,
            "fea_augment": "null",
        },
    ),
}


def train(name, data_folder, work):
    """Trains a model, unless that is done; returns its output folder."""
    recipe, hparams, options = TRAINED[name]
    output = work / name
    if not (output / "inference" / "model.onnx").exists():
        given = {"data_folder": data_folder, "output_folder": output, **options}
        words = [f"--{key}={value}" for key, value in given.items()]
        script, yaml = ROOT / "recipes" / recipe, ROOT / "hparams" / hparams
        subprocess.run([sys.executable, script, yaml, *words], check=True)
    return output


def link_esc10(data, work):
    """Lays out ESC-10 as custom data with folds."""
    folder = work / "esc10_data"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "audio").symlink_to((data / "esc10" / "audio").resolve())
    rows = ["path,labels,fold"]
    for row in read_csv(data / "esc10" / "esc10.csv"):
        rows.append(f"audio/{row['file']},{row['label']},{row['fold']}")
    (folder / "clips.csv").write_text("\n".join(rows))
    return folder


def demo_figures(demo):
    """The scores of the demo's model."""
    prepared = demo / "prepared"
    found = evaluate(
        AudioTagger.from_pretrained(demo),
        prepared,
        strong_labels=prepared / "events.tsv",
    )
    metrics = json.loads((demo / "metrics.json").read_text())
    yield "demo, mAP", [100 * metrics["mAP"]]
    yield "demo, events, overlap F1", [100 * found.events["overlap_F1"]]


def recipe_figures(data, work):
    """ESC-10's test fold, by the recipe for AudioSet."""
    output = train("esc10", link_esc10(data, work), work)
    metrics = json.loads((output / "metrics.json").read_text())
    yield "ESC-10 by the recipe, mAP", [100 * metrics["mAP"]]


def starter_figures(data):
    """Whether the starter's best class is right, without learning."""
    clips = [
        x for x in score_starter.read_clips(data) if x.name and x.fold == FOLD
    ]
    groups = [[x for x in clips if x.label in score_starter.NAMES], clips]
    names = ("starter, best of ten of ESC-10", "starter, best of 48")
    for name, right in zip(names, score_starter.score_names("starter", groups)):
        yield name, [100 * np.mean(right)]


def learn_figures(data, digits, kitchen, sources):
    """``learn`` on four kinds of sound, see four_kinds.py."""
    for row in list_rows(data, digits, kitchen):
        draws = [
            measure(sources[row.encoder], row.draw(seed))
            for seed in range(DRAWS)
        ]
        for key, what in (
            ("right", "right"),
            ("right and tagged", "right and tagged"),
            ("others tagged", "tagged, of other sounds"),
        ):
            name = f"learn, {row.kind}, {row.encoder}: {what}"
            yield name, [draw[key] for draw in draws]


def own_figures(data):
    """``learn`` in scenes, see own_sounds.py."""
    tagger = AudioTagger.from_pretrained("starter")
    clips = own_sounds.read_clips(data)
    rows = []
    for seed in range(OWN_DRAWS):
        draw = own_sounds.draw_classes(clips, seed)
        with tempfile.TemporaryDirectory() as folder:
            rows.append(
                own_sounds.measure(tagger, draw, seed, Path(folder), False)
            )
    columns = np.array(rows, float).T.tolist()
    found = dict(zip(own_sounds.COLUMNS, columns))
    for key, what, factor in (
        ("accuracy", "right", 100),
        ("right tag", "right and tagged", 100),
        ("another tag", "a wrong tag", 100),
        ("other sounds tagged", "tagged, of other sounds", 100),
        ("event F1", "events, overlap F1", 100),
        ("false alarms an hour", "false alarms an hour", 1),
    ):
        yield f"own sounds, {what}", [factor * x for x in found[key]]


def measure_all(args):
    """Yields the figures, each with its values, one for each draw."""
    sources = {"demo": args.demo, "starter": "starter"}
    yield from demo_figures(args.demo)
    yield from starter_figures(args.data)
    yield from own_figures(args.data)
    words = args.data / "speech_commands"
    sources["words"] = train("words", words, args.work)
    yield from learn_figures(args.data, args.digits, args.kitchen, sources)
    yield from recipe_figures(args.data, args.work)


def noise_of(name):
    """How far a figure may fall."""
    known = [beginning for beginning in NOISE if name.startswith(beginning)]
    return NOISE[max(known, key=len)]


def compare(stored, found):
    """The lines of a table, and the names of figures that fell."""
    lines = [
        "| figure | stored | now | may differ by | |",
        "|---|---|---|---|---|",
    ]
    fallen = []
    for name, now in found.items():
        before, noise, note = stored.get(name, "-"), noise_of(name), ""
        if name in stored:
            loss = now - before if name.endswith(COSTS) else before - now
            if loss > noise:
                note = "**worse**"
                fallen.append(name)
        lines.append(f"| {name} | {before} | {now} | {noise:g} | {note} |")
    missing = [name for name in stored if name not in found]
    lines += [f"| {name} | | not measured | | |" for name in missing]
    return lines, fallen


def describe(commit, figures):
    """The page of the stored figures."""
    rows = [
        f"| {name} | {value} | {noise_of(name):g} |"
        for name, value in figures.items()
    ]
    return (
        "# Figures that a release names\n\nIn percent, but for false alarms. "
        f"Measured at {commit[:8]} by `make figures`; `studies/figures.py` says "
        "what each is.\n\n| figure | value | may differ by |\n|---|---|---|\n"
        + "\n".join(rows)
        + "\n"
    )


def main():
    """Prints the table; fails if a figure fell."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    for name in ("data", "digits", "kitchen", "work"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--demo", type=Path, default=ROOT / "results" / "demo")
    parser.add_argument("--store", action="store_true")
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    if not (args.demo / "metrics.json").exists():
        parser.error(f"{args.demo} has no model: run make demo")
    args.work.mkdir(parents=True, exist_ok=True)
    found = {}
    for name, values in measure_all(args):
        found[name] = round(float(np.mean(values)), 1)
        print(f"{name}: {found[name]}", flush=True)
    stored = {}
    if STORED.exists():
        stored = json.loads(STORED.read_text())["figures"]
    lines, fallen = compare(stored, found)
    print("\n".join(lines))
    if args.store:
        about = {"commit": commit(), "figures": found}
        STORED.write_text(json.dumps(about, indent=1) + "\n")
        TABLE.write_text(describe(about["commit"], found))
    elif fallen:
        sys.exit(f"Worse than what is stored: {'; '.join(fallen)}")


if __name__ == "__main__":
    main()
