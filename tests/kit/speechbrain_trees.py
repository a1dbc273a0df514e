"""SpeechBrain's library with patches of the series.

Authors
 * The speechbrain_fftp authors 2026
"""

import os
import shutil
import subprocess
from pathlib import Path

import upstream

import speechbrain


def copy_library(folder):
    """Copies the installed SpeechBrain, or that of the tree SB_SRC."""
    if "SB_SRC" in os.environ:
        command = ["git", "clone", "-q", os.environ["SB_SRC"], folder]
        subprocess.run(command, check=True)
        return
    shutil.copytree(
        Path(speechbrain.__file__).parent,
        folder / "speechbrain",
        ignore=shutil.ignore_patterns("__pycache__"),
    )


def patch_library(folder, parts):
    """Applies what the patches of parts change in the library."""
    for part in parts:
        patch = upstream.TEXTS / f"{part}.patch"
        if patch.is_file() and "+++ b/speechbrain/" in patch.read_text("utf-8"):
            command = ["git", "apply", "--include=speechbrain/*", patch]
            ceiling = {"GIT_CEILING_DIRECTORIES": str(folder.parent)}
            environment = {**os.environ, **ceiling}
            subprocess.run(command, cwd=folder, env=environment, check=True)
