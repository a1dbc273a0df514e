"""Kills the AudioSet recipe at random points, and starts it again.

Authors
 * The speechbrain_fftp authors 2026
"""

import random
import subprocess
from collections import Counter
from pathlib import Path

import torch
from recipe_runs import faulty, read_metrics, run

OPTIONS = {"number_of_epochs": 3, "ckpt_interval_steps": 2, "num_workers": 0}
# Of which files to count the changes for the next kill: any, or one kind.
KINDS = {
    "prepare": ("", "prepared"),
    "train": ("", "", "save", "inference"),
    "export": ("", "inference"),
}


def stage(folder):
    """What a run was doing when it was killed."""
    manifests = {path.name for path in folder.glob("prepared/*.*")}
    if not {"train.csv", "eval.csv"} <= manifests:
        return "prepare"
    return "export" if (folder / "metrics.json").is_file() else "train"


def broken_files(folder, unbroken):
    """Files of a killed run that have their names but not their content.

    Checkpoints are left to the next start.
    """
    broken = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        kind = name.parts[0]
        if kind not in ("prepared", "inference", "metrics.json"):
            continue
        if path.is_dir() or path.suffix == ".tmp" or "unfinished" in str(name):
            continue
        if path.stem == "preparing":
            continue
        if kind == "metrics.json":
            if read_metrics(path) != read_metrics(unbroken / name):
                broken.append(str(name))
            continue
        if not same_content(path, unbroken / name):
            broken.append(str(name))
    if (folder / "inference").is_dir():
        files = {p.name for p in (folder / "inference").iterdir()}
        wanted = {p.name for p in (unbroken / "inference").iterdir()}
        broken.extend(sorted(wanted - files))
    return broken


def same_content(path, other):
    """Whether two files are the same, but for the folder of their run."""
    if path.suffix == ".ckpt" and path.stem in (
        "embedding_model",
        "classifier",
    ):
        first, second = torch.load(path), torch.load(other)
        return all(torch.equal(first[k], second[k]) for k in second)
    return path.read_bytes() == other.read_bytes()


def kill_runs(kills, folder, data_folder, seed=0, **options):
    """Kills runs until so many kills have struck; each run is then finished.

    Arguments
    ---------
    kills : int
        How many.
    folder : pathlib.Path
        Where the runs go.
    data_folder : pathlib.Path
        A small data set in AudioSet's form.
    seed : int
        Of the random points.
    **options : dict
        Options of all runs.

    Returns
    -------
    struck : collections.Counter
        Number of kills in each stage.
    lost : list of str
        What did not end as the unbroken run: it should be empty.
    """
    draw = random.Random(seed)
    data = {**OPTIONS, "data_folder": data_folder, **options}
    unbroken = folder / "unbroken"
    tally = str(folder / "tally")
    counting = {"folder": str(unbroken), "tally": tally}
    status, output = run(unbroken, command=faulty, fault=counting, **data)
    assert status == 0, output
    changes = int(Path(tally).read_text())
    metrics = read_metrics(unbroken / "metrics.json")

    struck, lost, number = Counter(), [], 0
    while sum(struck.values()) < kills:
        number += 1
        killed = folder / f"killed_{number}"
        for _ in range(min(6, kills - sum(struck.values()))):
            matching = draw.choice(KINDS[stage(killed)])
            most = 12 if matching == "inference" else changes // 3
            fault = {
                "folder": str(killed),
                "matching": matching,
                "kill_at": draw.randint(1, most),
            }
            if draw.random() < 0.3:  # at a random time instead
                code = kill_after(draw.uniform(3, 9), killed, data)
            else:
                code, _ = run(killed, command=faulty, fault=fault, **data)
            if code == 0:  # it was finished first
                break
            if code != -9:
                lost.append(f"{killed.name}: exit status {code}, {fault}")
                break
            struck[stage(killed)] += 1
            broken = broken_files(killed, unbroken)
            lost.extend(f"{killed.name}: half of {name}" for name in broken)
        status, output = run(killed, **data)
        if status != 0:
            lost.append(f"{killed.name}: {output[-500:]}")
        elif read_metrics(killed / "metrics.json") != metrics:
            lost.append(f"{killed.name}: other metrics")
        elif broken_files(killed, unbroken):
            lost.append(f"{killed.name}: other files in the end")
    return struck, lost


def kill_after(seconds, folder, options):
    """Exit status of a run that is killed after some time."""
    words = faulty(folder, fault={}, **options)
    try:
        done = subprocess.run(
            words, cwd=folder.parent, capture_output=True, timeout=seconds
        )
        return done.returncode
    except subprocess.TimeoutExpired:  # run() kills it then
        return -9
