"""Exports the pull requests for SpeechBrain into a source checkout of it.

``python tools/upstream.py DEST`` exports the series in ``upstream_parts``;
``--part NAME`` exports one part on top of those that it builds on. Files are
copied with their modules' names in SpeechBrain. Modules that belong into an
existing file are appended to it, and a patch,
``tools/pull_requests/NAME.patch``, changes other existing files.

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import ast
import os
import re
import subprocess
import sys
from pathlib import Path

from upstream_parts import (
    ON_REQUEST,
    PARTS,
    REPAIRS,
    ROOT,
    module_path,
    upstream_path,
)

from speechbrain_fftp.upstream_names import MERGED

TEXTS = ROOT / "tools" / "pull_requests"

# What this package adds to files, and what SpeechBrain has in its place
PLUGIN = {
    r"^from speechbrain_fftp\.core import \([^)]*\)": (
        "from hyperpyyaml import load_hyperpyyaml"
    ),
    r"\bPluginBrain\b": "sb.Brain",
    r"\bparse_arguments\(": "sb.parse_arguments(",
    r"^@one_line_errors\(\)\n": "",
    r"^ *(check_training|report_results)\(.*\)\n": "",
    # Yaml files of this package may name another preparation
    r'hparams\.get\("prepare", (\w+)\)': r"\1",
    # The scan's kernels in Triton
    r'^ *"triton".*\n': "",
    r'^ *if backend == "triton":\n(.*\n){2} *return triton\w+\.triton_scan\n': "",
}


def rename(text):
    """Replaces module names of this package by their names in SpeechBrain.

    Example
    -------
    >>> rename("!new:speechbrain_fftp.augment.specmask.SpecMask")
    '!new:speechbrain.augment.freq_domain.SpecMask'
    >>> rename("class TaggingBrain(PluginBrain):")
    'class TaggingBrain(sb.Brain):'
    """
    for pattern, there in PLUGIN.items():
        text = re.sub(pattern, there, text, flags=re.MULTILINE)
    for here, there in MERGED.items():
        pattern = rf"\bspeechbrain_fftp\.{re.escape(here)}\b"
        text = re.sub(pattern, f"speechbrain.{there}", text)
        package, _, old = here.rpartition(".")
        parent, _, new = there.rpartition(".")
        pattern = rf"\bfrom speechbrain_fftp\.{package} import {old}$"
        line = f"from speechbrain.{parent} import {new} as {old}"
        text = re.sub(pattern, line, text, flags=re.MULTILINE)
    return re.sub(r"\bspeechbrain_fftp(?=\.\w)", "speechbrain", text)


def without_header(text):
    """The code of a module without its docstring and imports."""
    header = [
        node.end_lineno
        for node in ast.parse(text).body
        if isinstance(node, (ast.Expr, ast.Import, ast.ImportFrom))
    ]
    lines = text.splitlines(keepends=True)[max(header) :]
    return "".join(lines).lstrip("\n")


def copy_files(dest, part):
    """Copies a part's files to a checkout, or adds them to its own."""
    for here in PARTS[part]:
        text = rename((ROOT / here).read_text("utf-8"))
        path = dest / upstream_path(here)
        if here in map(module_path, MERGED):
            text = f"{path.read_text('utf-8')}\n\n{without_header(text)}"
        elif path.is_file():
            raise FileExistsError(
                f"{dest} has a {path.relative_to(dest)} already: was this part "
                "exported before, or does SpeechBrain have a file of that name?"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
        if path.suffix == ".py":  # SpeechBrain's import order and line length
            ruff = [sys.executable, "-m", "ruff"]
            sort = ["check", "--quiet", "--no-cache", "--select=I", "--fix"]
            for words in (sort, ["format", "--quiet", "--no-cache"]):
                subprocess.run([*ruff, *words, path.resolve()], check=True)


def apply_patch(dest, part):
    """Changes files of SpeechBrain; raises a ValueError if the patch does not fit."""
    patch = TEXTS / f"{part}.patch"
    if not patch.is_file():
        return
    # Keep git from looking for a repository above a folder without one
    ceiling = {"GIT_CEILING_DIRECTORIES": str(dest.resolve().parent)}
    done = subprocess.run(
        ["git", "apply", "--whitespace=nowarn", str(patch)],
        cwd=dest,
        env={**os.environ, **ceiling},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise ValueError(
            f"{patch.name} does not fit the files of {dest}: export the parts "
            f"before it first.\n{done.stderr}"
        )


def count_lines(part):
    """The number of lines that a part adds to SpeechBrain.

    Example
    -------
    >>> count_lines("max-grad-norm") < 50
    True
    """
    patch = TEXTS / f"{part}.patch"
    lines = patch.read_text("utf-8").splitlines() if patch.is_file() else []
    added = [x for x in lines if x.startswith("+") and x[:3] != "+++"]
    files = ((ROOT / path).read_text("utf-8") for path in PARTS[part])
    return len(added) + sum(len(text.splitlines()) for text in files)


def main():
    """Exports to the folder given on the command line."""
    parser = argparse.ArgumentParser(
        description="Export this project into a SpeechBrain checkout."
    )
    parser.add_argument(
        "dest", type=Path, help="root of a SpeechBrain source checkout"
    )
    parser.add_argument(
        "--part",
        choices=PARTS,
        help="export one part, on top of those that it builds on",
    )
    options = parser.parse_args()
    if not (options.dest / "speechbrain" / "core.py").is_file():
        sys.exit(f"{options.dest} is not a source checkout of SpeechBrain.")
    alone = (*REPAIRS, *ON_REQUEST)
    series = [part for part in PARTS if part not in alone]
    for part in [options.part] if options.part else series:
        try:
            copy_files(options.dest, part)
            apply_patch(options.dest, part)
        except (FileExistsError, ValueError) as error:
            sys.exit(str(error))
        print(f"{part}: {TEXTS / part}.md, {count_lines(part)} lines")


if __name__ == "__main__":
    main()
