"""Tests that every command runs after the light install.

Authors
 * The speechbrain_fftp authors 2026
"""

import configparser
import json
import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from foreign_models import write_waveforms
from tiny_onnx import PITCHES, RATE, cosines, sounds, write_model

from fftp_tag.cli.main import VERBS

MAIN = """
import json
import sys

commands, allowed = json.loads(sys.argv[1])

class Missing:
    def find_spec(self, name, path=None, target=None):
        known = {*sys.stdlib_module_names, *allowed}
        if name[0] != "_" and name.split(".")[0] not in known:
            raise ModuleNotFoundError(f"No module named {name}", name=name)

sys.meta_path.insert(0, Missing())
from fftp_tag.cli.main import main
for arguments in commands:
    print("ran", arguments[0], main(arguments))
"""
SETUP = Path(__file__).resolve().parents[3] / "setup.cfg"
MODEL = ["--model", "model.onnx"]
DATA = ["--data-folder", "data", "--split", "all"]
EVENTS = ["evaluate", *MODEL, "--data-folder"]
COMMANDS = [
    ["data", *MODEL, "--format", "csv"],
    ["tag", "clip.wav", *MODEL, "--timeline"],
    ["listen", "--raw", str(RATE), *MODEL],
    ["evaluate", *MODEL, *DATA],
    [*EVENTS, "clip.wav", "--strong-labels", "clip.txt"],
    ["index", "data", *MODEL, "--output", "archive"],
    ["find", "data/Low/0.wav", "--index", "archive", *MODEL],
    ["page", "model.onnx", "page"],
    ["share", "model.onnx", "hub", "--name", "me/beeps", "--license", "mit"],
    ["import", "birds", "birds.onnx"],
]
LEARNING = [
    ["calibrate", *MODEL, *DATA, "--output", "calibrated.onnx"],
    ["calibrate", *MODEL, "--background", "clip.wav"],
    ["learn", "data", *MODEL, "--output", "my.onnx"],
    ["review", "quiet.wav", *MODEL, "--no-browser"],  # nothing to hear
]
OUTPUTS = (
    "calibrated.onnx",
    "my.onnx",
    "archive",
    "page/model.onnx",
    "hub",
    "birds.onnx",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model, a clip, and a folder of a few clips of each class."""
    folder = tmp_path_factory.mktemp("without_torch")
    write_model(folder / "model.onnx", is_frame_level=True)
    write_waveforms(folder / "birds")
    sf.write(folder / "clip.wav", sounds(5.0), RATE)
    sf.write(folder / "quiet.wav", 0 * sounds(5.0), RATE)
    (folder / "clip.txt").write_text("0.5\t1.0\tLow\n2.0\t3.0\tHigh\n")
    rng = np.random.default_rng(0)
    for label, tone in zip(PITCHES, cosines(2000)):
        (folder / "data" / label).mkdir(parents=True)
        for number in range(8):
            noise = 0.05 * rng.standard_normal(2000)
            wav = rng.uniform(0.1, 0.5) * tone + noise
            sf.write(folder / "data" / label / f"{number}.wav", wav, RATE)
    return folder


def installed(extra=None):
    """Modules of the packages that an install brings, and what they need."""
    config = configparser.ConfigParser()
    config.read(SETUP)
    wanted = config["options"]["install_requires"].split()
    if extra is not None:
        wanted += config["options.extras_require"][extra].split()
    names = {"speechbrain_fftp"}
    while wanted:
        requirement, _, marker = wanted.pop().partition(";")
        name = re.match(r"[\w.-]+", requirement)[0].lower().replace("_", "-")
        if name not in names and "extra" not in marker:
            names.add(name)
            try:
                wanted += metadata.requires(name) or []
            except metadata.PackageNotFoundError:  # of another system
                continue
    return {
        module
        for module, packages in metadata.packages_distributions().items()
        if names & {x.lower().replace("_", "-") for x in packages}
    }


def run(folder, commands, extra=None):
    """Runs commands; loud samples for them to listen to are the input.

    The home folder is new, and no variable tells them to leave it so.
    """
    wav = 0.9 * cosines(2000)[0] * 2**15
    (folder / "home").mkdir(exist_ok=True)
    unset = ("CI", "ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME")
    environ = {x: os.environ[x] for x in os.environ if x not in unset}
    allowed = {"fftp_tag", *installed(extra)} - {"speechbrain_fftp"}
    done = subprocess.run(
        [sys.executable, "-c", MAIN, json.dumps([commands, sorted(allowed)])],
        cwd=folder,
        env={**environ, "HOME": str(folder / "home")},
        input=wav.astype("<i2").tobytes(),
        capture_output=True,
    )
    output = done.stdout.decode()
    for words in commands:
        assert f"ran {words[0]} 0" in output, output + done.stderr.decode()
    return output


def test_commands_need_what_the_install_brings(folder):
    """Nor do models of others that are ONNX need more.

    None writes into the home folder, as ONNX Runtime's telemetry does.
    """
    assert set(VERBS) <= {words[0] for words in COMMANDS + LEARNING}
    output = run(folder, COMMANDS)
    for text in ("file,label", "clip.wav", "  ...  ", "mAP", "overlap_F1"):
        assert text in output
    run(folder, LEARNING, extra="learn")
    assert all((folder / name).exists() for name in OUTPUTS)
    assert list((folder / "home").iterdir()) == []
