"""Compares embeddings, masks, encoders and strides at equal cost.

Trains each configuration of the grids (grids.yaml) with each seed, by the
recipe for the data folder (Speech Commands or AudioSet). A finished run adds a
line to benchmarks/results/study_NAME.jsonl, NAME being that of the data folder,
and is not run again. Interrupted studies continue when started again; a second
shell with the same command shares the work. Tables and plots lie beside.

> python benchmarks/study/run.py DATA_FOLDER
> python benchmarks/study/run.py DATA_FOLDER --grids embedding masks --seeds 1 2
> python benchmarks/study/run.py DATA_FOLDER --latency
> python benchmarks/study/run.py DATA_FOLDER --report

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import contextlib
import csv
import fcntl
import hashlib
import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from harness import RESULTS, compare, environment, run_recipe  # noqa: E402
from study.data import Data, find_data  # noqa: E402
from study.grids import read_grids  # noqa: E402
from study.models import (  # noqa: E402
    PEERS,
    ROOT,
    SAMPLE_RATE,
    Config,
    compose,
    figures,
    load_model,
    read_yaml,
    unavailable,
)
from study.report import read_rows, run_key, write_report  # noqa: E402

from speechbrain_fftp.dataio.files import write_json  # noqa: E402
from speechbrain_fftp.lobes.tagger import Tagger  # noqa: E402

SPLITS = ("train", "valid", "test")


class Run(NamedTuple):
    """A configuration with a seed, on a device."""

    name: str
    config: Config
    seed: int
    data: Data
    device: str

    def __str__(self):
        return f"{self.name}, seed {self.seed}"

    @property
    def key(self):
        """Identifies the run in the results."""
        recipe, (yaml, overrides) = self.data.recipe, self.config
        return run_key(recipe, yaml, overrides, self.seed, self.device)

    def folder(self, work):
        """The run's folder, the same whenever it is started."""
        digest = hashlib.sha1(self.key.encode()).hexdigest()[:10]
        name = re.sub(r"\W+", "_", self.name).strip("_")
        return work / "runs" / f"{name}_{self.seed}_{digest}"


def plan(grids, data, seeds, device):
    """The runs of grids, the first seed first, and what cannot be run."""
    runs, skipped = {}, {}
    for seed in seeds:
        for name, grid in grids.items():
            for row in grid.rows:
                label = f"{name}: {row.label}"
                reason = unavailable(row.config)
                if reason:
                    skipped[label] = reason
                    continue
                run = Run(label, row.config, seed, data, device)
                runs.setdefault(run.key, run)
    return list(runs.values()), skipped


def command(run, data_folder, work):
    """The recipe's script, yaml and options for a run."""
    data, config = run.data, run.config
    yaml = compose(config, data.base, work / Path(config.yaml).name)
    options = {
        **config.overrides,
        "data_folder": data_folder,
        "prepared_folder": work / "prepared",
        "output_folder": run.folder(work),
        "seed": run.seed,
        "num_workers": 0 if run.device == "cpu" else 4,
        "num_threads": 1,
        "device": run.device,
    }
    words = [f"--{key}={value}" for key, value in options.items()]
    return [ROOT / data.recipe, yaml, *words]


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


def execute(run, data_folder, work, results):
    """Runs the recipe and adds a row to the results, unless that is done.

    Returns
    -------
    bool
        False if the run failed.
    """
    folder = run.folder(work)
    resumed = (folder / "output.txt").exists()
    # The recipe inherits the lock, and keeps it if this process is killed.
    with locked(folder / "lock") as lock:
        if lock is None:
            print(f"{run}: running in another process", flush=True)
            return True
        if run.key in read_rows(results):
            return True
        paths = [str(PEERS), os.environ.get("PYTHONPATH")]
        variables = {
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "OMP_NUM_THREADS": "1",
        }
        with open(folder / "output.txt", "a", encoding="utf-8") as output:
            status, cpu_minutes, minutes = run_recipe(
                command(run, data_folder, work),
                cwd=work,
                env={**os.environ, **variables},
                stdout=output,
                pass_fds=[lock.fileno()],
            )
        reason = f"exit status {status}"
        if status == 0:
            try:
                row = make_row(run, work)
            except (OSError, KeyError, ValueError) as error:
                reason = f"no result: {error!r}"
            else:
                row.update(cpu_minutes=cpu_minutes, minutes=minutes)
                append_row(results, {**row, "resumed": resumed})
                for name in ("save", "inference"):  # which are large
                    shutil.rmtree(folder / name, ignore_errors=True)
                print(
                    f"{run}: {row['metric']} {row['value']:.4f}, "
                    f"{cpu_minutes:.1f} CPU minutes",
                    flush=True,
                )
                return True
        text = (folder / "output.txt").read_text("utf-8", errors="replace")
        last = "\n".join(text.splitlines()[-15:])
        print(f"{run}: FAILED, {reason}\n{last}\n{folder}", flush=True)
        return False


def execute_all(runs, data_folder, work, results):
    """Executes runs one after the other; returns those that failed."""
    failed = []
    for run in runs:
        with contextlib.ExitStack() as stack:
            if not (work / "prepared" / "prepared.json").exists():
                # Others wait until this run has prepared the data.
                stack.enter_context(locked(work / "lock", wait=True))
            if not execute(run, data_folder, work, results):
                failed.append(run)
    return failed


def make_row(run, work):
    """The row of a finished run, except for its times."""
    config, data = run.config, run.data
    metrics = read_facts(run.folder(work) / "metrics.json")
    text = read_yaml(config.yaml, data.base)
    clips = {}
    for split in SPLITS:
        name = re.search(rf"^{split}_annotation: .*/(\S+)", text, re.MULTILINE)
        manifest = work / "prepared" / name[1]
        with open(manifest, newline="", encoding="utf-8") as file:
            clips[split] = sum(1 for _ in csv.DictReader(file))
    epochs = config.overrides["number_of_epochs"]
    cost = figures(config, data)
    plain = re.sub(r"\s*#.*", "", text)
    return {
        "recipe": data.recipe,
        "yaml": config.yaml,
        "overrides": config.overrides,
        "seed": run.seed,
        "device": run.device.split(":")[0],
        "metric": data.metric,
        "value": metrics[data.metric],
        "epochs": epochs,
        "clips": clips,
        **cost._asdict(),
        "seconds_of_clip": data.seconds,
        "training_macs": 3 * cost.macs * clips["train"] * epochs,
        "processor": environment(run.device)["processor"],
        "torch": torch.__version__,
        "yaml_sha1": hashlib.sha1(plain.encode()).hexdigest()[:10],
        "metrics": {
            key: value
            for key, value in metrics.items()
            if type(value) in (int, float)
        },
    }


def append_row(path, row):
    """Adds a row to a results file, on a line of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = not path.exists() or path.read_bytes()[-1:] in (b"", b"\n")
    with open(path, "a", encoding="utf-8") as file:
        file.write(("" if whole else "\n") + json.dumps(row) + "\n")


def measure_latency(grids, data):
    """Times of each model by its key, one clip at a time on one thread."""
    torch.set_num_threads(1)
    wav = torch.randn(1, round(data.seconds * SAMPLE_RATE)) / 10
    lens, cases = torch.ones(1), {}
    for row in (row for grid in grids.values() for row in grid.rows):
        key = row.config.model_key
        if key not in cases and unavailable(row.config) is None:
            tagger = Tagger(**load_model(row.config, data))
            cases[key] = lambda tagger=tagger: tagger(wav, lens)
    with torch.inference_mode():
        return compare(cases)


def read_facts(path):
    """The contents of a JSON file; nothing if it does not exist."""
    return json.loads(path.read_text("utf-8")) if path.exists() else {}


def add_facts(path, facts):
    """Adds to the JSON file beside the results."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {**read_facts(path), **facts})


def note_start(path, data, args):
    """Adds data, command (without machine paths) and machine to the facts."""
    words = ["python benchmarks/study/run.py", args.data_folder.name]
    for key in ("grids", "seeds"):
        values = getattr(args, key) or ()
        words += [f"--{key}"] * bool(values) + [str(v) for v in values]
    commands = read_facts(path).get("commands", [])
    commands += [" ".join(words)] * (" ".join(words) not in commands)
    machine = environment(args.device, ("speechbrain", "timm"))
    machine["CPU threads"] = 1
    where = f"on {args.device}, {machine.pop('processor')}"
    facts = {"data": data._asdict(), "commands": commands, where: machine}
    add_facts(path, facts)


def parse(argv):
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("data_folder", type=Path)
    parser.add_argument("--grids", nargs="+", help="only these grids")
    parser.add_argument(
        "--seeds", type=int, nargs="+", help="default: 1 2 3 (1 with --smoke)"
    )
    parser.add_argument("--work", type=Path, help="folder for the runs")
    parser.add_argument("--device", default="cpu")
    flag = {"action": "store_true"}
    parser.add_argument("--smoke", **flag, help="test with tiny models")
    parser.add_argument("--plan", **flag, help="only list the runs")
    parser.add_argument("--report", **flag, help="only write the report")
    parser.add_argument("--latency", **flag, help="only measure latencies")
    return parser.parse_args(argv)


def main(argv=None):
    """Runs what the command line asks for; returns the exit status."""
    args = parse(argv)
    folder = args.data_folder = args.data_folder.resolve()
    name = f"study_{folder.name}"
    work = (args.work or Path("results") / name).resolve()
    path = (work if args.smoke else RESULTS) / f"{name}.jsonl"
    facts_path = path.with_suffix(".json")
    facts = read_facts(facts_path)
    if args.report and not folder.is_dir() and "data" in facts:
        data = Data(**facts["data"])  # as it was during the runs
    else:
        try:
            data = find_data(folder)
        except ValueError as error:
            raise SystemExit(f"study: {error}") from None
    grids = read_grids(data, args.smoke)
    unknown = sorted(set(args.grids or ()) - set(grids))
    if unknown:
        raise SystemExit(
            f"study: no grid {', '.join(unknown)}; there are {', '.join(grids)}"
        )
    chosen = {n: g for n, g in grids.items() if n in (args.grids or grids)}
    seeds = args.seeds or ([1] if args.smoke else [1, 2, 3])
    runs, skipped = plan(chosen, data, seeds, args.device)
    for label, reason in skipped.items():
        print(f"Skipped: {label}: {reason}")
    if args.plan:
        for run in runs:
            cost = figures(run.config, data)
            epochs = run.config.overrides["number_of_epochs"]
            print(
                f"{run}: {epochs} epochs, {cost.tokens or '-'} tokens, "
                f"{cost.params / 1e6:.3f} M, {cost.macs / 1e6:.2f} MMACs"
            )
        return 0
    failed = []
    if args.latency:
        latency = measure_latency(chosen, data)
        latency = {**facts.get("latency", {}), **latency}
        add_facts(facts_path, {"latency": latency})
    elif not args.report:
        note_start(facts_path, data, args)
        try:
            failed = execute_all(runs, folder, work, path)
        except KeyboardInterrupt:
            print("\nInterrupted. The same command continues from here.")
            return 130
    write_report(grids, data, path, read_facts(facts_path))
    for run in failed:
        print(f"FAILED: {run}: {run.folder(work)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
