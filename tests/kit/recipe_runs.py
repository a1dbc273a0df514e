"""Runs recipes as their users run them, as processes of their own.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import multiprocessing
import os
import runpy
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

# Importing these takes longer than most runs of a recipe here.
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(
    [
        "torch",
        "torch.utils.flop_counter",
        "torch.utils.tensorboard",
        "speechbrain",
        "speechbrain.utils.train_logger",
        "sklearn.metrics",
        "speechbrain_fftp.training.export",
        "onnxscript",
        "onnxruntime",
        "speechbrain_fftp.lobes.models.AuM",
    ]
)
ROOT = Path(__file__).resolve().parents[2]
TINY = {
    "embed_dim": 64,
    "depth": 1,
    "patch_frames": 50,
    "stride_frames": 50,
    "batch_size": 4,
    "number_of_epochs": 2,
    "lr": 0.001,
    "num_workers": 0,
}
# Most tests need no model.onnx, which takes seconds to write
REPORTS = {"AudioSet": "report_tagging", "SpeechCommands": "report_accuracy"}
REPORT = """
- !name:speechbrain_fftp.training.reports.{}
  folder: !ref <output_folder>"""


def command(
    output_folder,
    *flags,
    recipe="AudioSet/train.py",
    hparams="ast_fftp.yaml",
    export=False,
    **options,
):
    options = {**TINY, "output_folder": output_folder, **options}
    if not export:
        options["after"] = REPORT.format(REPORTS[recipe.split("/")[0]])
    given = {k: v for k, v in options.items() if v is not None}
    words = [f"--{key}={value}" for key, value in given.items()]
    recipe = ROOT / "recipes" / recipe
    hparams = ROOT / "hparams" / hparams
    return [sys.executable, str(recipe), str(hparams), *words, *flags]


def run_as_user(words, limit=300):
    """Runs a command in a user's environment, for so many seconds at most.

    Which is that of the tests, without variables that set threads.
    """
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.endswith("_NUM_THREADS")
    }
    with tempfile.TemporaryFile("w+", errors="replace") as log:
        done = subprocess.run(
            words, env=environment, stdout=log, stderr=log, timeout=limit
        )
        log.seek(0)
        assert done.returncode == 0, log.read()


def run_script(words, folder, log, variables):
    """Runs a script with its options in this process, its output in a file."""
    multiprocessing.set_start_method("fork", force=True)  # as by default
    os.environ.update(variables)
    os.chdir(folder)
    with open(log, "a") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    sys.argv = words
    sys.path.insert(0, str(Path(words[0]).parent))
    runpy.run_path(words[0], run_name="__main__")


def run(output_folder, *flags, processes=1, limit=900, **options):
    """Runs the recipe, see ``run_words``; gives its exit status and its output."""
    if processes > 1:
        options = {"device": "cpu", "distributed_backend": "gloo", **options}
    words = command(output_folder, *flags, **options)[1:]
    return run_words(words, output_folder.parent, processes, limit)


def run_words(words, folder, processes=1, limit=900):
    """Runs a script in a folder; gives its exit status and its output.

    It is killed after a limit in seconds, by default one that leaves time to
    compile on a busy machine. It is forked from a process that has imported torch and SpeechBrain. Several
    processes get the environment variables that torchrun sets.
    """
    variables = {}
    if processes > 1:
        variables = {
            "WORLD_SIZE": str(processes),
            "MASTER_ADDR": "localhost",
            "MASTER_PORT": free_port(),
        }
    started = []
    with tempfile.NamedTemporaryFile("r", errors="replace") as log:
        for rank in map(str, range(processes)):
            if processes > 1:
                variables |= {"RANK": rank, "LOCAL_RANK": rank}
            arguments = (words, folder, log.name, variables)
            process = SERVER.Process(target=run_script, args=arguments)
            process.start()
            started.append(process)
        for process in started:
            process.join(limit)
            if process.exitcode is None:
                process.kill()
                process.join()
        statuses = [process.exitcode for process in started]
        return next(filter(None, statuses), 0), log.read()


def free_port():
    """A port that no server uses."""
    with socket.socket() as server:
        server.bind(("localhost", 0))
        return str(server.getsockname()[1])


def train(output_folder, *flags, **options):
    """Runs the recipe; gives its output and metrics.json."""
    status, output = run(output_folder, *flags, **options)
    assert status == 0, output
    results = output_folder
    if "--test_only" in flags:
        results = output_folder / "test"
    return output, read_metrics(results / "metrics.json")


def read_metrics(path):
    """Reads a metrics.json, without what differs between equal runs."""
    metrics = json.loads(path.read_text())
    for name in ("clips_per_second", "waiting"):
        metrics.pop(name, None)
    return metrics


def fail(output_folder, *flags, **options):
    """Runs the recipe, which is to fail; gives the line of its error."""
    status, output = run(output_folder, *flags, **options)
    assert status != 0 and "Traceback" not in output, output
    return output.splitlines()[-1]
