"""Exports this project into a source checkout of SpeechBrain.

``python tools/upstream.py DEST`` copies the modules, under the names of
``speechbrain_fftp.upstream_names``, the recipes with their yaml files and rows
in ``tests/recipes``, and unit tests. SpeechBrain's own files are not changed,
except for the lines of ``LISTS`` that are added to them.

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import csv
import io
import re
import sys
from pathlib import Path

from speechbrain_fftp.upstream_names import NEW_PACKAGES, RENAMED, module_names

ROOT = Path(__file__).resolve().parents[1]

# Recipe folder here: its folder in SpeechBrain, and its yaml folder here. The
# rows of tests/recipes.csv go to tests/recipes/<second part of that path>.csv.
RECIPES = {
    "recipes/AudioSet": ("recipes/AudioSet/Tagging", "hparams"),
    "recipes/SpeechCommands": (
        "recipes/Google-speech-commands/FFTP",
        "hparams/speechcommands",
    ),
}

# Unit tests that need only SpeechBrain and its development tools. SpeechBrain
# has one flat folder of tests: each is named after the module that it tests.
UNIT_TESTS = (
    "augment/test_mixup.py",
    "augment/test_specmask.py",
    "augment/test_waveform.py",
    "lobes/test_AST.py",
    "nnet/test_mamba.py",
    "nnet/test_patching.py",
    "nnet/test_position.py",
    "nnet/test_schedulers.py",
)

# Files of SpeechBrain that list its parts: file, line to add, next line.
# (Its API pages are built from the docstrings of all modules.)
LISTS = (
    (
        "README.md",
        "| Audio Tagging | [AudioSet](recipes/AudioSet) |"
        " [AST](https://arxiv.org/abs/2104.01778),"
        " [Audio Mamba](https://arxiv.org/abs/2406.03344),"
        " [FFTP and SpecMask](https://arxiv.org/abs/2508.21243) |",
        "| Self-Supervised Learning |",
    ),
    (
        "speechbrain/inference/__init__.py",
        "from .tagging import *  # noqa",
        "from .text import *",
    ),
)

# Files with this in their header are ours and may be overwritten.
MARK = "The speechbrain_fftp authors"


def rename(text):
    """Replaces module names of this package by those in SpeechBrain.

    Consecutive imports are sorted again. The text may be Python, yaml or
    Markdown.

    Example
    -------
    >>> rename("!new:speechbrain_fftp.lobes.features.KaldiFbank")
    '!new:speechbrain.lobes.kaldi_features.KaldiFbank'
    """
    for here, there in RENAMED.items():
        pattern = rf"\bspeechbrain_fftp\.{re.escape(here)}\b"
        text = re.sub(pattern, f"speechbrain.{there}", text)
        (package, _, old), (parent, _, new) = (
            name.rpartition(".") for name in (here, there)
        )
        pattern = rf"\bfrom speechbrain_fftp\.{package} import {old}$"
        line = f"from speechbrain.{parent} import {new} as {old}"
        text = re.sub(pattern, line, text, flags=re.MULTILINE)
    text = re.sub(r"\bspeechbrain_fftp(?=\.\w)", "speechbrain", text)
    # SpeechBrain has no commands, but what they call
    text = text.replace("`fftp-tag calibrate`", "`learn_thresholds`")
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
                f"{indent}    {n.strip()},\n" for n in names.split(",")
            )
            line = f"{indent}{start} (\n{lines}{indent})\n"
        statements.append((module.lower(), line))
    return "".join(line for module, line in sorted(statements))


def exported_files():
    """Maps paths in this project to paths in SpeechBrain.

    Example
    -------
    >>> exported_files()["speechbrain_fftp/lobes/features.py"]
    'speechbrain/lobes/kaldi_features.py'
    """
    files = {}
    for there, here in module_names().items():
        path = here.replace(".", "/")
        ending = "/__init__.py" if (ROOT / path).is_dir() else ".py"
        files[path + ending] = there.replace(".", "/") + ending
    for path in sorted((ROOT / "speechbrain_fftp").rglob("*.csv")):
        here = path.relative_to(ROOT).as_posix()
        files[here] = here.replace("speechbrain_fftp", "speechbrain")
    for here, (there, hparams) in RECIPES.items():
        for path in sorted((ROOT / here).glob("*.*")):
            files[f"{here}/{path.name}"] = f"{there}/{path.name}"
        for path in sorted((ROOT / hparams).glob("*.yaml")):
            files[f"{hparams}/{path.name}"] = f"{there}/hparams/{path.name}"
    for test in UNIT_TESTS:
        module = test.replace("test_", "")[:-3].replace("/", ".")
        name = RENAMED.get(module, module).split(".")[-1]
        files[f"tests/unit/{test}"] = f"tests/unittests/test_{name}.py"
    return files


def _recipe_rows(files, dest):
    """SpeechBrain's lists of recipes, by path, with this project's rows."""
    lists = {}
    with open(ROOT / "tests" / "recipes.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row = {key: files.get(cell, cell) for key, cell in row.items()}
        row["Dataset"] = row["Script_file"].split("/")[1]
        path = f"tests/recipes/{row['Dataset']}.csv"
        if path not in lists:
            there = dest / path
            lists[path] = [",".join(row)]
            if there.is_file():
                lists[path] = there.read_text("utf-8").splitlines()
        lines = lists[path]
        mine = f",{row['Hparam_file']},"
        lines[:] = [line for line in lines if mine not in line]
        line = io.StringIO()
        columns = lines[0].split(",")
        csv.DictWriter(line, columns, lineterminator="").writerow(row)
        lines.append(line.getvalue())
    return {path: "\n".join(lines) + "\n" for path, lines in lists.items()}


def export(dest):
    """Exports the modules, recipes and unit tests into a checkout.

    Nothing is written if the folder is not a SpeechBrain checkout, or if
    SpeechBrain has a different file of the same name. A second run changes
    nothing. Returns the paths of the files that were written.

    Raises
    ------
    FileNotFoundError
        If the folder is not a source checkout of SpeechBrain, or this file is
        not in a checkout of this project.
    FileExistsError
        If SpeechBrain has a different file of the same name.

    Example
    -------
    >>> export("none")
    Traceback (most recent call last):
    FileNotFoundError: none is not a source checkout of SpeechBrain: \
speechbrain/core.py is missing
    """
    dest = Path(dest)
    for root, need in ((dest, "speechbrain/core.py"), (ROOT, "hparams")):
        for part in (need, "recipes", "tests", "README.md"):
            if not (root / part).exists():
                what = "this project" if root is ROOT else "SpeechBrain"
                raise FileNotFoundError(
                    f"{root} is not a source checkout of {what}: "
                    f"{part} is missing"
                )
    files = exported_files()
    texts = {}
    for here, there in files.items():
        text = rename((ROOT / here).read_text("utf-8"))
        for recipe, (folder, hparams) in RECIPES.items():
            if there.startswith(f"{folder}/"):
                text = text.replace(f"{recipe}/", "")
                text = text.replace(f"{hparams}/", "hparams/")
        texts[there] = text
    for package, about in NEW_PACKAGES.items():
        text = f'"""{about}\n\nAuthors\n * {MARK} 2026\n"""\n'
        texts[package.replace(".", "/") + "/__init__.py"] = text
    foreign = [path for path in texts if not _may_write(dest / path)]
    # SpeechBrain keeps the __init__.py of the packages that both have.
    for path in [path for path in foreign if path.endswith("/__init__.py")]:
        if not re.search(r"(?m)^(class|def) ", texts[path]):
            foreign.remove(path)
            del texts[path]
    if foreign:
        raise FileExistsError(
            f"SpeechBrain in {dest} already has {', '.join(foreign)}. Rename "
            "the modules in speechbrain_fftp/upstream_names.py, or the recipes "
            f"in {__file__}."
        )
    texts.update(_recipe_rows(files, dest))
    for path, line, before in LISTS:
        text = (dest / path).read_text("utf-8")
        if line not in text.splitlines():
            text = text.replace(f"\n{before}", f"\n{line}\n{before}", 1)
        if line not in text:
            print(
                f"{path}: not added, since no line starts with '{before}': "
                f"{line}"
            )
        texts[path] = text
    written = []
    for path, text in texts.items():
        path = dest / path
        if path.is_file() and path.read_text("utf-8") == text:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        written.append(str(path.relative_to(dest)))
    return written


def _may_write(path):
    """Whether a file is absent, or comes from an earlier export."""
    near = [path, path.parent / "train.py"]
    if path.suffix == ".csv":
        near.append(path.parent / "__init__.py")
    near = [p for p in near if p.is_file()]
    return not path.exists() or any(MARK in p.read_text("utf-8") for p in near)


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
        "dest", metavar="DEST", help="root of the SpeechBrain checkout"
    )
    try:
        written = export(parser.parse_args(argv).dest)
    except (FileNotFoundError, FileExistsError) as error:
        print(f"upstream: {error}", file=sys.stderr)
        return 1
    for path in written:
        print(path)
    print(f"{len(written)} files written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
