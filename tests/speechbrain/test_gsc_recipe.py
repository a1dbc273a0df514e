"""Tests that the Google-speech-commands recipe trains from raw recordings.

Authors
 * The speechbrain_fftp authors 2026
"""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

RECIPE = Path("recipes/Google-speech-commands")
YAMLS = [
    "xvect.yaml",
    *(path.name for path in RECIPE.glob("hparams/*_fftp.yaml")),
]


def write_noise(path, seconds):
    """Writes white noise, in place of a recording."""
    from speechbrain.dataio import audio_io

    path.parent.mkdir(parents=True, exist_ok=True)
    audio_io.save(path, 0.1 * torch.randn(1, round(16000 * seconds)), 16000)


@pytest.mark.parametrize("yaml", YAMLS)
def test_command_of_the_readme(tmp_path, yaml):
    pytest.importorskip("pandas")  # which prepare_GSC needs
    # With this folder, the data set counts as extracted and is not downloaded
    (tmp_path / "GSC" / "train-synth").mkdir(parents=True)
    for word in ("yes", "no"):
        for speaker in range(40):
            name = f"{speaker:08x}_nohash_0.wav"
            write_noise(tmp_path / "GSC" / word / name, 1.0)
    write_noise(tmp_path / "GSC" / "_background_noise_" / "noise.wav", 5.0)
    for folder in ("noise", "rir"):
        write_noise(tmp_path / "GSC" / folder / "one.wav", 1.0)
        (tmp_path / "GSC" / folder / "data.zip").touch()  # as if downloaded
    command = [sys.executable, RECIPE / "train.py", RECIPE / "hparams" / yaml]
    command += [f"--data_folder={tmp_path / 'GSC'}", "--number_of_epochs=1"]
    command += [f"--output_folder={tmp_path / 'out'}", "--num_workers=0"]
    command += ["--device=cpu", "--debug", "--batch_size=4"]
    if yaml != "xvect.yaml":  # a small model
        command += ["--embed_dim=64", "--depth=1"]
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    log = (tmp_path / "out" / "train_log.txt").read_text(encoding="utf-8")
    assert "test loss" in log
