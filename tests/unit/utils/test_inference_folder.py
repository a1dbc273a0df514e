"""Tests of the folder that is written for EncoderClassifier.

Authors
 * The speechbrain_fftp authors 2026
"""

import sys
from types import SimpleNamespace

import pytest
import torch
from hyperpyyaml import load_hyperpyyaml, resolve_references

from speechbrain_fftp.dataio.errors import InputError
from speechbrain_fftp.utils.inference_folder import write_inference_folder

YAML = """
sample_rate: 16000
label_encoder: !new:speechbrain.dataio.encoder.CategoricalEncoder
compute_features: !new:speechbrain_fftp.lobes.features.KaldiFbank
    n_mels: 40
mean_var_norm: !new:speechbrain_fftp.lobes.features.DatasetNormalization
encoder: !new:my_encoder.Encoder
    n_mels: 40
classifier: !new:torch.nn.Linear [8, 3]
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


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A folder of a user's own modules, which train.py would find."""
    folder = tmp_path / "own"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    yield folder
    for name in ("my_encoder", "my_pooling", "my_models", "my_models.encoder"):
        sys.modules.pop(name, None)


@pytest.fixture
def write(tmp_path):
    """Writes the folder after a training with a yaml file, and returns it."""

    def write(text):
        text = f"output_folder: {tmp_path}\n{text}"
        resolved = resolve_references(text).getvalue()
        (tmp_path / "hyperparams.yaml").write_text(resolved, "utf-8")
        torch.manual_seed(0)
        hparams = load_hyperpyyaml(resolved)
        hparams["label_encoder"].update_from_iterable("abc")
        hparams["label_encoder"].expect_len(3)
        brain = SimpleNamespace(hparams=SimpleNamespace(**hparams))
        clip = torch.randint(-9000, 9000, (16000,), dtype=torch.int16)
        datasets = {"train": [{"sig": clip}]}
        write_inference_folder(brain, datasets, folder=tmp_path / "inference")
        return tmp_path / "inference"

    return write


def test_own_files_come_along(write, own, tmp_path):
    """Else the new process would not load them; others do not.

    They replace those of an earlier training.
    """
    (tmp_path / "inference").mkdir()
    (tmp_path / "inference" / "my_encoder.py").write_text("Encoder = None")
    (own / "my_encoder.py").write_text(ENCODER)
    (own / "my_pooling.py").write_text(POOLING)
    (own / "my_loss.py").write_text("")
    folder = write(YAML)
    assert {path.name for path in folder.iterdir()} == {
        "hyperparams.yaml",
        "embedding_model.ckpt",
        "classifier.ckpt",
        "label_encoder.ckpt",
        "label_encoder.txt",
        "my_encoder.py",
        "my_pooling.py",
    }
    assert (folder / "my_encoder.py").read_text() == ENCODER
    assert f'[0, "{folder}"]' in (folder / "hyperparams.yaml").read_text()


def refusal(write, text, folder):
    """The line with which a model is refused; an earlier one is kept."""
    folder.mkdir()
    (folder / "hyperparams.yaml").write_text("earlier")
    with pytest.raises(InputError) as caught:
        write(text)
    assert [path.read_text() for path in folder.iterdir()] == ["earlier"]
    (line,) = str(caught.value).splitlines()
    assert str(folder) in line and "checkpoints are kept" in line
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
    (own / "my_encoder.py").write_text(ENCODER)
    (own / "my_pooling.py").write_text(POOLING)
    text = YAML.replace("        embedding_model: !ref <encoder>\n", "")
    line = refusal(write, text, tmp_path / "inference")
    assert "embedding_model" in line and "recoverables" in line
