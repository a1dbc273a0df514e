"""Exports what is proposed to SpeechBrain into a source checkout of it.

``python tools/upstream.py DEST`` exports the whole series of pull requests of
``upstream_parts``; with ``--part NAME``, one of them, on top of those before it.
A part is made in two steps:

1. Its files are copied, with the names that their modules have in SpeechBrain.
   Modules for which SpeechBrain has a place already are added to the end of its
   own files.
2. Its patch, ``tools/pull_requests/NAME.patch``, is applied. It changes files of
   SpeechBrain, and takes out of the copies what the series does not bring. A
   patch that does not fit any more ends the export.

To change a patch, export up to its part, edit the checkout, and compare.

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

from upstream_parts import PARTS, ROOT, TEXTS, pull_request, upstream_path

from speechbrain_fftp.upstream_names import MERGED, NEW_PACKAGES, RENAMED

AUTHORS = "The speechbrain_fftp authors 2026"


def rename(text):
    """Replaces module names of this package by those in SpeechBrain.

    Consecutive imports are sorted again. The text may be Python, yaml or
    Markdown.

    Example
    -------
    >>> rename("!new:speechbrain_fftp.augment.specmask.SpecMask")
    '!new:speechbrain.augment.freq_domain.SpecMask'
    """
    for here, there in {**RENAMED, **MERGED}.items():
        pattern = rf"\bspeechbrain_fftp\.{re.escape(here)}\b"
        text = re.sub(pattern, f"speechbrain.{there}", text)
        package, _, old = here.rpartition(".")
        parent, _, new = there.rpartition(".")
        pattern = rf"\bfrom speechbrain_fftp\.{package} import {old}$"
        line = f"from speechbrain.{parent} import {new} as {old}"
        text = re.sub(pattern, line, text, flags=re.MULTILINE)
    text = re.sub(r"\bspeechbrain_fftp(?=\.\w)", "speechbrain", text)
    statement = r"^ *from speechbrain[\w.]* import (?:\([^()]*\)|[^\n(]+)\n"
    return re.sub(rf"(?m)(?:{statement})+", _sort_imports, text)


def _sort_imports(match):
    """Sorts and wraps consecutive imports as SpeechBrain's linter demands."""
    statements = []
    pattern = r"( *)(from (\S+) import) (\([^()]*\)|[^\n(]+)\n"
    for indent, start, module, names in re.findall(pattern, match.group()):
        if names.startswith("("):
            names = " ".join(names.strip("()\n ").rstrip(",").split())
        line = f"{indent}{start} {names}\n"
        if len(line) > 81:
            lines = "".join(
                f"{indent}    {name.strip()},\n" for name in names.split(",")
            )
            line = f"{indent}{start} (\n{lines}{indent})\n"
        statements.append((module.lower(), line))
    return "".join(line for module, line in sorted(statements))


def without_header(text):
    """The code of a module without its docstring and imports.

    Example
    -------
    >>> without_header('"A module."\\n\\nimport math\\n\\n\\nPI = math.pi\\n')
    'PI = math.pi\\n'
    """
    header = [
        node.end_lineno
        for node in ast.parse(text).body
        if isinstance(node, (ast.Expr, ast.Import, ast.ImportFrom))
    ]
    lines = text.splitlines(keepends=True)[max(header) :]
    return "".join(lines).lstrip("\n")


def is_exported(dest, part):
    """Whether a checkout has all files of a part."""
    paths = [upstream_path(here) for here in PARTS[part]]
    patch = patch_path(part)
    if patch.is_file():
        paths += re.findall(r"(?m)^\+\+\+ b/(.+)$", patch.read_text("utf-8"))
    return all((dest / path).is_file() for path in paths) and bool(paths)


def patch_path(part):
    """Where the patch of a part lies, if it has one."""
    return TEXTS / f"{part}.patch"


def copy_files(dest, part):
    """Copies a part's files to a checkout, or adds them to its own."""
    merged = {
        f"speechbrain_fftp/{here.replace('.', '/')}.py" for here in MERGED
    }
    for here in PARTS[part]:
        text = rename((ROOT / here).read_text("utf-8"))
        path = dest / upstream_path(here)
        if here in merged:
            text = f"{path.read_text('utf-8')}\n\n{without_header(text)}"
        elif path.is_file() and AUTHORS not in path.read_text("utf-8"):
            raise FileExistsError(
                f"SpeechBrain in {dest} already has another {path.name}: give "
                "it another name in speechbrain_fftp/upstream_names.py."
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
        for package, about in NEW_PACKAGES.items():
            folder = dest / package.replace(".", "/")
            init = folder / "__init__.py"
            if folder in path.parents and not init.exists():
                text = f'"""{about}\n\nAuthors\n * {AUTHORS}\n"""\n'
                init.write_text(text, encoding="utf-8", newline="\n")


def apply_patch(dest, part):
    """Applies a part's patch; raises a ValueError if it does not fit."""
    patch = patch_path(part)
    if not patch.is_file():
        return
    # A checkout in another repository is none of its own
    variables = {"GIT_CEILING_DIRECTORIES": str(dest.resolve().parent)}
    done = subprocess.run(
        ["git", "apply", "--whitespace=nowarn", str(patch)],
        cwd=dest,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise ValueError(
            f"{patch.name} does not fit the files of {dest}:\n{done.stderr}"
        )


def export(dest, part):
    """Exports one part of the series into a checkout.

    The text of its pull request is written beside the checkout.

    Raises
    ------
    FileNotFoundError
        If the folder is not a source checkout of SpeechBrain, or lacks an
        earlier part.
    FileExistsError
        If SpeechBrain has a different file of the same name.
    ValueError
        If the patch does not fit.

    Example
    -------
    >>> export(Path("none"), "fftp")
    Traceback (most recent call last):
    FileNotFoundError: none is not a source checkout of SpeechBrain: \
speechbrain/core.py is missing
    """
    for path in ("speechbrain/core.py", "recipes", "tests", "README.md"):
        if not (dest / path).exists():
            raise FileNotFoundError(
                f"{dest} is not a source checkout of SpeechBrain: {path} is "
                "missing"
            )
    names = list(PARTS)
    for earlier in names[: names.index(part)]:
        if not is_exported(dest, earlier):
            raise FileNotFoundError(
                f"{dest} lacks the part {earlier}, on which {part} stands: "
                f"export it first, with --part {earlier}"
            )
    before = _line_counts(dest)
    copy_files(dest, part)
    apply_patch(dest, part)
    after = _line_counts(dest)
    new = {x: n for x, n in after.items() if x not in before}
    added = {x: n - before[x] for x, n in after.items() if x in before}
    added = {x: n for x, n in added.items() if n}
    path = dest.resolve().parent / f"PR-{part}.md"
    path.write_text(pull_request(part, new, added), "utf-8")
    return path


def _line_counts(dest):
    """The number of lines of a checkout's text files, by path."""
    return {
        path.relative_to(dest).as_posix(): path.read_bytes().count(b"\n")
        for folder in ("speechbrain", "recipes", "tests")
        for path in sorted((dest / folder).rglob("*"))
        if path.suffix in (".py", ".yaml", ".md", ".csv", ".txt")
        and path.is_file()
    }


def main(argv=None):
    """Exports to the folder given on the command line; returns the exit status.

    Example
    -------
    >>> main(["no_such_folder"])
    1
    """
    parser = argparse.ArgumentParser(
        prog="python tools/upstream.py",
        description="Export this project into a SpeechBrain checkout.",
    )
    parser.add_argument(
        "dest",
        metavar="DEST",
        type=Path,
        help="root of a SpeechBrain checkout without the exported parts",
    )
    parser.add_argument(
        "--part",
        choices=PARTS,
        help="one pull request of the series, on top of those before it",
    )
    options = parser.parse_args(argv)
    for part in [options.part] if options.part else PARTS:
        try:
            path = export(options.dest, part)
        except (FileNotFoundError, FileExistsError, ValueError) as error:
            print(f"upstream: {error}", file=sys.stderr)
            return 1
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
