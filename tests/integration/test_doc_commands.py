"""Tests of what README and docs print: options of commands, Python.

Authors
 * The speechbrain_fftp authors 2026
"""

import ast
import importlib
import re
import shlex

import pytest
from data_folders import write_sound
from recipe_runs import ROOT

from fftp_tag.cli import main
from speechbrain.utils.run_opts import RunOptions

PAGES = [
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/*.md", "recipes/*/README.md")
    for path in sorted(ROOT.glob(pattern))
]
SCRIPT = re.compile(r"(benchmarks|recipes|studies|tools)/\S*\.py$")


def blocks(page):
    """The fenced blocks of a page, with their language."""
    text = (ROOT / page).read_text("utf-8")
    return re.findall(r"^```(\w*)\n(.*?)^```", text, re.M | re.S)


def commands(block):
    """The shell commands of a block, as words; those of a pipe each."""
    for line in block.replace("\\\n", " ").splitlines():
        for part in re.split(r" [|>] ", line):
            yield shlex.split(part, comments=True)


def shell_commands(page):
    """The commands of a page that a reader pastes into a shell."""
    for language, block in blocks(page):
        if language in ("", "bash", "sh", "shell"):
            yield from commands(block)


@pytest.mark.parametrize("page", PAGES)
def test_scripts_options_and_imports_exist(page):
    run_options = set(RunOptions().as_dict())
    for words in shell_commands(page):
        scripts = [word for word in words if SCRIPT.match(word)]
        for script in scripts:
            assert (ROOT / script).exists(), words
        yamls = [word for word in words if word.endswith(".yaml")]
        if yamls and any("/train" in script for script in scripts):
            after = " ".join(words[words.index(yamls[0]) :])
            given = set(re.findall(r"--(\w+)", after)) - {"help"}
            keys = re.findall(r"(?m)^(\w+):", (ROOT / yamls[0]).read_text())
            assert given <= {*keys, *run_options}, words
        if words[:1] == ["fftp-tag"] and "--help" not in words:
            verb = [] if words[1] in main.VERBS else ["tag"]
            # Ends the process if it cannot
            main.make_parser().parse_args([*verb, *words[1:]])
    for language, block in blocks(page):
        for node in ast.walk(ast.parse(block if language == "python" else "")):
            if isinstance(node, ast.ImportFrom) and "fftp" in node.module:
                module = importlib.import_module(node.module)
                for alias in node.names:
                    assert hasattr(module, alias.name), alias.name


@pytest.mark.parametrize("page", ["README.md", "docs/tagging.md"])
def test_python_blocks_of_tagging_run(page, tmp_path, monkeypatch):
    """With the model that the package holds."""
    monkeypatch.chdir(tmp_path)
    for name in ("clip.wav", "recording.wav", "other.mp3"):
        write_sound(tmp_path / name, 0, 10.0)
    found = [
        block
        for language, block in blocks(page)
        if language == "python" and "AudioTagger" in block
    ]
    assert found
    for block in found:
        exec(block, {"__name__": "__main__"})
