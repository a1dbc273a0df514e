"""Runs of a study side by side, with an estimate of the time that is left.

Authors
 * The speechbrain_fftp authors 2026
"""

import os
import time

from study_models import Config
from study_runs import (
    SPLITS,
    append_row,
    clean,
    finish,
    manifest,
    read_rows,
    start,
    tail,
)

BEGUN = "preparing.json"  # is in a folder that is being prepared


class Progress:
    """Says what has been done and how long the rest may take.

    Arguments
    ---------
    runs : list of Run
        What is to be run.
    jobs : int
        How many run side by side.
    rows : dict
        Rows by key, those of former studies included.
    """

    def __init__(self, runs, jobs, rows):
        self.left = {run.key: run for run in runs}
        self.total, self.jobs, self.rows = len(runs), jobs, rows

    def minutes(self, run):
        """What a run may take: as long as those of its model, else of all."""
        rows = [row for row in self.rows.values() if not row["resumed"]]
        config = run.config
        same = [
            row
            for row in rows
            if Config(row["yaml"], row["overrides"]).model_key
            == config.model_key
        ]
        times = [row["minutes"] / row["epochs"] for row in same or rows]
        epochs = config.overrides["number_of_epochs"]
        return epochs * sum(times) / max(len(times), 1)

    def show(self, run, text):
        """Prints how a run has ended."""
        self.left.pop(run.key, None)
        minutes = sum(map(self.minutes, self.left.values())) / self.jobs
        done = self.total - len(self.left)
        rest = f"{int(minutes // 60)}:{int(minutes % 60):02d} h to go"
        print(
            f"[{done}/{self.total}] {run.name}, seed {run.seed}: {text}; "
            f"about {rest}",
            flush=True,
        )


def prepared(work, runs):
    """Whether the data are prepared, so that runs only read them."""
    manifests = [manifest(work, runs[0], split) for split in SPLITS]
    unfinished = work / "prepared" / BEGUN
    return all(m.exists() for m in manifests) and not unfinished.exists()


def conclude(process, usage, work):
    """The row of a process that has ended, None if it failed; what to say."""
    reason = f"exit status {process.returncode}"
    if process.returncode == 0:
        try:
            row = finish(process, usage, work)
        except (OSError, KeyError, ValueError) as error:
            reason = f"no result: {error!r}"
        else:
            value, minutes = row["value"], row["cpu_minutes"]
            text = f"{row['metric']} {value:.4f}, {minutes:.1f} CPU minutes"
            return row, text
    folder = process.run.folder(work)
    return None, f"FAILED, {reason}\n{tail(folder)}\n{folder}"


def run_all(runs, data_folder, work, results, jobs):
    """Runs what has no row yet; gives the runs that failed.

    Arguments
    ---------
    runs : list of Run
        What is to be run, in this order.
    data_folder : pathlib.Path
        The data.
    work : pathlib.Path
        Folder of the runs. A study that is interrupted goes on from there.
    results : pathlib.Path
        The file of JSON lines to which rows are added.
    jobs : int
        How many run side by side.

    Returns
    -------
    list of Run
        Those that failed.
    """
    rows = read_rows(results)
    for run in runs:
        if run.key in rows:
            clean(run.folder(work))
    runs = [run for run in runs if run.key not in rows]
    progress, waiting = Progress(runs, jobs, rows), list(runs)
    active, failed = {}, []
    try:
        while waiting or active:
            # One run prepares the data that the others then find.
            if waiting and len(active) < (jobs if prepared(work, runs) else 1):
                process = start(waiting.pop(0), data_folder, work)
                active[process.pid] = process
                continue
            for pid in list(active):
                ended, status, usage = os.wait4(pid, os.WNOHANG)
                if ended:
                    process = active.pop(pid)
                    process.returncode = os.waitstatus_to_exitcode(status)
                    row, text = conclude(process, usage, work)
                    if row is None:
                        failed.append(process.run)
                    else:
                        append_row(results, row)
                        rows[process.run.key] = row
                        clean(process.run.folder(work))
                    progress.show(process.run, text)
            time.sleep(0.1)
    finally:
        for process in active.values():
            process.kill()
            process.wait()
    return failed
