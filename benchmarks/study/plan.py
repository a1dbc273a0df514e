"""Reads a plan of the study: models, trials, and tables of runs.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
from pathlib import Path
from typing import NamedTuple, Optional

import yaml
from study.folds import FOLDS, SEARCH
from study.models import Config

FIRST_SEED = 1000  # fold 1 has the seed 1001


class Row(NamedTuple):
    """A configuration on some folds, and the label it is compared with.

    ``data`` is a subset of the clips; ``uses`` has options and the rows whose
    models they take, on the same fold.
    """

    label: str
    config: Config
    minutes: float  # of CPU time, expected
    folds: list
    against: Optional[str] = None
    data: str = ""
    uses: tuple = ()


class Table(NamedTuple):
    """Rows that answer a question; interactions with another table.

    ``target`` is the row whose last validation score others have to reach.
    """

    title: str
    rows: list
    interactions: list
    target: Optional[str] = None


class Run(NamedTuple):
    """A configuration on a fold, or on ``search``."""

    name: str
    config: Config
    minutes: float
    fold: object
    data: str = ""
    uses: tuple = ()  # options, and the runs whose models they take

    def __str__(self):
        fold = self.fold if self.fold == SEARCH else f"fold {self.fold}"
        return f"{self.name}, {fold}"


class Plan:
    """A plan: ``options``, ``models``, ``trials`` and ``tables`` of its file.

    Arguments
    ---------
    path : Path
        The yaml file. The choice of ``trials`` lies beside it, in
        ``NAME_chosen.json``, once it has been made.
    """

    def __init__(self, path):
        self.name = path.stem
        self.chosen_path = path.with_name(f"{path.stem}_chosen.json")
        self.facts = yaml.safe_load(path.read_text("utf-8"))
        self.recipe, self.base = self.facts["recipe"], self.facts["base"]
        self.metric, self.margin = self.facts["metric"], self.facts["margin"]
        self.seconds = self.facts["seconds"]
        self.n_classes = self.facts["n_classes"]
        self.trials = self.facts.get("trials", [])

    @property
    def chosen(self):
        """The options chosen for each model; empty without trials."""
        if not self.trials:
            return {}
        if not self.chosen_path.exists():
            raise SystemExit(
                f"study: there is no {self.chosen_path.name}: run --search and "
                "--choose first, and commit it"
            )
        return json.loads(self.chosen_path.read_text("utf-8"))["options"]

    def config(self, model, epochs, *options):
        """The ``Config`` of a model; later options replace earlier ones."""
        facts = self.facts["models"][model]
        found = {**self.facts["options"], **facts["options"]}
        for more in options:
            found.update(more)
        # The weights of a fifth of the epochs are averaged, five at most.
        averaged = max(1, min(5, epochs // 5))
        found.update(number_of_epochs=epochs, avg_checkpoints=averaged)
        return Config(facts["yaml"], found)

    def tables(self):
        """All ``Table``s by name, with the chosen options."""
        tables, chosen = {}, self.chosen
        for name, table in self.facts["tables"].items():
            rows, usual = [], table.get("folds", FOLDS)
            for row in table["rows"]:
                options = chosen.get(row["model"], {}), row.get("options", {})
                known = {done.label: done for done in rows}
                uses = row.get("uses", {}).items()
                rows.append(
                    Row(
                        row["label"],
                        self.config(row["model"], row["epochs"], *options),
                        self.minutes(
                            {**self.facts["models"][row["model"]], **row}
                        ),
                        list(range(1, 1 + min(usual, row.get("folds", usual)))),
                        row.get("against"),
                        row.get("data", ""),
                        tuple((key, known[label]) for key, label in uses),
                    )
                )
            interactions = table.get("interactions", [])
            tables[name] = Table(
                table["title"], rows, interactions, table.get("target")
            )
        return tables

    def search_runs(self):
        """A run for each model and number of a trial."""
        return {
            (model, number): Run(
                f"search: {model} {trial}",
                self.config(model, facts["epochs"], trial),
                self.minutes(facts),
                SEARCH,
            )
            for number, trial in enumerate(self.trials)
            for model, facts in self.facts["models"].items()
            if facts.get("is_tuned", True)
        }

    def runs(self, names=None, folds=None):
        """The runs of some tables, fold by fold, each one once."""
        found = {}
        for name, table in self.tables().items():
            if name not in (names or [name]):
                continue
            for fold in range(1, 1 + FOLDS):
                for row in table.rows:
                    run = self.run(row, fold, name)
                    if fold in row.folds and fold in (folds or [fold]):
                        found.setdefault(self.key(run), run)
        return list(found.values())

    def run(self, row, fold, table=""):
        """The ``Run`` of a row on a fold, with those that it uses."""
        uses = tuple((k, self.run(used, fold, table)) for k, used in row.uses)
        name = f"{table}: {row.label}"
        return Run(name, row.config, row.minutes, fold, row.data, uses)

    def key(self, run):
        """Identifies a run in the results."""
        yaml_, options = run.config
        parts = [self.recipe, yaml_, options, str(run.fold)]
        if run.data:
            parts.append(self.facts["data"][run.data])
        parts += [[option, self.key(used)] for option, used in run.uses]
        return json.dumps(parts, sort_keys=True)

    def is_used(self, run):
        """Whether other runs take the model of this one, which is no trial."""
        if run.fold == SEARCH:
            return False
        rows = (row for table in self.tables().values() for row in table.rows)
        used = (self.run(u, run.fold) for row in rows for _, u in row.uses)
        return any(self.key(run) == self.key(other) for other in used)

    def minutes(self, facts):
        """Expected CPU minutes, given epochs and seconds per epoch."""
        seconds = facts["epochs"] * facts["epoch_seconds"]
        return (self.facts["start_seconds"] + seconds) / 60

    def seed(self, run):
        """The seed of a run, the same for all runs of a fold."""
        return FIRST_SEED + (0 if run.fold == SEARCH else int(run.fold))


def find_plan(name):
    """The plan of a name, such as ``speech_commands``, or of a yaml file."""
    path = Path(name)
    if path.suffix != ".yaml":
        path = Path(__file__).with_name(f"{name}.yaml")
    if not path.exists():
        raise SystemExit(f"study: there is no plan {path}")
    return Plan(path)
