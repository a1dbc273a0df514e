"""Commands in processes: two at once, and one that is killed at a byte of a file.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import io
import multiprocessing
import resource
import signal
import sys

from fftp_tag.cli.main import main

# Forks of a process that has imported the commands, which takes long
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    [
        "two_at_once",
        *("fftp_tag.tag.tagger", "fftp_tag.search.index", "soxr", "tqdm"),
        *("fftp_tag.review.server", "filelock", "sklearn"),
    ]
)


# Until a process is taken to hang, however busy the machine is
MAX_SECONDS = 900


def run_command(arguments, together, outcomes):
    """Runs a command once others are ready; its exit code and its errors."""
    together.wait()
    errors, printed = io.StringIO(), io.StringIO()
    with contextlib.redirect_stderr(errors):
        with contextlib.redirect_stdout(printed):
            code = main(arguments)
    outcomes.put((code, errors.getvalue()))


def run_alone(arguments):
    """Runs a command, and ends the process with its exit code."""
    sys.exit(main(arguments))


def run_two(*commands):
    """The sorted exit codes and errors of commands that start at once."""
    together = FORKS.Barrier(len(commands))
    outcomes = FORKS.Queue()
    processes = [
        FORKS.Process(target=run_command, args=(arguments, together, outcomes))
        for arguments in commands
    ]
    for process in processes:
        process.start()
    found = [outcomes.get(timeout=MAX_SECONDS) for _ in processes]
    for process in processes:
        process.join()
    return sorted(found)


def run_limited(function, arguments, size):
    """Runs a function that is killed where a file would exceed a size."""
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    printed = io.StringIO()
    with contextlib.redirect_stderr(printed):
        with contextlib.redirect_stdout(printed):
            function(*arguments)


def is_killed(function, *arguments, at):
    """Runs a function in a process; whether it is killed at a byte of a file."""
    process = FORKS.Process(target=run_limited, args=(function, arguments, at))
    process.start()
    process.join()
    return process.exitcode == -signal.SIGXFSZ
