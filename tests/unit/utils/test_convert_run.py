"""Tests of the folders that are written for SpeechBrain's interfaces.

Authors
 * The speechbrain_fftp authors 2026
"""

import re
import subprocess
import sys

import pytest
import torch
from hyperpyyaml import load_hyperpyyaml, resolve_references

from speechbrain.inference.classifiers import AudioClassifier, EncoderClassifier
from speechbrain_fftp.utils import inference_folder
from speechbrain_fftp.utils.inference_folder import convert_run, derive_yaml

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
compute_cost: !name:speechbrain.nnet.losses.bce_loss
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


@pytest.fixture
def write(trained, tmp_path):
    """Writes the folder of a run with a yaml file."""

    def write(text=YAML):
        hparams = trained(text)
        folder = tmp_path / "inference"
        convert_run(tmp_path, folder)
        return hparams["modules"], folder

    return write


@pytest.fixture
def here(monkeypatch):
    """Skips the new process, which takes seconds."""

    def classify(folder, wavs):
        model = EncoderClassifier
        if "compute_stft" in (folder / "hyperparams.yaml").read_text():
            model = AudioClassifier
        return model.from_hparams(source=folder).classify_batch(wavs)[0]

    monkeypatch.setattr(inference_folder, "_classify_elsewhere", classify)


@torch.no_grad()
def log_probs(modules, wavs):
    """Those of a model with several labels, by its modules one by one."""
    feats = modules["mean_var_norm"](modules["compute_features"](wavs))
    outputs = modules["classifier"](modules["embedding_model"](feats))
    return torch.nn.functional.logsigmoid(outputs).squeeze(1)


def test_own_files_come_along_wherever_the_folder_goes(write, own, tmp_path):
    """They replace those of an earlier training; others do not come."""
    earlier = tmp_path / "inference"
    earlier.mkdir()
    (earlier / "my_encoder.py").write_text("Encoder = None")
    modules, folder = write()
    assert {path.name for path in folder.iterdir()} == {
        "README.md",
        "custom.py",
        "hyperparams.yaml",
        "embedding_model.ckpt",
        "classifier.ckpt",
        "label_encoder.ckpt",
        "label_encoder.txt",
        "my_encoder.py",
        "my_pooling.py",
    }
    text = (folder / "hyperparams.yaml").read_text()
    assert str(tmp_path) not in text
    assert not re.search("lr|count_classes|needed", text)

    own.rename(tmp_path / "nowhere")
    moved = folder.rename(tmp_path / "moved")
    wavs = 0.1 * torch.randn(2, 9000)
    torch.save(wavs, tmp_path / "wavs.pt")
    readme = (moved / "README.md").read_text().replace("FOLDER", str(moved))
    (snippet,) = re.findall("```python\n(.*?)log_probs", readme, re.S)
    command = f"""
import torch
{snippet}
torch.save(model.classify_batch(torch.load("wavs.pt"))[0], "found.pt")
"""
    subprocess.run(
        [sys.executable, "-B", "-c", command], cwd=tmp_path, check=True
    )
    found = torch.load(tmp_path / "found.pt")
    torch.testing.assert_close(found, log_probs(modules, wavs))


def refusal(write, text, folder):
    """The line with which a model is refused; an earlier one is kept."""
    folder.mkdir()
    (folder / "hyperparams.yaml").write_text("earlier")
    with pytest.raises(ValueError) as caught:
        write(text)
    assert [path.read_text() for path in folder.iterdir()] == ["earlier"]
    assert not list(folder.parent.glob(".inference*"))
    (line,) = str(caught.value).splitlines()
    return line


def test_what_cannot_be_loaded_is_refused(write, own, tmp_path):
    """As a package of several files, which is not copied."""
    package = own / "my_models"
    package.mkdir()
    (package / "__init__.py").touch()
    encoder = ENCODER.replace("my_pooling", "my_models.pooling")
    (package / "encoder.py").write_text(encoder)
    (package / "pooling.py").write_text(POOLING)
    text = YAML.replace("my_encoder.Encoder", "my_models.encoder.Encoder")
    line = refusal(write, text, tmp_path / "inference")
    assert "my_models.encoder.Encoder" in line and "installed" in line


def test_what_differs_is_refused(write, own, tmp_path):
    """As weights that are in no checkpoint."""
    text = YAML.replace("        embedding_model: !ref <encoder>\n", "")
    line = refusal(write, text, tmp_path / "inference")
    assert "only classifier of" in line and str(tmp_path / "inference") in line


@pytest.mark.parametrize("is_single", [False, True])
def test_best_newest_and_average_checkpoints_of_a_run(
    trained, own, here, tmp_path, is_single
):
    """Without the data of the training."""
    text = YAML
    if is_single:
        text = YAML.replace("bce_loss", "nll_loss")
    hparams = trained(text)
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
        assert convert_run(tmp_path, folder, **options) < 1e-6
        hparams["classifier"].weight.data.copy_(expected)
        outputs = log_probs(hparams["modules"], wavs).exp().logit()
        outputs = outputs.softmax(-1) if is_single else outputs.sigmoid()
        loaded = EncoderClassifier.from_hparams(source=folder)
        found, _, index, label = loaded.classify_batch(wavs)
        torch.testing.assert_close(found.exp(), outputs)
        assert label == ["abc"[index]]


def test_the_command_names_what_is_missing(trained, here, tmp_path):
    hparams = trained()
    (tmp_path / "save" / "label_encoder.txt").unlink()
    folders = [str(tmp_path), str(tmp_path / "inference")]

    def run(*options):
        with pytest.raises(SystemExit) as caught:
            inference_folder.main([*folders, *options])
        return caught.value.code

    assert "no checkpoint" in run("--min_key", "ErrorRate")
    assert "--labels" in run()
    labels = tmp_path / "labels.txt"
    hparams["label_encoder"].save(labels)
    options = ("--labels", str(labels))
    (tmp_path / "hyperparams.yaml").unlink()
    assert "hyperparams.yaml" in run(*options)
    assert not (tmp_path / "inference").exists()


AUDIO = """
sample_rate: 16000
spec_mag_power: 0.5
use_melspectra: {use_melspectra}
use_log1p_mel: {use_log1p_mel}
compute_stft: !new:speechbrain.processing.features.STFT
    sample_rate: 16000
compute_fbank: !new:speechbrain.processing.features.Filterbank
    log_mel: False
embedding_model: !new:torch.nn.Linear [{bins}, 8]
classifier: !new:torch.nn.Linear [8, 3]
modules:
    compute_stft: !ref <compute_stft>
    compute_fbank: !ref <compute_fbank>
    embedding_model: !ref <embedding_model>
    classifier: !ref <classifier>
checkpointer: !new:speechbrain.utils.checkpoints.Checkpointer
    checkpoints_dir: !ref <output_folder>/save
    recoverables:
        embedding_model: !ref <embedding_model>
        classifier: !ref <classifier>
label_encoder: !new:speechbrain.dataio.encoder.CategoricalEncoder
"""


@pytest.mark.parametrize(
    "use_melspectra, use_log1p_mel",
    [(True, True), (True, False), (False, False)],
)
@torch.no_grad()
def test_the_steps_of_esc50_are_those_of_audio_classifier(
    trained, here, tmp_path, use_melspectra, use_log1p_mel
):
    """Those of its Brain, see ``recipes/ESC50/classification/train.py``."""
    text = AUDIO.format(
        use_melspectra=use_melspectra,
        use_log1p_mel=use_log1p_mel,
        bins=40 if use_melspectra else 201,
    )
    hparams = trained(text)
    assert convert_run(tmp_path, tmp_path / "inference") < 1e-5
    wavs = 0.1 * torch.randn(1, 8000)
    feats = hparams["compute_stft"](wavs).square().sum(-1).sqrt()
    if use_melspectra:
        feats = hparams["compute_fbank"](feats)
    if use_log1p_mel or not use_melspectra:
        feats = (1 + feats).log()
    logits = hparams["classifier"](hparams["embedding_model"](feats))
    loaded = AudioClassifier.from_hparams(source=tmp_path / "inference")
    found = loaded.classify_batch(wavs)[0]
    torch.testing.assert_close(found, logits.log_softmax(-1))


RECIPE = """
sample_rate: 16000
compute_features: &feats !new:speechbrain.lobes.features.Fbank
normalizer: &norm !new:speechbrain.processing.features.InputNormalization
network: &network !new:torch.nn.Linear [80, 8]
layer: &layer !new:torch.nn.Linear [8, 3]
modules:
    compute_features: *feats
    mean_var_norm_input: *norm
    network: *network
    classifier: *layer
compute_cost: !name:speechbrain.nnet.losses.nll_loss
checkpointer:
    recoverables:
        normalizer: *norm
        network: *network
        layer: *layer
"""


@torch.no_grad()
def test_modules_with_other_names():
    """Known names are found, others are given."""
    with pytest.raises(ValueError, match="network.* --embedding_model"):
        derive_yaml(RECIPE, 3)
    text = derive_yaml(RECIPE, 3, names={"embedding_model": "network"})
    hparams = load_hyperpyyaml(text)
    loadables = hparams["pretrainer"].loadables
    assert set(loadables) == {"label_encoder", "normalizer", "network", "layer"}
    modules = hparams["modules"]
    assert loadables["normalizer"] is modules["mean_var_norm"]
    assert loadables["network"] is modules["embedding_model"]
    assert loadables["layer"] is modules["classifier"][0]


def test_steps_between_modules_are_known_or_refused():
    text = RECIPE.replace("network", "embedding_model")
    for line in ("amp_to_db: True", "normalize: False"):
        with pytest.raises(ValueError, match=line):
            derive_yaml(f"{line}\n{text}", 3)
    derive_yaml(f"amp_to_db: False\nnormalize: True\n{text}", 3)
    # As in xvect_leaf.yaml, whose recipe normalises waveforms
    leaf = "features.Leaf\n    out_channels: 80\n    in_channels: 1"
    text = text.replace("features.Fbank", leaf)
    modules = load_hyperpyyaml(derive_yaml(text, 3))["modules"]
    wavs = torch.randn(1, 8000)
    norm, leaf = modules["compute_features"]
    assert type(norm).__name__ == "InputNormalization"
    expected = leaf(norm(wavs))
    found = modules["mean_var_norm"](modules["compute_features"](wavs), None)
    torch.testing.assert_close(found, expected)
