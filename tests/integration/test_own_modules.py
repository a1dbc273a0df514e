"""Tests of yaml files that name modules of the user.

Authors
 * The speechbrain_fftp authors 2026
"""

import subprocess
import sys
from pathlib import Path

import pytest

RECIPES = Path(__file__).resolve().parents[2] / "recipes"


@pytest.mark.parametrize(
    "script",
    [
        "AudioSet/train.py",
        "AudioSet/train_strong.py",
        "SpeechCommands/train.py",
    ],
)
def test_modules_beside_the_yaml_are_found(script, tmp_path):
    (tmp_path / "my_sounds.py").write_text(
        "def stop():\n    raise SystemExit('called my module')\n", "utf-8"
    )
    yaml = tmp_path / "own.yaml"
    yaml.write_text("stop: !apply:my_sounds.stop\n", "utf-8")
    done = subprocess.run(
        [sys.executable, RECIPES / script, yaml],
        cwd=RECIPES,
        capture_output=True,
        text=True,
    )
    assert "called my module" in done.stderr, done.stderr
