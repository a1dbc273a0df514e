"""Runs a plan of the study: trains every configuration on every fold.

A plan (speech_commands.yaml, x_vector.yaml, ...) lists the recipe runs and the
differences to be tested. A finished run adds a row to
benchmarks/results/study/NAME.jsonl and its predictions to NAME.npz, and is not run
again: an interrupted study continues when started again, and a second shell
shares the work. `make evidence` makes the tables. DATA_FOLDER is one of the two
in docs/data.md, "Data of the benchmarks", as the plan says.

> python benchmarks/study/run.py DATA_FOLDER --plan NAME --list
> python benchmarks/study/run.py DATA_FOLDER --plan NAME --search  # the trials
> python benchmarks/study/run.py DATA_FOLDER --plan NAME --choose  # the best
> python benchmarks/study/run.py DATA_FOLDER --plan NAME           # all tables
> python benchmarks/study/run.py DATA_FOLDER --plan NAME --tables cpu_time --folds 1

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock, Timeout

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from harness import environment, run_recipe  # noqa: E402
from study.comparison import (
    METRICS,  # noqa: E402
    Scores,  # noqa: E402
)
from study.folds import groups_of, link_fold, make_fold  # noqa: E402
from study.models import PEERS, compose, figures, read_yaml  # noqa: E402
from study.plan import ROOT, Plan  # noqa: E402

from speechbrain_fftp.dataio.files import write_json  # noqa: E402
from speechbrain_fftp.datasets.speech_commands.lists import (  # noqa: E402
    SILENCE,
)

REPORTS = {
    "recipes/AudioSet/train.py": "report_tagging",
    "recipes/SpeechCommands/train.py": "report_accuracy",
}
REPORT = """
- !name:speechbrain_fftp.training.reports.{}
  folder: !ref <output_folder>"""
CODE = (
    "speechbrain_fftp",
    "recipes",
    "hparams",
    "benchmarks/peers",
    "benchmarks/study",
)


class Study:
    """A plan on a data folder, and the folder of its runs."""

    def __init__(self, plan, data_folder, work):
        self.plan, self.data_folder, self.work = plan, data_folder, work

    def folder(self, run):
        """The run's folder, the same at each start."""
        name = re.sub(r"\W+", "_", str(run)).strip("_")[:40]
        return self.work / "runs" / f"{name}_{self.plan.digest(run)}"

    def prepare(self, run, options):
        """Makes and prepares the run's fold once; returns its clips."""
        fold = self.work / "folds" / str(run.fold)
        prepared = self.work / "prepared" / str(run.fold)
        make = make_fold
        if self.plan.facts.get("splits") == "folders":
            make = link_fold
        with FileLock(self.work / "lock"):
            clips = make(self.data_folder, run.fold, fold)
            if not prepared.exists():
                words = [ROOT / self.plan.facts["prepare"], fold, prepared]
                if task := run.row.options.get("task"):
                    words += ["--task", task]
                run_recipe(words, **options)
        return clips

    def command(self, run):
        """The recipe's script, yaml and options for a run."""
        row, digest = run.row, self.plan.digest(run)
        path = self.work / f"{digest}_{Path(row.yaml).name}"
        options = {
            **row.options,
            "data_folder": self.work / "folds" / str(run.fold),
            "prepared_folder": self.work / "prepared" / str(run.fold),
            "output_folder": self.folder(run),
            "seed": run.seed,
            "num_workers": 0,
            "device": "cpu",
            "inference_yaml": "null",  # a peer has none
            # Reports only, without exporting the model
            "after": REPORT.format(REPORTS[self.plan.facts["recipe"]]),
        }
        words = [f"--{key}={value}" for key, value in options.items()]
        return [
            ROOT / self.plan.facts["recipe"],
            compose(row, self.plan, path),
            *words,
            "--noprogressbar",
        ]

    def execute(self, run):
        """Trains, scores and stores a run once; returns False if it failed."""
        if self.plan.find(run):
            return True
        folder = self.folder(run)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(folder / "lock", timeout=0):
                return self.plan.find(run) or self.train(run, folder)
        except Timeout:
            print(f"{run}: running in another shell", flush=True)
            return True

    def train(self, run, folder):
        """Trains, scores and stores a run whose lock is held."""
        resumed = (folder / "output.txt").exists()
        paths = [str(PEERS), os.environ.get("PYTHONPATH")]
        variables = {
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "OMP_NUM_THREADS": "1",
        }
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
            text = (folder / "output.txt").read_text("utf-8", errors="replace")
            last = "\n".join(text.splitlines()[-15:])
            print(f"{run}: FAILED, exit status {status}\n{last}\n{folder}")
            return False
        scores, silence = self.read_scores(folder)
        row = {
            **self.describe(run, scores, folder, clips),
            **silence,
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
        return True

    def read_scores(self, folder):
        """The ``Scores`` of a run's test clips, and accuracy on silence, if any."""
        found, silence = np.load(folder / "probabilities.npz"), {}
        groups = np.array(groups_of(self.data_folder, found["ids"]))
        scores = Scores(found["ids"], groups, found["targets"], found["probs"])
        if SILENCE in found["labels"]:
            silent = scores.targets[:, found["labels"] == SILENCE][:, 0]
            hits = scores.probs.argmax(1) == scores.targets.argmax(1)
            silence["silence"] = float(hits[silent].mean())
            scores = Scores(*(part[~silent] for part in scores[:4]))
        if self.plan.metric == "mAP":  # drop classes without positive clips
            scored = scores.targets.any(0)
            scores = scores._replace(
                targets=scores.targets[:, scored], probs=scores.probs[:, scored]
            )
        return scores._replace(probs=scores.probs.astype(np.float32)), silence

    def describe(self, run, scores, folder, clips):
        """The stored row of a finished run, except for its times."""
        plan, row = self.plan, run.row
        metrics = json.loads((folder / "metrics.json").read_text("utf-8"))
        weights = np.ones((1, len(scores.groups)))
        size = figures(row, plan)
        epochs = row.options["number_of_epochs"]
        yaml = re.sub(r"\s*#.*", "", read_yaml(row, plan))
        return {
            "recipe": plan.facts["recipe"],
            "yaml": row.yaml,
            "overrides": row.options,
            "fold": str(run.fold),
            "seed": run.seed,
            "value": float(METRICS[plan.metric](scores, weights)[0]),
            "valid": metrics[f"valid_{plan.metric}"],
            "averaged_epochs": metrics["averaged_epochs"],
            "epochs": metrics["epochs"],
            "training_macs": 3 * size["macs"] * len(clips["train"]) * epochs,
            "trained": None,
            "clips": {name: len(part) for name, part in clips.items()},
            **size,
            "processor": environment("cpu")["processor"],
            "torch": torch.__version__,
            "commit": git("rev-parse", "HEAD"),
            "changed": bool(git("status", "--porcelain", *CODE)),
            "yaml_sha1": hashlib.sha1(yaml.encode()).hexdigest()[:10],
        }


def git(*words):
    """The output of a git command in this checkout."""
    return subprocess.run(
        ["git", *words], cwd=ROOT, capture_output=True, text=True
    ).stdout.strip()


def choose(plan):
    """Writes the options of each model's best trial."""
    options, scores = {}, {}
    for model, runs in plan.search_runs().items():
        found = [plan.find(run) for run in runs]
        if None in found:
            raise SystemExit(f"study: trials of {model} are not run yet")
        values = [row["value"] for row in found]
        options[model] = plan.trials[values.index(max(values))]
        scores[model] = {
            str(trial): round(value, 4)
            for trial, value in zip(plan.trials, values)
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
    parser.add_argument("--work", type=Path, help="folder for the runs")
    for name, text in (
        ("--search", "run the trials of options"),
        ("--choose", "choose from the trials"),
        ("--list", "only list the runs"),
    ):
        parser.add_argument(name, action="store_true", help=text)
    return parser.parse_args(argv)


def main(argv=None):
    """Runs the command line; returns the exit status."""
    args = parse(argv)
    plan = Plan(args.plan)
    if args.choose:
        choose(plan)
        return 0
    if unknown := set(args.tables or ()) - set(plan.facts["tables"]):
        raise SystemExit(f"study: no table {', '.join(sorted(unknown))}")
    if args.search:
        runs = sum(plan.search_runs().values(), [])
    else:
        runs = plan.runs(args.tables, args.folds)
    if args.list:
        print("\n".join(map(str, runs)))
        return 0
    missing = [run for run in runs if not plan.find(run)]
    is_given = plan.facts.get("splits") == "given"
    if any(is_given or run.row.uses or run.row.data for run in missing):
        raise SystemExit(
            f"study: {plan.name} needs the commit that its page names: "
            "these runs take models of other runs, or clips in another way"
        )
    if not args.data_folder.is_dir():
        raise SystemExit(f"study: there is no folder {args.data_folder}")
    work = args.work or Path("results") / f"study_{plan.name}"
    study = Study(plan, args.data_folder.resolve(), work.resolve())
    failed = [run for run in missing if not study.execute(run)]
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
