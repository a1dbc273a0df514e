"""Statistics of the study's stored runs: rows and contrasts of each plan.

Authors
 * The speechbrain_fftp authors 2026
"""

import statistics
from pathlib import Path

import numpy as np
import yaml

from studies import soundscapes
from studies.comparison import (
    METRICS,
    REPLICATES,
    Difference,
    compare,
    mean_precision,
    t_test,
    values,
    verdicts,
)
from studies.folds import FOLDS, INNER
from studies.plan import Plan, Run

CONTRASTS = yaml.safe_load(
    Path(__file__).with_name("contrasts.yaml").read_text("utf-8")
)
PLANS, ACROSS = CONTRASTS["plans"], CONTRASTS["across"]
# Classes of the soundscapes, whose order is alphabetical
KINDS = {
    "words": range(10, 20),
    "percussion": (1, 6, 8),
    "plucked strings": (0, 4),
    "sustained tones": (2, 3, 5, 7, 9),
}
# A contrast that has not been run
UNKNOWN = Difference(0.0, *(3 * (-100.0, 100.0, 1.0)))


def overlap(facts):
    """Sources in test to sources in training of a fold of a plan.

    It is n_test/n_train in the correction of Nadeau and Bengio. Soundscapes are
    mixed from sounds, in any number: the sounds count. Seeds on one split share
    all clips, for which there is no correction.
    """
    if facts.get("splits") == "given":
        return 0.0
    folds, inner = FOLDS, INNER
    if facts.get("splits") == "folders":
        folds, inner = soundscapes.FOLDS, soundscapes.INNER
    if facts.get("splits") == "mixed":
        folds, inner = soundscapes.BASE_FOLDS, soundscapes.BASE_INNER
    return (1 / folds) / ((1 - 1 / folds) * (1 - 1 / inner))


def finished(plan, row):
    """The stored runs of a row by fold."""
    stored = plan.rows()
    found = {
        fold: stored.get(plan.digest(Run(row, fold))) for fold in row.folds
    }
    return {fold: run for fold, run in found.items() if run}


def failed(plan, row):
    """How many trainings of a row failed, by the limit that its plan sets."""
    limit = plan.facts.get("failed_below")
    if limit is None:
        return 0
    return sum(run["valid"] < limit for run in finished(plan, row).values())


def masks_of(options):
    """The masks of a row, for a table."""
    if options.get("time_mask") or "spec_augment" in options.get("masking", ""):
        return "SpecAugment"
    budget = options["mask_budget"]
    if isinstance(budget, int):
        return f"{budget:,} cells"
    return f"{100 * budget:g} %"


def is_of_cpu(run):
    """Whether a stored run trained on a CPU; early ones do not say so."""
    return run.get("device", "cpu") == "cpu"


def measure_row(plan, row):
    """The values of a row in a table; None without a run."""
    runs = finished(plan, row)
    if not runs:
        return None
    stored = plan.rows()
    trained = [stored.get(run.get("trained"), run) for run in runs.values()]
    minutes = [
        run["cpu_minutes"]
        for run in trained
        if is_of_cpu(run) and not run["resumed"]
    ]
    first = next(iter(runs.values()))
    by_fold = {fold: 100 * run["value"] for fold, run in runs.items()}
    return {
        "options": f"{row.options['lr']:g}, {masks_of(row.options)}",
        "macs": first["macs"],
        "training_macs": first["training_macs"],
        "epochs": row.options["number_of_epochs"],
        "cpu_minutes": statistics.mean(minutes) if minutes else None,
        "by_fold": by_fold,
        "failed": failed(plan, row),
        "mean": statistics.mean(by_fold.values()),
        **by_epoch(runs.values()),
    }


def by_epoch(runs):
    """Means over runs after the last epoch, and after each run's best epoch.

    The latter is chosen on the evaluation clips. Empty where these were not
    scored after each epoch.
    """
    found = [run.get("eval_by_epoch") for run in runs]
    if not all(found):
        return {}
    return {
        "last_epoch": 100 * statistics.mean(values[-1] for values in found),
        "best_on_eval": 100 * statistics.mean(map(max, found)),
    }


def contrasts_of(plan, plans):
    """Yields each contrast of a plan: table, label, arms and signs.

    An arm is a plan and its row. The contrasts with other plans or tables are
    in the table ``across``.
    """
    tables = plan.tables()
    for name, rows in tables.items():
        for row in rows.values():
            if row.against:
                arms = [(plan, row), (plan, rows[row.against])]
                yield name, f"{row.label} minus {row.against}", arms, (1, -1)
        for entry in plan.facts["tables"][name].get("interactions", []):
            labels, other = (entry["label"], entry["against"]), entry["table"]
            arms = [
                (plan, tables[t][label])
                for t in (name, other)
                for label in labels
            ]
            text = f"{labels[0]} minus {labels[1]}, here minus there"
            yield name, text, arms, (1, -1, -1, 1)
        slope = plan.facts["tables"][name].get("slope")
        if slope:  # of the least-squares line through the rows' values
            x = np.array(list(slope["rows"].values()))
            x = x - x.mean()
            arms = [(plan, rows[label]) for label in slope["rows"]]
            yield name, slope["label"], arms, tuple(x / np.square(x).sum())
    for text, places in ACROSS.get(plan.name, {}).items():
        arms = [(plans[p], plans[p].tables()[t][x]) for p, t, x in places]
        yield "across", text, arms, (1, -1)


def measure_contrast(metric, arms, signs):
    """Differences by fold of arms that all have run, as a dict."""
    folds = sorted(set.intersection(*(set(row.folds) for _, row in arms)))
    done = set.intersection(*(set(finished(*arm)) for arm in arms))
    missing = set(folds) - done
    if missing:
        return {"finding": f"{len(missing)} of {len(folds)} folds not yet run"}
    scores = [
        [plan.scores(Run(row, fold)) for plan, row in arms] for fold in folds
    ]
    ratio = overlap(arms[0][0].facts)
    draws = arms[0][0].facts.get("replicates", REPLICATES)
    found = {
        "difference": compare(scores, METRICS[metric], signs, ratio, draws),
        "failed": sum(failed(*arm) for arm in arms),
        "trainings": len(arms) * len(folds),
    }
    if arms[0][0].has_sources:
        found["kinds"] = {
            name: t_test(values(scores, of_classes(list(kind))) @ signs)[:3]
            for name, kind in KINDS.items()
        }
    return found


def of_classes(columns):
    """The mean average precision of some classes, a metric."""

    def metric(scores, weights):
        return mean_precision(
            scores._replace(
                targets=scores.targets[:, columns],
                probs=scores.probs[:, columns],
            ),
            weights,
        )

    return metric


def measure_contrasts(plan, plans):
    """Differences, corrected p-values and findings, by table and label.

    Holm's correction is over all declared contrasts of a plan, or of a table
    where the plan says ``holm: table``. Those that were not declared are judged
    in the wider family of all of its contrasts. A contrast with missing runs
    counts as one without any difference; one with a failed training is open.
    """
    found, families, every = {}, {}, []
    for name, label, arms, signs in contrasts_of(plan, plans):
        entry = measure_contrast(plan.metric, arms, signs)
        declared = name != "across" or plan.name in CONTRASTS["declared"]
        entry["declared"] = declared
        found.setdefault(name, {})[label] = entry
        every.append(entry)
        if declared:
            family = name if plan.facts.get("holm") == "table" else None
            families.setdefault(family, []).append(entry)
    judged = []
    for family, declared in (
        *((family, True) for family in families.values()),
        (every, False),
    ):
        differences = [entry.get("difference", UNKNOWN) for entry in family]
        found_verdicts = verdicts(differences, plan.facts["margin"])
        judged += [
            (entry, verdict)
            for entry, verdict in zip(family, found_verdicts)
            if entry["declared"] == declared and "difference" in entry
        ]
    for entry, (p, wide_p, drawn_p, finding) in judged:
        entry.update(entry.pop("difference")._asdict())
        if entry["failed"]:
            finding = "open: {failed} of {trainings} trainings failed"
        entry.update(
            p=p,
            wide_p=wide_p,
            drawn_p=drawn_p,
            finding=finding.format(**entry),
        )
    return found


def measure(plan, plans):
    """The statistics of a plan for the pages; None before its first run."""
    stored = list(plan.rows().values())
    if not stored or (plan.trials and not plan.chosen_path.exists()):
        return None
    contrasts = measure_contrasts(plan, plans)
    of_cpu = list(filter(is_of_cpu, stored))
    cpus = {row["processor"] for row in of_cpu}
    return {
        "rows": {
            name: {label: measure_row(plan, row) for label, row in rows.items()}
            for name, rows in plan.tables().items()
        },
        "contrasts": contrasts,
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
    plans = {name: Plan(name) for name in PLANS}
    return {name: measure(plan, plans) for name, plan in plans.items()}
