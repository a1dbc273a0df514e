"""The versions that a run was made with.

Authors
 * The speechbrain_fftp authors 2026
"""

import functools
import importlib.metadata
import platform
import subprocess
import sys
from pathlib import Path

import torch

PACKAGE = Path(__file__).resolve().parents[1]


@functools.cache
def versions():
    """Versions of this package, its git commit if any, and what it runs on."""
    names = (PACKAGE.name, "speechbrain", "torch")
    found = {name: str(sys.modules[name].__version__) for name in names}
    return {**found, "python": platform.python_version(), "commit": commit()}


def commit():
    """Git commit of this package, ``-dirty`` after changes; None without git."""
    git = ["git", "-C", str(PACKAGE)]
    describe = ["describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        # A package that is installed in another project is not its commit.
        for words in (["ls-files", "--error-unmatch", "__init__.py"], describe):
            done = subprocess.run(
                [*git, *words], capture_output=True, text=True, check=True
            )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def describe_environment():
    """Versions of Python, of CUDA and of the packages of imported modules."""
    owners = importlib.metadata.packages_distributions()
    imported = {name.partition(".")[0] for name in sys.modules}
    packages = {owner for name in imported for owner in owners.get(name, ())}
    lines = [f"{key}: {value}" for key, value in versions().items()]
    lines += [f"executable: {sys.executable}", f"system: {platform.platform()}"]
    cuda = torch.version.cuda or torch.version.hip
    lines += [f"CUDA or ROCm of torch: {cuda}", "", "Imported packages:"]
    lines += sorted(
        f"{name}=={importlib.metadata.version(name)}" for name in packages
    )
    return "\n".join(lines) + "\n"
