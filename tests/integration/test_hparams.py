"""Tests that recipes, hparams files and their list agree.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import recipe_brains
import torch
from hyperpyyaml import load_hyperpyyaml, resolve_references
from upstream_parts import PARTS

from speechbrain.inference.classifiers import EncoderClassifier
from speechbrain.utils.run_opts import RunOptions
from speechbrain_fftp.lobes.features import DatasetNormalization
from speechbrain_fftp.training import export

ROOT = Path(__file__).resolve().parents[2]
# They read what another script has prepared
WITHOUT_DATA = ("hparams/demo.yaml", "hparams/starter.yaml")
HPARAMS = [f"hparams/{name}" for name in recipe_brains.HPARAMS]
# Values of https://arxiv.org/abs/2508.21243, and of AST's and AuM's recipes,
# which it follows. Those of AudioSet are also defaults of the package.
PAPER = {
    "hparams": {
        "cost": "bce_loss",
        "frames": 1000,
        "masked": 25600,  # cells
        "mean_std": (-4.2677393, 4.5689974),
        "mixup": 0.5,
        "patch_stride": (25, 5),
        "schedule": (25, 12, 5e-5, 1000, 0.0),
        "spec_augment": (48, 192),
    },
    "hparams/speechcommands": {
        "cost": "cross_entropy",
        "frames": 128,
        "masked": 1024,
        "mean_std": (-6.845978, 5.5654526),
        "mixup": 0.6,
        "patch_stride": (10, 2),
        "schedule": (30, 128, 2.5e-4, 1000, 0.0),
        "spec_augment": (48, 48),
    },
}
# Width and depth of the base models
SIZES = {"ast": ("768", "12"), "aum": ("768", "24")}
STOCK = sorted((ROOT / "hparams" / "stock").rglob("*.yaml"))


def test_every_hparams_file_is_listed_once():
    with open(ROOT / "tests" / "recipes.csv", encoding="utf-8") as file:
        listed = [row["Hparam_file"] for row in csv.DictReader(file)]
    assert sorted(listed) == HPARAMS
    exported = {path for files in PARTS.values() for path in files}
    assert {x.relative_to(ROOT).as_posix() for x in STOCK} <= exported


@pytest.mark.parametrize("path", HPARAMS)
def test_every_key_is_read_and_only_the_data_are_placeholders(path):
    text = (ROOT / path).read_text("utf-8")
    scripts = [
        ROOT / "speechbrain_fftp" / "core.py",
        ROOT / "speechbrain_fftp" / "training" / "guard.py",
    ]
    if "speechcommands" in path:
        scripts.append(ROOT / "recipes" / "SpeechCommands" / "train.py")
    else:
        recipe = ROOT / "recipes" / "AudioSet"
        scripts += [recipe / "train.py", recipe / "train_strong.py"]
    script = "".join(path.read_text("utf-8") for path in scripts)
    options = RunOptions().as_dict()
    for key in re.findall(r"^(\w+):", text, re.MULTILINE):
        read = (
            key.startswith("__")
            or key in options
            or f"<{key}>" in text
            or f'["{key}"]' in script
            or f"hparams.{key}" in script
            or f'hparams.get("{key}"' in script
            or (key.endswith("_annotation") and '_annotation"]' in script)
        )
        assert read, f"{key} of {path} is never read"
    found = re.findall(r"^(\w+): !PLACEHOLDER", text, re.MULTILINE)
    assert found == ([] if path in WITHOUT_DATA else ["data_folder"])


@pytest.mark.parametrize("encoder", ["ast", "aum"])
@pytest.mark.parametrize("folder", PAPER)
def test_values_are_those_of_the_paper(folder, encoder):
    options = {"data_folder": "data", "embed_dim": 128, "depth": 1}
    text = (ROOT / folder / f"{encoder}_fftp.yaml").read_text("utf-8")
    numbers = dict(re.findall(r"(?m)^(\w+): (\d+)$", text))
    assert (numbers["embed_dim"], numbers["depth"]) == SIZES[encoder]
    hparams, paper = load_hyperpyyaml(text, options), PAPER[folder]
    model = hparams["embedding_model"]
    if encoder == "ast":
        assert model.num_heads == 2  # of 64 channels each
    else:
        assert model.blocks[0].mixer.bidirectional == "fo-bi"
    assert (model.max_frames, model.pooling) == (paper["frames"], "cls")
    patch = model.embedding.patch_frames, model.embedding.stride_frames
    assert patch == paper["patch_stride"]
    names = ["number_of_epochs", "batch_size", "lr", "warmup_steps", "final_lr"]
    assert tuple(hparams[name] for name in names) == paper["schedule"]
    cost = hparams["compute_cost"]
    assert getattr(cost, "func", cost).__name__ == paper["cost"]
    augment = hparams["spec_augment"]
    assert (augment.bins, augment.frames) == paper["spec_augment"]
    optimizer = hparams["opt_class"].keywords
    assert tuple(optimizer["betas"]) == (0.95, 0.999)
    assert optimizer["weight_decay"] == 5e-7
    norm, default = hparams["mean_var_norm"], DatasetNormalization()
    assert (norm.mean, norm.std) == paper["mean_std"]
    assert (default.mean, default.std) == PAPER["hparams"]["mean_std"]
    mixup = hparams["mixup"]
    assert (mixup.prob, mixup.alpha) == (paper["mixup"], 10.0)
    feats = torch.rand(4, paper["frames"], 128)
    masked = (hparams["spec_mask"](feats) != feats).sum((1, 2))
    assert (masked - paper["masked"]).abs().max() <= 40  # half a grid cell
    mask = hparams["spec_mask"]
    assert mask.full_freq_ratio == 0.7
    # Masks that cover tokens are on their grid
    assert (mask.patch_frames, mask.patch_bins) == (patch[1], 16)


@pytest.mark.parametrize("path", STOCK, ids=lambda x: f"{x.parts[-2]}-{x.stem}")
def test_yaml_files_for_recipes_of_speechbrain_load(path, tmp_path):
    """With this package alone, so that its users can train with them."""
    folders = {"data_folder": "data", "output_folder": str(tmp_path)}
    hparams = load_hyperpyyaml(path.read_text("utf-8"), folders)
    if path.parent.name == "classification":
        stft = hparams["compute_stft"](torch.randn(2, 80000))
        feats = hparams["compute_fbank"](stft.square().sum(-1))
    else:
        feats = hparams["compute_features"](torch.randn(2, 16000))
        feats = hparams["mean_var_norm"](feats)
    model, frames = hparams["embedding_model"], feats.shape[1]
    encoder = hparams.get("encoder", model)
    if hasattr(encoder, "position"):
        assert frames <= encoder.max_frames < 1.15 * frames

    with torch.no_grad():
        logits = hparams["classifier"](model(feats))
        assert logits.shape == (2, 1, hparams["out_n_neurons"])
        # Masks differ from one pass to the next, in training alone
        if "spec_mask" in hparams or hparams.get("dropout"):
            assert not torch.equal(model(feats), model(feats))
        model.eval()
        assert torch.equal(model(feats), model(feats))


@pytest.mark.parametrize("path", HPARAMS)
def test_inference_needs_little_of_the_yaml(path, tmp_path, monkeypatch):
    """Training itself compares the outputs, in a new process."""
    options = {"output_folder": str(tmp_path), "embed_dim": 64, "depth": 1}
    if path not in WITHOUT_DATA:
        options["data_folder"] = "data"
    if "own_sounds" in path:  # the starter is larger
        options["pretrained"] = None
    text = resolve_references((ROOT / path).read_text("utf-8"), options)
    (tmp_path / "hyperparams.yaml").write_text(text.getvalue(), "utf-8")
    hparams = load_hyperpyyaml(text)
    n_classes = hparams["n_classes"]
    hparams["label_encoder"].update_from_iterable(map(str, range(n_classes)))
    hparams["label_encoder"].expect_len(n_classes)
    monkeypatch.setattr(export, "check_folder", lambda *args: None)
    monkeypatch.setattr(export, "write_model", lambda *args: None)
    brain = SimpleNamespace(
        test_only=False,
        hparams=SimpleNamespace(**hparams),
        checkpointer=hparams["checkpointer"],
    )
    clips = SimpleNamespace(data={"clip": {"duration": "0.9"}})
    for step in hparams["after"][1:]:  # after the report
        step(brain, {"train": clips})

    loaded = EncoderClassifier.from_hparams(str(tmp_path / "inference"))
    log_probs, *_ = loaded.classify_batch(torch.randn(1, 16000) / 5)
    assert log_probs.shape == (1, len(hparams["label_encoder"]))
    is_single = log_probs.exp().sum().item() == pytest.approx(1, abs=1e-4)
    assert is_single == ("speechcommands" in path)
    assert loaded.hparams.pieces["size"] == 0.9 * hparams["sample_rate"]
    saved = (tmp_path / "inference" / "hyperparams.yaml").read_text("utf-8")
    assert not re.search(r"start_from|data_folder|count_classes|lr|seed", saved)
    assert len(saved.splitlines()) < 80
