"""Tests of the export into a source checkout of SpeechBrain.

Without such a checkout, the installed SpeechBrain takes its place, and patches
are applied to the files that this package brings alone: these change when the
package does. test_upstream_recipes.py applies the whole series.

Authors
 * The speechbrain_fftp authors 2026
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import upstream
from upstream_parts import PARTS, TEXTS, upstream_path

import speechbrain


def read(folder):
    """The content of every file in a folder, by path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def export_own_files(folder, part):
    """Copies a part's files, and applies its patch to them alone."""
    upstream.copy_files(folder, part)
    patch = upstream.patch_path(part)
    if patch.is_file():
        own = [f"--include={upstream_path(x)}" for x in PARTS[part]]
        subprocess.run(
            ["git", "apply", *own, patch],
            cwd=folder,
            env={**os.environ, "GIT_CEILING_DIRECTORIES": str(folder.parent)},
            check=True,
        )


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    """A folder with all parts, and its content before and after each."""
    folder = tmp_path_factory.mktemp("upstream") / "checkout"
    shutil.copytree(
        Path(speechbrain.__file__).parent,
        folder / "speechbrain",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    contents = [read(folder)]
    for part in PARTS:
        export_own_files(folder, part)
        contents.append(read(folder))
    return folder, contents


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


def new_files(contents):
    """Paths of the files that the export adds."""
    return sorted(set(contents[-1]) - set(contents[0]))


def test_every_part_has_a_text(series):
    for part in PARTS:
        text = (TEXTS / f"{part}.md").read_text("utf-8")
        assert re.match(r"# .+\n\n## What does this PR do\?\n", text)
        whole = upstream.pull_request(part, {"new.py": 3}, {"old.py": -1})
        assert "<!--" not in whole and "| `new.py` | 3 |" in whole


def test_files_of_speechbrain_only_gain_lines(series):
    _, contents = series
    before, after = contents[0], contents[-1]
    for path in before:
        assert after[path].startswith(before[path].rstrip(b"\n"))


def test_nothing_refers_to_this_package(series):
    _, contents = series
    for path in new_files(contents):
        text = contents[-1][path].decode()
        text = text.replace("The speechbrain_fftp authors", "")
        pattern = "speechbrain_fftp|fftp-tag|make demo|hparams/stock"
        assert not re.search(pattern, text), path


def test_no_private_name_crosses_modules(series):
    _, contents = series
    for path in new_files(contents):
        found = re.findall(
            r"from speechbrain[\w.]* import (?:\([^()]*\)|.*)",
            contents[-1][path].decode(),
        )
        assert not any(re.search(r"\b_[a-z]", line) for line in found), path


IMPORTS = """
import importlib, pathlib, sys

for name in sys.argv[2:]:
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        assert error.name == "triton", error

import hyperpyyaml

for path in sorted(pathlib.Path("recipes").rglob("hparams/**/*.yaml")):
    options = {"output_folder": sys.argv[1], "data_folder": "data"}
    if path.parent.name == "models":
        options = {"checkpoint": "checkpoint"}
    sys.path.insert(0, str(path.parents[1]))
    with open(path) as file:
        hparams = hyperpyyaml.load_hyperpyyaml(file, options)
    sys.path.pop(0)
    model = hparams.get("encoder", hparams["embedding_model"])
    assert type(model).__module__.startswith("speechbrain.lobes.models."), path
    print(path)
assert not any(name.startswith("speechbrain_fftp") for name in sys.modules)
"""


def test_modules_import_and_yaml_files_load(series, child, tmp_path):
    paths = [
        path
        for path in new_files(series[1])
        if re.match(r"speechbrain/(?!.*/tests/).*\.py$", path)
    ]
    names = [p[:-3].replace("/", ".").replace(".__init__", "") for p in paths]
    printed = child("-c", IMPORTS, tmp_path, *names).splitlines()
    yamls = [path for path in new_files(series[1]) if path.endswith(".yaml")]
    assert printed == yamls and len(yamls) >= 6


@pytest.mark.slow
def test_doctests_and_unit_tests_pass(series, child):
    paths = new_files(series[1])
    tests = [
        path
        for path in paths
        if path.startswith("tests/unittests/") and "gsc_recipe" not in path
    ]
    (series[0] / "conftest.py").write_text(
        "import pytest\n\n\n@pytest.fixture\ndef device():\n    return 'cpu'\n"
    )
    modules = [
        path
        for path in paths
        if path.startswith("speechbrain/") and "/integrations/" not in path
    ]
    child(
        *("-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "addopts="),
        *("--rootdir", series[0], "-c", os.devnull, "--doctest-modules"),
        *(*modules, *tests),
    )


def test_a_folder_that_is_no_checkout_is_an_error(tmp_path, capsys):
    assert upstream.main([str(tmp_path)]) == 1
    assert "speechbrain/core.py" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_an_earlier_part_is_needed(series, tmp_path, capsys):
    for folder in ("speechbrain", "recipes", "tests"):
        (tmp_path / folder).mkdir()
    for path in ("speechbrain/core.py", "README.md"):
        (tmp_path / path).touch()
    assert upstream.main([str(tmp_path), "--part", "fftp"]) == 1
    assert "gsc-paths" in capsys.readouterr().err


def test_files_of_speechbrain_are_not_replaced(tmp_path):
    path = tmp_path / "speechbrain" / "nnet" / "patching.py"
    path.parent.mkdir(parents=True)
    path.write_text('"""Another."""\n', "utf-8")
    with pytest.raises(FileExistsError, match="patching.py"):
        upstream.copy_files(tmp_path, "fftp")
    assert path.read_text("utf-8") == '"""Another."""\n'


def test_a_patch_that_does_not_fit_ends_the_export(tmp_path):
    path = tmp_path / "recipes" / "Google-speech-commands" / "train.py"
    path.parent.mkdir(parents=True)
    path.write_text("changed\n", "utf-8")
    with pytest.raises(ValueError, match="gsc-paths.patch"):
        upstream.apply_patch(tmp_path, "gsc-paths")
