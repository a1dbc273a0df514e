"""Tests of yaml files that name modules of the user.

Authors
 * The speechbrain_fftp authors 2026
"""

import subprocess
import sys
from pathlib import Path

RECIPES = Path(__file__).resolve().parents[2] / "recipes"


def test_modules_beside_the_yaml_are_found(tmp_path):
    (tmp_path / "my_sounds.py").write_text(
        "def stop():\n    raise SystemExit('called my module')\n", "utf-8"
    )
    yaml = tmp_path / "own.yaml"
    text = "prepare_opts: {}\nstop: !apply:my_sounds.stop\n"
    yaml.write_text(text, "utf-8")
    done = subprocess.run(
        [sys.executable, RECIPES / "AudioSet" / "train.py", yaml],
        cwd=RECIPES,
        capture_output=True,
        text=True,
    )
    assert "called my module" in done.stderr, done.stderr
