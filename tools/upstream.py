"""Exports this project into a source checkout of SpeechBrain.

``python tools/upstream.py DEST`` copies the modules, under the names of
``speechbrain_fftp.upstream_names``, the recipes with their yaml files and rows
in ``tests/recipes``, and unit tests. SpeechBrain's own files are not changed,
except for the lines of ``LISTS`` that are added to them. With ``--part NAME``,
one pull request of a series, on top of those before it (``upstream_parts``).

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import csv
import io
import re
import sys
from pathlib import Path

import upstream_parts as parts
from upstream_parts import LISTS, PARTS, RECIPES, ROOT, STOCK

from speechbrain_fftp.upstream_names import NEW_PACKAGES, RENAMED, module_names

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


def exported_files(part=None):
    """Maps paths in this project to paths in SpeechBrain, of a part or of all.

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
    for path in sorted((ROOT / STOCK).rglob("*.yaml")):
        recipe = path.parent.relative_to(ROOT / STOCK).as_posix()
        here = path.relative_to(ROOT).as_posix()
        files[here] = f"recipes/{recipe}/hparams/{path.name}"
    for test in parts.UNIT_TESTS:
        module = test.replace("test_", "")[:-3].replace("/", ".")
        name = RENAMED.get(module, module).split(".")[-1]
        files[f"tests/unit/{test}"] = f"tests/unittests/test_{name}.py"
    for test, name in parts.INTEGRATION_TESTS.items():
        files[f"tests/unit/{test}"] = f"speechbrain/integrations/tests/{name}"
    if part is not None:
        return {here: files[here] for here in PARTS[part]}
    return files


def _recipe_rows(files):
    """This project's rows of the files' recipes, by their list's path."""
    lists = {}
    for table in ("recipes.csv", "stock_recipes.csv"):
        with open(ROOT / "tests" / table, encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if row["Hparam_file"] in files:
                    row = {key: files.get(x, x) for key, x in row.items()}
                    row["Dataset"] = row["Script_file"].split("/")[1]
                    path = f"tests/recipes/{row['Dataset']}.csv"
                    lists.setdefault(path, []).append(row)
    return lists


def _with_rows(path, rows):
    """The text of a list of recipes, with rows added or replaced."""
    lines = [",".join(rows[0])]
    if path.is_file():
        lines = path.read_text("utf-8").splitlines()
    for row in rows:
        line = io.StringIO()
        columns = lines[0].split(",")
        csv.DictWriter(line, columns, lineterminator="").writerow(row)
        mine = f",{row['Hparam_file']},"
        places = [i for i, line in enumerate(lines) if mine in line]
        place = places[0] if places else len(lines)
        lines[place : place + 1] = [line.getvalue()]
    return "\n".join(lines) + "\n"


def _new_texts(files):
    """The texts of new files, by path in SpeechBrain."""
    texts = {}
    for here, there in files.items():
        text = rename((ROOT / here).read_text("utf-8"))
        for recipe, (folder, hparams) in RECIPES.items():
            if there.startswith(f"{folder}/"):
                text = text.replace(f"{recipe}/", "")
                text = text.replace(f"{hparams}/", "hparams/")
        texts[there] = text
    for package, about in NEW_PACKAGES.items():
        path = package.replace(".", "/") + "/"
        if any(there.startswith(path) for there in texts):
            text = f'"""{about}\n\nAuthors\n * {MARK} 2026\n"""\n'
            texts[path + "__init__.py"] = text
    return texts


def _check_checkouts(dest, part):
    """Raises a FileNotFoundError if what an export needs is missing."""
    for root, need in ((dest, "speechbrain/core.py"), (ROOT, "hparams")):
        for path in (need, "recipes", "tests", "README.md"):
            if not (root / path).exists():
                what = "this project" if root is ROOT else "SpeechBrain"
                raise FileNotFoundError(
                    f"{root} is not a source checkout of {what}: "
                    f"{path} is missing"
                )
    names = list(PARTS)
    for earlier in names[: names.index(part)] if part else ():
        if not all(
            (dest / x).exists() for x in exported_files(earlier).values()
        ):
            raise FileNotFoundError(
                f"{dest} lacks the part {earlier}, on which {part} stands: "
                f"export it first, with --part {earlier}"
            )


def export(dest, part=None):
    """Exports the modules, recipes and unit tests into a checkout.

    Nothing is written if the folder is not a SpeechBrain checkout, or if
    SpeechBrain has a different file of the same name. A second run changes
    nothing. With a part of the series, only that is exported, and the text of
    its pull request is written beside the checkout.

    Returns the paths of the files that were written.

    Raises
    ------
    FileNotFoundError
        If the folder is not a source checkout of SpeechBrain or lacks an
        earlier part, or this file is not in a checkout of this project.
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
    _check_checkouts(dest, part)
    files = exported_files(part)
    texts = _new_texts(files)
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
    new = {path: text.count("\n") for path, text in texts.items()}
    added = {}
    for path, rows in _recipe_rows(files).items():
        added[path] = len(rows)
        texts[path] = _with_rows(dest / path, rows)
    for of, path, lines, before in LISTS:
        if part in (None, of):
            text = texts.get(path) or (dest / path).read_text("utf-8")
            if lines not in text:
                text = text.replace(f"\n{before}", f"\n{lines}\n{before}", 1)
            if lines not in text:
                print(
                    f"{path}: not added, since no line starts with '{before}': "
                    f"{lines}"
                )
            texts[path] = text
            added[path] = added.get(path, 0) + lines.count("\n") + 1
    if part:
        text = parts.pull_request(part, new, added)
        (dest.resolve().parent / f"PR-{part}.md").write_text(text, "utf-8")
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
    parser.add_argument(
        "--part",
        choices=PARTS,
        help="one pull request of the series, on top of those before it",
    )
    options = parser.parse_args(argv)
    try:
        written = export(options.dest, options.part)
    except (FileNotFoundError, FileExistsError) as error:
        print(f"upstream: {error}", file=sys.stderr)
        return 1
    for path in written:
        print(path)
    print(f"{len(written)} files written")
    if options.part:
        path = Path(options.dest).resolve().parent / f"PR-{options.part}.md"
        print(f"\n{path}:\n\n{path.read_text('utf-8')}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
