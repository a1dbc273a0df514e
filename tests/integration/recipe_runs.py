"""Runs recipes as their users run them, as processes of their own.

Authors
 * The speechbrain_fftp authors 2026
"""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import torch

from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.nnet.patching import FFTPEmbedding

ROOT = Path(__file__).resolve().parents[2]
TINY = {
    "embed_dim": 64,
    "depth": 1,
    "patch_frames": 50,
    "stride_frames": 50,
    "batch_size": 4,
    "number_of_epochs": 2,
    "lr": 0.001,
    "num_workers": 1,
}


def load_script(path):
    """Loads a script of a recipe as a module."""
    path = ROOT / "recipes" / path
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def command(
    output_folder,
    *flags,
    recipe="AudioSet/train.py",
    hparams="ast_fftp.yaml",
    **options,
):
    options = {**TINY, "output_folder": output_folder, **options}
    if "ckpt_interval_steps" in options:  # SpeechBrain allows one of them
        options["ckpt_interval_minutes"] = 0
    given = {k: v for k, v in options.items() if v is not None}
    words = [f"--{key}={value}" for key, value in given.items()]
    recipe = ROOT / "recipes" / recipe
    hparams = ROOT / "hparams" / hparams
    return [sys.executable, str(recipe), str(hparams), *words, *flags]


def torchrun(output_folder, *flags, **options):
    """The command for two processes on one CPU."""
    options = {"device": "cpu", "distributed_backend": "gloo", **options}
    python, *words = command(output_folder, *flags, **options)
    launcher = ["torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    return [python, "-m", *launcher, *words]


def faulty(output_folder, *flags, fault, **options):
    """The command of a run that is struck by a fault, see faulty.py."""
    python, *words = command(output_folder, *flags, **options)
    script = Path(__file__).with_name("faulty.py")
    return [python, str(script), json.dumps(fault), *words]


def run(output_folder, *flags, command=command, **options):
    """Runs the recipe to its end; gives its exit status and its output."""
    done = subprocess.run(
        command(output_folder, *flags, **options),
        cwd=output_folder.parent,
        capture_output=True,
        text=True,
        timeout=300,
    )
    return done.returncode, done.stdout + done.stderr


def train(output_folder, *flags, **options):
    """Runs the recipe; gives its output and metrics.json."""
    status, output = run(output_folder, *flags, **options)
    assert status == 0, output
    return output, read_metrics(output_folder / "metrics.json")


def read_metrics(path):
    """Reads a metrics.json, without the commit: it may change meanwhile."""
    metrics = json.loads(path.read_text())
    del metrics["made_with"]["commit"]
    return metrics


def fail(output_folder, *flags, **options):
    """Runs the recipe, which is to fail; gives the message of its error."""
    status, output = run(output_folder, *flags, **options)
    assert status != 0, output
    return output.partition("Traceback")[2]


def save_encoder(folder):
    """Random weights to start from, of the sizes of the runs here."""
    width, frames = TINY["embed_dim"], TINY["patch_frames"]
    embedding = FFTPEmbedding(128, width, frames, TINY["stride_frames"])
    encoder = AST(embed_dim=width, depth=1, num_heads=1, embedding=embedding)
    torch.save(encoder.state_dict(), folder / "embedding_model.ckpt")
    return folder / "embedding_model.ckpt"
