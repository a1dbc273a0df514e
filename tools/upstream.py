"""Exports what is proposed to SpeechBrain into a source checkout of it.

``python tools/upstream.py DEST`` copies the modules of ``upstream_parts``, under
the names of ``speechbrain_fftp.upstream_names``, yaml files with their rows in
``tests/recipes``, and unit tests. SpeechBrain's own files are not
changed, except for the lines of ``upstream_lists`` that are added to them. With
``--part NAME``, one pull request of a series, on top of those before it.

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import csv
import io
import re
import sys
from pathlib import Path

from upstream_lists import LISTS
from upstream_parts import PARTS, ROOT, TESTS, pull_request

from speechbrain_fftp.upstream_names import NEW_PACKAGES, RENAMED

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


def upstream_path(here):
    """The path in SpeechBrain of a file of this project.

    SpeechBrain has one flat folder of unit tests, named after their modules.

    Example
    -------
    >>> upstream_path("speechbrain_fftp/lobes/features.py")
    'speechbrain/lobes/kaldi_features.py'
    >>> upstream_path("hparams/stock/ESC50/classification/ast_fftp.yaml")
    'recipes/ESC50/classification/hparams/ast_fftp.yaml'
    """
    if here in TESTS:
        return TESTS[here]
    if here.startswith("speechbrain_fftp/"):
        name = here.removesuffix(".py").replace("/", ".")
        return rename(name).replace(".", "/") + ".py"
    if here.startswith("tests/unit/"):
        module = here.replace("tests/unit", "speechbrain_fftp")
        name = Path(upstream_path(module.replace("/test_", "/"))).name
        return f"tests/unittests/test_{name}"
    return re.sub(r"^hparams/stock/(.+)/", r"recipes/\1/hparams/", here)


def exported_files(part=None):
    """Maps paths in this project to paths in SpeechBrain, of a part or of all.

    Example
    -------
    >>> exported_files()["speechbrain_fftp/lobes/features.py"]
    'speechbrain/lobes/kaldi_features.py'
    """
    names = PARTS if part is None else [part]
    return {here: upstream_path(here) for x in names for here in PARTS[x]}


def _recipe_rows(files):
    """This project's rows of the files' recipes, by their list's path."""
    lists, known = {}, exported_files()
    table = ROOT / "tests" / "stock_recipes.csv"
    with open(table, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["Hparam_file"] in files:
                path = f"tests/recipes/{row['Dataset']}.csv"
                row = {key: known.get(x, x) for key, x in row.items()}
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


def _with_lines(text, lines, before):
    """Adds lines before the line that starts with ``before``, or at the end."""
    if lines in text:
        return text
    if not before:
        return f"{text}{lines}\n"
    return text.replace(f"\n{before}", f"\n{lines}\n{before}", 1)


def _new_texts(files):
    """The texts of new files, by path in SpeechBrain."""
    texts = {
        there: rename((ROOT / here).read_text("utf-8"))
        for here, there in files.items()
    }
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
        paths = exported_files(earlier).values()
        if not all((dest / path).exists() for path in paths):
            raise FileNotFoundError(
                f"{dest} lacks the part {earlier}, on which {part} stands: "
                f"export it first, with --part {earlier}"
            )


def export(dest, part=None):
    """Exports all parts of the series, or one of them, into a checkout.

    Nothing is written if the folder is not a SpeechBrain checkout, or if
    SpeechBrain has a different file of the same name. A second run changes
    nothing. With a part, the text of its pull request is written beside the
    checkout.

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
    foreign = [x for x, text in texts.items() if not _may_write(dest / x, text)]
    if foreign:
        raise FileExistsError(
            f"SpeechBrain in {dest} already has {', '.join(foreign)}. Rename "
            "the modules in speechbrain_fftp/upstream_names.py, the tests in "
            "tools/upstream_parts.py, or the recipe's folder."
        )
    new = {path: text.count("\n") for path, text in texts.items()}
    added = {}
    for path, rows in _recipe_rows(files).items():
        added[path] = len(rows)
        texts[path] = _with_rows(dest / path, rows)
    for of, path, lines, before in LISTS:
        file, own = dest / path, part in (None, of)
        old = file.read_text("utf-8") if file.is_file() else ""
        # What a later part added to a file of this one stays
        if own or path in new and lines in old:
            text = _with_lines(texts.get(path, old), lines, before)
            if lines in text:
                texts[path] = text
            else:
                print(
                    f"{path}: not added, since no line starts with '{before}': "
                    f"{lines}"
                )
        if own:
            added[path] = added.get(path, 0) + lines.count("\n") + 1
    if part:
        text = pull_request(part, new, added)
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


def _may_write(path, text):
    """Whether a file is absent, the same, or comes from an earlier export."""
    if not path.exists() or path.read_text("utf-8") == text:
        return True
    near = [p for p in (path, path.parent / "train.py") if p.is_file()]
    return any(MARK in p.read_text("utf-8") for p in near)


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
