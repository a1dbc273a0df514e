"""Tests of the plugin with a SpeechBrain in which its repairs are merged.

``SB_SRC=DIR`` names a source tree of SpeechBrain; without it, the installed one
is repaired.

Authors
 * The speechbrain_fftp authors 2026
"""

import os
import subprocess
import sys

import pytest
from recipe_runs import ROOT, command, read_metrics
from speechbrain_trees import copy_library, patch_library
from upstream_parts import REPAIRS

ENCODERS = {
    "ast_fftp.yaml": {},
    # Two processes on a CPU, with batch normalisation
    "convnext_fftp.yaml": {"patch_frames": 11, "stride_frames": 4},
}


@pytest.fixture(scope="module")
def repaired(tmp_path_factory):
    """A folder with SpeechBrain and all repairs."""
    folder = tmp_path_factory.mktemp("repaired") / "speechbrain"
    copy_library(folder)
    patch_library(folder, REPAIRS)
    return folder


def run(words, tree, folder):
    """Runs a command with the SpeechBrain of a tree, and this plugin."""
    path = os.pathsep.join([str(tree), str(ROOT)])
    done = subprocess.run(
        words,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("hparams", ENCODERS)
def test_trains_with_its_own_repairs_merged(
    repaired, data_folder, tmp_path, hparams
):
    code = "import speechbrain; print(speechbrain.__file__)"
    found = run([sys.executable, "-c", code], repaired, tmp_path)
    assert found.startswith(str(repaired))
    options = {"data_folder": data_folder, **ENCODERS[hparams]}
    words = command(tmp_path / "run", hparams=hparams, **options)
    if hparams == "convnext_fftp.yaml":
        launch = ("-m", "torch.distributed.run", "--standalone")
        gloo = ("--device=cpu", "--distributed_backend=gloo")
        words = [words[0], *launch, "--nproc-per-node=2", *words[1:], *gloo]
    run(words, repaired, tmp_path)
    metrics = read_metrics(tmp_path / "run" / "metrics.json")
    assert metrics["epochs"] == 2 and metrics["num_clips"] == 8
