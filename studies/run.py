r"""Runs a plan of the study: trains every configuration on every fold.

A plan (fresh.yaml, paper_table.yaml, ...) lists the recipe runs and the
differences to be measured. A finished run adds a row to
studies/results/NAME.jsonl and its predictions to NAME.npz, and is not run
again: an interrupted study continues when started again, and a second shell
shares the work. At the end, it prints a table of what is stored, with the paper's
figures where a plan has them, and what is missing, as --table does without running
anything; `make evidence` makes the pages. DATA_FOLDER is what mixtures.py has
written, or AudioSet, Speech Commands or custom data, whose folds are seeds. --smoke
runs tiny models for an epoch, and stores nothing in the repository.

> python studies/run.py DATA_FOLDER --plan NAME --list
> python studies/run.py DATA_FOLDER --plan NAME --search  # the trials
> python studies/run.py DATA_FOLDER --plan NAME --choose  # the best
> python studies/run.py DATA_FOLDER --plan NAME           # all tables
> python studies/run.py DATA_FOLDER --plan NAME --tables patches --folds 1
> python studies/run.py DATA_FOLDER --plan paper_table --folds 1 \
>     --device cuda --num_workers 8
> python studies/run.py DATA_FOLDER --plan paper_table --smoke
> python studies/run.py DATA_FOLDER --plan sweep.yaml --work results/sweep \
>     --results results/sweep

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import json
import os
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock, Timeout

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
from harness import commit, environment, reports, run_recipe

from fftp_tag.data.prepared import is_complete
from fftp_tag.data.tables import read_table
from fftp_tag.errors import one_line_errors
from fftp_tag.files import write_json
from speechbrain_fftp.training.command import to_options
from studies.comparison import METRICS, Scores
from studies.mixtures import kind_of
from studies.models import count_row
from studies.plan import RESULTS, Plan
from studies.summary import summarize

CODE = (
    "speechbrain_fftp",
    "recipes",
    "hparams",
    "studies",
    ":(exclude)studies/results",
    ":(exclude)studies/plans/*_chosen.json",
)
# Options of the preparation that a row may have
PREPARE = ("task", "valid_fraction")


class Study:
    """A plan on a data folder, the folder of its runs, and the device.

    The device is no part of a run's identity; precision, one of its options, is.
    """

    def __init__(self, plan, data_folder, work, device="cpu", num_workers=0):
        self.plan, self.data_folder, self.work = plan, data_folder, work
        self.device, self.num_workers = device, num_workers
        # The data folder, or that of a fold, is what the preparation would make
        self.is_prepared = plan.has_folders or (
            plan.is_given and is_complete(data_folder)
        )

    def folder(self, run):
        """The run's folder, the same at each start."""
        name = re.sub(r"\W+", "_", str(run)).strip("_")[:40]
        return self.work / "runs" / f"{name}_{self.plan.digest(run)}"

    def folders(self, run):
        """The run's data folder and prepared folder."""
        if self.plan.has_folders:
            folder = self.data_folder / str(run.fold)
            return folder, folder
        if self.is_prepared:
            return self.data_folder, self.data_folder
        return self.data_folder, self.work / "prepared" / "given"

    def prepare(self, run, options):
        """Prepares the run's clips once; returns how many are trained on."""
        folder, prepared = self.folders(run)
        with FileLock(self.work / "lock"):
            if not is_complete(prepared):
                script = ROOT / self.plan.facts["prepare"]
                given = run.row.options
                words = to_options({x: given[x] for x in PREPARE if x in given})
                status, *_ = run_recipe(
                    [script, folder, prepared, *words], **options
                )
                if status != 0:
                    path = options["stdout"].name
                    raise SystemExit(f"study: no clips prepared, see {path}")
        return count_clips(prepared, run)

    def command(self, run):
        """The recipe's script, yaml and options for a run."""
        data_folder, prepared_folder = self.folders(run)
        row = run.row
        options = {
            **row.options,
            "data_folder": str(data_folder),
            "prepared_folder": str(prepared_folder),
            "output_folder": str(self.folder(run)),
            "seed": run.seed,
            "num_workers": self.num_workers,
            "device": self.device,
            "skip_prep": self.is_prepared,
            # Reports only, without exporting the model
            "after": reports(self.plan.facts["recipe"]),
        }
        # Yaml files for prepared data have no such keys
        for name in {"data_folder", "skip_prep"} - row.settings.keys():
            del options[name]
        return [
            ROOT / self.plan.facts["recipe"],
            ROOT / row.yaml,
            *to_options(options),
            "--noprogressbar",
        ]

    def execute(self, run):
        """Trains, scores and stores a run once; returns why it failed, if so."""
        if self.plan.find(run):
            return None
        folder = self.folder(run)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(folder / "lock", timeout=0):
                if self.plan.find(run):
                    return None
                return self.train(run, folder)
        except Timeout:
            print(f"{run}: running in another shell", flush=True)
            return None

    def train(self, run, folder):
        """Trains, scores and stores a run whose lock is held."""
        resumed = (folder / "output.txt").exists()
        # This checkout's modules
        paths = [str(ROOT), os.environ.get("PYTHONPATH")]
        variables = {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
        if self.device == "cpu":  # for comparable CPU minutes
            variables["OMP_NUM_THREADS"] = "1"
        with open(folder / "output.txt", "a", encoding="utf-8") as output:
            options = {
                "cwd": self.work,
                "env": {**os.environ, **variables},
                "stdout": output,
            }
            clips = self.prepare(run, options)
            status, cpu_minutes, minutes = run_recipe(
                self.command(run), **options
            )
        if status != 0:
            why = f"{run}: exit status {status}, see {folder}/output.txt"
            print(why, flush=True)
            return why
        scores = self.read_scores(folder)
        row = {
            **self.describe(run, scores, folder, clips),
            "cpu_minutes": cpu_minutes,
            "minutes": minutes,
            "resumed": resumed,
        }
        self.plan.add(run, row, scores)
        shutil.rmtree(folder / "save", ignore_errors=True)  # large
        print(
            f"{run}: {100 * row['value']:.2f} %, {cpu_minutes:.1f} CPU minutes",
            flush=True,
        )
        return None

    def read_scores(self, folder):
        """The ``Scores`` of a run's test clips."""
        found = np.load(folder / "probabilities.npz")
        groups = found["ids"]
        # Ids are WORD_SPEAKER_nohash_NUMBER
        if self.plan.facts["groups"] == "speakers":
            names = (x.partition("_nohash_")[0] for x in groups)
            groups = np.array([x.rpartition("_")[2] for x in names])
        # Ids are NUMBER-GROUP
        elif self.plan.facts["groups"] == "first sounds":
            groups = np.array([x.partition("-")[2] for x in groups])
        classes = found["labels"]
        # All of a kind, or as `mixtures.py` mixes them
        kind = self.plan.facts.get("kind")
        kinds = np.array([kind or kind_of(x) for x in classes])
        scores = Scores(
            found["ids"],
            groups,
            found["targets"],
            found["probs"].astype(np.float32),
            classes,
            kinds,
        )
        if self.plan.metric == "mAP":  # drop classes without positive clips
            scores = scores.of_classes(scores.targets.any(0))
        return scores

    def describe(self, run, scores, folder, clips):
        """The stored row of a finished run, except for its times."""
        plan, row = self.plan, run.row
        metrics = json.loads((folder / "metrics.json").read_text("utf-8"))

        def value(scores):
            """The metric of some scores."""
            weights = np.ones((1, len(scores.groups)))
            return float(METRICS[plan.metric](scores, weights)[0])

        # Of all classes, where the plan does not say how many there are
        labels = np.load(folder / "probabilities.npz")["labels"]
        n_classes = plan.facts.get("n_classes", len(labels))
        counts = count_row(row, n_classes, plan.facts["seconds"])
        about = environment(self.device)
        epochs = row.options["number_of_epochs"]
        return {
            "recipe": plan.facts["recipe"],
            "yaml": row.yaml,
            "overrides": row.options,
            "fold": str(run.fold),
            "seed": run.seed,
            "value": value(scores),
            "by_kind": {k: value(x) for k, x in scores.by_kind().items()},
            "valid": metrics[f"valid_{plan.metric}"],
            "valid_by_epoch": valid_by_epoch(folder, plan.metric),
            "training_macs": 3 * counts["macs"] * clips * epochs,
            "clips": clips,
            **counts,
            "device": self.device,
            "processor": about.get("GPU", about["processor"]),
            "torch": torch.__version__,
            "commit": commit(*CODE),
        }


def count_clips(prepared, run):
    """The number of a run's training clips."""
    table = Path(run.row.options.get("train_annotation", "train.csv")).name
    return sum(1 for _ in read_table(prepared / table, ("ID",)))


def valid_by_epoch(folder, metric):
    """The metric of the validation clips after each epoch."""
    log = (folder / "train_log.txt").read_text("utf-8")
    return list(
        map(float, re.findall(rf"valid {metric}: (\S+?)(?:,|$)", log, re.M))
    )


def choose(plan):
    """Writes the options of the best trial of each model whose trials are run."""
    options, scores = {}, {}
    for model, runs in plan.search_runs().items():
        found = [plan.find(run) for run in runs]
        if None in found:
            print(f"study: trials of {model} are not run yet")
            continue
        values = list(map(plan.outcome, found))
        trials = plan.trials_of(model)
        options[model] = trials[values.index(max(values))]
        scores[model] = {
            str(trial): round(value, 4) for trial, value in zip(trials, values)
        }
    write_json(plan.chosen_path, {"options": options, "scores": scores})
    print(plan.chosen_path.read_text("utf-8"))


def parse(argv):
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("data_folder", type=Path)
    parser.add_argument("--plan", required=True, help="name or yaml file")
    parser.add_argument("--tables", nargs="+", help="only these tables")
    parser.add_argument("--folds", nargs="+", type=int, help="only these")
    parser.add_argument("--models", nargs="+", help="only these models' trials")
    parser.add_argument("--work", type=Path, help="folder for the runs")
    parser.add_argument(
        "--results", type=Path, default=RESULTS, help="folder of stored rows"
    )
    parser.add_argument("--device", default="cpu", help="such as cuda")
    parser.add_argument("--num_workers", type=int, default=0)
    for name, text in (
        ("--search", "run the trials of options"),
        ("--choose", "choose from the trials"),
        ("--list", "only list the runs"),
        ("--table", "only print what is stored, and what is missing"),
        ("--smoke", "tiny models and data, results in the folder of the runs"),
    ):
        parser.add_argument(name, action="store_true", help=text)
    return parser.parse_args(argv)


def main(argv=None):
    """Runs the command line; returns the exit status."""
    args = parse(argv)
    work = args.work or Path("results") / f"study_{Path(args.plan).stem}"
    results = work if args.smoke else args.results
    plan = Plan(args.plan, results, args.smoke)
    if unknown := set(args.tables or ()) - set(plan.facts["tables"]):
        raise SystemExit(f"study: no table {', '.join(sorted(unknown))}")
    if args.choose:
        choose(plan)
        return 0

    def list_runs():
        """All runs; trials beyond an edge appear as others are stored."""
        if args.search:
            return sum(plan.search_runs(args.models).values(), [])
        return plan.runs(args.tables, args.folds)

    if args.list:
        print("\n".join(map(str, list_runs())))
        return 0
    if args.table:
        print(summarize(plan, args.tables))
        return 0
    runs = [run for run in list_runs() if not plan.find(run)]
    if runs and not plan.is_of_this_commit:
        raise SystemExit(
            f"study: {plan.name} needs the commit that its page names"
        )
    if not args.data_folder.is_dir():
        raise SystemExit(f"study: there is no folder {args.data_folder}")
    work.mkdir(parents=True, exist_ok=True)
    folders = args.data_folder.resolve(), work.resolve()
    study = Study(plan, *folders, args.device, args.num_workers)
    failed, others = [], []
    while runs and runs != others and not failed:
        others = runs  # by other shells
        with one_line_errors():
            failed = list(filter(None, map(study.execute, runs)))
        runs = [run for run in list_runs() if not plan.find(run)]
    if not args.search:
        print(summarize(plan, args.tables))
    if failed:
        raise SystemExit("\n".join(failed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
