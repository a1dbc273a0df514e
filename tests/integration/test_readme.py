"""Tests that the commands and the code of the Markdown files are up to date.

Authors
 * The speechbrain_fftp authors 2026
"""

import re
import shlex
from pathlib import Path

import pytest
import yaml

from fftp_tag.cli import main
from speechbrain.utils.run_opts import RunOptions

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))),
    "recipes/AudioSet/README.md",
    "recipes/SpeechCommands/README.md",
]


def blocks(page):
    """The fenced blocks of a page, with their language."""
    text = (ROOT / page).read_text("utf-8")
    return re.findall(r"^```(\w*)\n(.*?)^```", text, re.M | re.S)


def commands(page):
    """The shell commands of a page, as words; those of a pipe each."""
    for language, block in blocks(page):
        if language in ("", "bash", "shell"):
            for line in block.replace("\\\n", " ").splitlines():
                for part in re.split(r" [|>] ", line):
                    yield shlex.split(part, comments=True)


def yaml_keys(path):
    """The top-level keys of a yaml file, which are options of its recipe."""
    root = yaml.compose(path.read_text("utf-8"))
    return {key.value for key, _ in root.value}


def given_options(words):
    """The names of the options of a command."""
    return {
        word[2:].split("=")[0]
        for word in words
        if re.match(r"--\w", word) and word != "--help"
    }


@pytest.mark.parametrize("page", PAGES)
def test_options_of_the_commands_exist(page):
    run_options = set(RunOptions().as_dict())
    for words in commands(page):
        scripts = [word for word in words if word.endswith("train.py")]
        yamls = [word for word in words if word.endswith(".yaml")]
        if scripts and yamls and (ROOT / yamls[0]).exists():
            assert (ROOT / scripts[0]).exists(), words
            known = yaml_keys(ROOT / yamls[0]) | run_options
            after = words[words.index(yamls[0]) :]
            assert given_options(after) <= known, words
        if words[:1] == ["fftp-tag"] and "--help" not in words:
            main.parse(words[1:])  # ends the process if it cannot


def test_the_parts_of_the_package_run():
    [code] = [
        block
        for language, block in blocks("docs/paper.md")
        if language == "python" and "KaldiFbank" in block
    ]
    values = {}
    exec(compile(code, "paper.md", "exec"), values)
    assert values["embeddings"].shape == (2, 1, 768)
