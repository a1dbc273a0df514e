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


def test_folder_is_complete(exported):
    hparams, folder = exported
    names = {path.name for path in folder.iterdir()}
    weights = {"embedding_model.ckpt", "classifier.ckpt"}
    labels = {"label_encoder.txt", "label_encoder.ckpt", "labels.csv"}
    data = {"config.json", "model.safetensors"}
    assert names == {"hyperparams.yaml"} | weights | labels | data
    assert not list(folder.parent.glob("*unfinished*"))
    for name in ("embedding_model", "classifier"):
        saved = torch.load(folder / f"{name}.ckpt", weights_only=True)
        state = hparams[name].state_dict()
        assert saved.keys() == state.keys()
        assert all(torch.equal(saved[key], state[key]) for key in state)


def test_yaml_keeps_the_sizes_and_shares_the_modules(exported):
    _, folder = exported
    with open(folder / "hyperparams.yaml", encoding="utf-8") as fi:
        loaded = load_hyperpyyaml(fi)
    assert loaded["sample_rate"] == 16000 and loaded["max_frames"] == 128
    assert "labels" not in loaded and "embed_dim" not in loaded
    modules = loaded["modules"]
    assert modules["embedding_model"] is loaded["embedding_model"]
    loadables = loaded["pretrainer"].loadables
    assert loadables["embedding_model"] is loaded["embedding_model"]
    assert loadables["classifier"] is modules["classifier"]
    assert loaded["embedding_model"].embedding.patch_frames == 10
    assert loaded["embedding_model"].blocks[0].dropout == 0.3


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


@pytest.mark.parametrize("loader", LOADERS)
def test_model_is_frozen_and_in_eval_mode(exported, loader):
    model = loader.from_hparams(source=str(exported[1]))
    assert not any(module.training for module in model.mods.modules())
    assert not any(p.requires_grad for p in model.mods.parameters())
    wavs = torch.randn(2, 4000)
    first, second = (model.encode_batch(wavs) for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize("missing", ["embedding_model", "classifier"])
def test_folder_without_weights_is_an_error(exported, tmp_path, missing):
    folder = tmp_path / "model"
    shutil.copytree(exported[1], folder)
    (folder / f"{missing}.ckpt").unlink()
    with pytest.raises(FileNotFoundError, match=f"{missing}.ckpt"):
        AudioTagger.from_hparams(source=str(folder))


def test_yaml_without_a_module_or_a_setting_is_an_error(exported, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(exported[1], folder)
    path = folder / "hyperparams.yaml"
    text = path.read_text("utf-8")
    lines = text.splitlines(keepends=True)
    start = lines.index("modules:\n")
    kept = [
        line
        for n, line in enumerate(lines)
        if n < start or not line.strip().startswith("mean_var_norm: ")
    ]
    assert len(kept) == len(lines) - 1
    path.write_text("".join(kept), "utf-8")
    with pytest.raises(ValueError, match="lacks the modules mean_var_norm"):
        AudioTagger.from_hparams(source=str(folder))
    path.write_text(text.replace("sample_rate: 16000\n", "", 1), "utf-8")
    with pytest.raises(ValueError, match="sample_rate"):
        AudioTagger.from_hparams(source=str(folder))


def test_folder_without_labels_is_an_error(exported, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(exported[1], folder)
    (folder / "label_encoder.ckpt").unlink()
    with pytest.raises(ValueError, match="label_encoder.ckpt"):
        AudioTagger.from_hparams(source=str(folder))


@pytest.mark.parametrize("loader", LOADERS)
def test_audio_is_loaded_at_the_models_rate(exported, tmp_path, loader):
    folder = tmp_path / "model"
    shutil.copytree(exported[1], folder)
    path = folder / "hyperparams.yaml"
    text = path.read_text("utf-8").replace("rate: 16000", "rate: 8000")
    path.write_text(text, "utf-8")
    noise_file(tmp_path / "clip.wav", seconds=2.0)
    model = loader.from_hparams(source=str(folder))
    assert model.load_audio(str(tmp_path / "clip.wav")).shape == (16000,)


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


def test_export_to_a_full_disk(exported, recipe, tmp_path):
    """No file may be larger than 30 kB: the weights fail, in torch or here."""
    resource = pytest.importorskip("resource")
    export_again(exported, tmp_path, recipe)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, limits[1]))
    try:
        with pytest.raises(OSError) as error:
            export_again(exported, tmp_path, recipe)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    message = str(error.value)
    assert message.startswith(f"{tmp_path}/inference cannot be written: it ")
    assert "needs 0.2 MiB and" in message and "MiB are free" in message
    after = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    assert after == before


def test_exported_yaml_drops_comments_and_other_keys(
    exported, recipe, tmp_path
):
    text = recipe.replace("rate: 16000", "rate: 16000  # in Hz", 1)
    text = f"# a heading\nname: 'A # B'\n{text}\n# a heading\nrest: 1\n"
    resolved = resolve_references(text).getvalue()
    assert "# in Hz" in resolved and "# a heading" in resolved
    folder = export_again(exported, tmp_path, resolved)
    text = (folder / "hyperparams.yaml").read_text("utf-8")
    assert "heading" not in text and "rest" not in text and "A #" not in text
    assert load_hyperpyyaml(text)["sample_rate"] == 16000


def test_recipe_without_a_module_is_an_error(exported, recipe, tmp_path):
    text = recipe.replace("max_frames: 128\n", "length: 128\n", 1)
    text = text.replace("<max_frames>", "<length>")
    with pytest.raises(ValueError, match="recipe.yaml lacks max_frames"):
        export_again(exported, tmp_path, text)
    assert os.listdir(tmp_path) == ["recipe.yaml"]


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


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_files_have_the_mode_of_the_umask(exported, recipe, tmp_path, umask):
    before = os.umask(umask)
    try:
        folder = export_again(exported, tmp_path, recipe)
    finally:
        os.umask(before)
    modes = {
        path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()
    }
    assert set(modes.values()) == {0o666 & ~umask}, modes
    assert folder.stat().st_mode & 0o777 == 0o777 & ~umask
