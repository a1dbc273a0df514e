"""Tests that recipes, hparams files and their list agree.

Authors
 * The speechbrain_fftp authors 2026
"""

import re

import pytest
import torch
from hyperpyyaml import load_hyperpyyaml
from prepared_clips import read_rows
from recipe_brains import HPARAMS, ROOT, load_tiny
from upstream_parts import PARTS

from speechbrain.utils.run_opts import RunOptions
from speechbrain_fftp.lobes.features import DatasetNormalization

# What has to be given; the demo reads what another script has prepared
PLACEHOLDERS = {"demo.yaml": [], "starter.yaml": ["audio_folders", "teacher"]}
# Files that read keys of yaml files
READERS = (
    "speechbrain_fftp/core.py",
    "speechbrain_fftp/training/guard.py",
    "recipes/{}/train.py",
    "recipes/AudioSet/train_strong.py",
)
# Values of https://arxiv.org/abs/2508.21243, and of AST's and AuM's recipes,
# which it follows. Those of AudioSet are also defaults of the package.
PAPER = {
    "": {
        "cost": "bce_loss",
        "mean, std": (-4.2677393, 4.5689974),
        "mixup": (0.5, 10.0),
        "patch, stride, frames": (25, 5, 1000),
        "schedule": (25, 12, 5e-5, 1000, 0.0),
        "spec_augment": (48, 192),
    },
    "speechcommands/": {
        "cost": "cross_entropy",
        "mean, std": (-6.845978, 5.5654526),
        "mixup": (0.6, 10.0),
        "patch, stride, frames": (10, 2, 128),
        "schedule": (30, 128, 2.5e-4, 1000, 0.0),
        "spec_augment": (48, 48),
    },
}
CELLS = {"": 25600, "speechcommands/": 1024}  # that are masked
# Width and depth of the base models
SIZES = {"ast": ("768", "12"), "aum": ("768", "24")}
STOCK = sorted((ROOT / "hparams" / "stock").rglob("*.yaml"))


def test_every_hparams_file_is_listed_once():
    listed = [x["Hparam_file"] for x in read_rows(ROOT / "tests/recipes.csv")]
    assert sorted(listed) == [f"hparams/{name}" for name in HPARAMS]
    exported = {path for files in PARTS.values() for path in files}
    assert {x.relative_to(ROOT).as_posix() for x in STOCK} <= exported


@pytest.mark.parametrize("yaml", HPARAMS)
def test_every_key_is_read_and_only_the_data_are_placeholders(yaml):
    text = (ROOT / "hparams" / yaml).read_text("utf-8")
    recipe = "SpeechCommands" if "speechcommands" in yaml else "AudioSet"
    if yaml == "starter.yaml":
        recipe = "Starter"
    scripts = "".join(
        (ROOT / path.format(recipe)).read_text("utf-8") for path in READERS
    )
    options = RunOptions().as_dict()
    for key in re.findall(r"^(\w+):", text, re.MULTILINE):
        is_read = (
            key.startswith("__")
            or key in options
            or f"<{key}>" in text
            or re.search(rf"hparams(\.|\[\"|\.get\(\"){key}\b", scripts)
            or (key.endswith("_annotation") and '_annotation"]' in scripts)
        )
        assert is_read, key
    found = re.findall(r"^(\w+): !PLACEHOLDER", text, re.MULTILINE)
    assert found == PLACEHOLDERS.get(yaml, ["data_folder"])


@pytest.mark.parametrize("encoder", ["ast", "aum"])
@pytest.mark.parametrize("folder", PAPER)
def test_values_are_those_of_the_paper(folder, encoder, tmp_path):
    yaml = f"{folder}{encoder}_fftp.yaml"
    text = (ROOT / "hparams" / yaml).read_text("utf-8")
    numbers = dict(re.findall(r"(?m)^(\w+): (\d+)$", text))
    assert (numbers["embed_dim"], numbers["depth"]) == SIZES[encoder]
    hparams = load_tiny(yaml, tmp_path, embed_dim=128)
    model = hparams["embedding_model"]
    assert model.pooling == "cls"
    if encoder == "ast":
        assert model.num_heads == 2  # of 64 channels each
    else:
        assert model.blocks[0].mixer.bidirectional == "fo-bi"
    optimizer = hparams["opt_class"].keywords
    assert tuple(optimizer["betas"]) == (0.95, 0.999)
    assert optimizer["weight_decay"] == 5e-7

    patch, norm = model.embedding, hparams["mean_var_norm"]
    mixup, augment = hparams["mixup"], hparams["spec_augment"]
    sizes = patch.patch_frames, patch.stride_frames, model.max_frames
    schedule = "number_of_epochs batch_size lr warmup_steps final_lr".split()
    cost = hparams["compute_cost"]
    assert PAPER[folder] == {
        "cost": getattr(cost, "func", cost).__name__,
        "mean, std": (norm.mean, norm.std),
        "mixup": (mixup.prob, mixup.alpha),
        "patch, stride, frames": sizes,
        "schedule": tuple(hparams[name] for name in schedule),
        "spec_augment": (augment.bins, augment.frames),
    }
    default = DatasetNormalization()
    assert (default.mean, default.std) == PAPER[""]["mean, std"]
    feats, mask = torch.rand(4, model.max_frames, 128), hparams["spec_mask"]
    masked = (mask(feats) != feats).sum((1, 2))
    assert (masked - CELLS[folder]).abs().max() <= 40  # half a grid cell
    assert mask.full_freq_ratio == 0.7
    # Masks that cover tokens are on their grid
    assert (mask.patch_frames, mask.patch_bins) == (patch.stride_frames, 16)


@pytest.mark.parametrize("path", STOCK, ids=lambda x: f"{x.parts[-2]}-{x.stem}")
@torch.no_grad()
def test_yaml_files_for_recipes_of_speechbrain_load(path, tmp_path):
    """With this package alone, so that its users can train with them."""
    options = {"data_folder": "data", "output_folder": str(tmp_path)}
    options |= {"embed_dim": 64, "depth": 1}
    hparams = load_hyperpyyaml(path.read_text("utf-8"), options)
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
    logits = hparams["classifier"](model(feats))
    assert logits.shape == (2, 1, hparams["out_n_neurons"])
    # Masks differ from one pass to the next, in training alone
    if "spec_mask" in hparams or hparams.get("dropout"):
        assert not torch.equal(model(feats), model(feats))
    model.eval()
    assert torch.equal(model(feats), model(feats))
