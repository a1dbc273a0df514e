"""Measures 50 steps of each configuration of the paper's tables, and estimates hours.

Each yaml file of hparams/paper with other patches is trained by its recipe as it
is, in eager mode, on clips of noise: two epochs of 25 steps, of which the second is
measured. A row is stored at once: clips per second, and hours of a training on the
paper's data, where an evaluated clip is assumed to take a third of a training
clip's time. At the end, it prints the hours of a seed of each plan. With --smoke,
tiny models run on a CPU.

> python benchmarks/paper_speed.py --seconds 300 --out DIR

Authors
 * The speechbrain_fftp authors 2026
"""

import functools
import os
import sys
import tempfile
from pathlib import Path

import harness
from recipe_speed import DEVICE, RECIPES, make_clips, run, settings

from fftp_tag.data.audioset import read_classes
from speechbrain_fftp.training.command import read_short_yaml, to_options

sys.path.insert(0, str(harness.ROOT))
from studies.plan import Plan

EPOCHS, STEPS = 2, 25
# A run whose time is up is stopped by then, and the rest measured
SPARE_SECONDS = 5
PLANS = {"paper_table": "AudioSet", "paper_table_words": "SpeechCommands"}
# Clips of the data set: training, validation after each epoch, test
CLIPS = {
    "AudioSet": (18685, 17142, 17142),
    "SpeechCommands": (84843, 9981, 11005),
}


def patches_of(path):
    """The name of a short yaml file, such as aum_512_specaugment, but for its masks."""
    return Path(path).stem.rpartition("_")[0]


def find_configurations():
    """The yaml file and the recipe of each configuration, by name."""
    found = {}
    for plan, recipe in PLANS.items():
        for table in Plan(plan).facts["tables"].values():
            for row in table["rows"]:
                name = patches_of(row["yaml"])
                found.setdefault(name, (harness.ROOT / row["yaml"], recipe))
    return found


def command(path, recipe, folder, output, is_smoke):
    """The words of a configuration's command, on the clips of a folder."""
    options = {
        **settings(folder / recipe, output),
        "number_of_epochs": EPOCHS,
        "num_workers": min(8, os.cpu_count()),
        "device": DEVICE,
        "after": harness.reports(recipe),
    }
    if is_smoke:
        options.update(embed_dim=64, depth=1, num_workers=0, batch_size=4)
    words = [RECIPES / recipe / "train.py", path, "--noprogressbar"]
    return words + to_options(options)


def measure(path, recipe, folder, is_smoke, seconds):
    """The row of a configuration: its rate, and the hours of a training."""
    with tempfile.TemporaryDirectory(dir=folder) as output:
        words = command(path, recipe, folder, output, is_smoke)
        row = run(words, output, seconds)
    epochs = read_short_yaml(path)[1]["number_of_epochs"]
    train, valid, test = CLIPS[recipe]
    clips = epochs * (train + valid / 3) + test / 3
    return {**row, "hours": clips / row["median"] / 3600}


def print_hours(rows):
    """Prints the hours of one seed of each table."""
    for plan, recipe in PLANS.items():
        for name, table in Plan(plan).facts["tables"].items():
            of_rows = [rows[patches_of(row["yaml"])] for row in table["rows"]]
            if name == "no_masks":  # whose other rows are in the other tables
                of_rows = of_rows[::3]
            hours = [row.get("hours") for row in of_rows]
            known = [x for x in hours if x is not None]
            text = f"{sum(known):.3g} hours for {len(known)} trainings"
            if len(known) < len(hours):
                text += f", and {len(hours) - len(known)} were not measured"
            print(f"{plan} --tables {name} --folds 1: {text}")


def main():
    """Makes the clips, and measures."""
    args = harness.read_options(__doc__, seconds=300.0)
    results = harness.Results(args, "paper_speed", device=DEVICE)
    batches = (4, 4) if args.smoke else (12, 128)
    steps = 2 if args.smoke else STEPS
    audioset, words = ((steps * size, size) for size in batches)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        make_clips(folder / "AudioSet", read_classes(folder), 10.0, *audioset)
        names = {f"word{n}": f"word{n}" for n in range(35)}
        make_clips(folder / "SpeechCommands", names, 1.0, *words)
        for name, (path, recipe) in find_configurations().items():
            left = max(results.seconds_left() - SPARE_SECONDS, 1)
            work = (measure, path, recipe, folder, args.smoke, left)
            results.measure(name, functools.partial(*work))
    print_hours(results.rows)


if __name__ == "__main__":
    main()
