"""Runs a plan of the study: trains every configuration on every fold.

A plan (speech_commands.yaml, audioset_mini.yaml) says what is trained, by the
recipes, and which differences are tested. The data folder gives the plan its
name. A finished run adds a row to benchmarks/results/study/NAME.jsonl and its
predictions to a folder beside, and is not run again: an interrupted study
continues when started again, and a second shell shares the work.

> python benchmarks/study/run.py DATA_FOLDER --list      # minutes of each run
> python benchmarks/study/run.py DATA_FOLDER --search    # trials of options
> python benchmarks/study/run.py DATA_FOLDER --choose    # the best of them
> python benchmarks/study/run.py DATA_FOLDER             # all tables
> python benchmarks/study/run.py DATA_FOLDER --tables masks --folds 1 2
> python benchmarks/study/run.py DATA_FOLDER --report

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import contextlib
import fcntl
import os
import re
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from harness import RESULTS, run_recipe  # noqa: E402
from study.collect import WINDOWS, collect  # noqa: E402
from study.folds import make_fold  # noqa: E402
from study.models import PEERS, ROOT, compose, save_blocks  # noqa: E402
from study.plan import find_plan  # noqa: E402
from study.report import write_report  # noqa: E402
from study.results import Results  # noqa: E402

from speechbrain_fftp.dataio.files import write_json  # noqa: E402


class Study:
    """A plan on a data folder, and the folders of its runs and results."""

    def __init__(self, plan, data_folder, work, results):
        self.plan, self.data_folder, self.work = plan, data_folder, work
        self.results = Results(results, plan)

    def folder(self, run):
        """The run's folder, the same whenever it is started."""
        runs, digest = self.work / "runs", self.results.digest(run)
        name = re.sub(r"\W+", "_", run.name).strip("_")[:40]
        new = runs / f"{name}_{run.fold}_{digest}"
        return next(runs.glob(f"*_{digest}"), new)  # of another table, too

    def data(self, run, kind):
        """The folder of a run's ``folds`` or ``prepared`` data."""
        return (
            self.work / kind / "_".join(filter(None, [str(run.fold), run.data]))
        )

    def command(self, run):
        """The recipe's script, yaml and options for a run."""
        config, models = run.config, self.models(run)
        if "model" in models:
            # What an interrupted call has left
            shutil.rmtree(self.folder(run) / "scores", ignore_errors=True)
            words = ["-m", "speechbrain_fftp.cli.main", "evaluate"]
            words += ["--model", models["model"]]
            words += ["--data_folder", self.data(run, "prepared")]
            words += ["--output", self.folder(run) / "scores", "--threads", 1]
            names = {
                "stride_frames": "stride",
                "window": "window",
                "hop": "hop",
            }
            for key, option in names.items():
                if key in config.overrides:
                    words += [f"--{option}", config.overrides[key]]
            return words
        name = f"{self.results.digest(run)}_{Path(config.yaml).name}"
        own = {k: v for k, v in config.overrides.items() if k not in WINDOWS}
        for name in set(own) & set(self.plan.facts.get("files", ())):
            own[name] = self.data_folder / own[name]
        options = {
            **own,
            **models,
            "data_folder": self.data(run, "folds"),
            "prepared_folder": self.data(run, "prepared"),
            "output_folder": self.folder(run),
            "seed": self.plan.seed(run),
            "num_workers": 0,
            "device": "cpu",
        }
        yaml = compose(config, self.plan.base, self.work / name)
        words = [f"--{key}={value}" for key, value in options.items()]
        return [ROOT / self.plan.recipe, yaml, *words, "--noprogressbar"]

    def models(self, run):
        """The options of a run that name a model of another run."""
        found = {key: self.folder(used) / "inference" for key, used in run.uses}
        if source := found.pop("blocks", None):
            path = self.folder(run) / "blocks.ckpt"
            save_blocks(
                run.config, self.plan, self.plan.seed(run), source, path
            )
            found["pretrained"] = path
        return found

    def prepare(self, run, about):
        """Makes the run's fold, and prepares it, unless that is done.

        Runs of other shells wait meanwhile. Returns the clips of each split.
        """
        fold, prepared = (self.data(run, k) for k in ("folds", "prepared"))
        with locked(self.work / "lock", wait=True):
            subset = self.plan.facts["data"][run.data] if run.data else None
            subset = subset or self.plan.facts.get("splits")
            clips = make_fold(self.data_folder, run.fold, fold, subset)
            if not prepared.exists():
                words = [ROOT / self.plan.facts["prepare"], fold, prepared]
                if task := run.config.overrides.get("task"):
                    words += ["--task", task]
                run_recipe(words, **about)
        return clips

    def is_done(self, run):
        """Whether a run is stored, and its model there if others use it."""
        if not self.results.find(run):
            return False
        needed = self.plan.is_used(run)
        return not needed or (self.folder(run) / "inference").exists()

    def tidy(self, run):
        """Removes the large folders of a stored run, but for models in use."""
        for name in ("save", "inference")[: 1 if self.plan.is_used(run) else 2]:
            shutil.rmtree(self.folder(run) / name, ignore_errors=True)

    def execute(self, run, wait=False):
        """Runs the recipe and adds a row, unless that is done.

        Arguments
        ---------
        run : Run
            Runs whose models it uses come first.
        wait : bool
            Whether to wait for another process that runs it.

        Returns
        -------
        bool
            False if the run failed.
        """
        if self.is_done(run):
            self.tidy(run)  # what an interrupted call has left
            return True
        if not all([self.execute(used, wait=True) for _, used in run.uses]):
            return False
        folder = self.folder(run)
        resumed = (folder / "output.txt").exists()
        # The recipe inherits the lock, and keeps it if this process is killed.
        with locked(folder / "lock", wait) as lock:
            if lock is None:
                print(f"{run}: running in another process", flush=True)
                return True
            if self.is_done(run):
                return True
            paths = [str(PEERS), os.environ.get("PYTHONPATH")]
            variables = {
                "PYTHONPATH": os.pathsep.join(filter(None, paths)),
                "OMP_NUM_THREADS": "1",
            }
            with open(folder / "output.txt", "a", encoding="utf-8") as output:
                about = {
                    "cwd": self.work,
                    "env": {**os.environ, **variables},
                    "stdout": output,
                    "pass_fds": [lock.fileno()],
                }
                clips = self.prepare(run, about)
                status, cpu_minutes, minutes = run_recipe(
                    self.command(run), **about
                )
            reason = f"exit status {status}"
            if status == 0:
                try:
                    row, scores = collect(self, run, clips)
                except (OSError, KeyError, ValueError) as error:
                    reason = f"no result: {error!r}"
                else:
                    row.update(cpu_minutes=cpu_minutes, minutes=minutes)
                    if not self.results.find(run):  # else only its model
                        row["resumed"] = resumed
                        self.results.add(run, row, scores)
                    self.tidy(run)
                    print(
                        f"{run}: {100 * row['value']:.2f} %, "
                        f"{cpu_minutes:.1f} CPU minutes",
                        flush=True,
                    )
                    return True
            text = (folder / "output.txt").read_text("utf-8", errors="replace")
            last = "\n".join(text.splitlines()[-15:])
            print(f"{run}: FAILED, {reason}\n{last}\n{folder}", flush=True)
            return False


@contextlib.contextmanager
def locked(path, wait=False):
    """Holds a lock; yields its file, or None if another process holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            file = None
        yield file


def choose(study):
    """Writes the options of each model's best trial."""
    rows, trials, values = study.results, study.plan.trials, {}
    runs = study.plan.search_runs()
    missing = [str(run) for run in runs.values() if not rows.find(run)]
    if missing:
        raise SystemExit(f"study: not run yet: {'; '.join(missing)}")
    for (model, _), run in runs.items():  # in the order of the trials
        values.setdefault(model, []).append(rows.find(run)["value"])
    options = {m: trials[v.index(max(v))] for m, v in values.items()}
    scores = {
        model: {str(t): round(v, 4) for t, v in zip(trials, found)}
        for model, found in values.items()
    }
    write_json(study.plan.chosen_path, {"options": options, "scores": scores})
    print(study.plan.chosen_path.read_text("utf-8"))


def list_runs(runs):
    """Prints the expected CPU minutes of runs, by table."""
    tables = {}
    for run in runs:
        print(f"{run}: {run.minutes:.1f} CPU minutes")
        name = run.name.split(": ")[0]
        tables[name] = tables.get(name, 0) + run.minutes
    for name, minutes in tables.items():
        print(f"{name}: {minutes:.0f} CPU minutes")
    print(f"{len(runs)} runs, {sum(tables.values()) / 60:.1f} CPU hours")


def parse(argv):
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("data_folder", type=Path)
    parser.add_argument(
        "--plan", help="name or yaml file; default: the data folder's name"
    )
    parser.add_argument("--tables", nargs="+", help="only these tables")
    parser.add_argument("--folds", nargs="+", type=int, help="only these")
    parser.add_argument("--work", type=Path, help="folder for the runs")
    parser.add_argument(
        "--results", type=Path, default=RESULTS / "study", help="folder"
    )
    flag = {"action": "store_true"}
    parser.add_argument("--search", **flag, help="run the trials of options")
    parser.add_argument("--choose", **flag, help="choose from the trials")
    parser.add_argument("--list", **flag, help="only list the runs")
    parser.add_argument("--report", **flag, help="only write the report")
    return parser.parse_args(argv)


def main(argv=None):
    """Runs what the command line asks for; returns the exit status."""
    args = parse(argv)
    plan = find_plan(args.plan or args.data_folder.name)
    work = args.work or Path("results") / f"study_{plan.name}"
    study = Study(
        plan, args.data_folder.resolve(), work.resolve(), args.results.resolve()
    )
    if args.choose:
        choose(study)
        return 0
    if args.report:
        write_report(study.results)
        return 0
    unknown = set(args.tables or ()) - set(plan.facts["tables"])
    if unknown:
        raise SystemExit(f"study: no table {', '.join(sorted(unknown))}")
    runs = (
        plan.runs(args.tables, args.folds)
        if not args.search
        else list(plan.search_runs().values())
    )
    if args.list:
        list_runs(runs)
        return 0
    if not study.data_folder.is_dir():
        raise SystemExit(f"study: there is no folder {study.data_folder}")
    try:
        failed = [run for run in runs if not study.execute(run)]
    except KeyboardInterrupt:
        print("\nInterrupted. The same command continues from here.")
        return 130
    for run in failed:
        print(f"FAILED: {run}: {study.folder(run)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
