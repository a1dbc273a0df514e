#!/usr/bin/env python3
"""Checks that tests find mutants of the application: small changes that are wrong.

> python tools/mutants.py

Each is made in a copy of the checkout, in which its tests are run. The exit code is
1 if one survives, or if the code of a mutant is gone.

Authors
 * The speechbrain_fftp authors 2026
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("fftp_tag", "speechbrain_fftp", "tests", "recipes", "tools")
# File of fftp_tag, code, mutant, and test module of tests/unit/fftp_tag
MUTANTS = (
    (
        "review/server.py",
        "int(size) > MAX_REQUEST_BYTES",
        "int(size) >= MAX_REQUEST_BYTES",
        "test_review.py",
    ),
    (
        "review/server.py",
        "int(size) > MAX_REQUEST_BYTES",
        "False",
        "test_review.py",
    ),
    (
        "data/reviewed.py",
        "0 <= answer.start < answer.end",
        "0 <= answer.start <= answer.end",
        "test_limits.py",
    ),
    (
        "data/reviewed.py",
        "0 <= answer.start <",
        "answer.start <",
        "test_limits.py",
    ),
    ("tag/live.py", "self.due <= end", "self.due < end", "test_limits.py"),
    (
        "audio/decode.py",
        "int(stated) > int(real) > 0",
        "int(stated) < int(real) > 0",
        "test_audio.py",
    ),
    (
        "audio/decode.py",
        "n_heard < stated",
        "n_heard != stated",
        "test_limits.py",
    ),
    (
        "audio/decode.py",
        "peak > MAX_LEVEL",
        "peak >= MAX_LEVEL",
        "test_limits.py",
    ),
    ("audio/decode.py", "peak > MAX_LEVEL", "False", "test_limits.py"),
    (
        "audio/decode.py",
        "yield from silence(n_new * hole_frames)",
        "yield from silence(0)",
        "test_audio.py",
    ),
    (
        "search/index.py",
        "and known[name].damage is None",
        "",
        "test_find.py",
    ),
    ("search/index.py", ' and ".." not in path.parts', "", "test_find.py"),
)


def survives(file: str, code: str, mutant: str, module: str) -> bool:
    """Whether tests pass in a copy with a mutant."""
    with tempfile.TemporaryDirectory() as scratch:
        for folder in FOLDERS:
            shutil.copytree(ROOT / folder, Path(scratch, folder))
        for name in ("pyproject.toml", "setup.cfg"):
            shutil.copy(ROOT / name, scratch)
        path = Path(scratch, "fftp_tag", file)
        text = path.read_text("utf-8")
        if text.count(code) != 1:
            sys.exit(f"{file} has {text.count(code)} times {code!r}, not once")
        path.write_text(text.replace(code, mutant), "utf-8")
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "pytest",
                "-q",
                "-x",
                f"tests/unit/fftp_tag/{module}",
            ],
            cwd=scratch,
            env={**os.environ, "PYTHONPATH": scratch},
            stdout=subprocess.DEVNULL,
        )
    return done.returncode == 0


def main():
    """Prints which mutants are found."""
    found = []
    for file, code, mutant, module in MUTANTS:
        found.append(not survives(file, code, mutant, module))
        verdict = "found" if found[-1] else "SURVIVES"
        print(f"{verdict}: {file}: {code!r} as {mutant!r}", flush=True)
    return 0 if all(found) else 1


if __name__ == "__main__":
    sys.exit(main())
