"""Runs a recipe and strikes it at a chosen moment.

    python faulty.py FAULT train.py hparams.yaml --option ...

FAULT is JSON: {"folder": F, "kill_at": n} kills the process at its n-th change
of a file under F (0: never); "matching" counts only names with that text, and
"tally" is a file to write the number of changes to at the end. {"clock": s}
sets the clock off by s seconds.

Authors
 * The speechbrain_fftp authors 2026
"""

import atexit
import json
import os
import runpy
import signal
import sys
import time
from pathlib import Path

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
CHANGES = ("os.rename", "os.mkdir", "os.remove", "os.rmdir", "shutil.rmtree")


def strike(folder, kill_at=0, matching="", tally=None):
    """Kills this process at a change of a file; see above."""
    main, seen = os.getpid(), []

    def audit(event, args):
        if event == "open":
            path, _, flags = args
            if not flags or not flags & WRITING:
                return
        elif event in CHANGES:
            path = args[0]
        else:
            return
        if os.getpid() != main or not isinstance(path, (str, os.PathLike)):
            return
        path = os.path.abspath(path)
        if path.startswith(folder) and matching in path:
            seen.append(path)
            if len(seen) == kill_at:
                os.kill(main, signal.SIGKILL)

    def count():
        if os.getpid() == main:
            Path(tally).write_text(str(len(seen)))

    if tally:
        atexit.register(count)
    sys.addaudithook(audit)


if __name__ == "__main__":
    fault = json.loads(sys.argv[1])
    if "clock" in fault:
        now, offset = time.time, fault.pop("clock")
        time.time = lambda: now() + offset
    if "folder" in fault:
        strike(**fault)
    del sys.argv[:2]
    sys.path.insert(0, os.path.dirname(os.path.abspath(sys.argv[0])))
    runpy.run_path(sys.argv[0], run_name="__main__")
