"""Tests that every command runs where PyTorch and SpeechBrain are missing.

Authors
 * The speechbrain_fftp authors 2026
"""

import subprocess
import sys

import numpy as np
import pytest
import soundfile as sf
from tiny_onnx import PITCHES, RATE, cosines, sounds, write_model

from fftp_tag.cli.main import VERBS

MAIN = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "torchaudio", "speechbrain"):
            raise ModuleNotFoundError(f"No module named {name}", name=name)

sys.meta_path.insert(0, Missing())
from fftp_tag.cli.main import main
sys.exit(main(sys.argv[1:]))
"""
MODEL = ["--model", "model.onnx"]
DATA = ["--data-folder", "data", "--split", "all"]
# What each prints, or the file that it writes
CASES = {
    "tag": (["clip.wav", *MODEL], "  0."),
    "many files": (["data", *MODEL, "--format", "csv"], "file,label"),
    "timeline": (["clip.wav", *MODEL, "--timeline"], "clip.wav"),
    "plot": (["clip.wav", *MODEL, "--plot", "clip.png"], "clip.png"),
    "listen": (["listen", "--raw", str(RATE), *MODEL], "Low"),
    "evaluate": (["evaluate", *MODEL, *DATA], "mAP"),
    "calibrate": (
        ["calibrate", *MODEL, *DATA, "--output", "calibrated.onnx"],
        "calibrated.onnx",
    ),
    "learn": (["learn", "data", *MODEL, "--output", "my.onnx"], "my.onnx"),
    "index": (["index", "data", *MODEL, "--output", "archive"], "archive"),
    "find": (["find", "data/Low/0.wav", "--index", "archive"], "Low/1.wav"),
    "page": (["page", "model.onnx", "page"], "page/model.onnx"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model, a clip, and a folder of a few clips of each class."""
    folder = tmp_path_factory.mktemp("without_torch")
    write_model(folder / "model.onnx", has_steps=True)
    sf.write(folder / "clip.wav", sounds(5.0), RATE)
    rng = np.random.default_rng(0)
    for label, tone in zip(PITCHES, cosines(2000)):
        (folder / "data" / label).mkdir(parents=True)
        for number in range(8):
            noise = 0.05 * rng.standard_normal(2000)
            wav = rng.uniform(0.1, 0.5) * tone + noise
            sf.write(folder / "data" / label / f"{number}.wav", wav, RATE)
    return folder


def run(folder, arguments):
    """Runs the command; loud samples for it to listen to are its input."""
    wav = 0.9 * cosines(2000)[0] * 2**15
    return subprocess.run(
        [sys.executable, "-c", MAIN, *arguments],
        cwd=folder,
        input=wav.astype("<i2").tobytes(),
        capture_output=True,
    )


@pytest.mark.parametrize("name", CASES)
def test_commands_need_no_torch(folder, name):
    if name == "plot":
        pytest.importorskip("matplotlib")
    arguments, expected = CASES[name]
    if name == "find":
        assert run(folder, CASES["index"][0]).returncode == 0
    done = run(folder, arguments)
    assert done.returncode == 0, done.stderr.decode()
    assert b"Traceback" not in done.stderr
    output = done.stdout.decode()
    assert expected in output or (folder / expected).exists(), output


def test_all_commands_are_tested():
    """All but the one that converts models of PyTorch."""
    assert set(VERBS) - set(CASES) == {"import"}


def test_what_is_missing_is_named(folder):
    (folder / "published.pth").write_bytes(b"weights")
    for arguments in (
        ["import", "published.pth", "new.onnx"],
        ["clip.wav", "--model", "published.pth"],
    ):
        done = run(folder, arguments)
        assert done.returncode == 1
        assert b"published.pth" in done.stderr and b"torch" in done.stderr
