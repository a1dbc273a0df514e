"""Tests of the export into a source checkout of SpeechBrain.

The checkout is the installed SpeechBrain with the few files around it that the
export needs. The exported files run in processes that cannot import this
package.

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
from upstream_parts import PARTS

import speechbrain

ESC50 = "recipes/ESC50/classification"
COMMANDS = "recipes/Google-speech-commands"
# The lines before which the export adds its own
LINES = {
    ESC50: "### To train with WHAM! noise\n|     vit.yaml     |\n"
    "If you use **SpeechBrain**, please cite:\n",
    COMMANDS: "# for leaf\n| xvector + augment + LEAF v35 |\n",
}


def make_checkout(folder):
    """Makes a minimal checkout of the installed SpeechBrain."""
    (folder / "tests" / "recipes").mkdir(parents=True)
    (folder / "README.md").write_text("SpeechBrain\n", "utf-8")
    for recipe, lines in LINES.items():
        (folder / recipe).mkdir(parents=True)
        (folder / recipe / "README.md").write_text(f"Top\n{lines}", "utf-8")
    shutil.copytree(
        Path(speechbrain.__file__).parent,
        folder / "speechbrain",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    return folder


def read(folder):
    """The content of every file in a folder, by path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    """A checkout after all parts, and its content before and after each."""
    folder = make_checkout(tmp_path_factory.mktemp("upstream") / "checkout")
    contents = [read(folder)]
    for part in PARTS:
        upstream.export(folder, part)
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


def test_every_part_has_its_files_and_its_text(series):
    folder, contents = series
    for part, before, after in zip(PARTS, contents, contents[1:]):
        files = set(upstream.exported_files(part).values())
        assert files <= set(after) - set(before)
        text = (folder.parent / f"PR-{part}.md").read_text("utf-8")
        assert re.match(r"# Add .+\n\n## What does this PR do\?\n", text)
        assert "<!--" not in text
        assert all(f"`{path}`" in text for path in files)


def test_files_of_speechbrain_only_gain_lines(series):
    _, contents = series
    before, after = contents[0], contents[-1]
    changed = {path for path in before if after[path] != before[path]}
    assert changed == {f"{recipe}/README.md" for recipe in LINES}
    for path in changed:
        rest = iter(after[path].splitlines())
        assert all(line in rest for line in before[path].splitlines())


def test_nothing_refers_to_this_package(series):
    _, contents = series
    for path in new_files(contents):
        text = contents[-1][path].decode()
        text = text.replace("The speechbrain_fftp authors", "")
        pattern = "speechbrain_fftp|fftp-tag|make demo|hparams/stock"
        assert not re.search(pattern, text), path


def test_a_second_export_changes_nothing(series, capsys):
    folder, contents = series
    assert upstream.main([str(folder)]) == 0
    assert capsys.readouterr().out == "0 files written\n"
    assert read(folder) == contents[-1]


IMPORTS = """
import importlib, pathlib, sys

for name in sys.argv[2:]:
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        assert error.name == "triton", error

import hyperpyyaml

for path in sorted(pathlib.Path("recipes").rglob("hparams/*.yaml")):
    with open(path) as file:
        hparams = hyperpyyaml.load_hyperpyyaml(
            file, {"data_folder": "data", "output_folder": sys.argv[1]}
        )
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
    assert printed == yamls and len(yamls) == 6


@pytest.mark.slow
def test_doctests_and_unit_tests_pass(series, child):
    paths = new_files(series[1])
    tests = [path for path in paths if path.startswith("tests/unittests/")]
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


@pytest.mark.parametrize("missing", ["speechbrain/core.py", "recipes"])
def test_another_folder_is_an_error(tmp_path, capsys, missing):
    folder = make_checkout(tmp_path / "checkout")
    path = folder / missing
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    before = read(folder)
    assert upstream.main([str(folder)]) == 1
    assert missing in capsys.readouterr().err
    assert read(folder) == before


def test_files_of_speechbrain_are_not_replaced(tmp_path, capsys):
    folder = make_checkout(tmp_path / "checkout")
    path = "speechbrain/augment/specmask.py"
    (folder / path).write_text('"""Another."""\n', "utf-8")
    before = read(folder)
    assert upstream.main([str(folder)]) == 1
    assert path in capsys.readouterr().err
    assert read(folder) == before
