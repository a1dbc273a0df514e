"""Plans of the study, and the stored results of their runs.

A plan, NAME.yaml, holds ``tables`` of rows, of ``models`` with ``trials`` of
options, or of short yaml files such as those in hparams/paper; or a ``sweep`` of
one option. NAME_chosen.json in the same folder holds the options chosen by the
trials. The results are rows in NAME.jsonl, one line per run, and predictions of
all but the trials in NAME.npz, in which the arrays of a run are named RUN/ids,
RUN/groups, RUN/targets, RUN/probs, RUN/classes and RUN/kinds. RUN/probs are
integers, by which the plan's metric is that of the probabilities.

Authors
 * The speechbrain_fftp authors 2026
"""

import hashlib
import json
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import yaml
from filelock import FileLock

from fftp_tag.files import atomic_path
from speechbrain_fftp.training.command import read_short_yaml
from studies.comparison import NEEDED, Scores

SEARCH = "search"  # the fold of the trials
FOLDS = 5
FIRST_SEED = 1000  # fold 1 has the seed 1001
MOST_TRIALS = 5  # of a model, where the plan extends its trials
SMOKE = {  # options of all runs with --smoke
    "embed_dim": 64,
    "depth": 1,
    "batch_size": 8,
    "number_of_epochs": 1,
    "avg_checkpoints": 1,
}
ROOT = Path(__file__).resolve().parents[1]
PLANS = Path(__file__).with_name("plans")
RESULTS = Path(__file__).with_name("results")


class Row(NamedTuple):
    """A configuration on some folds, and the labels of the rows to compare with."""

    label: str
    yaml: str
    options: dict
    folds: list
    against: tuple = ()
    paper: float | None = None  # what the paper has for it

    @property
    def settings(self):
        """The options, and the plain values of the yaml file's other keys."""
        text = (ROOT / self.yaml).read_text("utf-8")
        return {**yaml.load(text, PlainLoader), **self.options}


class PlainLoader(yaml.SafeLoader):
    """Reads a HyperPyYAML file without its tags, whose values are None."""


PlainLoader.add_multi_constructor("!", lambda *_: None)


class Run(NamedTuple):
    """A row on a fold, 1 to 5 or ``search``; with given splits, on a seed."""

    row: Row
    fold: object

    def __str__(self):
        return f"{self.row.label}, fold {self.fold}"

    @property
    def seed(self):
        """The seed, the same for all runs of a fold unless an option."""
        usual = FIRST_SEED + (0 if self.fold == SEARCH else self.fold)
        return self.row.options.get("seed", usual)


def add_arrays(path, arrays):
    """Adds arrays to those of a file, which is smaller than NumPy writes it."""
    stored = {}
    if path.exists():
        with np.load(path) as file:
            stored.update(file)
    with atomic_path(path) as temporary:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_LZMA) as file:
            for name, array in {**stored, **arrays}.items():
                with file.open(f"{name}.npy", "w") as entry:
                    np.lib.format.write_array(entry, array)


def expand_sweep(sweep, yaml, **others):
    """The tables of a plan with the values of one option of a yaml file."""
    [(option, values)] = sweep.items()
    rows = [
        {"label": f"{option} {value}", "yaml": yaml, "options": {option: value}}
        for value in values
    ]
    for row in rows[1:]:
        row["against"] = [rows[0]["label"]]
    tables = {"sweep": {"title": f"{option} of {yaml}", "rows": rows}}
    return {
        "splits": "given",
        "groups": "clips",
        "kind": "all",
        "seconds": 10.0,
        "tables": tables,
        **others,
    }


class Plan:
    """A plan, given its name or yaml file, and the folder of its results.

    ``smoke`` makes all models, data and trainings tiny.
    """

    def __init__(self, name, results=RESULTS, smoke=False):
        path = Path(name)
        if path.suffix != ".yaml":
            path = PLANS / f"{name}.yaml"
        if not path.exists():
            raise SystemExit(f"study: there is no plan {path}")
        self.name = path.stem
        self.chosen_path = path.with_name(f"{path.stem}_chosen.json")
        self.path = results / f"{path.stem}.jsonl"
        self.predictions = results / f"{path.stem}.npz"
        self.facts = yaml.safe_load(path.read_text("utf-8"))
        if "sweep" in self.facts:
            self.facts = expand_sweep(**self.facts)
        self.metric = self.facts["metric"]
        splits = self.facts.get("splits")
        # All folds have the same clips, and differ in their seeds
        self.is_given = splits == "given"
        # Each fold has a prepared folder, see mixtures.py
        self.has_folders = splits == "folders"
        # Others have folds of the commit that their pages name
        self.is_of_this_commit = self.is_given or self.has_folders
        self.smoke = smoke
        self.trials = self.facts.get("trials", [])

    @property
    def chosen(self):
        """The options of each model that has them; none without trials."""
        if not self.trials:
            return dict.fromkeys(self.facts.get("models", ()), {})
        if self.smoke:
            return dict.fromkeys(self.facts["models"], self.trials[0])
        if not self.chosen_path.exists():
            raise SystemExit(
                f"study: there is no {self.chosen_path.name}: run --search and "
                "--choose first, and commit it"
            )
        found = json.loads(self.chosen_path.read_text("utf-8"))["options"]
        return {
            model: found[model] if self.is_tuned(model) else {}
            for model in self.facts["models"]
            if model in found or not self.is_tuned(model)
        }

    def options(self, model, epochs, *more):
        """All options of a model; later ones replace earlier ones."""
        found = {
            **self.facts["options"],
            **self.facts["models"][model]["options"],
        }
        for options in more:
            found.update(options)
        # The weights of a fifth of the epochs are averaged, five at most.
        averaged = max(1, min(5, epochs // 5))
        return {
            "avg_checkpoints": averaged,
            **found,
            "number_of_epochs": epochs,
            **self.smoke_options,
        }

    @property
    def smoke_options(self):
        """The options of all runs with ``smoke``."""
        return {**SMOKE, **self.facts.get("smoke", {})} if self.smoke else {}

    def configuration(self, entry, chosen):
        """The recipe's yaml file and all options of a row of a table."""
        if "yaml" in entry:
            path, options = read_short_yaml(ROOT / entry["yaml"])
            options.update(self.facts.get("options", {}))
            options.update(entry.get("options", {}))
            options.update(self.smoke_options)
            return path.relative_to(ROOT).as_posix(), options
        model = entry["model"]
        options = self.options(
            model, entry["epochs"], chosen[model], entry.get("options", {})
        )
        return self.facts["models"][model]["yaml"], options

    def tables(self):
        """The rows of each table by label, of models with chosen options."""
        tables, chosen = {}, self.chosen
        for name, table in self.facts["tables"].items():
            rows = tables[name] = {}
            for entry in table["rows"]:
                if "yaml" not in entry and entry["model"] not in chosen:
                    continue
                units = self.facts.get("seeds", self.facts.get("folds", FOLDS))
                usual = table.get("folds", units)
                folds = min(usual, entry.get("folds", usual))
                path, options = self.configuration(entry, chosen)
                rows[entry["label"]] = Row(
                    label=entry["label"],
                    yaml=path,
                    options=options,
                    folds=list(range(1, 1 + folds)),
                    against=tuple(entry.get("against", [])),
                    paper=entry.get("paper"),
                )
        return tables

    def trial(self, model, options):
        """The run of a trial."""
        facts = self.facts["models"][model]
        row = Row(
            label=f"{model} {options}",
            yaml=facts["yaml"],
            options=self.options(model, facts["epochs"], options),
            folds=[SEARCH],
        )
        return Run(row, SEARCH)

    def trials_of(self, model):
        """The trials of a model, and beyond the best one if it is at an edge.

        With ``extend``, a factor, trials are learning rates in rising order.
        """
        trials = list(self.trials)
        while "extend" in self.facts and len(trials) < MOST_TRIALS:
            rows = [self.find(self.trial(model, trial)) for trial in trials]
            if None in rows:
                break
            values = list(map(self.outcome, rows))
            best = values.index(max(values))
            if 0 < best < len(trials) - 1:
                break
            factor = self.facts["extend"] if best else 1 / self.facts["extend"]
            rate = float(f"{trials[best]['lr'] * factor:.3g}")
            trials.insert(best + bool(best), {"lr": rate})
        return trials

    def outcome(self, row):
        """What trials are judged by: the metric, or that of a kind of sound."""
        if "outcome" in self.facts:
            return row["by_kind"][self.facts["outcome"]]
        return row["value"]

    def is_tuned(self, model):
        """Whether a model's options are chosen by trials."""
        return bool(
            self.trials and self.facts["models"][model].get("is_tuned", True)
        )

    def search_runs(self, models=None):
        """The runs of the trials by model, of all or some models."""
        return {
            model: [self.trial(model, trial) for trial in self.trials_of(model)]
            for model in models or self.facts["models"]
            if self.is_tuned(model)
        }

    def runs(self, names=None, folds=None):
        """The runs of some tables, fold by fold, without duplicates."""
        found = {}
        for name, rows in self.tables().items():
            if name not in (names or [name]):
                continue
            for fold in sorted({f for row in rows.values() for f in row.folds}):
                for row in rows.values():
                    if fold in row.folds and fold in (folds or [fold]):
                        run = Run(row, fold)
                        found.setdefault(self.digest(run), run)
        return list(found.values())

    def key(self, run):
        """A text that identifies a run in the results."""
        row = run.row
        parts = [self.facts["recipe"], row.yaml, row.options, str(run.fold)]
        return json.dumps(parts, sort_keys=True)

    def digest(self, run):
        """A short name of a run."""
        return hashlib.sha1(self.key(run).encode()).hexdigest()[:10]

    def rows(self):
        """The stored rows by run."""
        if not self.path.exists():
            return {}
        rows = map(json.loads, self.path.read_text("utf-8").splitlines())
        return {row["run"]: row for row in rows}

    def find(self, run):
        """The stored row of a run, or None."""
        return self.rows().get(self.digest(run))

    def add(self, run, row, scores):
        """Stores a finished run: its predictions, unless it is a trial; its row."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        digest = self.digest(run)
        with FileLock(self.path.with_suffix(".lock")):
            if run.fold != SEARCH:
                needed = NEEDED[self.metric](scores)
                arrays = scores._replace(probs=needed)._asdict().items()
                named = {f"{digest}/{name}": x for name, x in arrays}
                add_arrays(self.predictions, named)
            with open(self.path, "a", encoding="utf-8") as file:
                file.write(json.dumps({"run": digest, **row}) + "\n")

    def scores(self, run):
        """The stored ``Scores`` of a run, its clips ordered by id.

        Folds from separate folders use the same ids for different clips: the
        ids and groups begin with the fold, unless the splits are given, when
        all folds score the same clips.
        """
        digest = self.digest(run)
        with np.load(self.predictions) as stored:
            found = {x: stored[f"{digest}/{x}"] for x in Scores._fields}
        order = np.argsort(found["ids"])
        clips = {
            x: found[x][order] for x in ("ids", "groups", "targets", "probs")
        }
        return Scores(**{**found, **clips})
