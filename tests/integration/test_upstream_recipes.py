"""Tests of the exported recipes, from recordings to decisions.

They need a SpeechBrain source tree, with SpeechBrain's own recipes:
``SB_SRC=DIR python -m pytest -m slow tests/integration/test_upstream_recipes.py``

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
import upstream
from upstream_parts import PARTS

pytestmark = pytest.mark.slow
WORDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
CLIPS = 40  # of each word
OPTIONS = [
    *("--num_workers=0", "--embed_dim=64", "--depth=2", "--batch_size=16"),
    # The hashes of these files' speakers are those of 10 to 20 percent
    *("--lr=0.001", "--validation_percentage=12", "--testing_percentage=3"),
]
YAMLS = [
    path.rpartition("/")[2]
    for files in PARTS.values()
    for path in files
    if path.startswith("hparams/stock/Google-speech-commands/inference")
]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A SpeechBrain checkout with all parts."""
    source = os.environ.get("SB_SRC")
    if not source:
        pytest.skip("SB_SRC names no SpeechBrain source tree")
    folder = tmp_path_factory.mktemp("upstream") / "speechbrain"
    subprocess.run(["git", "clone", "-q", source, folder], check=True)
    for part in PARTS:
        upstream.copy_files(folder, part)
        upstream.apply_patch(folder, part)
    return folder


@pytest.fixture(scope="module")
def words(shared, tmp_path_factory):
    """Real words as the data set has them, and clips of 0.6 s among them."""
    data = shared / "data" / "speech_commands"
    folder = tmp_path_factory.mktemp("GSC")
    (folder / "train-synth").mkdir()  # counts as extracted
    for word in WORDS:
        (folder / word).mkdir()
        for number, path in enumerate(sorted((data / word).iterdir())[:CLIPS]):
            wav, rate = soundfile.read(path, dtype="int16")
            wav = wav[: rate * 6 // 10] if number % 2 else wav
            soundfile.write(folder / word / f"{path.stem}.wav", wav, rate)
    (folder / "_background_noise_").mkdir()
    for path in sorted((data / "_background_noise_").glob("*.flac")):
        wav, rate = soundfile.read(path, dtype="int16")
        name = f"{path.stem}.wav"
        soundfile.write(folder / "_background_noise_" / name, wav, rate)
    return folder


@pytest.mark.parametrize("yaml", YAMLS)
def test_decisions_of_inference_are_those_of_the_recipe(
    checkout, words, tmp_path, yaml
):
    """After an epoch of a small model."""
    script = Path(__file__).with_name("upstream_decisions.py")
    recipe = checkout / "recipes" / "Google-speech-commands"
    command = [sys.executable, script, recipe / "train.py"]
    command += [recipe / "hparams" / yaml, recipe / "hparams/models" / yaml]
    command += [words, tmp_path / "out", *OPTIONS]
    done = subprocess.run(
        [str(word) for word in command],
        cwd=recipe,
        env={**os.environ, "PYTHONPATH": str(checkout)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["same"] == found["of"] >= 30
    assert found["lengths"] > 1
