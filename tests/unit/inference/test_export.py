"""Tests of the yaml form of inference folders, and of loading it.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import os
import shutil

import numpy as np
import pytest
import soundfile as sf
import torch
from hyperpyyaml import load_hyperpyyaml, resolve_references

from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain.inference.classifiers import EncoderClassifier
from speechbrain_fftp.inference import AudioTagger
from speechbrain_fftp.inference.folder import export_inference
from speechbrain_fftp.inference.thresholds import write_thresholds
from speechbrain_fftp.inference.torch_engine import TorchEngine

LOADERS = [TorchEngine, EncoderClassifier]


def noise_file(path, seconds=1.0, seed=0):
    torch.manual_seed(seed)
    wav = 0.2 * torch.randn(int(16000 * seconds))
    sf.write(path, wav.numpy(), 16000, subtype="FLOAT")
    return wav


@pytest.mark.parametrize("loader", LOADERS)
def test_loads_from_anywhere_and_leaves_no_files(
    exported, loader, tmp_path, monkeypatch
):
    hparams, folder = exported
    moved = tmp_path / "moved"
    shutil.copytree(folder, moved)
    elsewhere = tmp_path / "cwd"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    # These labels must not be read.
    (elsewhere / "label_encoder.txt").write_text("'Wrong' => 0\n", "utf-8")
    before = sorted(os.listdir(moved))
    for source in (str(moved), "../moved"):
        model = loader.from_hparams(source=source)
        labels = model.hparams.label_encoder.decode_torch(torch.arange(5))
        assert labels == hparams["labels"]
        for name in ("embedding_model", "classifier"):
            state = hparams[name].state_dict()
            for key, tensor in model.mods[name].state_dict().items():
                assert torch.equal(tensor, state[key])
    assert os.listdir(elsewhere) == ["label_encoder.txt"]
    assert sorted(os.listdir(moved)) == before


def test_stock_classifier_and_tagger_agree(exported, tmp_path, monkeypatch):
    hparams, folder = exported
    monkeypatch.chdir(tmp_path)
    wav = noise_file("clip.wav")
    tagger = AudioTagger.from_hparams(source=str(folder))
    classifier = EncoderClassifier.from_hparams(source=str(folder))
    logits, score, index, label = classifier.classify_file("clip.wav")
    embedding = classifier.encode_batch(wav)
    assert embedding.shape == (1, 1, 24)
    torch.testing.assert_close(tagger.encode_batch(wav), embedding)
    # Compare with the modules called directly.
    feats = hparams["mean_var_norm"](hparams["compute_features"](wav[None]))
    with torch.no_grad():
        expected = hparams["embedding_model"](feats)
        torch.testing.assert_close(embedding, expected)
        expected = hparams["classifier"](expected).squeeze(1)
    torch.testing.assert_close(logits, expected)
    probabilities = tagger.tag_batch(wav)
    torch.testing.assert_close(probabilities, logits.sigmoid())
    best = tagger.tag_file("clip.wav", top_k=1)[0]
    assert [best.label] == label
    assert best.probability == pytest.approx(score.sigmoid().item(), abs=1e-6)
    assert label == [hparams["labels"][index.item()]]
    assert os.listdir() == ["clip.wav"]


@pytest.mark.parametrize("missing", ["classifier", "label_encoder"])
def test_folder_without_a_file_is_an_error(exported, tmp_path, missing):
    folder = tmp_path / "model"
    shutil.copytree(exported[1], folder)
    (folder / f"{missing}.ckpt").unlink()
    with pytest.raises((FileNotFoundError, ValueError), match=missing):
        AudioTagger.from_hparams(source=str(folder))


class Unsaveable(torch.nn.Linear):
    """A module that cannot be saved."""

    def state_dict(self, *args, **kwargs):
        raise OSError("no space left")


def export_again(exported, folder, recipe, **changes):
    """Exports the modules of a tiny model, some of them replaced."""
    path = folder / "recipe.yaml"
    path.write_text(recipe, "utf-8")
    encoder = CategoricalEncoder()
    encoder.update_from_iterable(exported[0]["labels"])
    modules = {**exported[0]["modules"], **changes}
    return export_inference(path, modules, encoder, folder / "inference")


def test_failed_export_keeps_the_folder_before(exported, recipe, tmp_path):
    def saved_weight():
        path = tmp_path / "inference" / "classifier.ckpt"
        return torch.load(path, weights_only=True)["weight"]

    first, second = torch.nn.Linear(24, 5), torch.nn.Linear(24, 5)
    export_again(exported, tmp_path, recipe, classifier=first)
    (tmp_path / "inference" / "old.txt").write_text("", "utf-8")
    with pytest.raises(OSError):
        broken = Unsaveable(24, 5)
        export_again(exported, tmp_path, recipe, classifier=broken)
    assert torch.equal(saved_weight(), first.weight)
    export_again(exported, tmp_path, recipe, classifier=second)
    assert torch.equal(saved_weight(), second.weight)
    assert sorted(os.listdir(tmp_path)) == ["inference", "recipe.yaml"]
    assert not (tmp_path / "inference" / "old.txt").exists()


def test_both_forms_give_the_same_events(exported, recipe, tmp_path):
    """After calibration, too, which knows nothing of the yaml."""
    start = recipe.index("classifier:")
    tokens = recipe[:start].replace("dropout: 0.3", "pooling: tokens")
    head = "classifier: !new:speechbrain_fftp.lobes.frame_classifier."
    head += "FrameClassifier [24, 5]\n"
    text = tokens + head + recipe[recipe.index("modules:") :]
    torch.manual_seed(0)
    modules = load_hyperpyyaml(text)["modules"]
    resolved = resolve_references(text).getvalue()
    folder = export_again(exported, tmp_path, resolved, **modules)
    noise_file(tmp_path / "clip.wav")

    def events():
        taggers = (
            AudioTagger.from_pretrained(folder),
            AudioTagger.from_hparams(source=str(folder)),
        )
        assert [x.labels for x in taggers] == [exported[0]["labels"]] * 2
        first, second = (x.analyze(tmp_path / "clip.wav") for x in taggers)
        np.testing.assert_allclose(second.probs, first.probs, atol=1e-6)
        assert second.window == first.window
        limits = [x.thresholds for x in taggers]
        return first.window, limits[0], limits[1]

    assert events() == (0.0, None, None)
    path = folder / "config.json"
    config = json.loads(path.read_text("utf-8"))
    config["classifier"]["mean_seconds"] = 0.35
    path.write_text(json.dumps(config), "utf-8")
    rows = [(x, 0.1 * n, 5, 0.5) for n, x in enumerate(exported[0]["labels"])]
    write_thresholds(folder, rows)
    window, *limits = events()
    assert window == pytest.approx(0.5 * 7 * 0.05)
    for found in limits:
        np.testing.assert_allclose(found, np.arange(5) * 0.1, atol=1e-6)
    (folder / "thresholds.csv").write_text("damaged", "utf-8")
    with pytest.raises(ValueError, match="thresholds.csv"):
        AudioTagger.from_hparams(source=str(folder))
