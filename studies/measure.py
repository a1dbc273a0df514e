"""Statistics of the study's stored runs: rows and contrasts of each plan.

A table NAME_1 is repeated with other seeds by NAME_2 and so on: they are one
table, NAME. The value of a fold is the mean of its seeds. Where all runs have
one fold, the seeds are the units instead.

Authors
 * The speechbrain_fftp authors 2026
"""

import re
import statistics
from pathlib import Path
from typing import NamedTuple

import numpy as np
import yaml

from studies.comparison import METRICS, REPLICATES, compare
from studies.plan import PLANS, Plan, Run

CONTRASTS = yaml.safe_load(
    Path(__file__).with_name("contrasts.yaml").read_text("utf-8")
)
NAMES = sorted(path.stem for path in PLANS.glob("*.yaml"))
# By splits: how many folds, and of how many parts of the rest one is for validation
SPLITS = {None: (5, 8), "soundscapes": (3, 6), "folders": (4, 8)}
LEAST_UNITS = 4  # of a difference, or as many as its plan has


class Arm(NamedTuple):
    """A configuration of a plan: its rows, one for each seed."""

    plan: Plan
    rows: list

    @property
    def label(self):
        """The label of the configuration."""
        return self.rows[0].label

    @property
    def is_of_one_fold(self):
        """Whether its units are seeds."""
        return len(self.rows[0].folds) == 1


def arms_of(plan):
    """The arms of each table of a plan by label."""
    found = {}
    for name, rows in plan.tables().items():
        arms = found.setdefault(re.sub(r"_\d+$", "", name), {})
        for label, row in rows.items():
            arms.setdefault(label, Arm(plan, [])).rows.append(row)
    return found


def units_of(arms):
    """The runs of each unit that all arms have: by unit, and then by arm."""
    stored = {arm.plan.name: arm.plan.rows() for arm in arms}
    complete = []  # the folds of each seed
    for rows in zip(*(arm.rows for arm in arms)):
        folds = set.intersection(*(set(row.folds) for row in rows))
        complete.append(
            {
                fold
                for fold in folds
                if all(
                    arm.plan.digest(Run(row, fold)) in stored[arm.plan.name]
                    for arm, row in zip(arms, rows)
                )
            }
        )
    if arms[0].is_of_one_fold:
        return {
            1 + seed: [[Run(arm.rows[seed], fold)] for arm in arms]
            for seed, folds in enumerate(complete)
            for fold in folds
        }
    seeds = [n for n, folds in enumerate(complete) if folds >= complete[0]]
    return {
        fold: [[Run(arm.rows[seed], fold) for seed in seeds] for arm in arms]
        for fold in sorted(complete[0])
    }


def overlap(facts):
    """Sources in test to sources in training of a fold of a plan.

    It is n_test/n_train in the correction of Nadeau and Bengio. Soundscapes are
    mixed from sounds, in any number: the sounds count. Seeds on one split share
    all clips, for which there is no correction.
    """
    if facts.get("splits") == "given" or facts.get("folds") == 1:
        return 0.0
    folds, inner = SPLITS[facts.get("splits")]
    return (1 / folds) / ((1 - 1 / folds) * (1 - 1 / inner))


def masks_of(options):
    """The masks of a row, for a table."""
    masks = options.get("fea_augmentations") or options.get("masking", "")
    if options.get("time_mask") or "spec_augment" in masks:
        return "SpecAugment"
    budget = options["mask_budget"]
    if isinstance(budget, int):
        return f"{budget:,} cells"
    return f"{100 * budget:g} %"


def is_of_cpu(run):
    """Whether a stored run trained on a CPU; early ones do not say so."""
    return run.get("device", "cpu") == "cpu"


def measure_arm(arm, units):
    """The values of an arm for a table, given its runs by unit."""
    stored, options = arm.plan.rows(), arm.rows[0].options
    found = {
        unit: [stored[arm.plan.digest(run)] for run in runs]
        for unit, runs in units.items()
    }
    runs = sum(found.values(), [])
    trained = [stored.get(run.get("trained"), run) for run in runs]
    minutes = [
        run["cpu_minutes"]
        for run in trained
        if is_of_cpu(run) and not run["resumed"]
    ]
    by_fold = {
        unit: 100 * statistics.mean(run["value"] for run in each)
        for unit, each in found.items()
    }
    curves = [run["valid_by_epoch"] for run in runs if "valid_by_epoch" in run]
    peaks = [1 + curve.index(max(curve)) for curve in curves if curve]
    limit = arm.plan.facts.get("failed_below", 0)
    return {
        "options": f"{options['lr']:g}, {masks_of(options)}",
        "macs": runs[0]["macs"],
        "training_macs": runs[0]["training_macs"],
        "epochs": options["number_of_epochs"],
        "peaks": [min(peaks), max(peaks)] if peaks else [],
        "cpu_minutes": statistics.mean(minutes) if minutes else None,
        "by_fold": by_fold,
        "failed": sum(run["valid"] < limit for run in runs if limit),
        "mean": statistics.mean(by_fold.values()),
        **by_epoch(runs),
    }


def by_epoch(runs):
    """Means over runs after the last epoch, and after each run's best epoch.

    The latter is chosen on the evaluation clips. Empty where others were scored
    after each epoch.
    """
    if not all("valid_annotation" in run["overrides"] for run in runs):
        return {}
    found = [run["valid_by_epoch"] for run in runs]
    return {
        "last_epoch": 100 * statistics.mean(values[-1] for values in found),
        "best_on_eval": 100 * statistics.mean(map(max, found)),
    }


def measure_rows(arms):
    """The values of each arm that has runs, by label."""
    found = {}
    for label, arm in arms.items():
        units = {unit: runs for unit, [runs] in units_of([arm]).items()}
        if units:
            found[label] = measure_arm(arm, units)
    return found


def contrasts_of(plan, plans):
    """Yields each contrast of a plan: table, label, arms and signs.

    The contrasts with other plans or tables are in the table ``across``.
    """
    tables = arms_of(plan)
    for name, arms in tables.items():
        for arm in arms.values():
            against = arm.rows[0].against
            if against:
                pair = [arm, arms[against]]
                yield name, f"{arm.label} minus {against}", pair, (1, -1)
        facts = plan.facts["tables"].get(name, {})
        for entry in facts.get("interactions", []):
            labels, other = (entry["label"], entry["against"]), entry["table"]
            four = [tables[t][label] for t in (name, other) for label in labels]
            text = f"{labels[0]} minus {labels[1]}, here minus there"
            yield name, text, four, (1, -1, -1, 1)
        slope = facts.get("slope")
        if slope:  # of the least-squares line through the rows' values
            x = np.array(list(slope["rows"].values()))
            x = x - x.mean()
            line = [arms[label] for label in slope["rows"]]
            yield name, slope["label"], line, tuple(x / np.square(x).sum())
    for text, places in CONTRASTS["across"].get(plan.name, {}).items():
        pair = [arms_of(plans[p])[t][label] for p, t, label in places]
        yield "across", text, pair, (1, -1)


def measure_contrast(arms, signs):
    """The difference of arms over the units that all have, or None for few."""
    plan, units = arms[0].plan, units_of(arms)
    usual = len(arms[0].rows[0].folds)
    if len(units) < (2 if usual == 1 else min(LEAST_UNITS, usual)):
        return None
    metric = METRICS[plan.metric]
    scores, weights = [], []
    for by_arm in units.values():
        pairs = list(zip(arms, by_arm))
        scores.append([arm.plan.scores(x) for arm, runs in pairs for x in runs])
        weights = [
            s / len(runs) for s, runs in zip(signs, by_arm) for _ in runs
        ]
    draws = plan.facts.get("replicates", REPLICATES)
    by_fold, interval = compare(
        scores, metric, weights, overlap(plan.facts), draws
    )
    value = float(by_fold.mean())
    rows = [
        measure_arm(arm, {unit: runs[n] for unit, runs in units.items()})
        for n, arm in enumerate(arms)
    ]
    return {
        "value": value,
        **{name: float(x) for name, x in interval._asdict().items()},
        "by_fold": by_fold.tolist(),
        "ahead": int((by_fold > 0).sum()),
        "arms": rows,
    }


def measure_contrasts(plan, plans):
    """The differences that have runs, by table and label."""
    found = {}
    for name, label, arms, signs in contrasts_of(plan, plans):
        entry = measure_contrast(arms, signs)
        if entry:
            declared = name != "across" or plan.name in CONTRASTS["declared"]
            entry["declared"] = declared
            found.setdefault(name, {})[label] = entry
    return found


def measure(plan, plans):
    """The statistics of a plan for the pages; None before its first run."""
    stored = list(plan.rows().values())
    if not stored or (plan.trials and not plan.chosen_path.exists()):
        return None
    of_cpu = list(filter(is_of_cpu, stored))
    cpus = {row["processor"] for row in of_cpu}
    return {
        "rows": {name: measure_rows(x) for name, x in arms_of(plan).items()},
        "contrasts": measure_contrasts(plan, plans),
        "overlap": overlap(plan.facts),
        "runs": len(of_cpu),
        "cpu_hours": sum(row["cpu_minutes"] for row in of_cpu) / 60,
        "processors": sorted(cpus),
        "gpu_runs": len(stored) - len(of_cpu),
        "gpus": sorted({row["processor"] for row in stored} - cpus),
        "commits": sorted({row["commit"][:10] for row in stored}),
    }


def measure_all():
    """The statistics of all plans."""
    plans = {name: Plan(name) for name in NAMES}
    return {name: measure(plan, plans) for name, plan in plans.items()}
