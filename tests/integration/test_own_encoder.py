"""Tests that an encoder of one's own trains and tags, as CONTRIBUTING says.

Authors
 * The speechbrain_fftp authors 2026
"""

import ast
import json
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from prepared_clips import read_clips
from recipe_runs import ROOT, run_words, train
from small_models import make_model

from speechbrain_fftp.onnx.export import ExportError

pytest.importorskip("onnxscript")
WITHOUT_LENGTHS = "return last.transpose(0, 1)\n"
# What PyTorch cannot follow for all batches
FAULTS = {
    "len": "return states[torch.arange(len(feats)), -1][:, None]",
    "if": "return states[:, :1] if states.max() > 0 else -states[:, :1]",
}


# As the README.md of the folder has it
FOREIGN = """
from speechbrain.inference.interfaces import foreign_class

model = foreign_class(source="results/my_encoder/inference")
probs = model.classify_file("clip.wav")[0].exp()[0].tolist()
labels = model.hparams.label_encoder.ind2lab
print([(labels[n], prob) for n, prob in enumerate(probs)])
"""


@pytest.fixture
def blocks():
    """The code of the section: encoder, yaml, command and script."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    section = text.partition("## An encoder of your own")[2]
    return re.findall(r"```\w*\n(.*?)```", section, re.S)


@pytest.mark.slow
def test_an_encoder_of_ones_own(blocks, audioset, tmp_path):
    """The tags of a clip are those of the training, also after a move.

    Of AudioSet's 527 classes, and for SpeechBrain's ``foreign_class``.
    """
    encoder, yaml, command, script = blocks
    own = tmp_path / "own"
    own.mkdir()
    (own / "my_encoder.py").write_text(encoder)
    text = (ROOT / "hparams" / "convnext_fftp.yaml").read_text("utf-8")
    key = r"(?ms)^embedding_model:.*?\n(?=\n)"
    (own / "gru.yaml").write_text(re.sub(key, yaml, text), "utf-8")
    results = own / "results" / "my_encoder"
    results.parent.mkdir()
    train(
        results,
        hparams=own / "gru.yaml",
        data_folder=audioset,
        patch_frames=10,
        export=True,
    )
    clips = read_clips(results / "prepared")
    with np.load(results / "probabilities.npz") as found:
        clip, probs = found["ids"][0], found["probs"][0]
        labels = found["labels"]
    expected = pytest.approx(dict(zip(labels, probs)), abs=1e-4)
    moved = own.rename(tmp_path / "moved")
    (moved / "my_encoder.py").unlink()
    inference = moved / "results" / "my_encoder" / "inference"
    assert str(tmp_path) not in (inference / "hyperparams.yaml").read_text()
    soundfile.write(moved / "clip.wav", clips[clip], 16000)
    all_tags = ("--top-k", "527", "--threshold", "0")
    assert run_command(command, moved, *all_tags) == expected
    for code in (script.replace('wav")', 'wav", top_k=527)'), FOREIGN):
        assert run_snippet(code, moved) == expected
    # At the thresholds that the validation clips gave
    assert (inference / "thresholds.json").is_file()
    found = run_command(command, moved, "--top-k", "527")
    assert run_snippet(script, moved) == pytest.approx(found, abs=1e-4)


def run_command(command, folder, *options):
    """Probabilities by label that a command prints."""
    program = Path(sys.executable).with_name("fftp-tag")
    words = [*command.split()[1:], "--format", "json", *options]
    done = subprocess.run([program, *words], cwd=folder, stdout=-1, check=True)
    (tags,) = json.loads(done.stdout)
    return {tag["label"]: tag["probability"] for tag in tags["tags"]}


def run_snippet(code, folder):
    """Probabilities by label that a script prints."""
    (folder / "script.py").write_text(code)
    status, output = run_words([str(folder / "script.py")], folder)
    assert status == 0, output
    return dict(ast.literal_eval(output.splitlines()[-1]))


@pytest.mark.parametrize("fault", FAULTS)
def test_what_cannot_be_exported_is_known_soon(blocks, tmp_path, capfd, fault):
    """One line says why, and where to read what to do."""
    encoder = blocks[0].replace(WITHOUT_LENGTHS, f"{FAULTS[fault]}\n")
    assert encoder != blocks[0]
    names = {}
    exec(encoder, names)
    encoder = names["GRU"](40, 24)
    encoder.n_mels = 40  # of the features
    start = time.perf_counter()
    with pytest.raises(ExportError) as caught:
        make_model(tmp_path / "model.onnx", encoder, torch.nn.Linear(24, 3))
    assert time.perf_counter() - start < 60  # 6 s on an idle machine
    (line,) = str(caught.value).splitlines()
    assert "GRU" in line and "CONTRIBUTING" in line
    assert capfd.readouterr() == ("", "")
