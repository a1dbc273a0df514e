"""Writes the pages and the picture of the study's stored runs: `make evidence`.

Statistics of all plans are written to benchmarks/results/study/figures.json.
From these it writes docs/evidence.md, by the template evidence.jinja; a page for
each plan to benchmarks/results/study, with the text notes/NAME.md; and README's
table, the first rows of the one in docs/evidence.md.

> python benchmarks/study/report.py

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import re
import statistics
import sys
from pathlib import Path
from typing import NamedTuple

import jinja2

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from harness import table  # noqa: E402
from study.measure import KINDS, PLANS, measure_all  # noqa: E402
from study.plan import RESULTS, ROOT, Plan  # noqa: E402
from study.plots import plot_claims  # noqa: E402

from speechbrain_fftp.dataio.files import atomic_path, write_json  # noqa: E402


class Claim(NamedTuple):
    """A row of docs/evidence.md: a claim, and the difference that tests it.

    A ``sign`` of -1 turns the difference of a table round, so that positive
    values speak for the claim.
    """

    text: str
    contrast: str
    plan: str
    table: str
    label: str
    sign: int = 1


CLAIMS = (
    Claim(
        "Full-frequency patches beat square ones at equal cost",
        "words of 1 s, as many tokens and MACs: FFTP 16/5 to square 16/16",
        "patch_height",
        "long",
        "FFTP 16/5, 60 epochs minus square 16/16, 60 epochs",
    ),
    Claim(
        "They do so on long clips, for less cost",
        "10 s, 36 % of the MACs: FFTP 10/10 to square 16/16",
        "aum_gain",
        "ast",
        "square 16/16 minus FFTP 10/10",
        -1,
    ),
    Claim(
        "*Asked here:* full frequency helps by itself",
        "words, as many frames a step: FFTP 16/16 to square 16/16",
        "patch_height",
        "long",
        "square 16/16, 60 epochs minus FFTP 16/16, 60 epochs",
        -1,
    ),
    Claim(
        "Fewer tokens cost some accuracy",
        "words: FFTP 10/5 to 10/10",
        "speech_commands",
        "across",
        "FFTP 10/5 minus FFTP 10/10, five folds",
    ),
    Claim(
        "SpecMask raises accuracy",
        "10 s, 20 % of the cells: SpecMask to no masks",
        "masks_long_clips",
        "masks",
        "SpecMask minus no masks",
    ),
    Claim(
        "Masks should match the patches",
        "10 s: SpecMask to the same cells, moved off the grid",
        "masks_long_clips",
        "masks",
        "the same cells, not aligned minus SpecMask",
        -1,
    ),
    Claim(
        "AuM gains as AST does",
        "10 s: AuM's gain over square patches to AST's",
        "aum_gain",
        "aum",
        "square 16/16 minus FFTP 10/10, here minus there",
        -1,
    ),
    Claim(
        "*Asked by the paper:* square weights help FFTP",
        "words, 10 clips of each: square to random weights",
        "reuse",
        "ten",
        "random weights minus square weights",
        -1,
    ),
    Claim(
        "*Asked here:* FFTP beats an x-vector",
        "words, as many MACs and epochs: ConvNeXt1d of FFTP to an x-vector",
        "x_vector",
        "epochs",
        "x-vector, learning rate 0.001 minus FFTP 11/2 ConvNeXt1d",
        -1,
    ),
)
EVIDENCE, README = ROOT / "docs" / "evidence.md", ROOT / "README.md"
BLOCK = r"(<!-- evidence (\d+) -->\n).*?(<!-- end -->)"  # and number of rows
NOTES = Path(__file__).with_name("notes")
ROW_COLUMNS = (
    "configuration",
    "learning rate, masks",
    "MMACs",
    "training TMACs",
    "epochs",
    "CPU minutes",
    "{metric} in %",
    "by fold",
)
CONTRAST_COLUMNS = (
    "difference in points",
    "by fold",
    "mean, 95 % t interval",
    "bootstrap",
    "p, t",
    "p, bootstrap",
    "finding",
)
LEGEND = """\
MACs count encoder and classifier for a clip of {seconds:g} s, with attention
and scans; training MACs are three times as many for each clip and epoch. CPU
minutes are for a whole run of the recipe, on {processors}.
Intervals and p are by a t test over folds, and by a bootstrap over folds and
{groups}; p has Holm's correction over the contrasts in the plan, and separately
over further differences. A finding needs both p below 0.05; *equal* needs both
intervals inside ±{margin:g} points. Intervals include the seed's part, as
each fold has its own: on clips of 10 s, the mAP of [six seeds](masks_long_clips.md) has
a standard deviation of {spread:.1f} points.

{runs} runs in {cpu_hours:.1f} CPU hours, at commits {commits}, by
[the plan](../../study/{name}.yaml):

```
git checkout COMMIT
python benchmarks/study/run.py DATA_FOLDER --plan {name}
```
"""
DATA = """\

DATA_FOLDER is one of [two](../../../docs/data.md#data-of-the-benchmarks), or what
`benchmarks/soundscapes.py` writes, with `--partitions 2` for folds 4 to 6.
"""


def bounds(low, high):
    """Formats an interval."""
    return f"[{low:+.1f}, {high:+.1f}]"


def p_value(p):
    """Formats a p-value."""
    return f"{p:.3f}" if p >= 0.001 else "< 0.001"


def row_cells(label, row):
    """The cells of a row of a table."""
    if row is None:
        return [label, "not yet run", *["-"] * (len(ROW_COLUMNS) - 2)]
    minutes = row["cpu_minutes"]
    by_fold = ", ".join(f"{value:.1f}" for value in row["by_fold"].values())
    if row["failed"]:
        by_fold += f" ({row['failed']} failed)"
    return [
        label,
        row["options"],
        f"{row['macs'] / 1e6:.1f}",
        f"{row['training_macs'] / 1e12:.2f}",
        str(row["epochs"]),
        f"{minutes:.1f}" if minutes else "-",
        f"{row['mean']:.1f}",
        by_fold,
    ]


def contrast_cells(label, entry):
    """The cells of a contrast."""
    if "value" not in entry:
        return [label, *["-"] * (len(CONTRAST_COLUMNS) - 2), entry["finding"]]
    return [
        label,
        ", ".join(f"{value:+.1f}" for value in entry["by_fold"]),
        f"{entry['value']:+.1f} {bounds(entry['low'], entry['high'])}",
        bounds(entry["drawn_low"], entry["drawn_high"]),
        p_value(entry["p"]),
        p_value(entry["drawn_p"]),
        entry["finding"],
    ]


def trials(plan):
    """The table of a plan's trials of options, by model."""
    if not plan.trials:
        return []
    found = json.loads(plan.chosen_path.read_text("utf-8"))["scores"]
    names = [", ".join(map(str, each.values())) for each in plan.trials]
    rows = [
        [model, *(f"{100 * score:.1f}" for score in scores.values())]
        for model, scores in found.items()
    ]
    title = f"## Trials\n\n{plan.metric} in % by {', '.join(plan.trials[0])}.\n"
    return [title, table(["model", *names], rows)]


def contrasts_section(contrasts):
    """The contrasts of a table, and what they are for each kind of sound."""
    rows = [contrast_cells(*item) for item in contrasts.items()]
    lines = [table(CONTRAST_COLUMNS, rows)]
    kinds = [
        [
            label,
            *(
                f"{value:+.1f} {bounds(low, high)}"
                for value, low, high in entry["kinds"].values()
            ),
        ]
        for label, entry in contrasts.items()
        if "kinds" in entry
    ]
    if kinds:
        lines.append(table(["by kind of sound", *KINDS], kinds))
    return lines


def seed_spread(figures):
    """The standard deviation over six seeds of one configuration, in points."""
    rows = figures["masks_long_clips"]["rows"]["seeds"]
    return statistics.stdev(row["mean"] for row in rows.values())


def plan_page(plan, figures):
    """The page of a plan: what its note says, and all tables."""
    measured = figures[plan.name]
    lines = [(NOTES / f"{plan.name}.md").read_text("utf-8")]
    if measured is None:
        return lines[0] + "\nNot yet run.\n"
    contrasts = measured["contrasts"]
    for name, facts in plan.facts["tables"].items():
        columns = [text.format(metric=plan.metric) for text in ROW_COLUMNS]
        rows = [row_cells(*item) for item in measured["rows"][name].items()]
        lines += [f"## {facts['title']}\n", table(columns, rows)]
        if name in contrasts:
            lines += contrasts_section(contrasts[name])
    if "across" in contrasts:
        lines += ["## Further differences\n"]
        lines += contrasts_section(contrasts["across"])
    lines += trials(plan)
    processors = ", ".join(measured["processors"])
    devices = {row.get("device", "cpu") for row in plan.rows().values()}
    if devices == {"cpu"}:
        processors = f"one thread of {processors}"
    legend = LEGEND.format(
        **plan.facts,
        runs=measured["runs"],
        cpu_hours=measured["cpu_hours"],
        processors=processors,
        commits=", ".join(measured["commits"]),
        name=plan.name,
        spread=seed_spread(figures),
    )
    if "seeds" not in plan.facts:
        legend += DATA
    return "\n".join([*lines, "## How it was measured\n", legend])


def claim_of(figures, claim):
    """A claim with its difference and finding, as a dict."""
    measured = figures[claim.plan]
    entry = {"finding": "not yet run"}
    if measured:
        entry = dict(measured["contrasts"][claim.table][claim.label])
    found = {"text": claim.text, "contrast": claim.contrast, "plan": claim.plan}
    if "value" not in entry:
        return {**found, "finding": entry["finding"], "by_fold": []}
    ends = [claim.sign * entry[name] for name in ("low", "high")]
    word = entry["finding"]
    if word in ("higher", "lower"):
        supports = (word == "higher") == (claim.sign > 0)
        word = "supported" if supports else "contradicted"
    return {
        **found,
        "value": claim.sign * entry["value"],
        "low": min(ends),
        "high": max(ends),
        "finding": word,
        "by_fold": [claim.sign * x for x in entry["by_fold"]],
    }


def difference_of(claim):
    """The difference of a claim with its interval, or what is missing."""
    if "value" not in claim:
        return claim["finding"]
    return f"{claim['value']:+.1f} {bounds(claim['low'], claim['high'])}"


def claims_table(claims, link):
    """The table of claims; ``link`` is the folder of the plans' pages."""
    rows = [
        [
            claim["text"],
            f"[{claim['contrast']}]({link}/{claim['plan']}.md)",
            difference_of(claim) if "value" in claim else "-",
            claim["finding"],
        ]
        for claim in claims
    ]
    return table(["claim", "compared", "points", "finding"], rows)


def evidence(figures, claims):
    """Renders docs/evidence.md from its template."""
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )
    environment.trim_blocks = environment.lstrip_blocks = True

    def points(plan, table, label, sign=1):
        """A difference with its interval, or what its plan still lacks."""
        return difference_of(
            claim_of(figures, Claim("", "", plan, table, label, sign))
        )

    few = ROOT / "benchmarks" / "results" / "few_clips.json"
    path = Path(__file__).with_name("evidence.jinja")
    return environment.from_string(path.read_text("utf-8")).render(
        figures=figures,
        spread=seed_spread(figures),
        few=json.loads(few.read_text("utf-8")),
        points=points,
        plans=PLANS,
        claims=claims_table(claims, "../benchmarks/results/study"),
    )


def readme(claims):
    """Fills in the first claims in README."""

    def fill(match):
        begin, count, end = match.groups()
        text = claims_table(claims[: int(count)], "benchmarks/results/study")
        return f"{begin}\n{text}\n{end}"

    return re.sub(BLOCK, fill, README.read_text("utf-8"), flags=re.DOTALL)


def pages(figures):
    """The text of each page that ``make evidence`` writes, by path."""
    claims = [claim_of(figures, claim) for claim in CLAIMS]
    return {
        EVIDENCE: evidence(figures, claims),
        README: readme(claims),
        **{
            RESULTS / f"{name}.md": plan_page(Plan(name), figures)
            for name in PLANS
        },
    }


def main():
    """Writes figures, pages and the picture."""
    write_json(RESULTS / "figures.json", measure_all())
    figures = json.loads((RESULTS / "figures.json").read_text("utf-8"))
    for path, text in pages(figures).items():
        with atomic_path(path) as temporary:
            Path(temporary).write_text(text, "utf-8")
    claims = [claim_of(figures, claim) for claim in CLAIMS]
    plot_claims(claims, RESULTS / "claims.png")


if __name__ == "__main__":
    main()
