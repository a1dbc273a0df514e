"""The table that a study prints: what is stored, the paper's figures, what is missing.

From the rows alone, in a moment. Intervals are t intervals over folds, which are
seeds where splits are given; `make evidence` shows the wider one of these and a
bootstrap.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
from performance_table import table

from studies.comparison import t_interval
from studies.measure import arms_of, overlap
from studies.plan import Run

LEAST_UNITS = 2  # of an interval
SHOWN = 10  # missing runs


def with_interval(values, overlap, sign=""):
    """The mean of values in percent, with its interval."""
    if not len(values):
        return "-"
    text = f"{np.mean(values):{sign}.2f}"
    if len(values) < LEAST_UNITS:
        return text
    interval = t_interval(values, overlap)
    return f"{text} [{interval.low:{sign}.2f}, {interval.high:{sign}.2f}]"


def summarize(plan, names=None):
    """The text of some or all tables of a plan."""
    stored, missing, texts = plan.rows(), {}, []
    correction = overlap(plan.facts)
    for name, arms in arms_of(plan).items():
        if name not in (names or [name]):
            continue
        values, rows, differences = {}, [], []
        for label, arm in arms.items():
            found = {}
            for run in (Run(row, fold) for row in arm for fold in row.folds):
                if plan.digest(run) in stored:
                    fold = found.setdefault(run.fold, [])
                    fold.append(stored[plan.digest(run)])
                else:
                    missing[plan.digest(run)] = str(run)
            values[label] = {
                fold: 100 * np.mean([row["value"] for row in of_fold])
                for fold, of_fold in found.items()
            }
            curves = [
                100 * np.array(row["valid_by_epoch"])
                for row in sum(found.values(), [])
                if row["valid_by_epoch"]
            ]
            rows.append(
                [
                    label,
                    "-" if arm[0].paper is None else f"{arm[0].paper:.2f}",
                    with_interval([*values[label].values()], correction),
                    with_interval([x[-1] for x in curves], correction),
                    with_interval([x.max() for x in curves], correction),
                    f"{len(found)} of {len(arm[0].folds)}",
                ]
            )
        for label, arm in arms.items():
            for other in filter(arms.get, arm[0].against):
                folds = values[label].keys() & values[other].keys()
                found = [values[label][x] - values[other][x] for x in folds]
                papers = arm[0].paper, arms[other][0].paper
                paper = "-"
                if None not in papers:
                    paper = f"{papers[0] - papers[1]:+.2f}"
                differences.append(
                    [
                        f"{label} minus {other}",
                        paper,
                        with_interval(found, correction, "+"),
                        f"{np.sum(np.array(found) > 0)} of {len(found)}",
                    ]
                )
        title = plan.facts["tables"].get(name, {}).get("title", name)
        valid = f"validation {plan.metric}"
        columns = ["configuration", "the paper", plan.metric]
        columns += [f"{valid}, last epoch", "best epoch", "runs"]
        texts.append(f"{title}\n\n{table(columns, rows)}")
        if differences:
            columns = ["difference", "the paper", "points", "ahead in"]
            texts.append(table(columns, differences))
    texts.append(
        "Of several runs: the mean, with its 95 % interval, a t interval."
    )
    if "claims" in plan.facts:
        texts.append(f"The paper's claims: {plan.facts['claims']}")
    if missing:
        listed = "\n".join([*missing.values()][:SHOWN])
        others = len(missing) - SHOWN
        more = f"\nand {others} more (--list)" if others > 0 else ""
        texts.append(f"{len(missing)} runs are missing:\n{listed}{more}")
    else:
        texts.append("No run is missing.")
    return "\n\n".join(text.strip() for text in texts)
