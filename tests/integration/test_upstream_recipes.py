"""Tests of recipes of SpeechBrain, as their texts say, and from recordings to decisions.

They need a SpeechBrain source tree, with SpeechBrain's own recipes:
``SB_SRC=DIR python -m pytest -m slow tests/integration/test_upstream_recipes.py``

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import os
import re
import subprocess
import sys

import numpy
import pytest
import soundfile
import upstream
import upstream_decisions
from data_folders import write_lists
from upstream_parts import PARTS

pytestmark = pytest.mark.slow
ROOT = upstream.ROOT
WORDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
CLIPS = 40  # of each word
OPTIONS = [
    *("--num_workers=0", "--embed_dim=64", "--depth=2", "--batch_size=16"),
    # The hashes of these files' speakers are those of 10 to 20 percent
    *("--lr=0.001", "--validation_percentage=12", "--testing_percentage=3"),
]
STOCK = ROOT / "hparams" / "stock"
GSC = "Google-speech-commands"
YAMLS = ("ast_fftp.yaml", "aum_fftp.yaml")
# Texts with commands or code
GSC_TEXTS = (f"recipes/{GSC}/README.md", "docs/experiment.md")
AUDIOSET_TEXTS = ("recipes/AudioSet/Tagging/README.md",)


@pytest.fixture(scope="module")
def speechbrain_sources(tmp_path_factory):
    """A SpeechBrain checkout as it is."""
    source = os.environ.get("SB_SRC")
    if not source:
        pytest.skip("SB_SRC names no SpeechBrain source tree")
    folder = tmp_path_factory.mktemp("stock") / "speechbrain"
    subprocess.run(["git", "clone", "-q", source, folder], check=True)
    return folder


@pytest.fixture(scope="module")
def checkout(speechbrain_sources, tmp_path_factory):
    """A SpeechBrain checkout with all parts."""
    folder = tmp_path_factory.mktemp("upstream") / "speechbrain"
    command = ["git", "clone", "-q", speechbrain_sources, folder]
    subprocess.run(command, check=True)
    for part in PARTS:
        upstream.copy_files(folder, part)
        upstream.apply_patch(folder, part)
    git_add = ["git", "add", "--all", "--intent-to-add"]  # to be in diffs
    subprocess.run(git_add, cwd=folder, check=True)
    return folder


@pytest.fixture(scope="module")
def words(shared, tmp_path_factory):
    """Real words as the data set has them, and clips of 0.6 s among them."""
    data = shared / "data" / "speech_commands"
    folder = tmp_path_factory.mktemp("GSC")
    (folder / "train-synth").mkdir()  # counts as extracted
    for word in (*WORDS, "_background_noise_"):
        (folder / word).mkdir()
        for number, path in enumerate(sorted((data / word).iterdir())[:CLIPS]):
            wav, rate = soundfile.read(path, dtype="int16")
            is_short = number % 2 and word in WORDS
            wav = wav[: rate * 6 // 10] if is_short else wav
            soundfile.write(folder / word / f"{path.stem}.wav", wav, rate)
    return folder


def run(sources, recipe, *words):
    """Runs a script in the folder of a recipe; returns the last line."""
    paths = [str(sources), str(ROOT), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=sources / "recipes" / recipe,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return done.stdout.splitlines()[-1] if done.stdout else ""


@pytest.mark.parametrize("yaml", YAMLS)
@pytest.mark.parametrize("tree", ["speechbrain_sources", "checkout"])
def test_decisions_of_inference_are_those_of_the_recipe(
    yaml, tree, words, request, tmp_path
):
    """After an epoch of a small model, in SpeechBrain as it is and with all parts.

    As it is, it hides the lengths of clips from encoders: only clips of one
    length are compared.
    """
    sources = request.getfixturevalue(tree)
    path = STOCK / GSC / yaml
    if tree == "checkout":
        path = sources / "recipes" / GSC / "hparams" / yaml
    train = sources / "recipes" / GSC / "train.py"
    arguments = ("ErrorRate", train, path, words, tmp_path / "out", *OPTIONS)
    script = upstream_decisions.__file__
    found = json.loads(run(sources, GSC, script, *arguments))
    same, number, difference = found["16000"]
    assert same == number > 10 and difference < 1e-4
    if tree == "checkout":
        assert len(found) > 1
        assert sum(number for _, number, _ in found.values()) >= 30
        assert all(same == number for same, number, _ in found.values())


def added_text(checkout, path):
    """The lines that the parts add to a text."""
    command = ["git", "diff", "HEAD", "--unified=0", "--", path]
    shown = subprocess.run(
        command, cwd=checkout, capture_output=True, text=True
    )
    return "\n".join(re.findall(r"(?m)^\+(?!\+\+ )(.*)$", shown.stdout))


def find_blocks(text):
    """The commands of a text, without remarks, and its blocks of Python code."""
    commands = re.findall(r"(?m)python (train\.py [^|`(\n]*)", text)
    return commands, re.findall(r"(?ms)^```python\n(.*?)^```$", text)


def test_texts_with_commands_are_those_that_are_run(checkout):
    command = ["git", "diff", "HEAD", "--name-only", "--", "*.md", "*.rst"]
    shown = subprocess.run(
        command, cwd=checkout, capture_output=True, text=True
    )
    assert sorted(shown.stdout.split()) == sorted(GSC_TEXTS + AUDIOSET_TEXTS)


def test_commands_for_words(checkout, speechbrain_sources, words, tmp_path):
    """Also those for x-vectors, which fail in SpeechBrain as it is.

    Their noise and impulse responses count as downloaded.
    """
    for folder in ("noise", "rir"):
        (words / folder).mkdir()
        noise = numpy.random.default_rng(0).uniform(-0.1, 0.1, 16000)
        soundfile.write(words / folder / "one.wav", noise, 16000)
        (words / folder / "data.zip").touch()
    options = [x for x in OPTIONS if not x.startswith(("--embed", "--depth"))]
    xvect = f"train.py hparams/xvect.yaml --data_folder={words}"
    options += ["--device=cpu", "--debug", "--debug_persistently"]
    with pytest.raises(AssertionError, match="No such file"):
        run(speechbrain_sources, GSC, *xvect.split(), *options)
    run(checkout, GSC, *xvect.split(), *options)

    small = ("--embed_dim=64", "--depth=2")
    commands, _ = find_blocks(added_text(checkout, GSC_TEXTS[0]))
    assert len(commands) == 4  # of two encoders, for two tasks
    for command in commands:
        command = command.replace("/path_to_/GSC", str(words))
        run(checkout, GSC, *command.split(), *options, *small)
        log = f"{'aum' if 'aum' in command else 'ast'}_fftp_v"
        log += "35" if "35" in command else "12"
        path = checkout / "recipes" / GSC / "results" / log / "1986"
        assert "test loss" in (path / "train_log.txt").read_text()

    clip = next((words / "yes").glob("*.wav"))
    for text in GSC_TEXTS:
        (code,) = find_blocks(added_text(checkout, text))[1]
        label = run(checkout, GSC, "-c", code.replace("yes.wav", str(clip)))
        assert ("print" in code) == bool(label)


def test_commands_for_audioset(checkout, tmp_path):
    """And its model tags a clip."""
    data, recipe = tmp_path / "data", "AudioSet/Tagging"
    write_lists(data, 0.5, balanced_train=24, eval=8)
    text = added_text(checkout, AUDIOSET_TEXTS[0])
    text = text.replace("/yourpath/AudioSet", str(data))
    text = text.replace("dog.wav", str(next(data.rglob("*.flac"))))
    commands, (code,) = find_blocks(text)
    assert len(commands) == 6  # two, and four that fill the table
    results = checkout / "recipes" / recipe / "results"
    for number, command in enumerate(commands):
        run(
            checkout,
            recipe,
            # The first ones have the yaml's seed, as the code does
            *(*command.split(), f"--seed={1234 + number // 2}"),
            *("--device=cpu", "--num_workers=0", "--embed_dim=64", "--depth=1"),
            *("--valid_fraction=0.3", "--number_of_epochs=1", "--n_classes=3"),
        )
    logs = sorted(results.rglob("train_log.txt"))
    assert len(logs) == len(commands)
    for log in logs:
        found = log.read_text()
        assert "valid mAP" in found and "test d_prime" in found
    _, probability = run(checkout, recipe, "-c", code).rsplit(" ", 1)
    assert 0 < float(probability) < 1
