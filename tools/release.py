"""Makes a release: its version and date in all files, a commit and a tag.

It builds nothing: once the tag is pushed and released on GitHub, publish.yml does.

> python tools/release.py 0.1.0
> git push --follow-tags

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import datetime
import re
import subprocess
from pathlib import Path

from fftp_tag.errors import InputError, one_line_errors

ROOT = Path(__file__).resolve().parents[1]
VERSION = r"\d+\.\d+\.\d+"
# What is found in each file, once, and what takes its place
CHANGES = {
    "CHANGELOG.md": (
        rf"^## {VERSION}, not released$",
        "## {version}, {date}",
    ),
    "README.md": (rf"^Version {VERSION}, not released\.", "Version {version}."),
    "CITATION.cff": (rf"^version: {VERSION}$", "version: {version}"),
    "fftp_tag/version.py": (
        rf'^__version__ = "{VERSION}"$',
        '__version__ = "{version}"',
    ),
}


def git(*words):
    """Runs git in the checkout; returns what it prints."""
    done = subprocess.run(
        ["git", *words], cwd=ROOT, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise InputError(f"git {words[0]}: {done.stderr.strip()}")
    return done.stdout.strip()


def release(version, date):
    """Changes the files, commits them and tags the commit."""
    if not re.fullmatch(VERSION, version):
        raise InputError(f"{version} is no version, such as 0.1.0")
    if git("status", "--porcelain"):
        raise InputError("commit or remove what is changed first")
    if git("tag", "--list", f"v{version}"):
        raise InputError(f"there is a tag v{version} already")
    texts = {}
    for name, (pattern, template) in CHANGES.items():
        text = (ROOT / name).read_text("utf-8")
        new = template.format(version=version, date=date)
        texts[name], count = re.subn(pattern, new, text, flags=re.MULTILINE)
        if count != 1:
            raise InputError(f"{name} has {count} lines such as {pattern}")
    for name, text in texts.items():
        (ROOT / name).write_text(text, "utf-8")
    git("add", *texts)
    git("commit", "--quiet", "--message", f"Release {version}")
    git("tag", "--annotate", f"v{version}", "--message", f"Release {version}")


def main():
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("version")
    args = parser.parse_args()
    with one_line_errors():
        release(args.version, datetime.date.today().isoformat())
    print(f"v{args.version} is committed and tagged: git push --follow-tags")


if __name__ == "__main__":
    main()
