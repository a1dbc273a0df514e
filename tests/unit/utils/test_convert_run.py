"""Tests of the folders that are written for SpeechBrain's interfaces.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import re
import subprocess
import sys

import pytest
import soundfile
import torch
from hyperpyyaml import load_hyperpyyaml, resolve_references

from speechbrain.inference.classifiers import EncoderClassifier
from speechbrain_fftp.utils.inference_folder import convert_run, write_folder

YAML = """
sample_rate: 16000
label_encoder: !new:speechbrain.dataio.encoder.CategoricalEncoder
lr: 0.1  # which is not needed
compute_features: !new:speechbrain_fftp.lobes.features.KaldiFbank
    n_mels: 40
mean_var_norm: !new:speechbrain_fftp.lobes.features.DatasetNormalization
encoder: !new:my_encoder.Encoder
    n_mels: 40
n_classes: !apply:count_classes_of_the_data.count []
classifier: !new:torch.nn.Linear [8, !ref <n_classes>]
modules:
    compute_features: !ref <compute_features>
    mean_var_norm: !ref <mean_var_norm>
    embedding_model: !ref <encoder>
    classifier: !ref <classifier>
checkpointer: !new:speechbrain.utils.checkpoints.Checkpointer
    checkpoints_dir: !ref <output_folder>/save
    recoverables:
        embedding_model: !ref <encoder>
        classifier: !ref <classifier>
"""
ENCODER = """
import sys
import torch
from my_pooling import pool


class Encoder(torch.nn.Module):
    def __init__(self, n_mels):
        super().__init__()
        self.linear = torch.nn.Linear(n_mels, 8)

    def forward(self, feats, lengths=None):
        return pool(self.linear(feats))
"""
POOLING = "def pool(tokens):\n    return tokens.mean(1, keepdim=True)\n"
COUNT = "def count():\n    return 3\n"


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A folder of a user's own modules, which train.py would find."""
    folder = tmp_path / "own"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    (folder / "my_encoder.py").write_text(ENCODER)
    (folder / "my_pooling.py").write_text(POOLING)
    (folder / "my_loss.py").write_text("")
    (folder / "count_classes_of_the_data.py").write_text(COUNT)
    yield folder
    for name in list(sys.modules):
        if name.startswith(("my_", "count_classes")):
            del sys.modules[name]


@pytest.fixture
def trained(own, tmp_path):
    """A function that gives the loaded yaml file of a run with a checkpoint."""

    def trained(text=YAML):
        text = resolve_references(f"output_folder: {tmp_path}\n{text}")
        (tmp_path / "hyperparams.yaml").write_text(text.getvalue(), "utf-8")
        torch.manual_seed(0)
        hparams = load_hyperpyyaml(text)
        hparams["label_encoder"].update_from_iterable("abc")
        hparams["label_encoder"].expect_len(3)
        hparams["checkpointer"].save_checkpoint(meta={"mAP": 0.3})
        hparams["label_encoder"].save(tmp_path / "save" / "label_encoder.txt")
        return hparams

    return trained


@torch.no_grad()
def log_odds(modules, wavs):
    """The logits of a model, by its modules one by one."""
    feats = modules["mean_var_norm"](modules["compute_features"](wavs))
    return modules["classifier"](modules["embedding_model"](feats)).squeeze(1)


# For a new process in another folder; what it prints is tested as well
LOAD = """
import sys
import torch
from speechbrain_fftp.inference.tagging import Tagger

wavs, paths = torch.load("wavs.pt"), list(sys.path)
tagger = Tagger.from_hparams(source="moved")
assert sys.path == paths
found = [tagger.classify_batch(wavs)[0]]
tags = tagger.tag_file("clip.wav")
{snippet}
found.append(model.classify_batch(wavs)[0])
torch.save((found, tags), "found.pt")
"""


def test_own_files_come_along_wherever_the_folder_goes(trained, own, tmp_path):
    """Loading it prints no warning, and leaves no folder on Python's path."""
    hparams = trained()
    earlier = tmp_path / "inference"
    earlier.mkdir()
    (earlier / "my_encoder.py").write_text("Encoder = None")
    write_folder(
        earlier,
        (tmp_path / "hyperparams.yaml").read_text("utf-8"),
        hparams["checkpointer"].recoverables,
        hparams["label_encoder"],
        single_label=False,
        settings={"pieces": {"size": 4000, "hop": 4000, "step": 1}},
    )
    own_files = {path.name for path in earlier.glob("my_*.py")}
    assert own_files == {"my_encoder.py", "my_pooling.py"}
    text = (earlier / "hyperparams.yaml").read_text()
    assert str(tmp_path) not in text
    assert not re.search("lr|count_classes|needed", text)

    own.rename(tmp_path / "nowhere")
    moved = earlier.rename(tmp_path / "moved")
    thresholds = {"a": 0.0, "b": 0.0, "c": 1.0}
    (moved / "thresholds.json").write_text(json.dumps(thresholds))
    wavs = 0.1 * torch.randn(2, 9000)
    torch.save(wavs, tmp_path / "wavs.pt")
    soundfile.write(tmp_path / "clip.wav", wavs[0], 16000, "FLOAT")
    readme = (moved / "README.md").read_text().replace("FOLDER", "moved")
    (snippet,) = re.findall("```python\n(.*?)log_probs", readme, re.S)
    done = subprocess.run(
        [sys.executable, "-B", "-c", LOAD.format(snippet=snippet)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.stdout + done.stderr == "" and done.returncode == 0
    found, tags = torch.load(tmp_path / "found.pt")
    logits = log_odds(hparams["modules"], wavs)
    for log_probs in found:
        expected = torch.nn.functional.logsigmoid(logits)
        torch.testing.assert_close(log_probs, expected)
    pieces = torch.stack([wavs[0, i : i + 4000] for i in (0, 4000, 5000)])
    probs = log_odds(hparams["modules"], pieces).sigmoid().amax(0)
    assert dict(tags) == pytest.approx(
        {"a": probs[0].item(), "b": probs[1].item()}, abs=1e-5
    )


@pytest.mark.parametrize("is_single", [False, True])
def test_best_newest_and_average_checkpoints_of_a_run(
    trained, own, tmp_path, is_single
):
    """Without the data of the training."""
    hparams = trained()
    weights = [hparams["classifier"].weight.detach().clone()]
    for mAP in (0.9, 0.7):
        torch.nn.init.normal_(hparams["classifier"].weight)
        weights.append(hparams["classifier"].weight.detach().clone())
        hparams["checkpointer"].save_checkpoint(meta={"mAP": mAP})
    (own / "count_classes_of_the_data.py").unlink()
    del sys.modules["count_classes_of_the_data"]
    wavs = 0.1 * torch.randn(1, 16000)
    for options, expected in (
        ({}, weights[2]),
        ({"max_key": "mAP"}, weights[1]),
        ({"min_key": "mAP"}, weights[0]),
        ({"max_key": "mAP", "num": 2}, (weights[1] + weights[2]) / 2),
    ):
        folder = tmp_path / f"inference{len(options)}"
        convert_run(tmp_path, folder, **options, single_label=is_single)
        hparams["classifier"].weight.data.copy_(expected)
        outputs = log_odds(hparams["modules"], wavs)
        outputs = outputs.softmax(-1) if is_single else outputs.sigmoid()
        loaded = EncoderClassifier.from_hparams(source=folder)
        found, _, index, label = loaded.classify_batch(wavs)
        torch.testing.assert_close(found.exp(), outputs)
        assert label == ["abc"[index]]


def test_what_is_missing_is_named(trained, tmp_path):
    trained()
    training = tmp_path / "hyperparams.yaml"
    folder = tmp_path / "inference"
    with pytest.raises(ValueError, match="no checkpoint"):
        convert_run(tmp_path, folder, min_key="ErrorRate")
    text = training.read_text("utf-8").replace("  mean_var_norm:", "  norm:")
    training.write_text(text, "utf-8")
    with pytest.raises(ValueError, match="mean_var_norm"):
        convert_run(tmp_path, folder)
    (tmp_path / "save" / "label_encoder.txt").unlink()
    with pytest.raises(FileNotFoundError, match="label_encoder"):
        convert_run(tmp_path, folder)
    assert not folder.exists()
