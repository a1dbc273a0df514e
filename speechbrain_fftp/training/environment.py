"""The versions that a run was made with.

Authors
 * The speechbrain_fftp authors 2026
"""

import functools
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]


@functools.cache
def versions():
    """Versions of this package, its git commit if any, and what it runs on."""
    names = (PACKAGE.name, "speechbrain", "torch")
    found = {name: str(sys.modules[name].__version__) for name in names}
    return {**found, "python": platform.python_version(), "commit": commit()}


def commit():
    """Git commit of this package, ``-dirty`` after changes; None without git."""
    # A package that is installed in another project is not tracked there.
    tracked = ["ls-files", "--error-unmatch", "__init__.py"]
    describe = ["describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        for words in (tracked, describe):
            words = ["git", "-C", str(PACKAGE), *words]
            done = subprocess.run(words, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.decode().strip()


def describe_environment():
    """Versions of Python and of the packages of imported modules."""
    owners = metadata.packages_distributions()
    imported = {name.partition(".")[0] for name in sys.modules}
    packages = {owner for name in imported for owner in owners.get(name, ())}
    about = {**versions(), "executable": sys.executable}
    about["system"] = platform.platform()
    lines = [f"{key}: {value}" for key, value in about.items()]
    lines += sorted(f"{name}=={metadata.version(name)}" for name in packages)
    return "\n".join(lines) + "\n"
