"""Copies the parts of this project into a source checkout of SpeechBrain.

``python tools/upstream.py DEST`` writes the modules, under the names
of ``speechbrain_fftp.upstream_names``, the recipes with their yaml files and
their rows in the list of recipes, and unit tests. SpeechBrain's own files stay
as they are, but for lines added where it lists its parts.

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import csv
import io
import re
import sys
from pathlib import Path

from speechbrain_fftp.upstream_names import (
    MODULES,
    NEW_PACKAGES,
    RENAMED,
    module_names,
)

ROOT = Path(__file__).resolve().parents[1]

# Recipe folder here: its folder there, and the folder of its yaml files here.
# Rows of tests/recipes.csv go to the file of the dataset, the second part.
RECIPES = {
    "recipes/AudioSet": ("recipes/AudioSet/Tagging", "hparams"),
    "recipes/SpeechCommands": (
        "recipes/Google-speech-commands/FFTP",
        "hparams/speechcommands",
    ),
}

# Unit tests that need nothing but SpeechBrain and its development tools. They
# lie in one folder there, so that each has the name of the module it tests.
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

# Where SpeechBrain lists its parts: file, line to add, line that follows it.
# (Its API pages are made from the docstrings of all modules.)
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

# In the headers: by this the files of an earlier export are known.
MARK = "The speechbrain_fftp authors"


def rename(text):
    """Rewrites the names of this package's modules to those in SpeechBrain.

    Arguments
    ---------
    text : str
        Any text: Python, yaml, Markdown.

    Returns
    -------
    str
        The text with the names there, its imports sorted again.

    Example
    -------
    >>> rename("!new:speechbrain_fftp.lobes.features.KaldiFbank")
    '!new:speechbrain.lobes.kaldi_features.KaldiFbank'
    """
    for here, there in RENAMED.items():
        pattern = rf"\bspeechbrain_fftp\.{re.escape(here)}\b"
        text = re.sub(pattern, f"speechbrain.{there}", text)
    text = re.sub(r"\bspeechbrain_fftp(?=\.\w)", "speechbrain", text)
    statement = r"^ *from speechbrain[\w.]* import (?:\([^()]*\)|[^\n(]+)\n"
    return re.sub(rf"(?m)(?:{statement})+", _sort_imports, text)


def _sort_imports(match):
    """Consecutive imports in the order and the form of SpeechBrain's linter."""
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
    """What the export writes, apart from lines in files of SpeechBrain.

    Returns
    -------
    dict of str
        Path in this project to path in SpeechBrain.

    Example
    -------
    >>> exported_files()["speechbrain_fftp/lobes/features.py"]
    'speechbrain/lobes/kaldi_features.py'
    """
    files = {}
    for there, here in module_names().items():
        path = here.replace(".", "/")
        if here.partition(".")[2] in MODULES:
            path += "/__init__"
        files[f"{path}.py"] = there.replace(".", "/") + ".py"
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
    """The lists of recipes with the rows of this project's."""
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
    """Copies the parts of this project into a source checkout of SpeechBrain.

    Nothing is written if the folder is no such checkout, or if SpeechBrain has
    a file of its own where one is to go. A second run changes nothing.

    Arguments
    ---------
    dest : str
        The checkout's root.

    Returns
    -------
    list of str
        The paths there whose content is new.

    Raises
    ------
    FileNotFoundError
        If the folder is no source checkout of SpeechBrain, or this package is
        installed without its project.
    FileExistsError
        If SpeechBrain has a file of its own where one is to go.

    Example
    -------
    >>> export("none")
    Traceback (most recent call last):
    FileNotFoundError: none is no source checkout of SpeechBrain: \
speechbrain/core.py is missing
    """
    dest = Path(dest)
    for root, need in ((dest, "speechbrain/core.py"), (ROOT, "hparams")):
        for part in (need, "recipes", "tests", "README.md"):
            if not (root / part).exists():
                what = "this project" if root is ROOT else "SpeechBrain"
                raise FileNotFoundError(
                    f"{root} is no source checkout of {what}: {part} is missing"
                )
    files = exported_files()
    texts = {}
    for here, there in files.items():
        texts[there] = rename((ROOT / here).read_text("utf-8"))
        for recipe, (folder, hparams) in RECIPES.items():
            if there.startswith(f"{folder}/"):
                text = texts[there].replace(f"{recipe}/", "")
                texts[there] = text.replace(f"{hparams}/", "hparams/")
    for package, about in NEW_PACKAGES.items():
        text = f'"""{about}\n\nAuthors\n * {MARK} 2026\n"""\n'
        texts[package.replace(".", "/") + "/__init__.py"] = text
    foreign = [p for p in texts if not _may_write(dest / p)]
    if foreign:
        raise FileExistsError(
            f"SpeechBrain in {dest} has files of its own where parts of this "
            f"project would go: {', '.join(foreign)}. Give these parts other "
            f"names in the tables of {__file__}."
        )
    texts.update(_recipe_rows(files, dest))
    for path, line, before in LISTS:
        text = (dest / path).read_text("utf-8")
        if line not in text.splitlines():
            text = text.replace(f"\n{before}", f"\n{line}\n{before}", 1)
        if line not in text:
            print(f"{path}: no line '{before} ...' to add before: {line}")
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
    """Whether a file is new, or of an earlier export."""
    near = [p for p in (path, path.parent / "train.py") if p.is_file()]
    return not path.exists() or any(MARK in p.read_text("utf-8") for p in near)


def main(argv=None):
    """Exports to the folder of the command line and prints what it wrote.

    Arguments
    ---------
    argv : list of str, optional
        Arguments of the command line; those of the process when absent.

    Returns
    -------
    int
        Exit status: 0, or 1 with the reason on the error output.

    Example
    -------
    >>> main(["no_such_folder"])
    1
    """
    parser = argparse.ArgumentParser(
        prog="python tools/upstream.py",
        description="Copy the parts of this project into SpeechBrain's source.",
    )
    parser.add_argument("dest", metavar="DEST", help="SpeechBrain's checkout")
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
