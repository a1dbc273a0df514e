"""Tests of the export into a source checkout of SpeechBrain.

Without such a checkout, the installed SpeechBrain takes its place, and patches
are applied to the files that this package brings alone: these change when the
package does. test_upstream_recipes.py applies the whole series.

Authors
 * The speechbrain_fftp authors 2026
"""

import ast
import os
import re
import subprocess
import sys

import pytest
import upstream
from exported_names import imported
from speechbrain_trees import copy_library, patch_library
from upstream_parts import PARTS, module_path, upstream_path

from speechbrain_fftp.upstream_names import MERGED, MODULES


def read(folder):
    """The content of every file in a folder, by path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    """A folder with all parts, and its content before and after."""
    folder = tmp_path_factory.mktemp("upstream") / "checkout"
    copy_library(folder)
    before = read(folder)
    for part in PARTS:
        upstream.copy_files(folder, part)
    patch_library(folder, PARTS)
    return folder, before, read(folder)


@pytest.fixture(scope="module")
def child(series, tmp_path_factory):
    """Runs Python in the checkout, without this package."""
    blocked = tmp_path_factory.mktemp("blocked") / "speechbrain_fftp"
    blocked.mkdir()
    code = "raise ImportError('this package is imported')"
    (blocked / "__init__.py").write_text(code, "utf-8")

    def run(*words):
        done = subprocess.run(
            [sys.executable, *map(str, words)],
            cwd=series[0],
            env={
                **os.environ,
                "PYTHONPATH": f"{series[0]}{os.pathsep}{blocked.parent}",
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, (done.stdout + done.stderr)[-5000:]
        return done.stdout

    return run


def new_files(series):
    """Paths of the files that the export adds."""
    _, before, after = series
    return sorted(set(after) - set(before))


def test_patches_change_only_files_that_speechbrain_has():
    copied = {upstream_path(path) for paths in PARTS.values() for path in paths}
    merged = {upstream_path(module_path(name)) for name in MERGED}
    for patch in upstream.TEXTS.glob("*.patch"):
        text = patch.read_text("utf-8")
        assert "/dev/null" not in text, f"{patch.name} adds or removes a file"
        changed = set(re.findall(r"(?m)^\+\+\+ b/(.+)$", text))
        assert changed and not changed & (copied - merged), patch.name


def find_names():
    """The part of each module, and of each name that is appended to one."""
    found = {}
    for part, modules in MODULES.items():
        for name in modules:
            there = f"speechbrain.{MERGED.get(name, name)}"
            path = upstream.ROOT / module_path(name)
            if name not in MERGED:
                found[there] = part
                continue
            for node in ast.parse(path.read_text("utf-8")).body:
                if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
                    found[f"{there}.{node.name}"] = part
    return found


# Without `register`: the names of SpeechBrain as it is
LOCATE = """
import pydoc, sys

print([name for name in sys.argv[1:] if pydoc.locate(name) is None])
"""


def test_a_part_needs_no_more_than_the_parts_before_it():
    """And SpeechBrain. Nor do the Python blocks of its READMEs and of its text."""
    parts, of_series, stock = list(PARTS), find_names(), set()
    for index, part in enumerate(parts):
        texts = sorted(upstream.TEXTS.glob(f"{part}.*"))
        texts = [x.relative_to(upstream.ROOT).as_posix() for x in texts]
        for path in (*PARTS[part], *texts):
            for name in imported(path):
                module = name.rpartition(".")[0]
                source = of_series.get(name) or of_series.get(module)
                if source is None:
                    stock.add(name)
                else:
                    assert parts.index(source) <= index, (path, name)
    assert "speechbrain.lobes.features.Fbank" in stock
    command = [sys.executable, "-c", LOCATE, *sorted(stock)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_nothing_refers_to_this_package(series):
    for path in new_files(series):
        text = series[2][path].decode()
        text = text.replace("The speechbrain_fftp authors", "")
        pattern = (
            "speechbrain_fftp|fftp.tag|make demo|hparams/stock|(?i:triton)"
        )
        assert not re.search(pattern, text), path


def test_no_unit_test_runs_a_recipe(series):
    tests = [x for x in new_files(series) if x.startswith("tests/unittests/")]
    assert tests
    for path in tests:
        assert "recipes" not in series[2][path].decode(), path


def test_parts_are_small():
    assert max(map(upstream.count_lines, PARTS)) <= 1500


def test_no_name_is_undefined(series):
    """As in code that is appended to a file, whose imports a patch adds."""
    command = [sys.executable, "-m", "ruff", "check", "--isolated"]
    done = subprocess.run(
        [*command, "--select", "F821", series[0] / "speechbrain"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


IMPORTS = """
import importlib, pathlib, sys
import hyperpyyaml

for name in sys.argv[2:]:
    importlib.import_module(name)
for path in sorted(pathlib.Path("recipes").rglob("hparams/**/*.yaml")):
    options = {"output_folder": sys.argv[1], "data_folder": "data"}
    sys.path.insert(0, str(path.parents[1]))
    with open(path) as file:
        hparams = hyperpyyaml.load_hyperpyyaml(file, options)
    sys.path.pop(0)
    model = hparams.get("encoder", hparams["embedding_model"])
    assert type(model).__module__.startswith("speechbrain.lobes.models."), path
    print(path)
"""


def test_modules_import_and_yaml_files_load(series, child, tmp_path):
    names = [
        path[:-3].replace("/", ".").replace(".__init__", "")
        for path in new_files(series)
        if re.match(r"speechbrain/.*\.py$", path)
    ]
    printed = child("-c", IMPORTS, tmp_path, *names).splitlines()
    yamls = [path for path in new_files(series) if path.endswith(".yaml")]
    assert printed == yamls and len(yamls) == 4


@pytest.mark.slow
def test_doctests_and_unit_tests_pass(series, child):
    (series[0] / "conftest.py").write_text(
        "import pytest\n\n\n@pytest.fixture\ndef device():\n    return 'cpu'\n"
    )
    pattern = "speechbrain/|tests/unittests/"
    child(
        *("-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "addopts="),
        *("--rootdir", series[0], "-c", os.devnull, "--doctest-modules"),
        *(path for path in new_files(series) if re.match(pattern, path)),
    )
