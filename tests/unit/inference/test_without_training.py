"""Tests that files are tagged without what only training needs.

Authors
 * The speechbrain_fftp authors 2026
"""

import subprocess
import sys

import numpy as np
import soundfile as sf

SCRIPT = """
import sys

for name in ("pyarrow", "tensorboard", "webdataset", "matplotlib", "sklearn"):
    sys.modules[name] = None  # importing it raises ImportError

from speechbrain_fftp.cli.main import main

sys.exit(main(sys.argv[1:]))
"""


def test_files_are_tagged_without_packages_of_training(exported, tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "clip.wav"
    sf.write(path, 0.1 * rng.standard_normal(22050), 22050)
    command = [sys.executable, "-c", SCRIPT, str(path)]
    for option in ("--format=json", "--timeline"):
        done = subprocess.run(
            [*command, "--model", str(exported[1]), option],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout
        assert "not available" not in done.stderr
