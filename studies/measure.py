"""Statistics of the study's stored runs: rows and contrasts of each plan.

All values are by kind of sound: of everyday sounds, instruments, words and all,
or of the one kind that a plan has.

A table NAME_1 is repeated with other seeds by NAME_2 and so on: they are one
table, NAME. The value of a fold is the mean of its seeds.

Authors
 * The speechbrain_fftp authors 2026
"""

import math
import re
import statistics

import numpy as np

from studies.comparison import METRICS, REPLICATES, compare, values
from studies.plan import PLANS, Plan, Run

NAMES = sorted(path.stem for path in PLANS.glob("*.yaml"))
# By splits: how many folds, and of how many parts of the rest one is for validation
SPLITS = {None: (5, 8), "folders": (4, 8)}
LEAST_UNITS = 2  # of a difference


def arms_of(plan):
    """The arms of each table of a plan by label: rows, one for each seed."""
    found = {}
    for name, rows in plan.tables().items():
        arms = found.setdefault(re.sub(r"_\d+$", "", name), {})
        for label, row in rows.items():
            arms.setdefault(label, []).append(row)
    return found


def units_of(plan, arms):
    """The runs of each fold that all arms have: by fold, and then by arm."""
    stored = plan.rows()
    complete = []  # the folds of each seed
    for rows in zip(*arms):
        folds = set.intersection(*(set(row.folds) for row in rows))
        complete.append(
            {
                fold
                for fold in folds
                if all(plan.digest(Run(row, fold)) in stored for row in rows)
            }
        )
    seeds = [n for n, folds in enumerate(complete) if folds >= complete[0]]
    return {
        fold: [[Run(arm[seed], fold) for seed in seeds] for arm in arms]
        for fold in sorted(complete[0])
    }


def overlap(facts):
    """Sources in test to sources in training of a fold of a plan.

    It is n_test/n_train in the correction of Nadeau and Bengio. Mixtures are of
    sounds, in any number: the sounds count. Seeds on one split share all clips,
    for which there is no correction.
    """
    if facts.get("splits") == "given":
        return 0.0
    folds, inner = SPLITS[facts.get("splits")]
    return (1 / folds) / ((1 - 1 / folds) * (1 - 1 / inner))


def masks_of(row):
    """The masks of a row, for a table."""
    if row.options.get("fea_augment", "masks") is None:
        return "no masks"
    if "spec_augment" in row.options.get("fea_augmentations", ""):
        return "SpecAugment"
    budget = row.settings.get("mask_budget", 0.0)
    if isinstance(budget, int):
        return f"{budget:,} cells"
    return f"{100 * budget:g} %"


def shape_of(row, name):
    """The frames and bins of a row's ``patch`` or ``stride``."""
    full_height = [row.settings[f"{name}_frames"], row.settings["n_mels"]]
    return row.options.get(name, full_height)


def is_of_cpu(run):
    """Whether a stored run trained on a CPU; early ones do not say so."""
    return run.get("device", "cpu") == "cpu"


def measure_arm(plan, units):
    """The values of an arm for a table, given its runs by fold."""
    stored = plan.rows()
    found = {
        unit: [stored[plan.digest(run)] for run in runs]
        for unit, runs in units.items()
    }
    rows = sum(found.values(), [])
    minutes = [
        row["cpu_minutes"]
        for row in rows
        if is_of_cpu(row) and not row["resumed"]
    ]
    curves = [row["valid_by_epoch"] for row in rows if "valid_by_epoch" in row]
    peaks = [1 + curve.index(max(curve)) for curve in curves if curve]
    limit = plan.facts.get("failed_below", 0)
    row = next(iter(units.values()))[0].row
    options = row.settings
    clips = statistics.mean(row["clips"] for row in rows)
    batches = math.ceil(clips / options["batch_size"])
    return {
        "options": f"{options['lr']:g}, {masks_of(row)}",
        "size": "{depth} x {embed_dim}".format(**options),
        "patch": shape_of(row, "patch"),
        "stride": shape_of(row, "stride"),
        "tokens": rows[0]["tokens"],
        "params": rows[0]["params"],
        "macs": rows[0]["macs"],
        "training_macs": rows[0]["training_macs"],
        "epochs": options["number_of_epochs"],
        "steps": batches * options["number_of_epochs"],
        "peaks": [min(peaks), max(peaks)] if peaks else [],
        "cpu_minutes": statistics.mean(minutes) if minutes else None,
        "failed": sum(row["valid"] < limit for row in rows if limit),
        "runs": len(rows),
        "kinds": values_by_kind(plan, units),
    }


def values_by_kind(plan, units):
    """The metric of each fold in percent, and its mean, by kind of sound."""
    found = {}
    for unit, runs in units.items():
        for run in runs:
            for kind, scores in plan.scores(run).by_kind().items():
                [[value]] = values([[scores]], METRICS[plan.metric])
                found.setdefault(kind, {}).setdefault(unit, []).append(value)
    by_fold = {
        kind: {unit: float(np.mean(each)) for unit, each in of_kind.items()}
        for kind, of_kind in found.items()
    }
    return {
        kind: {"by_fold": each, "mean": statistics.mean(each.values())}
        for kind, each in by_fold.items()
    }


def measure_rows(plan, arms):
    """The values of each arm that has runs, by label."""
    found = {}
    for label, arm in arms.items():
        units = {fold: runs for fold, [runs] in units_of(plan, [arm]).items()}
        if units:
            found[label] = measure_arm(plan, units)
    return found


def contrasts_of(plan):
    """Yields each contrast of a plan: table, label, arms and signs."""
    tables = arms_of(plan)
    for name, arms in tables.items():
        for label, arm in arms.items():
            for other in filter(arms.get, arm[0].against):
                pair = [arm, arms[other]]
                yield name, f"{label} minus {other}", pair, (1, -1)
        facts = plan.facts["tables"].get(name, {})
        for entry in facts.get("interactions", []):
            labels, other = (entry["label"], entry["against"]), entry["table"]
            four = [tables[t][label] for t in (name, other) for label in labels]
            text = f"{labels[0]} minus {labels[1]}, here minus there"
            yield name, text, four, (1, -1, -1, 1)


def measure_contrast(plan, arms, signs):
    """The difference of arms over the folds that all have, or None for few."""
    units = units_of(plan, arms)
    if len(units) < LEAST_UNITS:
        return None
    scores, weights = [], []
    for by_arm in units.values():
        scores.append([plan.scores(run) for runs in by_arm for run in runs])
        weights = [
            s / len(runs) for s, runs in zip(signs, by_arm) for _ in runs
        ]
    by_kind = [[each.by_kind() for each in of_fold] for of_fold in scores]
    kinds = {}
    for kind in by_kind[0][0]:
        by_fold, interval = compare(
            [[each[kind] for each in of_fold] for of_fold in by_kind],
            METRICS[plan.metric],
            weights,
            overlap(plan.facts),
            same_clips=plan.is_given,
            replicates=plan.facts.get("replicates", REPLICATES),
        )
        kinds[kind] = {
            "value": float(by_fold.mean()),
            **{name: float(x) for name, x in interval._asdict().items()},
            "by_fold": by_fold.tolist(),
            "ahead": int((by_fold > 0).sum()),
        }
    rows = [
        measure_arm(plan, {fold: runs[n] for fold, runs in units.items()})
        for n in range(len(arms))
    ]
    return {"kinds": kinds, "arms": rows}


def measure_contrasts(plan):
    """The differences that have runs, by table and label."""
    found = {}
    for name, label, arms, signs in contrasts_of(plan):
        entry = measure_contrast(plan, arms, signs)
        if entry:
            found.setdefault(name, {})[label] = entry
    return found


def measure(plan):
    """The statistics of a plan for the pages; None without runs of a fold."""
    if plan.trials and not plan.chosen_path.exists():
        return None
    rows = {
        name: measure_rows(plan, arms) for name, arms in arms_of(plan).items()
    }
    if not any(rows.values()):
        return None
    stored = list(plan.rows().values())
    of_cpu = list(filter(is_of_cpu, stored))
    cpus = {row["processor"] for row in of_cpu}
    return {
        "rows": rows,
        "contrasts": measure_contrasts(plan),
        "overlap": overlap(plan.facts),
        "runs": len(of_cpu),
        "cpu_hours": sum(row["cpu_minutes"] for row in of_cpu) / 60,
        "processors": sorted(cpus),
        "gpu_runs": len(stored) - len(of_cpu),
        "gpus": sorted({row["processor"] for row in stored} - cpus),
        "commits": sorted({short(row["commit"]) for row in stored}),
    }


def short(commit):
    """The first digits of a commit; "+" says that its code was changed."""
    return commit[:10] + "+" * commit.endswith("+")


def measure_all():
    """The statistics of all plans."""
    return {name: measure(Plan(name)) for name in NAMES}
