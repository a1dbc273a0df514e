"""Tests that models are used without what only training needs.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile as sf

COMMANDS = """
import json, sys

class Blocked:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name in ("pyarrow", "tensorboard", "webdataset"):
            raise ImportError(name)

# Not None in sys.modules, by which scikit-learn concludes that there is pyarrow
sys.meta_path.insert(0, Blocked)

from speechbrain_fftp.cli.main import main

for words in json.loads(sys.argv[1]):
    code = main(words)
    if code:
        sys.exit(f"{words[0]} returned {code}")
"""


def test_other_commands_without_packages_of_training(exported, tmp_path):
    pytest.importorskip("onnxscript")
    rng = np.random.default_rng(0)
    data = tmp_path / "sounds"
    for label in exported[0]["labels"][:2]:
        (data / label).mkdir(parents=True)
        for number in range(8):
            wav = 0.1 * rng.standard_normal(8000)
            sf.write(data / label / f"{number}.wav", wav, 16000)
    learned = str(tmp_path / "learned")
    of_model = ["--model", learned]
    of_data = ["--data_folder", str(data), "--split", "all"]
    commands = [
        ["learn", str(data), "--model", str(exported[1]), "--output", learned],
        ["evaluate", *of_model, *of_data],
        ["calibrate", *of_model, *of_data],
        ["listen", *of_model, "--raw", "16000"],
        ["export", *of_model, "--to", "onnx", "--output", learned + ".onnx"],
    ]
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS, json.dumps(commands)],
        input=bytes(32000),
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert (tmp_path / "learned.onnx").exists()
