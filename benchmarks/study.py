"""Does FFTP with SpecMask win? Runs and tabulates a study on a data folder.

The folder is in Speech Commands' or in AudioSet's form. Each configuration of
the grids (see study_grids.py) is trained by the recipe for that, once per seed.
A run adds a line to benchmarks/results/study_NAME.jsonl, NAME being the data
folder's; what has its line is not run again, and an interrupted study goes on
when it is started again. The tables are in study_NAME.md beside, with plots.

> python benchmarks/study.py DATA_FOLDER
> python benchmarks/study.py DATA_FOLDER --grids embedding masks --seeds 1 2
> python benchmarks/study.py DATA_FOLDER --latency
> python benchmarks/study.py DATA_FOLDER --report

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import fcntl
import json
import signal
import sys
from pathlib import Path

import torch
from harness import RESULTS, compare, environment
from study_data import Data, find_data
from study_grids import Study
from study_models import SAMPLE_RATE, load_model, unavailable
from study_report import write_report
from study_runs import Run
from study_schedule import run_all

from speechbrain_fftp.dataio.files import write_json


def plan(study, grids, seeds, device):
    """The runs of grids, each once, all with the first seed first.

    Arguments
    ---------
    study : Study
        The study.
    grids : dict
        Its grids to run, by name.
    seeds : list of int
        The seeds.
    device : str
        The device.

    Returns
    -------
    runs : list of Run
        The runs.
    skipped : dict
        From label to reason, of what cannot be run here.
    """
    runs, skipped = {}, {}
    for seed in seeds:
        for name, grid in grids.items():
            for entry in grid.entries:
                reason = unavailable(entry.config)
                if reason:
                    skipped[f"{name}: {entry.label}"] = reason
                    continue
                label = f"{name}: {entry.label}"
                run = Run(label, entry.config, seed, study.data, device)
                runs.setdefault(run.key, run)
    return list(runs.values()), skipped


def measure_latency(study, grids):
    """Seconds for a clip, from waveform to logits, of each model.

    Arguments
    ---------
    study : Study
        The study.
    grids : dict
        Grids whose models are measured, by name.

    Returns
    -------
    dict
        From the key of a model to its times (see ``harness.compare``): one
        clip at a time, on one thread, the models in turns.
    """
    torch.set_num_threads(1)
    data = study.data
    wav = torch.randn(1, round(data.seconds * SAMPLE_RATE)) / 10

    def tagger(config):
        modules = load_model(config, data.base, data.n_classes)

        @torch.inference_mode()
        def tag():
            feats = modules["compute_features"](wav)
            lens = modules["compute_features"].frame_lens(
                torch.ones(1), wav.shape[1]
            )
            feats = modules["mean_var_norm"](feats, lens)
            embedding = modules["embedding_model"](feats, lens)
            return modules["classifier"](embedding)

        return tag

    configs = {}
    for grid in grids.values():
        for entry in grid.entries:
            if unavailable(entry.config) is None:
                configs.setdefault(entry.config.model_key, entry.config)
    return compare({key: tagger(config) for key, config in configs.items()})


def read_facts(path):
    """What the JSON file beside the results holds."""
    return json.loads(path.read_text("utf-8")) if path.exists() else {}


def add_facts(path, facts):
    """Writes what is new to the JSON file beside the results."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {**read_facts(path), **facts})


def parse(argv):
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("data_folder", type=Path)
    parser.add_argument("--grids", nargs="+", help="only these grids")
    parser.add_argument(
        "--seeds", type=int, nargs="+", help="usually 1 2 3; 1 with --smoke"
    )
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time")
    parser.add_argument("--work", type=Path, help="folder of the runs")
    parser.add_argument("--epochs", type=int, help="instead of the usual ones")
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--smoke", action="store_true", help="see that all works, in a minute"
    )
    parser.add_argument("--plan", action="store_true", help="only list runs")
    parser.add_argument(
        "--report", action="store_true", help="only write the tables and plots"
    )
    parser.add_argument(
        "--latency", action="store_true", help="only measure the latency"
    )
    return parser.parse_args(argv)


def print_plan(runs, study):
    """Lists runs with their sizes."""
    for run in runs:
        macs = study.data.figures(run.config)
        epochs = run.config.overrides["number_of_epochs"]
        print(
            f"{run.name}, seed {run.seed}: {epochs} epochs, "
            f"{macs.tokens or '-'} tokens, {macs.params / 1e6:.3f} M, "
            f"{macs.macs / 1e6:.2f} MMACs"
        )


def run_locked(runs, args, path):
    """Runs what is planned, unless another study uses the same folder."""
    args.work.mkdir(parents=True, exist_ok=True)
    with open(args.work / "lock", "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise SystemExit(
                f"study: another one runs in {args.work}"
            ) from None
        return run_all(runs, args.data_folder, args.work, path, args.jobs)


def note_start(path, args):
    """Notes the command and the machine in the file beside the results.

    The command is noted without the folders' places on this machine.
    """
    machine = environment(args.device, ("speechbrain", "timm"))
    machine["CPU threads"] = 1
    commands = read_facts(path).get("commands", [])
    words = [args.data_folder.name]
    for key in ("grids", "seeds"):
        values = getattr(args, key) or ()
        words += [f"--{key}"] * bool(values) + [str(v) for v in values]
    if args.epochs:
        words += ["--epochs", str(args.epochs)]
    command = " ".join(["python benchmarks/study.py", *words])
    if command not in commands:
        commands.append(command)
    where = f"on {args.device}, {machine.pop('processor')}"
    add_facts(path, {"commands": commands, where: machine})


def main(argv=None):
    """Does what the command line asks for; gives the exit status."""
    args = parse(argv)
    folder = args.data_folder = args.data_folder.resolve()
    name = f"study_{folder.name}"
    args.work = (args.work or Path("results") / name).resolve()
    path = (args.work if args.smoke else RESULTS) / f"{name}.jsonl"
    facts_path = path.with_suffix(".json")
    facts = read_facts(facts_path)
    if args.report and not folder.is_dir() and "data" in facts:
        data = Data(**facts["data"])  # what it was when it was there
    else:
        try:
            data = find_data(folder)
        except ValueError as error:
            raise SystemExit(f"study: {error}") from None
    study = Study(data, args.epochs, args.smoke)
    grids = study.grids()
    unknown = sorted(set(args.grids or ()) - set(grids))
    if unknown:
        raise SystemExit(
            f"study: no grid {', '.join(unknown)}; there are {', '.join(grids)}"
        )
    chosen = {n: g for n, g in grids.items() if n in (args.grids or grids)}
    seeds = args.seeds or ([1] if args.smoke else [1, 2, 3])
    runs, skipped = plan(study, chosen, seeds, args.device)
    for label, reason in skipped.items():
        print(f"Skipped: {label}: {reason}")
    if args.plan:
        print_plan(runs, study)
        return 0
    failed = []
    if args.latency:
        latency = measure_latency(study, chosen)
        latency = {**facts.get("latency", {}), **latency}
        add_facts(facts_path, {"latency": latency})
    elif not args.report:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        add_facts(facts_path, {"data": data._asdict()})
        note_start(facts_path, args)
        try:
            failed = run_locked(runs, args, path)
        except KeyboardInterrupt:
            print("\nInterrupted. The same command goes on from here.")
            return 130
    write_report(study, path, read_facts(facts_path))
    for run in failed:
        print(f"FAILED: {run.name}, seed {run.seed}: {run.folder(args.work)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
