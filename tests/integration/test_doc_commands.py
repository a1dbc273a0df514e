"""Tests of what README and docs print: options of commands, the demo's run.

Authors
 * The speechbrain_fftp authors 2026
"""

import ast
import importlib
import re
import shlex

import numpy as np
import pytest
import soundfile as sf
import tiny_onnx
from demo_prepare import CLASSES
from recipe_runs import ROOT

from fftp_tag.cli import main
from speechbrain.utils.run_opts import RunOptions
from speechbrain_fftp.training.command import read_short_yaml

RATE = 16000
LABELS = [label for _, label, _ in CLASSES]
PAGES = [
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/*.md", "*/README.md", "recipes/*/README.md")
    for path in sorted(ROOT.glob(pattern))
]
SCRIPT = re.compile(r"(benchmarks|recipes|studies|tools)/\S*\.py$")
# Blocks with these verbs are left out: other tests run them
NOT_RUN = {"listen", "page", "evaluate", "calibrate", "import"}
ON_HUB = r"--model [A-Z]\w*/"
EXAMPLES = (
    r"results/demo|my_sounds|fftp-tag (clip\.wav|recordings?)|\"starter\""
)


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
            recipe_yaml, _ = read_short_yaml(ROOT / yamls[0])
            keys = re.findall(r"(?m)^(\w+):", recipe_yaml.read_text())
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


def write(path, seconds, seed):
    """Writes a recording, and its folder: an interrupted tone and noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * RATE)) / RATE
    tone = np.sin(2 * np.pi * rng.uniform(300, 3000) * time) * (time % 2 < 1)
    noise = 0.01 * rng.standard_normal(len(time))
    sf.write(path, 0.2 * tone + noise, RATE)


@pytest.fixture
def readers_folder(tmp_path, monkeypatch):
    """The folder of a reader: recordings, and what ``make demo`` writes.

    The demo's model only compares sounds to pitches.
    """
    pitches = dict(zip(LABELS, np.linspace(40, 430, len(LABELS))))
    model = tmp_path / "results/demo/inference/model.onnx"
    model.parent.mkdir(parents=True)
    tiny_onnx.write_model(model, is_frame_level=True, pitches=pitches)
    names = ("clip.wav", "recording.wav", "room.wav", "other.mp3")
    names += ("results/demo/clip.wav", "recordings/monday/1.flac")
    for seed, name in enumerate(names):
        write(tmp_path / name, 10, seed)
    for seed in range(6):
        for number, name in enumerate(("Doorbell", "Kettle", "background"), 1):
            path = tmp_path / "my_sounds" / name / f"{seed}.wav"
            write(path, 0.5, 100 * number + seed)
    (tmp_path / "thresholds.csv").write_text("label,threshold\nDog,0.3\n")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    "page", ["README.md", "fftp_tag/README.md", "docs/tagging.md"]
)
def test_blocks_of_the_demo_run(page, readers_folder):
    found = 0
    for language, block in blocks(page):
        # Stock SpeechBrain needs a trained model, and the hub a network
        is_left_out = "from_hparams" in block or re.search(ON_HUB, block)
        if is_left_out or not re.search(EXAMPLES, block):
            continue
        if language == "python":
            exec(block, {"__name__": "__main__"})
            found += 1
            continue
        lines = [x[1:] for x in commands(block) if x[:1] == ["fftp-tag"]]
        if not NOT_RUN & {words[0] for words in lines}:
            for words in lines:
                assert main.main(words) == 0, words
                found += 1
    assert found >= 3
