"""Writes the pages and the picture of the study's stored runs: `make evidence`.

Statistics of all plans are written to studies/results/figures.json. From these
it writes docs/evidence.md, by the template evidence.jinja; a page for each plan
to studies/results, with the text notes/NAME.md; and README's table, the first
rows of the one in docs/evidence.md.

> python studies/report.py

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

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
from harness import table
from performance_table import latest, read_lines

from speechbrain_fftp.dataio.files import atomic_path, write_json
from studies.measure import KINDS, PLANS, measure_all
from studies.plan import RESULTS, Plan
from studies.plots import plot_claims


class Claim(NamedTuple):
    """A row of docs/evidence.md: a claim, and the difference that tests it.

    A ``sign`` of -1 turns the difference of a table round, so that positive
    values speak for the claim.
    """

    text: str
    data: str
    contrast: str
    plan: str
    table: str
    label: str
    sign: int = 1


CLAIMS = (
    Claim(
        "FFTP beats squares at equal cost",
        "words",
        "FFTP 16/5, square 16/16, 60 epochs",
        "patch_height",
        "long",
        "FFTP 16/5, 60 epochs minus square 16/16, 60 epochs",
    ),
    Claim(
        "Their shape does, without overlap",
        "words",
        "FFTP 5/5, square 16/16, 60 epochs",
        "patch_shape",
        "across",
        "FFTP 5/5 minus square 16/16 of patch_height",
    ),
    Claim(
        "On 10 s, at 36 % cost",
        "soundscapes",
        "FFTP 10/10, square 16/16, 20 epochs",
        "aum_gain",
        "ast",
        "square 16/16 minus FFTP 10/10",
        -1,
    ),
    Claim(
        "The same, 40 epochs",
        "soundscapes",
        "time steps classified",
        "long_clips",
        "convergence",
        "square 16/16, 40 epochs minus FFTP 10/10, 40 epochs",
        -1,
    ),
    Claim(
        "Full height helps by itself",
        "words",
        "FFTP, square 16/16",
        "patch_height",
        "long",
        "square 16/16, 60 epochs minus FFTP 16/16, 60 epochs",
        -1,
    ),
    Claim(
        "Fewer tokens cost accuracy",
        "words",
        "FFTP 10/5, 10/10, two folds",
        "speech_commands",
        "stride",
        "FFTP 10/10 minus FFTP 10/5",
        -1,
    ),
    Claim(
        "The same",
        "words",
        "five folds",
        "speech_commands",
        "across",
        "FFTP 10/5 minus FFTP 10/10, five folds",
    ),
    Claim(
        "SpecMask raises accuracy",
        "soundscapes",
        "20 % masked, none",
        "masks_long_clips",
        "masks",
        "SpecMask minus no masks",
    ),
    Claim(
        "The same, AuM",
        "words",
        "6 % masked, none",
        "specmask_words",
        "published",
        "AuM, SpecMask of 6.25 % minus AuM, no masks",
    ),
    Claim(
        "Masks should match patches",
        "soundscapes",
        "SpecMask, moved off the grid",
        "masks_long_clips",
        "masks",
        "the same cells, not aligned minus SpecMask",
        -1,
    ),
    Claim(
        "FFTP helps AuM",
        "soundscapes",
        "FFTP 10/10, square 16/16",
        "aum_gain",
        "aum",
        "square 16/16 minus FFTP 10/10",
        -1,
    ),
    Claim(
        "Square weights help FFTP",
        "words",
        "square, random weights",
        "reuse",
        "ten",
        "random weights minus square weights",
        -1,
    ),
    Claim(
        "FFTP's AST beats an x-vector",
        "words",
        "equal MACs",
        "speech_commands",
        "macs",
        "x-vector, 128 wide minus FFTP 10/5",
        -1,
    ),
    Claim(
        "FFTP's ConvNeXt1d does",
        "words",
        "equal MACs",
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
    "corrected",
    "bootstrap",
    "p, t",
    "p, corrected",
    "p, bootstrap",
    "finding",
)
LEGEND = """\
MACs count encoder and classifier for a clip of {seconds:g} s, with attention
and scans; training MACs are three times as many for each clip and epoch. CPU
minutes are for a whole run of the recipe, on {processors}.
Intervals and p are by a t test over folds, by the same test *corrected* for what folds
share, and by a bootstrap over folds and
{groups}.
{shared}
All p have Holm's correction over the contrasts of {family}; a difference that was
*not declared* is judged among all differences of the page. A finding needs all p below
0.05; *equal* needs all intervals inside ±{margin:g} points. Intervals include the seed's
part, as each fold has its own: on clips of 10 s, the mAP of [six
seeds](masks_long_clips.md) has a standard deviation of {spread:.1f} points.

{runs} runs in {cpu_hours:.1f} CPU hours, at commits {commits}, by
[the plan](../plans/{name}.yaml):

```
git checkout COMMIT
python benchmarks/study/run.py DATA_FOLDER --plan {name}
```
"""
DATA = """\

DATA_FOLDER is one of [two](../../docs/data.md#data-of-the-benchmarks), or what
`studies/soundscapes.py` writes, with `--partitions 2` for folds 4 to 6.
"""


SHARED = """\
Folds train on each other's test clips: the correction of Nadeau and Bengio (Machine
Learning 52, 2003) takes 1/n + {overlap:.3f} instead of 1/n for the variance of a mean of n
folds, where {overlap:.3f} is n_test/n_train, counted in {counted}."""
SEEDS = """\
The folds are seeds on one split, which share all clips: there is no correction for
that, and what is found holds for these clips. The sources of the soundscapes of this
earlier version are not stored, so that the bootstrap draws soundscapes."""
MIXED = """\
Test soundscapes share speakers and sessions, with each other and between partitions:
the bootstrap draws these, once for all folds (`studies/sources.py`). The plan
named soundscapes instead."""
NOT_DECLARED = "not declared"


def finding_of(entry):
    """The finding of a contrast, marked if it was not declared."""
    if entry["declared"]:
        return entry["finding"]
    return f"{entry['finding']}, {NOT_DECLARED}"


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
        return [label, *["-"] * (len(CONTRAST_COLUMNS) - 2), finding_of(entry)]
    corrected = bounds(entry["wide_low"], entry["wide_high"])
    corrected_p = p_value(entry["wide_p"])
    if entry["wide_low"] == entry["low"]:  # seeds, see SEEDS
        corrected = corrected_p = "-"
    return [
        label,
        ", ".join(f"{value:+.1f}" for value in entry["by_fold"]),
        f"{entry['value']:+.1f} {bounds(entry['low'], entry['high'])}",
        corrected,
        bounds(entry["drawn_low"], entry["drawn_high"]),
        p_value(entry["p"]),
        corrected_p,
        p_value(entry["drawn_p"]),
        finding_of(entry),
    ]


def trials(plan):
    """The table of a plan's trials of options, by model."""
    if not plan.trials:
        return []
    found = json.loads(plan.chosen_path.read_text("utf-8"))["scores"]
    tried = []  # of any model, where the plan extends its trials
    for model in found:
        tried += [x for x in plan.trials_of(model) if x not in tried]
    if "extend" in plan.facts:
        tried.sort(key=lambda trial: trial["lr"])
    names = [", ".join(map(str, each.values())) for each in tried]
    rows = [
        [
            model,
            *(
                f"{100 * scores[str(trial)]:.1f}"
                if str(trial) in scores
                else "-"
                for trial in tried
            ),
        ]
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
        title = "by kind of sound: not declared, not corrected"
        lines.append(table([title, *KINDS], kinds))
    return lines


def seed_spread(figures):
    """The standard deviation over six seeds of one configuration, in points."""
    rows = figures["masks_long_clips"]["rows"]["seeds"]
    return statistics.stdev(row["mean"] for row in rows.values())


def shared_of(plan, overlap):
    """What the folds of a plan share, and what its bootstrap draws."""
    groups = plan.facts["groups"]
    if plan.is_given:
        return {"shared": SEEDS, "groups": groups}
    if plan.has_sources:
        counted = "sounds,\nas soundscapes are mixed from them in any number"
        text = SHARED.format(overlap=overlap, counted=counted)
        if not plan.is_mixed:
            text += f"\n{MIXED}"
        sources = "the sources of sounds (speakers, recording sessions)"
        return {"shared": text, "groups": sources}
    text = SHARED.format(overlap=overlap, counted=groups)
    return {"shared": text, "groups": groups}


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
        **{**plan.facts, **shared_of(plan, measured["overlap"])},
        runs=measured["runs"],
        cpu_hours=measured["cpu_hours"],
        processors=processors,
        commits=", ".join(measured["commits"]),
        name=plan.name,
        family="a table" if plan.facts.get("holm") == "table" else "the plan",
        spread=seed_spread(figures),
    )
    if "seeds" not in plan.facts and not plan.is_mixed:
        legend += DATA
    return "\n".join([*lines, "## How it was measured\n", legend])


def millions(params):
    """The number of parameters of the arms of a contrast, or both if far apart."""
    if max(params) < 1.2 * min(params):
        params = [max(params)]
    return "/".join(f"{count / 1e6:.2g}M" for count in params)


def claim_of(figures, claim):
    """A claim with its difference and finding, as a dict."""
    measured = figures[claim.plan]
    entry = {"finding": "not yet run", "declared": True}
    if measured:
        entry = dict(measured["contrasts"][claim.table][claim.label])
    found = {"text": claim.text, "contrast": claim.contrast, "plan": claim.plan}
    if "value" not in entry:
        return {**found, "finding": finding_of(entry), "by_fold": []}
    size = millions(entry["params"][:: claim.sign])
    clips = entry["train_clips"]
    found["contrast"] = f"{size}, {clips:,} {claim.data}: {claim.contrast}"
    ends = {}
    for low, high in (("low", "high"), ("wide_low", "wide_high")):
        both = sorted(claim.sign * entry[name] for name in (low, high))
        ends.update(zip((low, high), both))
    word = entry["finding"]
    if word in ("higher", "lower"):
        supports = (word == "higher") == (claim.sign > 0)
        words = ("contradicted", "supported")
        if not entry["declared"]:
            words = ("suggestive against it", "suggestive")
        word = words[supports]
    return {
        **found,
        **ends,
        "value": claim.sign * entry["value"],
        "finding": finding_of({**entry, "finding": word}),
        "by_fold": [claim.sign * x for x in entry["by_fold"]],
    }


def difference_of(claim):
    """The difference of a claim with its interval, or what is missing."""
    if "value" not in claim:
        return claim["finding"]
    return f"{claim['value']:+.1f} {bounds(claim['low'], claim['high'])}"


def corrected_of(claim):
    """The corrected interval of a claim."""
    return bounds(claim["wide_low"], claim["wide_high"])


def claims_table(claims, link):
    """The table of claims; ``link`` is the folder of the plans' pages."""
    rows = [
        [
            claim["text"],
            f"[{claim['contrast']}]({link}/{claim['plan']}.md)",
            difference_of(claim) if "value" in claim else "-",
            corrected_of(claim) if "value" in claim else "-",
            claim["finding"],
        ]
        for claim in claims
    ]
    columns = ["claim", "compared", "points", "corrected", "finding"]
    return table(columns, rows)


def faster(batch):
    """How much faster 96 FFTP patches are than 1,212 square ones on a GPU."""
    rows = read_lines("gpu.jsonl")
    about = {"case": "inference", "mode": "graph", "model": "AST"}
    slow, fast = (
        latest(rows, "ms", {**about, "tokens": tokens, "batch": batch})
        for tokens in (1212, 96)
    )
    return f"{slow / fast:.3g}x"


def evidence(figures, claims):
    """Renders docs/evidence.md from its template."""
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )
    environment.trim_blocks = environment.lstrip_blocks = True

    def points(plan, table, label, sign=1):
        """A difference with its interval, or what its plan still lacks."""
        return difference_of(
            claim_of(figures, Claim("", "", "", plan, table, label, sign))
        )

    def finding(plan, table, label):
        """The finding of a contrast."""
        return finding_of(figures[plan]["contrasts"][table][label])

    template = Path(__file__).with_name("evidence.jinja").read_text("utf-8")
    claimed = claims_table(claims, "../studies/results")
    return environment.from_string(template).render(
        figures=figures,
        spread=seed_spread(figures),
        points=points,
        finding=finding,
        faster=faster,
        others=[x for x in PLANS if f"/{x}.md" not in template + claimed],
        claims=claimed,
    )


def readme(claims):
    """Fills in the first claims in README."""

    def fill(match):
        begin, count, end = match.groups()
        text = claims_table(claims[: int(count)], "studies/results")
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
